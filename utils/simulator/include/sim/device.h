// Built-in variables, barriers, warp-level functions, atomics and the rest of the device-side language.
#pragma once

#if defined(SIM_CHECKED)
#define threadIdx (sim_thread_index())
#define blockIdx (sim_block_index())
#define blockDim (sim_block_dim())
#define gridDim (sim_grid_dim())
#else
#define threadIdx (sim_indices.thread)
#define blockIdx (sim_indices.block)
#define blockDim (sim_indices.block_dim)
#define gridDim (sim_indices.grid_dim)
#endif
static constexpr int warpSize = 32;

// Macros, so that the line is the caller's.
#define __syncthreads() ((void)sim_barrier(SIM_BARRIER_PLAIN, 0, __LINE__))
#define __syncthreads_count(p) sim_barrier(SIM_BARRIER_COUNT, (p) != 0, __LINE__)
#define __syncthreads_and(p) sim_barrier(SIM_BARRIER_AND, (p) != 0, __LINE__)
#define __syncthreads_or(p) sim_barrier(SIM_BARRIER_OR, (p) != 0, __LINE__)
#define __syncwarp(...) ((void)sim_warp(SIM_WARP_SYNC, sim::mask_or_full(__VA_ARGS__), __LINE__, 0, 0))
#define __shfl_sync(...) sim::shuffle<sim::ShuffleIndex>(__LINE__, __VA_ARGS__)
#define __shfl_up_sync(...) sim::shuffle<sim::ShuffleUp>(__LINE__, __VA_ARGS__)
#define __shfl_down_sync(...) sim::shuffle<sim::ShuffleDown>(__LINE__, __VA_ARGS__)
#define __shfl_xor_sync(...) sim::shuffle<sim::ShuffleXor>(__LINE__, __VA_ARGS__)
#define __ballot_sync(mask, p) ((unsigned)sim_warp(SIM_WARP_BALLOT, mask, __LINE__, (p) != 0, 0))
#define __any_sync(mask, p) ((int)(sim_warp(SIM_WARP_BALLOT, mask, __LINE__, (p) != 0, 0) != 0))
#define __all_sync(mask, p) ((int)(sim_warp(SIM_WARP_BALLOT, mask, __LINE__, (p) == 0, 0) == 0))
#define __match_any_sync(mask, v) ((unsigned)sim_warp(SIM_WARP_MATCH, mask, __LINE__, sim::bits(v), 0))
#define __match_all_sync(mask, v, all) sim::match_all(__LINE__, mask, v, all)
#define __activemask() ((unsigned)sim_warp(SIM_WARP_ACTIVE, 0, __LINE__, 0, 0))
#define __reduce_add_sync(mask, v) ((decltype(v))sim_warp(SIM_WARP_ADD, mask, __LINE__, (unsigned)(v), 0))
#define __reduce_min_sync(mask, v)                                                                 \
    ((decltype(v))sim_warp(sim::is_signed(v) ? SIM_WARP_MIN_SIGNED : SIM_WARP_MIN, mask, __LINE__, \
                           (unsigned)(v), 0))
#define __reduce_max_sync(mask, v)                                                                 \
    ((decltype(v))sim_warp(sim::is_signed(v) ? SIM_WARP_MAX_SIGNED : SIM_WARP_MAX, mask, __LINE__, \
                           (unsigned)(v), 0))
#define __reduce_and_sync(mask, v) ((unsigned)sim_warp(SIM_WARP_AND, mask, __LINE__, (unsigned)(v), 0))
#define __reduce_or_sync(mask, v) ((unsigned)sim_warp(SIM_WARP_OR, mask, __LINE__, (unsigned)(v), 0))
#define __reduce_xor_sync(mask, v) ((unsigned)sim_warp(SIM_WARP_XOR, mask, __LINE__, (unsigned)(v), 0))

#define printf(...) sim_printf(__VA_ARGS__)
#undef assert
#define assert(e) ((e) ? (void)0 : sim_assert_failed(#e, __LINE__))
#define __trap() sim_assert_failed("__trap()", __LINE__)
namespace std {
using ::sim_printf;
}

inline void __threadfence() { sim_fence(1); }
inline void __threadfence_block() { sim_fence(0); }
inline void __threadfence_system() { sim_fence(1); }
inline void __nanosleep(unsigned) {}
inline long long clock64() { return sim_clock(); }

