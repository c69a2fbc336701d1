// Tensor cores: conv2d_gemm with its innermost loops given to instructions that multiply small matrices. A
// warp holds pieces of 16 x 16 outputs, spread over its lanes ("fragments": which lane holds what is wmma's
// business), and adds a 16 x 8 piece of the weights times an 8 x 16 piece of the input to them by one
// mma_sync. The inputs are rounded to TF32, 10 bits of fraction where float has 23; products are summed in
// float. The tiles, the table of taps and the packed weights are conv2d_gemm's. Measured on an H200,
// 2026-11-21, TF32: vgg_conv2 1.57 ms (cuDNN 0.488 in NCHW, 0.249 in channels_last), resnet_3x3_14 0.430
// (0.077, 0.053): 38 TFLOP/s, where the tensor cores can do 300. It waits for its gather: 16 loads of 4 bytes
// a thread and their bounds checks for every 16 mma_sync of a warp.
#include "conv.h"
#include "ptx.h"
#include <mma.h>

constexpr int THREADS = 128;    // of a block: 4 warps, 2 along channels x 2 along pixels
constexpr int PIXELS = 128;     // columns of a block's tile; thread t fetches the inputs of pixel t
constexpr int TILE_K = 64;      // rows of a block's tile: output channels
constexpr int TAPS = 16;        // multiplied between two barriers
constexpr int NEVER = 1 << 30;  // a row that lies below every image
constexpr int PAD = 8;  // words after a row of shared memory: four rows of 8 words lie in different banks

// Where a tap finds its input, seen from the pixel's first one. A tap that only fills up the last tile lies
// outside of every image, and so counts as padding.
struct alignas(16) Tap {
    int offset, h, w;
};

__device__ float nearest(float value) { return __uint_as_float(to_tf32(value)); }

// Before the product: the table of taps, and packed[block of TILE_K channels][tap][channel], filled up with
// zeros.
__global__ void prepare(const float* __restrict__ weight, float* __restrict__ packed, Tap* __restrict__ table,
                        Conv2d size, int taps) {
    const auto [N, C, H, W, K, R, S, P, Q, stride, padding, dilation] = size;
    const int tap = blockIdx.x * blockDim.y + threadIdx.y, k = blockIdx.y * blockDim.x + threadIdx.x;
    const bool exists = tap < C * R * S;
    packed[(k / TILE_K * taps + tap) * TILE_K + k % TILE_K] =
        exists && k < K ? nearest(weight[k * C * R * S + tap]) : 0.0f;
    if (k > 0) return;
    const int c = tap / (R * S), h = tap / S % R * dilation, w = tap % S * dilation;
    table[tap] = exists ? Tap{(c * H + h) * W + w, h, w} : Tap{0, NEVER, 0};
}

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
namespace wmma = nvcuda::wmma;
using Weights = wmma::fragment<wmma::matrix_a, 16, 16, 8, wmma::precision::tf32, wmma::col_major>;
using Inputs = wmma::fragment<wmma::matrix_b, 16, 16, 8, wmma::precision::tf32, wmma::row_major>;
using Sums = wmma::fragment<wmma::accumulator, 16, 16, 8, float>;

