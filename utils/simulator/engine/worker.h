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

enum State : uint8_t { kReady, kFull, kAtBarrier, kAtWarp, kAtGate, kDone };

constexpr uint64_t kMemory = 0x80;    // bit of a trace word's kind: an access, not a basic block
constexpr uint64_t kCopying = 0x38;   // in place of the access's width: what the lane does with its copies
constexpr unsigned kRowOfMatrix = 5;  // a width too: 16 bytes, loaded by ldmatrix
inline unsigned bytes_of_width(unsigned width) { return width == kRowOfMatrix ? 16 : 1u << width; }

// An event of a lane between two points of synchronisation. `word` orders and identifies it: deepest call
// first, then lowest address of code, then the call path and what it does, so that equal words are one
// instruction executed together. Small enough that the traces of a warp's 32 lanes stay in the processor's
// nearest caches.
//
// Most lanes do what the first lane of their warp did. They follow it: each of their words is compared with
// the one in its trace, nothing is written but the addresses, and merging has nothing left to compare.
struct Trace {
    static constexpr int kCapacity = 128;
    static constexpr uint64_t kNone = ~uint64_t(0);  // no word: looks like an access, equals none
    const uint64_t sentinel = kNone;                 // read as the word before the first
    uint64_t word[kCapacity + 2];                    // a lane that leaves its leader may write two at once
    // Of the accesses among the words, in order: region index << 48 | offset.
    uint64_t address[kCapacity + 2];
};

struct alignas(64) Thread : SimLane {
    // One line of the processor's cache: what every switch to the thread needs.
    void* context;
    uint3 index;
    uint16_t linear;
    uint8_t lane;
    State state;
    // The rest.
    int line;     // of the barrier or warp operation it waits at; negative: not the learner's own line,
    uint64_t pc;  // but this place
    // warp-level operation in flight
    int warp_op, source_lane;
    uint32_t mask;
    uint64_t value;
    Stack* stack;
    // trace
    Trace *trace, *leader;   // its own trace, and whose it follows
    uint64_t passing;        // a block it has come to while following; the leader went on to a later one
    uint64_t* passing_slot;  // where that later one is
    const uint64_t* first_word() const { return follows ? leader->word : trace->word; }
    uint64_t last_word() const { return word == first_word() ? 0 : word[-1]; }
    void reset_trace(size_t words, size_t addresses) {
        follows = 0;
        word = trace->word + words, word_end = trace->word + Trace::kCapacity,
        address = trace->address + addresses;
    }
    void follow(Trace* other) {
        follows = 1, leader = other, passing = 0;
        word = other->word, word_end = other->word + Trace::kCapacity;
    }
    void push(uint64_t w);
    void depart(uint64_t w);
    int depth;
    uint16_t path, paths[64];  // hash of the calls that led here, and those of the callers
    uint32_t warp_epoch;
    uint32_t last_pc;
    bool acquired;  // it has performed an atomic operation
    // What the lane knows to be over: all lanes' accesses of warp epochs before `whole`, those of lane j
    // before met[j]. (Only where a part of a warp has met on its own do the two differ.)
    uint32_t whole, met[32];

  private:
    void append(uint64_t w);
};

struct Pending {  // a read of memory nobody has written; an error unless it turns out to be a race
    Region* region;
    size_t granule;
    uint32_t pc, bytes;
    Thread* thread;
};

// More than any GPU's shared memory: gaps between variables included.
constexpr size_t kArena = 1 << 20;
struct Copy {  // an asynchronous one that nobody has waited for (copies.cpp)
    Region* region;
    uint32_t first, granules;
    uint32_t thread, group;
    uintptr_t gate;  // the cuda::barrier that it was handed to, 0: none
    uint32_t phase;
};
struct Groups {  // a thread's copies, by groups that it has committed; those of the next are not yet
    uint32_t committed = 0;
    std::vector<uint32_t> copies;
};