namespace sim {

inline uint32_t mask_or_full() { return 0xffffffffu; }
inline uint32_t mask_or_full(uint32_t mask) { return mask; }
constexpr bool is_signed(int) { return true; }
constexpr bool is_signed(unsigned) { return false; }

// Values travel between lanes as 64 bits, whatever their type.
template <class T>
SIM_RAW uint64_t bits(T value) {
    static_assert(sizeof(T) <= 8, "a shuffle moves at most 8 bytes");
    uint64_t u = 0;
    __builtin_memcpy(&u, &value, sizeof value);
    return u;
}
template <class T>
SIM_RAW T from_bits(uint64_t u) {
    T value;
    __builtin_memcpy(&value, &u, sizeof value);
    return value;
}

// The lane that a shuffle reads, from this lane, the argument and the width of the segment; its own where
// there is none.
struct ShuffleIndex {
    static int source(int lane, int n, int width) { return (lane & ~(width - 1)) + (n & (width - 1)); }
};
struct ShuffleUp {
    static int source(int lane, int n, int width) {
        return lane - n < (lane & ~(width - 1)) ? lane : lane - n;
    }
};
struct ShuffleDown {
    static int source(int lane, int n, int width) {
        return lane + n > (lane | (width - 1)) ? lane : lane + n;
    }
};
struct ShuffleXor {
    static int source(int lane, int n, int width) {
        return (lane ^ n) > (lane | (width - 1)) ? lane : lane ^ n;
    }
};
template <class How, class T>
T shuffle(int line, unsigned mask, T value, int n, int width = 32) {
    return from_bits<T>(sim_warp(SIM_WARP_SHUFFLE, mask, line, bits(value),
                                 How::source(static_cast<int>(sim_lane()), n, width)));
}

// All lanes of the mask learn whether they have one value: then they are told the mask, else 0.
template <class T>
SIM_RAW unsigned match_all(int line, unsigned mask, T value, int* all) {
    const uint64_t same = sim_warp(SIM_WARP_MATCH, mask, line, bits(value), 0);
    *all = same == mask;
    return *all ? mask : 0;
}

// Atomic read-modify-write by compare-and-swap; the engine has checked and counted the access before.
template <class T, class F>
SIM_RAW __attribute__((always_inline)) inline T update(T* address, F f) {
    using Word =
        std::conditional_t<sizeof(T) == 8, uint64_t, std::conditional_t<sizeof(T) == 4, uint32_t, uint16_t>>;
    Word* word = reinterpret_cast<Word*>(address);
    Word old = __atomic_load_n(word, __ATOMIC_RELAXED);
    for (;;) {
        T before, after;
        __builtin_memcpy(&before, &old, sizeof(T));
        after = f(before);
        Word wanted;
        __builtin_memcpy(&wanted, &after, sizeof(T));
        if (__atomic_compare_exchange_n(word, &old, wanted, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            return before;
    }
}

}  // namespace sim

#define SIM_ATOMIC(name, expression)                                                       \
    template <class T>                                                                     \
    __forceinline__ SIM_RAW T name(T* address, typename std::common_type<T>::type value) { \
        sim_atomic(address, sizeof(T));                                                    \
        return sim::update(address, [=](T old) SIM_RAW -> T { return expression; });       \
    }
SIM_ATOMIC(atomicAdd, static_cast<T>(old + value))
SIM_ATOMIC(atomicSub, static_cast<T>(old - value))
SIM_ATOMIC(atomicExch, ((void)old, value))
SIM_ATOMIC(atomicMin, old < value ? old : value)
SIM_ATOMIC(atomicMax, old > value ? old : value)
SIM_ATOMIC(atomicAnd, old& value)
SIM_ATOMIC(atomicOr, old | value)
SIM_ATOMIC(atomicXor, old ^ value)
SIM_ATOMIC(atomicInc, old >= value ? T(0) : old + 1)
SIM_ATOMIC(atomicDec, (old == 0 || old > value) ? value : old - 1)
#undef SIM_ATOMIC
template <class T>
__forceinline__ SIM_RAW T atomicCAS(T* address, typename std::common_type<T>::type compare,
                                    typename std::common_type<T>::type value) {
    sim_compare_and_swap(address, sizeof(T));
    return sim::update(address, [=](T old) SIM_RAW { return old == compare ? value : old; });
}
// The scope of an atomic operation makes no difference to one GPU's memory.
#define atomicAdd_block atomicAdd
#define atomicAdd_system atomicAdd
#define atomicSub_block atomicSub
#define atomicSub_system atomicSub
#define atomicExch_block atomicExch
#define atomicExch_system atomicExch
#define atomicMin_block atomicMin
#define atomicMin_system atomicMin
#define atomicMax_block atomicMax
#define atomicMax_system atomicMax
#define atomicAnd_block atomicAnd
#define atomicAnd_system atomicAnd
#define atomicOr_block atomicOr
#define atomicOr_system atomicOr
#define atomicXor_block atomicXor
#define atomicXor_system atomicXor
#define atomicCAS_block atomicCAS
#define atomicCAS_system atomicCAS

// Loads and stores that say how they want to be cached; here all are the same.
#define SIM_LOAD(name)                   \
    template <class T>                   \
    __forceinline__ T name(const T* p) { \
        return *p;                       \
    }
#define SIM_STORE(name)                                                     \
    template <class T>                                                      \
    __forceinline__ void name(T* p, typename std::common_type<T>::type v) { \
        *p = v;                                                             \
    }
SIM_LOAD(__ldg)
SIM_LOAD(__ldca)
SIM_LOAD(__ldcg)
SIM_LOAD(__ldcs)
SIM_LOAD(__ldcv)
SIM_LOAD(__ldlu)
SIM_STORE(__stcg)
SIM_STORE(__stcs)
SIM_STORE(__stwb)
SIM_STORE(__stwt)
#undef SIM_LOAD
#undef SIM_STORE
inline size_t __cvta_generic_to_shared(const void* p) { return sim_shared_offset(p); }
__forceinline__ void* __cvta_shared_to_generic(size_t offset) {
    return sim_shared_at(static_cast<uint32_t>(offset), sim_here());
}