__global__ void __launch_bounds__(THREADS)
    conv2d_wmma(const float* __restrict__ input, const float4* __restrict__ packed,
                const Tap* __restrict__ table, const float* __restrict__ bias, float* __restrict__ output,
                Conv2d size, int taps) {
    const auto [N, C, H, W, K, R, S, P, Q, stride, padding, dilation] = size;
    __shared__ __align__(32) float inputs[TAPS][PIXELS + PAD], filters[TAPS][TILE_K + PAD];
    __shared__ __align__(32) float sums[TILE_K][PIXELS + PAD];
    const int thread = threadIdx.x, warp = thread / 32;
    const int warp_k = warp % 2 * (TILE_K / 2), warp_pixel = warp / 2 * (PIXELS / 2);
    const int blocks_k = (K + TILE_K - 1) / TILE_K;  // neighbours in the grid share a tile of the input
    const int block_k = blockIdx.x % blocks_k, pixels = N * P * Q;
    const int unclamped = blockIdx.x / blocks_k * PIXELS + thread, pixel = min(unclamped, pixels - 1);
    const int h0 = pixel / Q % P * stride - padding, w0 = pixel % Q * stride - padding;
    const float* corner = input + pixel / (P * Q) * C * H * W + h0 * W + w0;
    const float4* block_filters = packed + block_k * taps * (TILE_K / 4);

    Sums sum[TILE_K / 32][PIXELS / 32];
    for (auto& row : sum)
        for (auto& piece : row) wmma::fill_fragment(piece, 0.0f);
    for (int first_tap = 0; first_tap < taps; first_tap += TAPS) {
#pragma unroll
        for (int i = 0; i < TAPS; ++i) {
            const Tap tap = table[first_tap + i];
            const bool inside = unsigned(h0 + tap.h) < unsigned(H) && unsigned(w0 + tap.w) < unsigned(W);
            inputs[i][thread] = inside ? nearest(corner[tap.offset]) : 0.0f;
        }
#pragma unroll
        for (int i = thread; i < TAPS * TILE_K / 4; i += THREADS)
            *reinterpret_cast<float4*>(&filters[i / (TILE_K / 4)][i % (TILE_K / 4) * 4]) =
                block_filters[first_tap * (TILE_K / 4) + i];
        __syncthreads();

#pragma unroll
        for (int i = 0; i < TAPS; i += 8) {
            Weights w[TILE_K / 32];
            Inputs x[PIXELS / 32];
            for (int j = 0; j < TILE_K / 32; ++j)
                wmma::load_matrix_sync(w[j], &filters[i][warp_k + j * 16], TILE_K + PAD);
            for (int l = 0; l < PIXELS / 32; ++l)
                wmma::load_matrix_sync(x[l], &inputs[i][warp_pixel + l * 16], PIXELS + PAD);
            for (int j = 0; j < TILE_K / 32; ++j)
                for (int l = 0; l < PIXELS / 32; ++l) wmma::mma_sync(sum[j][l], w[j], x[l], sum[j][l]);
        }
        __syncthreads();
    }
    // Nobody knows which of the sums a lane holds: through shared memory they come back to the thread of the
    // pixel.
    for (int j = 0; j < TILE_K / 32; ++j)
        for (int l = 0; l < PIXELS / 32; ++l)
            wmma::store_matrix_sync(&sums[warp_k + j * 16][warp_pixel + l * 16], sum[j][l], PIXELS + PAD,
                                    wmma::mem_row_major);
    __syncthreads();
    if (unclamped >= pixels) return;
    float* out = output + pixel / (P * Q) * K * P * Q + pixel % (P * Q);
    for (int j = 0; j < TILE_K; ++j) {
        const int k = block_k * TILE_K + j;
        if (k < K) out[k * P * Q] = sums[j][thread] + (bias ? bias[k] : 0.0f);
    }
}
#else  // an older GPU: the launcher has refused
__global__ void conv2d_wmma(const float*, const float4*, const Tap*, const float*, float*, Conv2d, int) {}
#endif

torch::Tensor conv2d(torch::Tensor input, torch::Tensor weight,
                     std::optional<torch::Tensor> bias = std::nullopt, int64_t stride = 1,
                     int64_t padding = 0, int64_t dilation = 1) {
    const Conv2d size = conv2d_sizes(input, weight, bias, stride, padding, dilation);
    const int64_t padded = (size.H + 2 * padding) * (size.W + 2 * padding);
    const int64_t last_tile = int64_t(size.N) * size.P * size.Q + PIXELS;
    TORCH_CHECK(std::max(input.numel() + 2 * padded, last_tile) <= INT_MAX,
                "input and padding are too large for int offsets");
    const int taps = ceil_div(size.C * size.R * size.S, TAPS) * TAPS, blocks_k = ceil_div(size.K, TILE_K);
    const int64_t packed_size = int64_t(blocks_k) * TILE_K * taps;
    TORCH_CHECK(packed_size <= INT_MAX,
                "the packed weights have over 2^31 - 1 elements: int indices overflow");
    const c10::cuda::CUDAGuard guard(input.device());
    require_sm(80, "TF32 on tensor cores");
    auto output = torch::empty({size.N, size.K, size.P, size.Q}, input.options());
    if (size.N == 0) return output;  // CUDA refuses to launch a grid without blocks

    auto packed = torch::empty({packed_size}, input.options());
    auto table = torch::empty({taps, 4}, input.options().dtype(torch::kInt32));
    auto* entries = reinterpret_cast<Tap*>(table.data_ptr<int>());
    const auto stream = at::cuda::getCurrentCUDAStream();
    prepare<<<grid_of(taps / 8, blocks_k * (TILE_K / 32), 1), dim3(32, 8), 0, stream>>>(
        weight.data_ptr<float>(), packed.data_ptr<float>(), entries, size, taps);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
    const int64_t tiles = ceil_div(size.N * size.P * size.Q, PIXELS);
    conv2d_wmma<<<grid_of(tiles * blocks_k, 1, 1), THREADS, 0, stream>>>(
        input.data_ptr<float>(), reinterpret_cast<const float4*>(packed.data_ptr<float>()), entries,
        data_or_null(bias), output.data_ptr<float>(), size, taps);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
    return output;
}
