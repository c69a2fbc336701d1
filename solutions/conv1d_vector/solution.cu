// conv1d with stride 1. The tile is loaded by float4, wherever a row of the input begins.
#include "conv.h"

constexpr int THREADS = 256, TILE_Q = 1024;  // outputs of a block: four a thread, THREADS apart

__global__ void conv1d_vector(const float* __restrict__ input, const float* __restrict__ weight,
                              const float* __restrict__ bias, float* __restrict__ output, Conv1d size,
                              int room, unsigned offset) {
    extern __shared__ float4 shared[];               // begins at a multiple of 16 bytes, as a float4 must
    float* tile = reinterpret_cast<float*>(shared);  // room floats, a multiple of 4: the window and 3 or more
    const auto [N, C, L, K, S, Q, stride, padding, dilation] = size;
    const int k = blockIdx.y, n = blockIdx.z;
    const int left = blockIdx.x * TILE_Q - padding;  // the window's first element in a row; may be below 0

    const float b = bias ? bias[k] : 0.0f;
    float sum[4] = {b, b, b, b};
    for (int c = 0; c < C; ++c) {
        const float* row = input + (n * C + c) * L;
        // input[0] itself lies `offset` floats behind a multiple of 16 bytes.
        // >>> gap (9 lines): the window to tile[lead], tile[lead + 1], ..., by float4 where it fits
        // How far row[left] lies behind a multiple of 16 bytes, in floats.
        const int lead = (offset + unsigned(n * C + c) * L + left) % 4;
        for (int x = 4 * threadIdx.x; x < room; x += 4 * THREADS) {
            const int l = left - lead + x;
            if (l >= 0 && l + 3 < L)
                *reinterpret_cast<float4*>(tile + x) = *reinterpret_cast<const float4*>(row + l);
            else
                for (int j = 0; j < 4; ++j) tile[x + j] = l + j >= 0 && l + j < L ? row[l + j] : 0.0f;
        }
        // === starter
        const int lead = 0;
        for (int x = threadIdx.x; x < room; x += THREADS)
            tile[x] = left + x >= 0 && left + x < L ? row[left + x] : 0.0f;
        // <<< gap
        __syncthreads();
        for (int s = 0; s < S; ++s) {
            const float w = weight[(k * C + c) * S + s];
            for (int i = 0; i < 4; ++i) sum[i] += w * tile[lead + i * THREADS + threadIdx.x + s * dilation];
        }
        __syncthreads();
    }
    for (int i = 0; i < 4; ++i) {
        const int q = blockIdx.x * TILE_Q + i * THREADS + threadIdx.x;
        if (q < Q) output[(n * K + k) * Q + q] = sum[i];
    }
}

torch::Tensor conv1d(torch::Tensor input, torch::Tensor weight,
                     std::optional<torch::Tensor> bias = std::nullopt, int64_t padding = 0,
                     int64_t dilation = 1) {
    const Conv1d size = conv1d_sizes(input, weight, bias, 1, padding, dilation);
    const int64_t window = TILE_Q + dilation * (size.S - 1);
    const int64_t room = (window + 3 + 3) / 4 * 4;  // up to 3 floats in front, filled up to a multiple of 4
    const c10::cuda::CUDAGuard guard(input.device());
    const int bytes = shared_bytes(conv1d_vector, room * sizeof(float), "the tile");
    const dim3 grid = grid_of(ceil_div(size.Q, TILE_Q), size.K, size.N);
    auto output = torch::empty({size.N, size.K, size.Q}, input.options());
    if (size.N == 0) return output;  // CUDA refuses to launch a grid without blocks

    const unsigned offset = reinterpret_cast<uintptr_t>(input.data_ptr()) / 4 % 4;
    conv1d_vector<<<grid, THREADS, bytes, at::cuda::getCurrentCUDAStream()>>>(
        input.data_ptr<float>(), weight.data_ptr<float>(), data_or_null(bias), output.data_ptr<float>(), size,
        room, offset);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
    return output;
}