constexpr size_t kGap = 256;  // unowned bytes around every shared variable

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
    char* shared_memory() const { return arena_; }
    bool is_shared_array(const size_t* extents, int64_t index) const;
    uint64_t warp_operation(int op, uint32_t mask, int line, uint64_t value, int source_lane);
    int barrier(int op, int predicate, int line);
    void wait_for_change(const uint32_t* word, uint32_t old, int line);
    void check_matrix(const void* matrix, size_t stride, Access access, uint64_t pc);
    void report_copying(int event, const void* place, unsigned number, uint64_t pc);
    void record(uintptr_t address, unsigned size_log2, Access access, uint64_t pc);
    void enter_function(uint64_t pc);
    void leave_function();
    void print(const char* text, size_t n);
    bool on_stack(const void* p) const { return stacks_.find(p); }
    bool in_stack_guard(const void* p) const { return stacks_.find_guard(p); }

    void full();  // the running lane's trace is full: let the others catch up
    Context* context = nullptr;
    bool acquired = false;      // this block has performed an atomic operation
    bool fenced = false;        // a thread of this block has executed a fence
    sigjmp_buf escape;          // where a fault or a forced stop leaves a fiber
    void* scheduler = nullptr;  // the scheduler's context while a fiber runs
    uint64_t block_linear = 0;
    std::atomic<uint8_t>* released = nullptr;
    Error fault_error{};

  private:
    void run_block(uint64_t linear);
    void run_warp(int warp);
    bool traced_block() const;
    void resume(Thread* thread);
    void release_barrier();
    bool open_gates();
    void resolve_warp(int warp);
    void explain_stall();
    Error stopped_at(int warp) const;
    static void thread_main(void* worker);
    // traces
    void drain(int warp);
    void process(int warp, uint32_t mask, uint64_t word, const uint64_t* addresses);
    void check(int warp, uint32_t mask, const uint64_t* addresses, unsigned bytes, Access access,
               uint32_t pc);
    bool is_harmless(int warp, Region* region, uint64_t first, unsigned side_by_side);
    bool needs_no_record(Region* region, Access access);
    void check_cells(Thread* t, Region* region, size_t offset, unsigned bytes, Access access, uint32_t pc);
    void check_written(Thread* t, Region* region, size_t granule, unsigned bytes, uint32_t pc);
    void new_tags();
    void meet(Thread* lanes, uint32_t group, uint32_t named, uint32_t present, uint32_t warp_epoch);
    bool unmet(const Thread* me, Id other) const;
    void report_pending();
    const SimRecent* lookup(uintptr_t address, unsigned bytes, Access access, uint64_t pc);
    [[noreturn]] void out_of_bounds(uintptr_t address, unsigned bytes, Access access, uint64_t pc);
    static void name_region(Error* e, const Region* region, int64_t offset);
    Region* new_shared(const SimSharedSite* site, size_t bytes, size_t alignment, size_t granule);
    Counts* counts_of(uint64_t pc, uint32_t what, uint32_t bytes);
    void process_copying(int warp, uint32_t mask, int event, const uint64_t* addresses);
    void start_copy(const Thread& t, uintptr_t to, uint32_t bytes);
    void await_groups(const Thread& t, uint32_t last);
    void hand_copies(Groups& groups, uintptr_t gate, uint32_t phase);
    void pass_gate(uintptr_t gate, uint32_t phase);
    void end_copy(uint32_t index, uint64_t writer);
    void forget_copies();
    Error under_way_error(const Thread* t, const Region* region, size_t granule, unsigned bytes,
                          Access access, uint32_t pc) const;
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
    bool parts_met_ = false;  // in this block a part of a warp has synchronised on its own
    bool tracing_warp_ = false;
    std::vector<std::pair<uint64_t, std::string>> printed_;  // what blocks printed, with their turns
    size_t printed_bytes_ = 0, dropped_bytes_ = 0;
    uint64_t turn_ = 0;

    // shared memory of the block
    char* arena_ = nullptr;
    size_t arena_used_ = 0, static_used_ = 0, static_max_ = 0;
    std::vector<std::unique_ptr<Region>> shared_pool_;
    size_t shared_count_ = 0;
    Region* dynamic_ = nullptr;
    SimSharedSite dynamic_site_{};
    Cell* arena_cells_ = nullptr;
    uint32_t* arena_quiet_ = nullptr;
    // Asynchronous copies of the block: the numbers that granules bear, less one, are indices of copies_.
    uint32_t* arena_copying_ = nullptr;
    bool copied_ = false;
    std::vector<Copy> copies_;
    std::vector<uint32_t> free_copies_, handed_;
    std::vector<Groups> groups_;  // by thread
    // What marks a granule as quiet (see check) for all warps and for one, until the next synchronisation.
    uint32_t tag_ = 0, all_tag_ = 0, warp_tags_[32] = {};
    size_t cells_used_ = 0;
    std::vector<Pending> pending_;

    // The region that each access of the code touched last, found by its place, so that the usual check is
    // one comparison.
    SimRecent recent_[SIM_RECENT] = {};
    std::vector<Region*> table_;  // by index stored in traces
    std::unordered_map<Region*, uint32_t> table_index_;

    // counts by instruction: open addressing
    std::vector<Site> sites_;
    std::vector<int> site_slots_;
};

void run_collective(const uint64_t (&arguments)[32]);

// Read at every access of a kernel, hence the fastest kind of thread-local variable.
extern __thread Worker* current_worker __attribute__((tls_model("initial-exec")));
inline Thread* current_thread() { return static_cast<Thread*>(sim_running); }  // null outside kernels

// From the launcher's host code: records the error and ends the call.

inline __attribute__((always_inline)) void Worker::yield() {
    switch_to(&current_thread()->context, scheduler);
}

// The worker for a device function; `what` is refused where host code calls it, which CUDA would not compile.
inline Worker* on_device(const char* what, int line) {
    Worker* w = current_worker;
    if (!w || !current_thread()) sim_unsupported(what, line);
    return w;
}

}  // namespace sim
