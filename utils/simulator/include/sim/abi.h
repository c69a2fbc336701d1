// What a compiled cell and the engine agree on: plain C functions, so that the engine is built once and a
// cell in a second.
#pragma once
#include <stddef.h>
#include <stdint.h>

struct uint3 {
    unsigned int x, y, z;
};

// A function whose accesses are not the kernel's own.
#if !defined(SIM_CHECKED)
#define SIM_RAW
#elif defined(__clang__)
#define SIM_RAW __attribute__((no_sanitize("thread", "coverage", "array-bounds")))
#else
#define SIM_RAW __attribute__((no_sanitize("thread"), no_sanitize_coverage))
#endif

extern "C" {

// The built-in variables of the CUDA thread that runs on this host thread. In checked builds they are read
// through functions (whose results the compiler may reuse), because a plain read of them would be reported as
// a memory access of the kernel.
struct SimIndices {
    uint3 thread, block, block_dim, grid_dim;
};
#if defined(SIM_CHECKED)
uint3 sim_thread_index() __attribute__((const));
uint3 sim_block_index() __attribute__((const));
uint3 sim_block_dim() __attribute__((const));
uint3 sim_grid_dim() __attribute__((const));
#else
extern __thread SimIndices sim_indices __attribute__((tls_model("initial-exec")));
#endif

// What checked builds write for every basic block and every access: the trace of the running CUDA thread
// (null outside kernels). The functions that write it are linked into the cell itself (cell/hot.cpp), where
// calling them is cheapest.
struct SimRecent {
    uintptr_t base;
    size_t bytes;
    uint64_t tag;   // index of the region, shifted into place
    uint64_t kind;  // the region's space, shifted into place
};
#define SIM_RECENT 64
static inline unsigned sim_recent(uint64_t pc) { return (pc >> 3 ^ pc >> 9) % SIM_RECENT; }
struct SimLane {
    uint64_t* word;      // where the next word goes; or, while the lane follows another one of its warp that
    uint64_t* word_end;  // ran before it, the word it will find there if it does the same
    uint64_t word_base;
    uint64_t* address;
    uint64_t follows;
    SimRecent* recent;  // of this block: the region that each access touched last, at sim_recent(its pc)
};
extern __thread SimLane* sim_running __attribute__((tls_model("initial-exec")));
void sim_trace_full();
void sim_depart(uint64_t word);  // the lane does not do what the one it follows did
void sim_access_slow(const void* address, unsigned size_log2, unsigned access, uint64_t pc);
void sim_access_range(const void* address, size_t bytes, unsigned access, uint64_t pc);
void sim_enter(uint64_t pc);
void sim_leave();

// One kernel launch: `body(closure)` is the kernel's call with its arguments, run once per CUDA thread.
struct SimLaunch {
    const char* kernel;  // as written before <<<
    int line;
    uint3 grid, block;
    size_t dynamic_shared;
};
void sim_launch(const SimLaunch* launch, void (*body)(void*), void* closure);

// Shared memory. A site is one `__shared__` declaration; the engine gives each block its own storage for it.
struct SimSharedSite {
    const char* name;
    int line;
    size_t bytes, alignment,
        granule;            // granule: bytes of one element, the grain at which races are told apart
    const size_t* extents;  // of an array's first four dimensions, from the outermost, 0 where there is none
};
void* sim_shared(const SimSharedSite* site);
void* sim_dynamic_shared(const char* name, int line, size_t granule, const size_t* row_extents);
void sim_set_dynamic_limit(const void* function, size_t bytes);

// Places in shared memory as PTX has them: bytes from its beginning.
size_t sim_shared_offset(const void* pointer);
void* sim_shared_at(uint32_t offset, uint64_t pc);

// Barriers and warp-level operations; `line` is the source line of the call.
enum SimBarrierOp { SIM_BARRIER_PLAIN, SIM_BARRIER_COUNT, SIM_BARRIER_AND, SIM_BARRIER_OR };
int sim_barrier(int op, int predicate, int line);
enum SimWarpOp {
    SIM_WARP_SYNC,
    SIM_WARP_SHUFFLE,
    SIM_WARP_BALLOT,
    SIM_WARP_ADD,
    SIM_WARP_MIN,
    SIM_WARP_MAX,
    SIM_WARP_AND,
    SIM_WARP_OR,
    SIM_WARP_XOR,
    SIM_WARP_MIN_SIGNED,
    SIM_WARP_MAX_SIGNED,
    SIM_WARP_MATCH,
    SIM_WARP_ACTIVE,
    SIM_WARP_WHOLE  // a warp of 32, none of which may be missing; `value`: null or the lane's SimCollective
};
uint64_t sim_warp(int op, uint32_t mask, int line, uint64_t value, int source_lane);
// Work that a warp does together: once all have arrived, it is done once, for all lanes.
struct SimCollective {
    void (*work)(SimCollective* const* lanes);
};
// The same for a statement that may stand in a header: its line there tells it from others of its kind, and
// `pc` is the place to name.
void sim_together(SimCollective* mine, int statement, uint64_t pc);
// Waits until a word in shared memory is no longer `old`.
void sim_wait(const uint32_t* word, uint32_t old, int line);
uint32_t sim_lane();
void sim_fence(int everywhere);  // else for the block alone

// Called before an atomic operation touches memory: the address is checked, counted and known to be atomic.
void sim_atomic(const void* address, int bytes);
void sim_compare_and_swap(const void* address, int bytes);
// Called by the implementations of wide or asynchronous copies, which touch memory in uninstrumented code.
void sim_read(const void* address, int bytes);
void sim_write(void* address, int bytes);
// What a thread does with its asynchronous copies. After the accesses of each copy: where it goes and how
// many bytes; at a wait: how many groups may still be under way. A cuda::barrier that copies were handed to
// is a gate, which those pass who wait for its phase.
enum SimCopying {
    SIM_COPY_STARTED,
    SIM_COPY_COMMITTED,
    SIM_COPY_AWAITED,
    SIM_COPY_ALL_AWAITED,
    SIM_COPY_HANDED,
    SIM_COPY_GATE_PASSED
};
void sim_copying(int event, const void* place, unsigned number, uint64_t pc);
// For functions of headers that report accesses one by one with sim_access_slow: where they were called.
uint64_t sim_here();
void sim_check_matrix(const void* matrix, size_t stride_in_bytes, int access, uint64_t pc);

// Arithmetic rounded other than to nearest (engine/rounding.cpp).
enum SimRounding { SIM_TOWARD_ZERO, SIM_UPWARD, SIM_DOWNWARD };
enum SimOperation { SIM_ADD, SIM_MULTIPLY, SIM_DIVIDE, SIM_ROOT, SIM_FUSED };
float sim_rounded_float(int operation, int rounding, float a, float b, float c);
double sim_rounded_double(int operation, int rounding, double a, double b, double c);
float sim_rounded_float_of_ll(long long n, int rounding);
float sim_rounded_float_of_ull(unsigned long long n, int rounding);
float sim_rounded_float_of_double(double x, int rounding);
double sim_rounded_double_of_ll(long long n, int rounding);
double sim_rounded_double_of_ull(unsigned long long n, int rounding);

int sim_printf(const char* format, ...) __attribute__((format(printf, 1, 2)));
long long sim_clock();
[[noreturn]] void sim_unsupported(const char* what, int line);
[[noreturn]] void sim_refuse(const char* what, uint64_t pc);
[[noreturn]] void sim_assert_failed(const char* expression, int line);

// Host side of the CUDA runtime.
int sim_memcpy(void* destination, const void* source, size_t bytes);
int sim_memset(void* destination, int value, size_t bytes);
int sim_malloc(void** pointer, size_t bytes, int written);
void sim_memory(size_t* free, size_t* total);
int sim_free(void* pointer);
// A tensor that the launcher made: a count of its copies, which begins at one, and one copy less.
int* sim_own(const void* tensor);
void sim_disown(int* copies) noexcept;
}
