// The state of one call of a launcher: the memory it may touch, what its launches counted, and the first
// error.
#pragma once
#include <atomic>
#include <mutex>
#include <stdint.h>
#include <string>
#include <unordered_map>
#include <vector>

#include "../include/sim/abi.h"

namespace sim {

constexpr size_t kOutputLimit = 1 << 20;  // characters of printf that a call shows

enum Space : uint8_t { kGlobal, kShared };
// A compare-and-swap is told apart: who uses it has read the value plainly before, and tries again if that
// was too early.
enum Access : uint8_t { kLoad, kStore, kAtomic, kCompareAndSwap };

// Who touched a granule of memory last. One 64-bit word holds block, barrier epoch, warp epoch, thread and
// flags (shadow.h); a pc has, in its upper four bits, which bytes of the granule it was.
struct Cell {
    std::atomic<uint64_t> writer, reader;
    std::atomic<uint32_t> writer_pc, reader_pc;
};

// A stretch of memory that the kernel may touch: a tensor, or a shared variable of the running block.
struct Region {
    uintptr_t base = 0;
    size_t bytes = 0;
    uint32_t granule_shift = 2;
    Space space = kGlobal;
    int id = 0;  // index of a tensor in the call's list, or -1-index of a shared variable
    std::atomic<uint8_t>* written = nullptr;  // one byte a granule, only for memory that began uninitialised
    Cell* cells = nullptr;                    // mapped lazily, zero = untouched in this launch
    size_t cell_bytes = 0;
    // In this launch, of a tensor whose readers are not recorded (Context::reads): has it been read, and has
    // it been written? Both at once, and the call must be run again with the readers recorded.
    std::atomic<bool> read{false}, stored{false};
    uint32_t* quiet = nullptr;    // of shared memory, a word a granule: see Worker::check
    uint32_t* copying = nullptr;  // likewise: see Worker::start_copy
    const SimSharedSite* site = nullptr;
    int off_limits = 0;  // why the kernel may not touch it (Detail), where that is so
    bool contains(uintptr_t a) const { return a - base < bytes; }
};

enum Kind {
    kNoError,
    kOutOfBounds,
    kMisaligned,
    kUninitializedRead,
    kRace,
    kBarrierDivergence,
    kDeadlock,
    kTimeout,
    kLaunch,
    kUnsupported,
    kReadsMatter  // not an error: run again with Context::reads
};

// Plain data, read by Python through ctypes (utils/simulator/engine.py mirrors it).
struct Error {
    int32_t kind;
    int32_t launch;  // index of the launch, -1 outside one
    int32_t detail;  // which wording applies (errors.py)
    int32_t access;  // 0 load, 1 store, 2 atomic, 3 compare-and-swap
    int32_t space;   // 0 global, 1 shared, 2 neither
    int32_t bytes;
    int32_t region;  // the region concerned or the nearest one, as Region::id; INT32_MIN: none
    int32_t line;    // known without the pc (barriers), else 0
    int32_t other_line;
    int32_t has_other;
    int64_t offset;  // bytes from that region's start
    uint64_t pc, other_pc;
    uint32_t block[3], thread[3], other_block[3], other_thread[3];
    char text[256];
};

// Details of an error: which sentence errors.py forms.
enum Detail {
    kPlain,
    kStackOverflow,
    kWildPointer,  // no region is near
    kDivisionByZero,
    kSegfault,
    kExited,  // exit(), abort() in the source
    kAssertion,
    kBadConfiguration,
    kExitedBeforeBarrier,
    kOtherBarrier,
    kWarpWaits,
    kIllegalInstruction,
    kFreed,
    kWholeWarpWaits,  // in an operation that needs all 32 lanes
    kGateWaits,       // at a cuda::barrier or cuda::pipeline
    kMatrixStride,    // rows of a matrix not a multiple of 16 bytes apart
    kHostTensor,      // a tensor on the CPU
    kHostVariable,    // the launcher's own stack
    kOutOfMemory,
    kConstant,       // a write to __constant__ memory
    kWildJump,       // a call to where no function is
    kArrayIndex,     // beyond the bounds of an array's declaration
    kSharedAddress,  // a number that is no place in shared memory
    kCopied,         // one of the two is an asynchronous copy, which its thread has waited for
    kCopyUnderWay,   // or has not
    kCopyNotCommitted,
    kCopyHanded  // to a cuda::barrier or cuda::pipeline
};

struct Counts {
    uint64_t requests = 0, sectors = 0, wavefronts = 0, conflicts = 0, bytes = 0, ideal = 0;
    void add(const Counts& o) {
        requests += o.requests, sectors += o.sectors, wavefronts += o.wavefronts, conflicts += o.conflicts,
            bytes += o.bytes, ideal += o.ideal;
    }
};

// Counts of one instruction: where it is (pc), what it does (space, access) and how wide it is.
struct Site {
    uint64_t pc;
    uint32_t what;  // space << 8 | access
    uint32_t bytes;
    Counts counts;
};

struct Lane {
    uint64_t address;  // offset from the region's base
    int32_t region;    // INT32_MIN: the lane took no part
    int32_t bytes;
};
struct Request {
    uint64_t pc;
    uint32_t what;
    int32_t launch;
    uint32_t sectors, wavefronts;
    int32_t warp;
    uint32_t epoch;        // how many barriers the block has passed
    const char* variable;  // the shared variable's name, null for global memory
    Lane lanes[32];
};
// A barrier that the traced block has passed; it ends the interval `epoch`.
struct Barrier {
    int32_t launch, line;
    uint32_t epoch;
};
constexpr size_t kMostRequests = 100000;  // of one trace
constexpr unsigned kEveryWarp = ~0u;

struct Launch {
    std::string kernel;
    int line = 0;
    uint3 grid{}, block{};
    size_t dynamic_shared = 0, static_shared = 0;
    std::vector<Site> sites;
};

struct Context {
    uint64_t serial = 0;  // no other call's
    bool checked = false;
    // Whether the readers of tensors are recorded, to find races between reads and writes. A tensor that is
    // only read needs no record, and nearly every tensor is only read or only written.
    bool reads = false;
    int workers = 1;
    int order = 0;  // 0 forward, 1 reverse, 2 random
    uint64_t seed = 0;
    bool tracing = false;
    uint3 trace_block{};
    unsigned trace_warp = 0;  // or kEveryWarp

