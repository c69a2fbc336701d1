// __pipeline_memcpy_async and its companions.
#pragma once
#include "cuda_runtime.h"
#include "sim/copy.h"

// Both addresses are aligned to `size`; the last `zfill` bytes become zero and are not read.
__forceinline__ void __pipeline_memcpy_async(void* destination, const void* source, size_t size,
                                             size_t zfill = 0, int line = __builtin_LINE()) {
    if ((size != 4 && size != 8 && size != 16) || zfill > size)
        sim_unsupported(
            "__pipeline_memcpy_async of other than 4, 8 or 16 bytes, or with more zeros than bytes", line);
    sim::copy_piece(destination, source, size, zfill);
}
__forceinline__ void __pipeline_commit() { sim::commit_copies(); }
// At most eight groups are told apart, as in CUDA's own header.
__forceinline__ void __pipeline_wait_prior(size_t prior) {
    sim::await_copies(prior < 8 ? static_cast<unsigned>(prior) : 8);
}
