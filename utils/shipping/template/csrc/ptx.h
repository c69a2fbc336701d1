// Instructions that CUDA C++ has no name for, one function each. The words in quotes are PTX, the assembly
// language that nvcc compiles to ("Parallel Thread Execution ISA", NVIDIA).
// All need compute capability 8.0: a launcher that uses them calls require_sm(80, ...). Compiled for an older
// GPU they stop the kernel (at the end of this file), so that a source still builds there.
#pragma once

#include <cuda_bf16.h>
#include <cstdint>

// What PTX wants for a place in shared memory: its offset there, in bytes.
__device__ __forceinline__ uint32_t shared_address(const void* pointer) {
    return static_cast<uint32_t>(__cvta_generic_to_shared(pointer));
}

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800

// Start to copy BYTES (4, 8 or 16; both addresses aligned to it) from global to shared memory, past the
// registers. Where `inside` is false it writes zeros and reads nothing.
template <int BYTES>
__device__ __forceinline__ void copy_async(void* to, const void* from, bool inside = true) {
    static_assert(BYTES == 4 || BYTES == 8 || BYTES == 16, "cp.async copies 4, 8 or 16 bytes");
    const int bytes = inside ? BYTES : 0;  // the rest of BYTES is filled with zeros
    if (BYTES == 16)
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)), "l"(from),
                     "r"(bytes)
                     : "memory");
    else
        asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(shared_address(to)), "l"(from),
                     "n"(BYTES), "r"(bytes)
                     : "memory");
}

// Close a group: the copies that this thread has started since the last one.
__device__ __forceinline__ void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Wait until at most `PENDING` of this thread's groups are still under way.
template <int PENDING>
__device__ __forceinline__ void wait_for_copies() {
    asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory");
}

// Load four matrices of 8 rows x 16 bytes: lane l names the address of row l % 8 of matrix l / 8, and gets of
// every matrix the 4 bytes at row l / 4, bytes 4 (l % 4).
__device__ __forceinline__ void load_matrices(uint32_t (&to)[4], const void* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(shared_address(row))
                 : "memory");
}

// The same, each matrix of 8 x 8 two-byte elements transposed.
__device__ __forceinline__ void load_matrices_transposed(uint32_t (&to)[4], const void* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(shared_address(row))
                 : "memory");
}

// Round to TF32: 8 bits of exponent, 10 of fraction, to nearest, in the place of a float's bits.
__device__ __forceinline__ uint32_t to_tf32(float value) {
    uint32_t bits = 0;
    asm volatile("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(value));
    return bits;
}

// sum += a b for a warp: a is 16 x 8, b is 8 x 8, of TF32; sum is 16 x 8 of float. Lane l, with g = l / 4 and
// t = l % 4, holds a[g][t], a[g + 8][t], a[g][t + 4], a[g + 8][t + 4]; b[t][g], b[t + 4][g];
// sum[g][2t], sum[g][2t + 1], sum[g + 8][2t], sum[g + 8][2t + 1].
__device__ __forceinline__ void mma_tf32(float (&sum)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
    asm volatile(
        "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// sum += a b for a warp: a is 16 x 16, b is 16 x 8, of bfloat16, two neighbours along k in a register; sum is
// 16 x 8 of float. Lane l holds a[g][2t..], a[g + 8][2t..], a[g][2t + 8..], a[g + 8][2t + 8..];
// b[2t..][g], b[2t + 8..][g]; sum as in mma_tf32.
__device__ __forceinline__ void mma_bf16(float (&sum)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

#else  // an older GPU: the launcher has refused

template <int BYTES>
__device__ void copy_async(void*, const void*, bool = true) {
    __trap();
}
__device__ inline void commit_copies() { __trap(); }
template <int PENDING>
__device__ void wait_for_copies() {
    __trap();
}
__device__ inline void load_matrices(uint32_t (&)[4], const void*) { __trap(); }
__device__ inline void load_matrices_transposed(uint32_t (&)[4], const void*) { __trap(); }
__device__ inline uint32_t to_tf32(float) { return __trap(), 0; }
__device__ inline void mma_tf32(float (&)[4], const uint32_t (&)[4], uint32_t, uint32_t) { __trap(); }
__device__ inline void mma_bf16(float (&)[4], const uint32_t (&)[4], uint32_t, uint32_t) { __trap(); }

#endif
