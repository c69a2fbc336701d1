// Implicit GEMM with cp.async: tiles go from global to shared memory past the registers, and STAGES - 1 of
// them are under way while one is multiplied. What conv2d_gemm_double pays for its second buffer,
// registers and the instructions that store them, it does not; the copy itself fills the padding with
// zeros. And a block is smaller, 64 pixels, so that fewer warps wait for each other. The launcher's `tile`
// chooses a block's shape.
// Measured on an H200, 2026-11-21, float32: alexnet_conv1 1.34 ms (conv2d_gemm_double 1.58, cuDNN 2.21),
// resnet_conv1 0.389 (cuDNN 0.733), vgg_conv2 1.38 (1.42), resnet_3x3_56 0.359 (0.361), _28 0.331 (0.190),
// _14 0.338 (0.221), _7 0.523 (0.484), pointwise 0.177 (0.244). 2, 3 or 4 stages differ by 3 % at most.
#include "conv.h"
#include "ptx.h"

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

// A block: ROWS rows along the channels x PIXELS / 8 columns of threads along the pixels. Every thread
// computes CHANNELS x 8 outputs, in groups of four neighbours, 4 ROWS channels or PIXELS / 2 pixels apart.
template <int ROWS, int CHANNELS, int PIXELS, int TAPS, int STAGES, int BLOCKS>
__global__ void __launch_bounds__(ROWS* PIXELS / 8, BLOCKS)
    conv2d_gemm_async(const float* __restrict__ input, const float4* __restrict__ packed,
                      const int4* __restrict__ table, const float* __restrict__ bias,
                      float* __restrict__ output, Conv2d size, int taps) {
    const auto [N, C, H, W, K, R, S, P, Q, stride, padding, dilation] = size;
    constexpr int THREADS = ROWS * PIXELS / 8, TILE_K = ROWS * CHANNELS;
    constexpr int PARTS = THREADS / PIXELS;               // threads that fetch the inputs of one pixel
    constexpr int FILTERS = TAPS * TILE_K / 4 / THREADS;  // float4 that a thread fetches
    static_assert(TAPS % PARTS == 0 && TAPS * TILE_K % (4 * THREADS) == 0,
                  "the same number for every thread");
    __shared__ float4 inputs[STAGES][TAPS][PIXELS / 4];
    __shared__ float4 filters[STAGES][TAPS][TILE_K / 4];
    const int thread = threadIdx.x, warp = thread / 32, lane = thread % 32;
    const int row = warp % (ROWS / 4) * 4 + lane / 16 * 2 + lane % 2;
    const int column = warp / (ROWS / 4) * 8 + lane / 2 % 8;
    const int blocks_k = (K + TILE_K - 1) / TILE_K;  // side by side in the grid: they read the same inputs
    const int block_k = blockIdx.x % blocks_k, first_pixel = blockIdx.x / blocks_k * PIXELS;
    const int first_k = block_k * TILE_K + row * 4;

    // The pixel whose inputs this thread fetches. Beyond the last one: the last one again, for nobody.
    const int part = PARTS == 1 ? 0 : thread / PIXELS, place = PARTS == 1 ? thread : thread % PIXELS;
    const int pixels = N * P * Q, pixel = min(first_pixel + place, pixels - 1);
    const int top = pixel / Q % P * stride - padding, left = pixel % Q * stride - padding;
    const int corner = (pixel / (P * Q) * C * H + top) * W + left;
    const float4* block_filters = packed + block_k * taps * (TILE_K / 4) + thread;

    float sum[CHANNELS][8];
#pragma unroll
    for (int j = 0; j < CHANNELS; ++j) {
        const int k = first_k + j / 4 * (4 * ROWS) + j % 4;
        const float b = bias && k < K ? bias[k] : 0.0f;
#pragma unroll
        for (int i = 0; i < 8; ++i) sum[j][i] = b;
    }
    float* my_inputs = reinterpret_cast<float*>(inputs[0][part]) + place;
    float4* my_filters = filters[0][0] + thread;
    const auto fetch = [&](int first_tap, int buffer) {  // from global into shared memory
        if (first_tap < taps) {
#pragma unroll
            for (int t = 0; t < TAPS; t += PARTS) {
                const int4 tap = table[first_tap + t + part];
                const int h = top + tap.y, w = left + tap.z;
                const bool inside = unsigned(h) < unsigned(size.H) && unsigned(w) < unsigned(size.W);
                copy_async<4>(my_inputs + (buffer * TAPS + t) * PIXELS, &input[corner + tap.x], inside);
            }
#pragma unroll
            for (int f = 0; f < FILTERS; ++f)
                copy_async<16>(my_filters + (buffer * FILTERS + f) * THREADS,
                               block_filters + first_tap * (TILE_K / 4) + f * THREADS);
        }
        commit_copies();  // an empty group, too, so that the count below is right to the end
    };
#pragma unroll
    for (int s = 0; s < STAGES - 1; ++s) fetch(s * TAPS, s);
    int buffer = 0, free = STAGES - 1;  // to multiply, and to fill
    for (int first_tap = 0; first_tap < taps; first_tap += TAPS) {
        wait_for_copies<STAGES - 2>();
        __syncthreads();  // everybody's copies are there, and everybody is done with the free buffer
        fetch(first_tap + (STAGES - 1) * TAPS, free);
#pragma unroll
        for (int t = 0; t < TAPS; ++t) {
            alignas(16) float w[CHANNELS], x[8];
#pragma unroll
            for (int j = 0; j < CHANNELS; j += 4)
                *reinterpret_cast<float4*>(&w[j]) = filters[buffer][t][j / 4 * ROWS + row];
#pragma unroll
            for (int i = 0; i < 8; i += 4)
                *reinterpret_cast<float4*>(&x[i]) = inputs[buffer][t][i / 4 * (PIXELS / 8) + column];
#pragma unroll
            for (int j = 0; j < CHANNELS; ++j)
#pragma unroll
                for (int i = 0; i < 8; ++i) sum[j][i] += w[j] * x[i];
        }
        buffer = buffer + 1 < STAGES ? buffer + 1 : 0;
        free = free + 1 < STAGES ? free + 1 : 0;
    }
    const bool whole = P * Q % 4 == 0;  // four neighbouring pixels are of one image, and begin at 16 bytes
#pragma unroll
    for (int i = 0; i < 8; ++i) {
        const int pixel = first_pixel + i / 4 * (PIXELS / 2) + column * 4 + i % 4;
        if (pixel >= pixels || (whole && i % 4 > 0)) continue;
        float* out = output + pixel / (P * Q) * K * P * Q + pixel % (P * Q);
#pragma unroll
        for (int j = 0; j < CHANNELS; ++j) {
            const int k = first_k + j / 4 * (4 * ROWS) + j % 4;
            const float* s = &sum[j][i / 4 * 4];
            if (k >= K) continue;
            if (whole)
                *reinterpret_cast<float4*>(out + k * P * Q) = {s[0], s[1], s[2], s[3]};
            else
                out[k * P * Q] = s[i % 4];
        }
    }
}

