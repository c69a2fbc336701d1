// Implicit GEMM, double-buffered: the next tile's loads are started before this tile is multiplied, wait
// for their data in registers meanwhile, and are stored into the other of two buffers after it. One
// barrier a tile is left of two. It helps where few blocks have nobody to cover their waiting:
// resnet_3x3_7 (200 blocks). Elsewhere the other blocks of the SM did that already, and the tile in flight
// takes 24 or 28 registers of a thread.
// Measured on an H200, 2026-11-21, float32: resnet_3x3_7 0.585 ms (conv2d_gemm 0.626, cuDNN 0.484),
// pointwise 0.217 (0.221), but alexnet_conv1 1.58 (1.54), vgg_conv2 1.63 (1.62), resnet_3x3_28 0.408
// (0.406).
#include "conv.h"

constexpr int THREADS = 128;  // of a block: 8 rows along the channels x 16 columns along the pixels
constexpr int PIXELS = 128;   // of a block's tile; thread t fetches the inputs of pixel t
constexpr int TAPS = 16;      // of a tile: multiplied between two barriers

constexpr int BELOW = 1 << 30;  // a row below every image

// Before the product, once: the weights in the order in which the blocks read them, packed[block of TILE_K
// channels][tap][channel], filled up with zeros; and a table that says of every tap where its input lies,
// seen from the input of the pixel's first tap: {offset, rows, columns, 0}. So nobody divides any more. Taps
// that only fill up the last tile lie below every image, and so count as padding.
template <int TILE_K>
__global__ void prepare(const float* __restrict__ weight, float* __restrict__ packed,
                        int4* __restrict__ table, Conv2d size, int taps) {
    const auto [N, C, H, W, K, R, S, P, Q, stride, padding, dilation] = size;
    const int tap = blockIdx.x * 8 + threadIdx.y, k = blockIdx.y * 8 + threadIdx.x;
    const bool exists = tap < C * R * S;
    packed[(k / TILE_K * taps + tap) * TILE_K + k % TILE_K] =
        exists && k < K ? weight[k * C * R * S + tap] : 0.0f;
    if (k > 0) return;
    const int c = tap / (R * S), h = tap / S % R * dilation, w = tap % S * dilation;
    table[tap] = exists ? int4{(c * H + h) * W + w, h, w, 0} : int4{0, BELOW, 0, 0};
}

// Every thread computes CHANNELS x 8 outputs, in groups of four neighbours: 4 channels, then 4 channels 32
// further on, and so forth; 4 pixels and 4 pixels 64 further on. So it reads both tiles by float4.
template <int CHANNELS>
__global__ void __launch_bounds__(THREADS, 3)
    conv2d_gemm_double(const float* __restrict__ input, const float4* __restrict__ packed,
                       const int4* __restrict__ table, const float* __restrict__ bias,
                       float* __restrict__ output, Conv2d size, int taps) {
    const auto [N, C, H, W, K, R, S, P, Q, stride, padding, dilation] = size;
    constexpr int TILE_K = 8 * CHANNELS, FILTERS = TAPS * TILE_K / 4 / THREADS;  // float4 a thread fetches
    static_assert(TAPS * TILE_K % (4 * THREADS) == 0, "the same number for every thread");
    __shared__ float4 inputs[2][TAPS][PIXELS / 4];
    __shared__ float4 filters[2][TAPS][TILE_K / 4];
    const int thread = threadIdx.x, warp = thread / 32, lane = thread % 32;
    // A warp is 4 rows x 8 columns. Lane and lane ^ 1 have the same pixels, lane and lane ^ 2 the same
    // channels: then shared memory serves both reads of float4 below in two passes. Lane by lane along a row
    // it takes 4.
    const int row = warp % 2 * 4 + lane / 16 * 2 + lane % 2, column = warp / 2 * 8 + lane / 2 % 8;
    const int blocks_k = (K + TILE_K - 1) / TILE_K;  // side by side in the grid: they read the same inputs
    const int block_k = blockIdx.x % blocks_k, first_pixel = blockIdx.x / blocks_k * PIXELS;
    const int first_k = block_k * TILE_K + row * 4;

    // The pixel whose inputs this thread fetches. Beyond the last one: the last one again, for nobody.
    const int pixels = N * P * Q, pixel = min(first_pixel + thread, pixels - 1);
    const int top = pixel / Q % P * stride - padding, left = pixel % Q * stride - padding;
    const int corner = (pixel / (P * Q) * C * H + top) * W + left;
    const float4* block_filters = packed + block_k * taps * (TILE_K / 4);

    float sum[CHANNELS][8];
#pragma unroll
    for (int j = 0; j < CHANNELS; ++j) {
        const int k = first_k + j / 4 * 32 + j % 4;
        const float b = bias && k < K ? bias[k] : 0.0f;
#pragma unroll
        for (int i = 0; i < 8; ++i) sum[j][i] = b;
    }
    float next_inputs[TAPS];
    float4 next_filters[FILTERS];
    const auto fetch = [&](int first_tap) {  // from global memory into registers
#pragma unroll
        for (int t = 0; t < TAPS; ++t) {
            const int4 tap = table[first_tap + t];
            const int h = top + tap.y, w = left + tap.z;
            const bool inside = unsigned(h) < unsigned(size.H) && unsigned(w) < unsigned(size.W);
            next_inputs[t] = inside ? input[corner + tap.x] : 0.0f;
        }
#pragma unroll
        for (int f = 0; f < FILTERS; ++f)
            next_filters[f] = block_filters[first_tap * (TILE_K / 4) + f * THREADS + thread];
    };
    const auto store = [&](int buffer) {  // from registers into shared memory
#pragma unroll
        for (int t = 0; t < TAPS; ++t) reinterpret_cast<float*>(inputs[buffer][t])[thread] = next_inputs[t];
#pragma unroll
        for (int f = 0; f < FILTERS; ++f) filters[buffer][0][f * THREADS + thread] = next_filters[f];
    };
    fetch(0);
    store(0);
    __syncthreads();
    int buffer = 0;
    for (int first_tap = 0; first_tap < taps; first_tap += TAPS) {
        const bool more = first_tap + TAPS < taps;
        if (more) fetch(first_tap + TAPS);
#pragma unroll
        for (int t = 0; t < TAPS; ++t) {
            alignas(16) float w[CHANNELS], x[8];
#pragma unroll
            for (int j = 0; j < CHANNELS; j += 4)
                *reinterpret_cast<float4*>(&w[j]) = filters[buffer][t][j * 2 + row];
#pragma unroll
            for (int i = 0; i < 8; i += 4)
                *reinterpret_cast<float4*>(&x[i]) = inputs[buffer][t][i * 4 + column];
#pragma unroll
            for (int j = 0; j < CHANNELS; ++j)
#pragma unroll
                for (int i = 0; i < 8; ++i) sum[j][i] += w[j] * x[i];
        }
        buffer ^= 1;
        if (more) store(buffer);  // whoever read it last has passed the barrier
        __syncthreads();
    }
    const bool whole = P * Q % 4 == 0;  // four neighbouring pixels are of one image, and begin at 16 bytes
#pragma unroll
    for (int i = 0; i < 8; ++i) {
        const int pixel = first_pixel + i / 4 * 64 + column * 4 + i % 4;
        if (pixel >= pixels || (whole && i % 4 > 0)) continue;
        float* out = output + pixel / (P * Q) * K * P * Q + pixel % (P * Q);
#pragma unroll
        for (int j = 0; j < CHANNELS; ++j) {
            const int k = first_k + j / 4 * 32 + j % 4;
            const float* s = &sum[j][i / 4 * 4];
            if (k >= K) continue;
            if (whole)
                *reinterpret_cast<float4*>(out + k * P * Q) = {s[0], s[1], s[2], s[3]};
            else
                out[k * P * Q] = s[i % 4];
        }
    }
}

