// conv1d with a tile of the input in shared memory. Where the stride is even, its reads conflict.
#include "conv.h"

constexpr int TILE_Q = 128;  // outputs of a block, one per thread

// Element x of the tile lies in word place(x, stride) of shared memory, which has words(tile_l, stride).
// >>> gap (5 lines): no two lanes may meet in a bank, neither when they load nor when they store
__device__ int place(int x, int stride) {
    const int ways = min(stride & -stride, 32);  // the largest power of two that divides the stride
    return x ^ (x >> 5 & (ways - 1));            // row x / 32 moves by its number modulo ways
}

int64_t words(int64_t tile_l, int64_t stride) { return (tile_l + 31) / 32 * 32; }
// === starter
__device__ int place(int x, int stride) { return x; }

int64_t words(int64_t tile_l, int64_t stride) { return tile_l; }
// <<< gap

__global__ void conv1d_tile(const float* __restrict__ input, const float* __restrict__ weight,
                            const float* __restrict__ bias, float* __restrict__ output, Conv1d size,
                            int tile_l) {
    extern __shared__ float tile[];
    const auto [N, C, L, K, S, Q, stride, padding, dilation] = size;
    const int q = blockIdx.x * TILE_Q + threadIdx.x, k = blockIdx.y, n = blockIdx.z;
    const int left = blockIdx.x * TILE_Q * stride - padding;  // the tile's first element in the input

    float sum = bias ? bias[k] : 0.0f;
    for (int c = 0; c < C; ++c) {
        for (int x = threadIdx.x; x < tile_l; x += TILE_Q) {
            const int l = left + x;
            tile[place(x, stride)] = l >= 0 && l < L ? input[(n * C + c) * L + l] : 0.0f;
        }
        __syncthreads();
        for (int s = 0; s < S; ++s)
            sum += tile[place(threadIdx.x * stride + s * dilation, stride)] * weight[(k * C + c) * S + s];
        __syncthreads();
    }
    if (q < Q) output[(n * K + k) * Q + q] = sum;
}

torch::Tensor conv1d(torch::Tensor input, torch::Tensor weight,
                     std::optional<torch::Tensor> bias = std::nullopt, int64_t stride = 1,
                     int64_t padding = 0, int64_t dilation = 1) {
    const Conv1d size = conv1d_sizes(input, weight, bias, stride, padding, dilation);
    const int64_t tile_l = (TILE_Q - 1) * stride + dilation * (size.S - 1) + 1;
    const c10::cuda::CUDAGuard guard(input.device());
    const int bytes = shared_bytes(conv1d_tile, words(tile_l, stride) * sizeof(float), "the tile");
    const dim3 grid = grid_of(ceil_div(size.Q, TILE_Q), size.K, size.N);
    auto output = torch::empty({size.N, size.K, size.Q}, input.options());
    if (size.N == 0) return output;  // CUDA refuses to launch a grid without blocks

    conv1d_tile<<<grid, TILE_Q, bytes, at::cuda::getCurrentCUDAStream()>>>(
        input.data_ptr<float>(), weight.data_ptr<float>(), data_or_null(bias), output.data_ptr<float>(), size,
        tile_l);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
    return output;
}
