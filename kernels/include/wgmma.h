// Hopper's matrix instruction, wgmma: four warps (a "warpgroup") multiply two tiles that lie in shared
// memory, while their threads go on with something else. It exists on compute capability 9.0 alone, in code
// compiled for sm_90a: a launcher calls require_wgmma(). Compiled for another GPU the functions stop the
// kernel, so that a source still builds there. The words in quotes are PTX ("Parallel Thread Execution ISA",
// NVIDIA).
#pragma once

#include "conv.h"
#include "ptx.h"

inline void require_wgmma(const char* what) {
    const int has = compute_capability();
    TORCH_CHECK(has == 90, what, " needs a GPU of compute capability 9.0 (Hopper); this one has ", has / 10,
                ".", has % 10);
}

// A tile in shared memory, as wgmma wants it named: rows of 128 bytes, its address a multiple of 1,024, and
// the 16-byte pieces of row r in the order piece ^ r % 8 (PTX: K-major, 128-byte swizzle; 1,024 bytes from
// eight rows to the next). One step further along the rows, of 32 bytes, is + 2. A tile that begins a row
// further down is + 8: the order goes by the address of a row, not by its number in the tile (so on an H200,
// with PTX's "matrix base offset" left 0; set to the row it gave wrong results).
__device__ __forceinline__ uint64_t tile_descriptor(const void* tile) {
    return uint64_t(1) << 62 | uint64_t(1024 >> 4) << 32 | uint64_t(1) << 16 | shared_address(tile) >> 4;
}

#if !defined(__CUDA_ARCH__) || defined(__CUDA_ARCH_FEAT_SM90_ALL)

// What ordinary instructions and cp.async have stored to shared memory becomes visible to wgmma.
__device__ __forceinline__ void show_to_wgmma() {
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

// From here on products may write the registers of the sums.
__device__ __forceinline__ void begin_products() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }

// Close a group: the products that this warpgroup has started since the last one.
__device__ __forceinline__ void commit_products() {
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}

// Wait until at most PENDING of its groups are still under way.
template <int PENDING>
__device__ __forceinline__ void wait_for_products() {
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(PENDING) : "memory");
}

#define SUMS4(i) "+f"(sum[i]), "+f"(sum[i + 1]), "+f"(sum[i + 2]), "+f"(sum[i + 3])
#define SUMS(i) SUMS4(i), SUMS4(i + 4), SUMS4(i + 8), SUMS4(i + 12)
#define PLACES_64                                                                      \
    "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "           \
    "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, " \
    "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, " \
    "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define PLACES_128                                                                                 \
    PLACES_64                                                                                      \
    ", "                                                                                           \
    "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, "             \
    "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, "             \
    "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, " \
    "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127"
// One instruction; the predicate says that it adds to the sums.
#define WGMMA(shape, types, sums, tiles, transposed)                                                      \
    "{.reg .pred add; setp.ne.b32 add, 1, 0; wgmma.mma_async.sync.aligned." shape ".f32." types " {" sums \
    "}, " tiles ", add, 1, 1" transposed ";}"

// Start sum += a b. a has 64 rows and b has COLUMNS "rows", each of 32 bytes along k: 8 of TF32 (of floats,
// the last 13 bits cut off) or 16 of bfloat16. Thread t of the warpgroup holds of the 64 x COLUMNS sums, for
// every j, row 16 (t / 32) + t % 32 / 4, columns 8 j + 2 (t % 4) and the next, in sum[4 j] and sum[4 j + 1],
// and the row 8 below it in sum[4 j + 2] and sum[4 j + 3].
__device__ __forceinline__ void start_tf32(float (&sum)[128], uint64_t a, uint64_t b) {
    asm volatile(WGMMA("m64n256k8", "tf32.tf32", PLACES_128, "%128, %129", "")
                 : SUMS(0), SUMS(16), SUMS(32), SUMS(48), SUMS(64), SUMS(80), SUMS(96), SUMS(112)
                 : "l"(a), "l"(b));
}
__device__ __forceinline__ void start_bf16(float (&sum)[128], uint64_t a, uint64_t b) {
    asm volatile(WGMMA("m64n256k16", "bf16.bf16", PLACES_128, "%128, %129", ", 0, 0")
                 : SUMS(0), SUMS(16), SUMS(32), SUMS(48), SUMS(64), SUMS(80), SUMS(96), SUMS(112)
                 : "l"(a), "l"(b));
}
__device__ __forceinline__ void start_tf32(float (&sum)[64], uint64_t a, uint64_t b) {
    asm volatile(WGMMA("m64n128k8", "tf32.tf32", PLACES_64, "%64, %65", "")
                 : SUMS(0), SUMS(16), SUMS(32), SUMS(48)
                 : "l"(a), "l"(b));
}
__device__ __forceinline__ void start_bf16(float (&sum)[64], uint64_t a, uint64_t b) {
    asm volatile(WGMMA("m64n128k16", "bf16.bf16", PLACES_64, "%64, %65", ", 0, 0")
                 : SUMS(0), SUMS(16), SUMS(32), SUMS(48)
                 : "l"(a), "l"(b));
}

#undef WGMMA
#undef PLACES_128
#undef PLACES_64
#undef SUMS
#undef SUMS4

#else  // another GPU: the launcher has refused

__device__ inline void show_to_wgmma() { __trap(); }
__device__ inline void begin_products() { __trap(); }
__device__ inline void commit_products() { __trap(); }
template <int PENDING>
__device__ void wait_for_products() {
    __trap();
}
template <int SUMS>
__device__ void start_tf32(float (&)[SUMS], uint64_t, uint64_t) {
    __trap();
}
template <int SUMS>
__device__ void start_bf16(float (&)[SUMS], uint64_t, uint64_t) {
    __trap();
}

#endif