template <int CHANNELS>
static void launch(const torch::Tensor& input, const torch::Tensor& weight,
                   const std::optional<torch::Tensor>& bias, torch::Tensor& output, const Conv2d& size) {
    constexpr int TILE_K = 8 * CHANNELS;
    const int64_t taps = (int64_t(size.C) * size.R * size.S + TAPS - 1) / TAPS * TAPS;
    const int64_t blocks_k = ceil_div(size.K, TILE_K);
    TORCH_CHECK(blocks_k * TILE_K * taps <= INT_MAX, "the packed weights have over 2^31 - 1 elements");
    auto packed = torch::empty({blocks_k * TILE_K * taps}, input.options());
    auto table = torch::empty({taps, 4}, input.options().dtype(torch::kInt32));
    auto* entries = reinterpret_cast<int4*>(table.data_ptr<int>());
    const auto stream = at::cuda::getCurrentCUDAStream();
    prepare<TILE_K><<<grid_of(taps / 8, blocks_k * CHANNELS, 1), dim3(8, 8), 0, stream>>>(
        weight.data_ptr<float>(), packed.data_ptr<float>(), entries, size, taps);
    C10_CUDA_KERNEL_LAUNCH_CHECK();

    const int64_t tiles = ceil_div(size.N * size.P * size.Q, PIXELS);
    conv2d_gemm_double<CHANNELS><<<grid_of(tiles * blocks_k, 1, 1), THREADS, 0, stream>>>(
        input.data_ptr<float>(), reinterpret_cast<const float4*>(packed.data_ptr<float>()), entries,
        data_or_null(bias), output.data_ptr<float>(), size, taps);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
}

torch::Tensor conv2d(torch::Tensor input, torch::Tensor weight,
                     std::optional<torch::Tensor> bias = std::nullopt, int64_t stride = 1,
                     int64_t padding = 0, int64_t dilation = 1) {
    const Conv2d size = conv2d_sizes(input, weight, bias, stride, padding, dilation);
    const int64_t padded = (size.H + 2 * padding) * (size.W + 2 * padding);
    TORCH_CHECK(input.numel() + 2 * padded <= INT_MAX && size.N * size.P * size.Q <= INT_MAX - PIXELS,
                "input, padding and output are too large for int offsets");
    const c10::cuda::CUDAGuard guard(input.device());
    auto output = torch::empty({size.N, size.K, size.P, size.Q}, input.options());
    if (size.N == 0) return output;  // CUDA refuses to launch a grid without blocks

    const bool twelve = ceil_div(size.K, 96) * 96 < ceil_div(size.K, 64) * 64;  // fewer channels for nobody
    (twelve ? launch<12> : launch<8>)(input, weight, bias, output, size);
    return output;
}
