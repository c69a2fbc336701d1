// What the compiler's instrumentation calls at every basic block and every access of a checked cell. It is
// linked into each cell's own library, not into the engine, because a call across libraries costs more than
// all the rest of the function.
#include "../include/sim/abi.h"

#define SIM_HOT extern "C" __attribute__((visibility("hidden"), used))
#define SIM_HERE reinterpret_cast<uint64_t>(__builtin_return_address(0))

static inline __attribute__((always_inline)) void sim_push(SimLane* lane, uint64_t word) {
    uint64_t* at = lane->word;
    if (!lane->follows)
        *at = word;
    else if (__builtin_expect(*at != word, 0))
        return sim_depart(word);
    lane->word = ++at;
    if (__builtin_expect(at == lane->word_end, 0)) sim_trace_full();
}

// 0 load, 1 store, 2 atomic. A trace word ends in 0x80 | size << 3 | space << 2 | access; see
// engine/record.cpp.
static inline __attribute__((always_inline)) void sim_access(const void* p, unsigned size_log2,
                                                             unsigned access, uint64_t pc) {
    SimLane* lane = sim_running;
    if (!lane) return;
    const uintptr_t address = reinterpret_cast<uintptr_t>(p);
    const SimRecent* r = lane->recent + sim_recent(pc);
    const size_t offset = address - r->base;
    if (__builtin_expect(offset >= r->bytes || offset + (size_t(1) << size_log2) > r->bytes ||
                             (address & ((1u << size_log2) - 1)),
                         0))
        return sim_access_slow(p, size_log2, access, pc);
    *lane->address++ = r->tag | offset;
    sim_push(lane, lane->word_base + (pc << 24) + (0x80 | size_log2 << 3 | access) + r->kind);
}

SIM_HOT void __sanitizer_cov_trace_pc() {
    SimLane* lane = sim_running;
    if (!lane) return;
    const uint64_t word = lane->word_base + (SIM_HERE << 24), last = lane->word[-1];
    // A block that is followed by a later one, without an access between them, has no influence on who goes
    // with whom.
    if (!lane->follows && !(last & 0x80) && last < word)
        lane->word[-1] = word;
    else
        sim_push(lane, word);
}
#define SIM_CALLBACKS(bytes, log2)                                                          \
    SIM_HOT void __tsan_read##bytes(void* p) { sim_access(p, log2, 0, SIM_HERE); }          \
    SIM_HOT void __tsan_write##bytes(void* p) { sim_access(p, log2, 1, SIM_HERE); }         \
    SIM_HOT void __tsan_volatile_read##bytes(void* p) { sim_access(p, log2, 0, SIM_HERE); } \
    SIM_HOT void __tsan_volatile_write##bytes(void* p) { sim_access(p, log2, 1, SIM_HERE); }
SIM_CALLBACKS(1, 0)
SIM_CALLBACKS(2, 1)
SIM_CALLBACKS(4, 2)
SIM_CALLBACKS(8, 3)
SIM_CALLBACKS(16, 4)
#define SIM_UNALIGNED(bytes, log2)                                                           \
    SIM_HOT void __tsan_unaligned_read##bytes(void* p) { sim_access(p, log2, 0, SIM_HERE); } \
    SIM_HOT void __tsan_unaligned_write##bytes(void* p) { sim_access(p, log2, 1, SIM_HERE); }
SIM_UNALIGNED(2, 1)
SIM_UNALIGNED(4, 2)
SIM_UNALIGNED(8, 3)
SIM_UNALIGNED(16, 4)
SIM_HOT void __tsan_read_range(void* p, long n) { sim_access_range(p, static_cast<size_t>(n), 0, SIM_HERE); }
SIM_HOT void __tsan_write_range(void* p, long n) { sim_access_range(p, static_cast<size_t>(n), 1, SIM_HERE); }
// Where the cell's __constant__ variables are: the linker knows their section.
extern "C" char __start_sim_constant[] __attribute__((visibility("hidden"), weak));
extern "C" char __stop_sim_constant[] __attribute__((visibility("hidden"), weak));
extern "C" __attribute__((visibility("default"), used)) void* sim_constants(size_t* bytes) {
    *bytes = static_cast<size_t>(__stop_sim_constant - __start_sim_constant);
    return __start_sim_constant;
}

SIM_HOT void __tsan_func_entry(void* pc) {
    if (sim_running) sim_enter(reinterpret_cast<uint64_t>(pc));
}
SIM_HOT void __tsan_func_exit() {
    if (sim_running) sim_leave();
}