template <int ROWS, int CHANNELS, int PIXELS, int TAPS, int STAGES, int BLOCKS>
static void launch(const torch::Tensor& input, const torch::Tensor& weight,
                   const std::optional<torch::Tensor>& bias, torch::Tensor& output, const Conv2d& size) {
    constexpr int TILE_K = ROWS * CHANNELS;
    const int64_t taps = (int64_t(size.C) * size.R * size.S + TAPS - 1) / TAPS * TAPS;
    const int64_t blocks_k = ceil_div(size.K, TILE_K);
    TORCH_CHECK(blocks_k * TILE_K * taps <= INT_MAX, "the packed weights have over 2^31 - 1 elements");
    auto packed = torch::empty({blocks_k * TILE_K * taps}, input.options());
    auto table = torch::empty({taps, 4}, input.options().dtype(torch::kInt32));
    auto* entries = reinterpret_cast<int4*>(table.data_ptr<int>());
    const auto stream = at::cuda::getCurrentCUDAStream();
    prepare<TILE_K><<<grid_of(taps / 8, blocks_k * TILE_K / 8, 1), dim3(8, 8), 0, stream>>>(
        weight.data_ptr<float>(), packed.data_ptr<float>(), entries, size, taps);
    C10_CUDA_KERNEL_LAUNCH_CHECK();

    const int64_t tiles = ceil_div(size.N * size.P * size.Q, PIXELS);
    const auto kernel = conv2d_gemm_async<ROWS, CHANNELS, PIXELS, TAPS, STAGES, BLOCKS>;
    kernel<<<grid_of(tiles * blocks_k, 1, 1), ROWS * PIXELS / 8, 0, stream>>>(
        input.data_ptr<float>(), reinterpret_cast<const float4*>(packed.data_ptr<float>()), entries,
        data_or_null(bias), output.data_ptr<float>(), size, taps);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
}

