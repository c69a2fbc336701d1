// What instrumented cells call beside the fast path of cell/hot.cpp.
#include <string.h>

#include "worker.h"

using sim::current_worker;

#define HERE reinterpret_cast<uint64_t>(__builtin_return_address(0))

extern "C" {
void sim_trace_full() { current_worker->full(); }
void sim_depart(uint64_t word) { sim::current_thread()->depart(word); }
void sim_access_slow(const void* p, unsigned size_log2, unsigned access, uint64_t pc) {
    current_worker->record(reinterpret_cast<uintptr_t>(p), size_log2, static_cast<sim::Access>(access), pc);
}
// A copy of a whole struct: the widest accesses that its alignment allows.
void sim_access_range(const void* p, size_t bytes, unsigned access, uint64_t pc) {
    if (!sim_running) return;
    const char* c = static_cast<const char*>(p);
    while (bytes) {
        unsigned log2 = 4;
        while ((1u << log2) > bytes || (reinterpret_cast<uintptr_t>(c) & ((1u << log2) - 1))) --log2;
        sim_access_slow(c, log2, access, pc);
        c += 1u << log2, bytes -= 1u << log2;
    }
}
void sim_enter(uint64_t pc) { current_worker->enter_function(pc); }
void sim_leave() { current_worker->leave_function(); }

void __tsan_init() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}
// clang calls these where g++ calls the C library.
void* __tsan_memcpy(void* d, const void* s, size_t n) {
    sim_access_range(s, n, sim::kLoad, HERE);
    sim_access_range(d, n, sim::kStore, HERE);
    return memcpy(d, s, n);
}
void* __tsan_memmove(void* d, const void* s, size_t n) {
    sim_access_range(s, n, sim::kLoad, HERE);
    sim_access_range(d, n, sim::kStore, HERE);
    return memmove(d, s, n);
}
void* __tsan_memset(void* d, int v, size_t n) {
    sim_access_range(d, n, sim::kStore, HERE);
    return memset(d, v, n);
}

// Host code of a launcher may use std::atomic; kernels use atomicAdd and friends.
#define ATOMICS(bits, T)                                                                                    \
    T __tsan_atomic##bits##_load(const volatile T* p, int) { return __atomic_load_n(p, __ATOMIC_SEQ_CST); } \
    void __tsan_atomic##bits##_store(volatile T* p, T v, int) { __atomic_store_n(p, v, __ATOMIC_SEQ_CST); } \
    T __tsan_atomic##bits##_exchange(volatile T* p, T v, int) {                                             \
        return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST);                                                 \
    }                                                                                                       \
    T __tsan_atomic##bits##_fetch_add(volatile T* p, T v, int) {                                            \
        return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST);                                                  \
    }                                                                                                       \
    T __tsan_atomic##bits##_fetch_sub(volatile T* p, T v, int) {                                            \
        return __atomic_fetch_sub(p, v, __ATOMIC_SEQ_CST);                                                  \
    }                                                                                                       \
    T __tsan_atomic##bits##_fetch_and(volatile T* p, T v, int) {                                            \
        return __atomic_fetch_and(p, v, __ATOMIC_SEQ_CST);                                                  \
    }                                                                                                       \
    T __tsan_atomic##bits##_fetch_or(volatile T* p, T v, int) {                                             \
        return __atomic_fetch_or(p, v, __ATOMIC_SEQ_CST);                                                   \
    }                                                                                                       \
    T __tsan_atomic##bits##_fetch_xor(volatile T* p, T v, int) {                                            \
        return __atomic_fetch_xor(p, v, __ATOMIC_SEQ_CST);                                                  \
    }                                                                                                       \
    int __tsan_atomic##bits##_compare_exchange_strong(volatile T* p, T* e, T v, int, int) {                 \
        return __atomic_compare_exchange_n(p, e, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);             \
    }                                                                                                       \
    T __tsan_atomic##bits##_compare_exchange_val(volatile T* p, T e, T v, int, int) {                       \
        __atomic_compare_exchange_n(p, &e, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);                   \
        return e;                                                                                           \
    }                                                                                                       \
    int __tsan_atomic##bits##_compare_exchange_weak(volatile T* p, T* e, T v, int, int) {                   \
        return __atomic_compare_exchange_n(p, e, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);             \
    }
ATOMICS(8, uint8_t)
ATOMICS(16, uint16_t)
ATOMICS(32, uint32_t)
ATOMICS(64, uint64_t)
void __tsan_atomic_thread_fence(int) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
void __tsan_atomic_signal_fence(int) {}

static void before_atomic(const void* p, int bytes, sim::Access access, uint64_t pc) {
    sim::Worker* w = current_worker;
    if (!sim_running) return;
    if (!w->context->checked) {
        static thread_local unsigned spins = 0;
        if (++spins % 64 == 0) w->full();  // somebody may wait in a loop for another thread
        return;
    }
    w->acquired = sim::current_thread()->acquired = true;
    w->record(reinterpret_cast<uintptr_t>(p),
              static_cast<unsigned>(__builtin_ctz(static_cast<unsigned>(bytes))), access, pc);
}
void sim_atomic(const void* p, int bytes) { before_atomic(p, bytes, sim::kAtomic, HERE); }
void sim_compare_and_swap(const void* p, int bytes) { before_atomic(p, bytes, sim::kCompareAndSwap, HERE); }
void sim_read(const void* p, int bytes) {
    if (sim_running && current_worker->context->checked)
        sim_access_range(p, static_cast<size_t>(bytes), sim::kLoad, HERE);
}
void sim_write(void* p, int bytes) {
    if (sim_running && current_worker->context->checked)
        sim_access_range(p, static_cast<size_t>(bytes), sim::kStore, HERE);
}
}