    std::vector<Region*> regions;  // sorted by base
    std::vector<Launch> launches;
    std::vector<Request> requests;
    std::vector<Barrier> barriers;
    bool requests_dropped = false;
    std::vector<std::pair<uintptr_t, size_t>>
        module;  // loaded segments of the cell's library: constants, statics
    uintptr_t module_base = 0;
    uintptr_t constants = 0;  // its __constant__ variables
    size_t constant_bytes = 0;
    std::vector<void*> allocations;                     // cudaMalloc
    size_t memory_limit = ~size_t(0), memory_used = 0;  // bytes of tensors and of cudaMalloc, in this call
    std::vector<Region*> off_limits;  // memory that the launcher has given back, and tensors of the CPU
    uintptr_t host_stack_low = 0, host_stack_high = 0;  // where the launcher's variables are, during a launch

    std::mutex mutex;  // guards error and output
    Error error{};
    std::atomic<bool> failed{false};
    std::atomic<bool> cancelled{false};
    std::string output;
    size_t output_dropped = 0;
    std::vector<std::pair<uint64_t, std::string>> printed;  // by the blocks of the launch, with their turns
    void append_printed();  // to the output, in the order of the blocks' turns, up to the limit

    Region* find(uintptr_t address) const;
    bool in_module(uintptr_t address) const {
        for (auto& [base, size] : module)
            if (address - base < size) return true;
        return false;
    }
    Region* find_off_limits(uintptr_t address) const;
    void add(Region* region);
    bool release(const void* base);  // false: no region begins there
    void fail(const Error& e);
    ~Context();
};

// Thrown through the launcher after an error, to the entry point that Python called.
struct Abort {
    virtual ~Abort() = default;
};

extern thread_local Context* current_context;

void free_region(Region* region);
void map_cells(Region* region);
void drop_cells(Region* region);

}  // namespace sim
