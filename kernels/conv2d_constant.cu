// conv2d_tiled with the weights in constant memory, which has a cache of its own that hands one element to
// all lanes of a warp. It holds 64 KB: the launcher copies as many filters as fit, launches, and goes on with
// the next ones. Calls on two streams at once would overwrite each other's weights.
// Measured on an H200, 2026-11-21, float32: alexnet_conv1 17.2 ms (conv2d_tiled 21.0), blur 0.502 (0.450),
// resnet_3x3_56 8.38 (8.35), resnet_3x3_7 90.6 (35.2): three filters of 4,608 weights a launch.
#include "conv.h"

constexpr int CONSTANT_FLOATS = 65536 / sizeof(float);
__constant__ float filters[CONSTANT_FLOATS];  // some output channels' weights, C x R x S each

constexpr int TILE_Q = 32, TILE_P = 8;  // outputs of a block, one per thread

__global__ void conv2d_constant(const float* __restrict__ input, const float* __restrict__ bias,
                                float* __restrict__ output, Conv2d size, int tile_h, int tile_w, int first_k,
                                int some_k) {
    extern __shared__ float tile[];  // tile_h x tile_w: what the block needs of one input channel
    const auto [N, C, H, W, K, R, S, P, Q, stride, padding, dilation] = size;
    const int n = blockIdx.z / some_k, filter = blockIdx.z % some_k, k = first_k + filter;
    const int p = blockIdx.y * TILE_P + threadIdx.y, q = blockIdx.x * TILE_Q + threadIdx.x;
    const int top = blockIdx.y * TILE_P * stride - padding;  // the tile's first row and column in the input
    const int left = blockIdx.x * TILE_Q * stride - padding;

    float sum = bias ? bias[k] : 0.0f;
    for (int c = 0; c < C; ++c) {
        for (int y = threadIdx.y; y < tile_h; y += TILE_P)
            for (int x = threadIdx.x; x < tile_w; x += TILE_Q) {
                const int h = top + y, w = left + x;
                const bool inside = h >= 0 && h < H && w >= 0 && w < W;
                tile[y * tile_w + x] = inside ? input[((n * C + c) * H + h) * W + w] : 0.0f;
            }
        __syncthreads();  // the tile is complete

        for (int r = 0; r < R; ++r)
            for (int s = 0; s < S; ++s) {
                const int y = threadIdx.y * stride + r * dilation, x = threadIdx.x * stride + s * dilation;
                sum += tile[y * tile_w + x] * filters[((filter * C + c) * R + r) * S + s];
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
    const c10::cuda::CUDAGuard guard(input.device());
    const int bytes = shared_bytes(conv2d_constant, area(tile_h, tile_w) * sizeof(float), "the input tile");
    const int64_t taps = weight.numel() / size.K;
    TORCH_CHECK(taps <= CONSTANT_FLOATS, "a filter of ", taps,
                " weights does not fit constant memory, which has ", CONSTANT_FLOATS);
    const int most_k = std::min<int64_t>(size.K, CONSTANT_FLOATS / taps);
    const dim3 block(TILE_Q, TILE_P);
    const dim3 whole = grid_of(ceil_div(size.Q, TILE_Q), ceil_div(size.P, TILE_P), int64_t(size.N) * most_k);
    auto output = torch::empty({size.N, size.K, size.P, size.Q}, input.options());
    if (size.N == 0) return output;  // CUDA refuses to launch a grid without blocks

    const cudaStream_t stream = at::cuda::getCurrentCUDAStream();
    for (int first_k = 0; first_k < size.K; first_k += most_k) {
        const int some_k = std::min(most_k, size.K - first_k);
        C10_CUDA_CHECK(cudaMemcpyToSymbolAsync(filters, weight.data_ptr<float>() + first_k * taps,
                                               some_k * taps * sizeof(float), 0, cudaMemcpyDeviceToDevice,
                                               stream));
        const dim3 grid(whole.x, whole.y, size.N * some_k);
        conv2d_constant<<<grid, block, bytes, stream>>>(input.data_ptr<float>(), data_or_null(bias),
                                                        output.data_ptr<float>(), size, tile_h, tile_w,
                                                        first_k, some_k);
        C10_CUDA_KERNEL_LAUNCH_CHECK();
    }
    return output;
}
