// conv1d with the block's window of the input staged in shared memory. The window is one stretch of the
// input, so its loads are coalesced, whatever stride and dilation are. The block's TILE_K output channels
// share it.
#include "conv.h"

constexpr int TILE_Q = 64, TILE_K = 8;  // outputs of a block, one per thread
constexpr int STAGE = 4096;             // floats to stage at a time, about

__global__ void conv1d_tiled(const float* __restrict__ input, const float* __restrict__ weight,
                             const float* __restrict__ bias, float* __restrict__ output, Conv1d size,
                             int tile_l, int most_depth) {
    extern __shared__ float tile[];  // most_depth x tile_l: what the block needs of some input channels
    const auto [N, C, L, K, S, Q, stride, padding, dilation] = size;
    const int q = blockIdx.x * TILE_Q + threadIdx.x, k = blockIdx.y * TILE_K + threadIdx.y, n = blockIdx.z;
    const int left = blockIdx.x * TILE_Q * stride - padding;  // the tile's first element in the input

    float sum = bias && k < K ? bias[k] : 0.0f;
    for (int first_c = 0; first_c < C; first_c += most_depth) {
        const int depth = min(most_depth, C - first_c);  // channels first_c to first_c + depth - 1
        // >>> gap (15 lines): stage depth x tile_l elements, then add their products to the sum
        for (int c = threadIdx.y; c < depth; c += TILE_K)
            for (int x = threadIdx.x; x < tile_l; x += TILE_Q) {
                const int l = left + x;
                const bool inside = l >= 0 && l < L;
                const float value = input[inside ? (n * C + first_c + c) * L + l : 0];  // no branch
                tile[c * tile_l + x] = inside ? value : 0.0f;
            }
        __syncthreads();
        if (k < K) {
            for (int c = 0; c < depth; ++c)
                for (int s = 0; s < S; ++s)
                    sum += tile[c * tile_l + threadIdx.x * stride + s * dilation] *
                           weight[(k * C + first_c + c) * S + s];
        }
        __syncthreads();
        // <<< gap
    }
    if (q < Q && k < K) output[(n * K + k) * Q + q] = sum;
}

torch::Tensor conv1d(torch::Tensor input, torch::Tensor weight,
                     std::optional<torch::Tensor> bias = std::nullopt, int64_t stride = 1,
                     int64_t padding = 0, int64_t dilation = 1) {
    const Conv1d size = conv1d_sizes(input, weight, bias, stride, padding, dilation);
    // >>> gap (1 line): how many neighbours of one channel do TILE_Q outputs need?
    const int64_t tile_l = (TILE_Q - 1) * stride + dilation * (size.S - 1) + 1;
    // === starter
    const int64_t tile_l = TILE_Q;
    // <<< gap
    const int64_t depth = std::clamp<int64_t>(STAGE / tile_l, 1, size.C);
    const c10::cuda::CUDAGuard guard(input.device());
    const int bytes = shared_bytes(conv1d_tiled, depth * tile_l * sizeof(float), "the input tile");
    const dim3 block(TILE_Q, TILE_K);
    const dim3 grid = grid_of(ceil_div(size.Q, TILE_Q), ceil_div(size.K, TILE_K), size.N);
    auto output = torch::empty({size.N, size.K, size.Q}, input.options());
    if (size.N == 0) return output;  // CUDA refuses to launch a grid without blocks

    conv1d_tiled<<<grid, block, bytes, at::cuda::getCurrentCUDAStream()>>>(
        input.data_ptr<float>(), weight.data_ptr<float>(), data_or_null(bias), output.data_ptr<float>(), size,
        tile_l, depth);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
    return output;
}