using Launch = void(const torch::Tensor& input, const torch::Tensor& weight,
                    const std::optional<torch::Tensor>& bias, torch::Tensor& output, const Conv2d& size);
struct Tile {
    int channels;
    Launch* launch;
};
// BLOCKS, the last number, is for how many blocks an SM the registers shall suffice.
constexpr Tile TILES[] = {
    {64, launch<8, 8, 64, 16, 3, 6>},    // 64 channels x 64 pixels, 16 taps
    {64, launch<8, 8, 128, 8, 2, 4>},    // 64 x 128, 8 taps
    {64, launch<8, 8, 64, 8, 2, 8>},     // 64 x 64, 8 taps
    {96, launch<8, 12, 64, 8, 3, 6>},    // 96 x 64, 8 taps
    {128, launch<16, 8, 64, 16, 4, 4>},  // 128 x 64, 16 taps, four stages
    {128, launch<16, 8, 64, 16, 3, 4>},  // 128 x 64, 16 taps, three
};

int64_t tiles() { return sizeof(TILES) / sizeof(Tile); }

// The tile that computes the fewest channels for nobody; the last of several.
static int64_t best_tile(int K) {
    int64_t best = 0;
    const auto computed = [&](int64_t i) { return ceil_div(K, TILES[i].channels) * TILES[i].channels; };
    for (int64_t i = 1; i < tiles(); ++i)
        if (computed(i) <= computed(best)) best = i;
    return best;
}

torch::Tensor conv2d(torch::Tensor input, torch::Tensor weight,
                     std::optional<torch::Tensor> bias = std::nullopt, int64_t stride = 1,
                     int64_t padding = 0, int64_t dilation = 1, int64_t tile = -1) {
    const Conv2d size = conv2d_sizes(input, weight, bias, stride, padding, dilation);
    const int64_t padded = (size.H + 2 * padding) * (size.W + 2 * padding);
    TORCH_CHECK(input.numel() + 2 * padded <= INT_MAX && size.N * size.P * size.Q <= INT_MAX - 128,
                "input, padding and output are too large for int offsets");
    TORCH_CHECK(tile >= -1 && tile < tiles(), "tile must be -1, for a choice by rule, or below ", tiles());
    const c10::cuda::CUDAGuard guard(input.device());
    require_sm(80, "cp.async");
    auto output = torch::empty({size.N, size.K, size.P, size.Q}, input.options());
    if (size.N == 0) return output;  // CUDA refuses to launch a grid without blocks

    TILES[tile < 0 ? best_tile(size.K) : tile].launch(input, weight, bias, output, size);
    return output;
}
