// One host thread that runs CUDA blocks, one after the other: fibers, barriers, warp-level operations,
// traces.
#pragma once
#include <memory>
#include <setjmp.h>
#include <string>
#include <vector>

#include "context.h"
#include "fiber.h"
#include "shadow.h"

namespace sim {

enum State : uint8_t { kReady, kFull, kAtBarrier, kAtWarp, kDone };

// An event of a lane between two points of synchronisation. `word` orders and identifies it: deepest call
// first, then lowest address of code, then the call path and what it does, so that equal words are one
// instruction executed together. Small enough that the traces of a warp's 32 lanes stay in the processor's
// nearest caches.
struct Trace {
    static constexpr int kCapacity = 128;
    const uint64_t sentinel = ~uint64_t(0);  // read as the word before the first: an access
    uint64_t word[kCapacity];
    uint64_t address[kCapacity];  // of the accesses among the words, in order: region index << 48 | offset
};

struct alignas(64) Thread : SimLane {
    // One line of the processor's cache: what every switch to the thread needs.
    void* context;
    uint3 index;
    uint16_t linear;
    uint8_t lane;
    State state;
    // The rest.
    int line;  // of the barrier or warp operation it waits at
    // warp-level operation in flight
    int warp_op, source_lane;
    uint32_t mask;
    uint64_t value;
    Stack* stack;
    // trace
    Trace* trace;
    void reset_trace(size_t words, size_t addresses) {
        word = trace->word + words, word_end = trace->word + Trace::kCapacity,
        address = trace->address + addresses;
    }
    int depth;
    uint16_t path, paths[64];  // hash of the calls that led here, and those of the callers
    uint32_t warp_epoch;
    uint32_t last_pc;
    // What the lane knows to be over: all lanes' accesses of warp epochs before `whole`, those of lane j
    // before met[j]. (Only where a part of a warp has met on its own do the two differ.)
    uint32_t whole, met[32];
};

struct Pending {  // a read of memory nobody has written; an error unless it turns out to be a race
    Region* region;
    size_t granule;
    uint32_t pc, bytes;
    Thread* thread;
};

class Worker {
  public:
    Worker();
    ~Worker();
    // Runs blocks until the grid is done or the call failed.
    void run(Context* context, Launch* launch, const SimLaunch* config, int launch_index, void (*body)(void*),
             void* closure, std::atomic<uint64_t>* next_block, std::atomic<uint8_t>* released);
    void merge_into(Launch* launch);

    // Called on fibers.
    void yield();
    [[noreturn]] void raise(Error e);  // from a fiber: record and leave it for good
    Error error_here(Kind kind, Detail detail, uint64_t pc = 0, int line = 0) const;
    void* shared_variable(const SimSharedSite* site);
    void* dynamic_shared(const char* name, int line, size_t granule, const size_t* row_extents);
    bool is_shared_array(const size_t* extents, int64_t index) const;
    uint64_t warp_operation(int op, uint32_t mask, int line, uint64_t value, int source_lane);
    int barrier(int op, int predicate, int line);
    void record(uintptr_t address, unsigned size_log2, Access access, uint64_t pc);
    void enter_function(uint64_t pc);
    void leave_function();
    void print(const char* text, size_t n);
    bool on_stack(const void* p) const { return stacks_.find(p); }
    bool in_stack_guard(const void* p) const { return stacks_.find_guard(p); }

    void full();  // the running lane's trace is full: let the others catch up
    Context* context = nullptr;
    bool acquired = false;      // this block has performed an atomic operation
    sigjmp_buf escape;          // where a fault or a forced stop leaves a fiber
    void* scheduler = nullptr;  // the scheduler's context while a fiber runs
    uint64_t block_linear = 0;
    std::atomic<uint8_t>* released = nullptr;
    Error fault_error{};

  private:
    void run_block(uint64_t linear);
    void run_warp(int warp);
    void resume(Thread* thread);
    void release_barrier();
    void resolve_warp(int warp);
    [[noreturn]] void fail_scheduler(Error e);
    void explain_stall();
    Error stopped_at(int warp) const;
    static void thread_main(void* worker);
    // traces
    bool drain(int warp);  // false: some lane must run on first
    void process(int warp, uint32_t mask, uint64_t word, const uint64_t* addresses);
    void check_cells(Thread* t, Region* region, size_t offset, unsigned bytes, Access access, uint32_t pc);
    void meet(Thread* lanes, uint32_t group, uint32_t named, uint32_t present, uint32_t warp_epoch);
    bool unmet(const Thread* me, Id other) const;
    void report_pending();
    const SimRecent* lookup(uintptr_t address, unsigned bytes, Access access, uint64_t pc);
    [[noreturn]] void out_of_bounds(uintptr_t address, unsigned bytes, Access access, uint64_t pc);
    static void name_region(Error* e, const Region* region, int64_t offset);
    Region* new_shared(const SimSharedSite* site, size_t bytes, size_t alignment, size_t granule);
    Counts* counts_of(uint64_t pc, uint32_t what, uint32_t bytes);
    Error race_error(const Thread* t, const Region* region, size_t offset, unsigned bytes, Access access,
                     uint32_t pc, Id other, uint32_t other_pc, bool other_known) const;

    Launch* launch_ = nullptr;
    const SimLaunch* config_ = nullptr;
    int launch_index_ = 0;
    void (*body_)(void*) = nullptr;
    void* closure_ = nullptr;

    StackPool stacks_;
    std::vector<Thread> threads_;
    std::unique_ptr<Trace[]> traces_;
    int live_ = 0;
    // The barrier that threads are arriving at, and what the last one counted.
    int arrived_ = 0, counted_ = 0, barrier_line_ = 0, barrier_count_ = 0;
    bool other_barrier_ = false;
    uint32_t epoch_ = 0;
    uint8_t warp_order_[32], lane_order_[32];  // when the order is random
    bool parts_met_ = false;                   // in this block a part of a warp has synchronised on its own
    bool tracing_warp_ = false;
    std::string output_;

    // shared memory of the block
    char* arena_ = nullptr;
    size_t arena_used_ = 0, static_used_ = 0, static_max_ = 0;
    std::vector<std::unique_ptr<Region>> shared_pool_;
    size_t shared_count_ = 0;
    Region* dynamic_ = nullptr;
    SimSharedSite dynamic_site_{};
    Cell* arena_cells_ = nullptr;
    size_t cells_used_ = 0;
    std::vector<Pending> pending_;

    // regions this block touches, most recent first, so that the usual check is one comparison
    SimRecent recent_[4] = {};
    std::vector<Region*> table_;  // by index stored in traces
    std::unordered_map<Region*, uint32_t> table_index_;

    // counts by instruction: open addressing
    std::vector<Site> sites_;
    std::vector<int> site_slots_;
};

// Read at every access of a kernel, hence the fastest kind of thread-local variable.
extern __thread Worker* current_worker __attribute__((tls_model("initial-exec")));
inline Thread* current_thread() { return static_cast<Thread*>(sim_running); }  // null outside kernels

// From the launcher's host code: records the error and ends the call.
[[noreturn]] void leave_host(const Error& e);

// The worker for a device function; `what` is refused where host code calls it, which CUDA would not compile.
inline Worker* on_device(const char* what, int line) {
    Worker* w = current_worker;
    if (!w || !current_thread()) sim_unsupported(what, line);
    return w;
}

}  // namespace sim
