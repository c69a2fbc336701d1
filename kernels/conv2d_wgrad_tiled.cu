// The gradient of a convolution's weight as an implicit GEMM: grad_output (K x NPQ) times the input as the
// windows see it (NPQ x CRS). The result is small and its sums are long, the other way round than in
// conv2d_gemm: so the pixels of the output are cut into parts, as many as it takes to fill the GPU. A block
// multiplies one part for one tile of the result; a second kernel adds up the parts, in a fixed order: every
// run gives the same bits.
// - Eight lanes copy eight neighbouring pixels, and a warp four rows (channels or taps): few sectors; and in
//   shared memory, where the matrices lie pixel by pixel, 32 different banks.
// - sgemm.h has the register tile of a thread, and the pipeline.
// Measured on an H200, 2026-11-21, float32: alexnet_conv1 1.42 ms (conv2d_wgrad_naive 91.2, _atomic 16.1,
// cuDNN 2.43), resnet_conv1 0.571 (cuDNN 0.819), vgg_conv2 1.61 (2.16), resnet_3x3_56 0.421 (0.543), _28
// 0.405 (0.223), _14 0.421 (0.180). Slower on alexnet_conv1, each against the version of its time: divisions
// of signed numbers (1.55 ms against 1.46), a tap's entry read for each pixel (1.46 against 1.42), 8 pixels
// and 3 stages (1.60 against 1.55), a tile of 96 x 192 (1.51 against 1.42).
#include "gradients.h"
#include "sgemm.h"

constexpr int DEPTH = 16;       // pixels that are multiplied between two barriers
constexpr int STAGES = 2;       // of the pipeline
constexpr int BELOW = 1 << 30;  // a row below every image

// A block's tile of the result is Tile::M channels x Tile::N taps; BLOCKS blocks share an SM.
template <class Tile, int BLOCKS>
__global__ void __launch_bounds__(Tile::THREADS, BLOCKS)
    conv2d_wgrad_tiled(const float* __restrict__ grad_output, const float* __restrict__ input,
                       float* __restrict__ sums, Conv2d size, int pixels_of_part) {
    const auto [N, C, H, W, K, R, S, P, Q, stride, padding, dilation] = size;
    constexpr int ROWS = Tile::THREADS / 8;  // of a matrix, that the block copies at a time
    static_assert(Tile::M % ROWS == 0 && Tile::N % ROWS == 0, "the same number for every thread");
    // Four words more than needed: 8 pixels x 4 neighbouring rows are then in 32 different banks.
    __shared__ __align__(16) float gradients[STAGES][DEPTH][Tile::M + 4];
    __shared__ __align__(16) float inputs[STAGES][DEPTH][Tile::N + 4];
    __shared__ int4 table[Tile::N];  // where a tap's input lies, seen from the window's corner; row; column

    const int taps = C * R * S, tiles_t = (taps - 1) / Tile::N + 1, tiles_k = (K - 1) / Tile::M + 1;
    const int first_tap = blockIdx.x % tiles_t * Tile::N, first_k = blockIdx.x / tiles_t % tiles_k * Tile::M;
    const int part = blockIdx.x / tiles_t / tiles_k;
    for (int t = threadIdx.x; t < Tile::N; t += Tile::THREADS) {
        const int tap = first_tap + t, c = tap / (R * S), h = tap / S % R * dilation, w = tap % S * dilation;
        table[t] = tap < taps ? int4{(c * H + h) * W + w, h, w, 0} : int4{0, BELOW, 0, 0};
    }
    __syncthreads();

    const int first = part * pixels_of_part, end = min(first + pixels_of_part, N * P * Q);
    const int my_pixel = threadIdx.x % 8, my_row = threadIdx.x / 8;
    const auto load = [&](int stage, int step) {
        const auto [N, C, H, W, K, R, S, P, Q, stride, padding, dilation] = size;
        int top[DEPTH / 8], left[DEPTH / 8];  // of a window, whose corner is seen from its image's beginning
        const float *gradient[DEPTH / 8], *corner[DEPTH / 8];
        bool exists[DEPTH / 8];
#pragma unroll
        for (int e = 0; e < DEPTH / 8; ++e) {
            const int pixel = first + step * DEPTH + e * 8 + my_pixel;
            const unsigned line = unsigned(pixel) / Q, n = line / P;  // unsigned: fewer instructions
            const int p = line - n * P, q = pixel - line * Q;
            exists[e] = pixel < end;
            top[e] = exists[e] ? p * stride - padding : BELOW, left[e] = q * stride - padding;
            gradient[e] = grad_output + ((n * K + first_k + my_row) * P + p) * Q + q;
            corner[e] = input + n * C * H * W + (exists[e] ? top[e] * W + left[e] : 0);
        }
#pragma unroll
        for (int i = 0; i < Tile::M; i += ROWS)
#pragma unroll
            for (int e = 0; e < DEPTH / 8; ++e)
                copy_async<4>(&gradients[stage][e * 8 + my_pixel][i + my_row], gradient[e] + i * P * Q,
                              exists[e] && first_k + my_row + i < K);
#pragma unroll
        for (int i = 0; i < Tile::N; i += ROWS) {
            const int4 tap = table[i + my_row];
#pragma unroll
            for (int e = 0; e < DEPTH / 8; ++e) {
                // As unsigned numbers, negative ones are large, too.
                const unsigned h = unsigned(top[e]) + tap.y, w = unsigned(left[e]) + tap.z;
                copy_async<4>(&inputs[stage][e * 8 + my_pixel][i + my_row], corner[e] + tap.x,
                              h < H && w < W);
            }
        }
    };
    Tile tile;
    pipeline<STAGES>((end - first - 1) / DEPTH + 1, load,
                     [&](int stage) { tile.multiply(gradients[stage], inputs[stage]); });

    float* to = sums + int64_t(part) * K * taps;
#pragma unroll
    for (int i = 0; i < Tile::ROWS; ++i)
#pragma unroll
        for (int j = 0; j < Tile::COLUMNS; ++j) {
            const int k = first_k + tile.row(i), tap = first_tap + tile.column(j);
            if (k < K && tap < taps) to[k * taps + tap] = tile.sum[i][j];
        }
}

__global__ void add_parts(const float* __restrict__ sums, float* __restrict__ grad_weight, int parts,
                          int count) {
    const int place = blockIdx.x * blockDim.x + threadIdx.x;
    if (place >= count) return;
    float sum = 0.0f;
#pragma unroll 8
    for (int part = 0; part < parts; ++part) sum += sums[int64_t(part) * count + place];
    grad_weight[place] = sum;
}

template <class Tile, int BLOCKS>
static void launch(const torch::Tensor& grad_output, const torch::Tensor& input, torch::Tensor& grad_weight,
                   const Conv2d& size) {
    const int count = grad_weight.numel(), pixels = size.N * size.P * size.Q;
    const int tiles = ceil_div(count / size.K, Tile::N) * ceil_div(size.K, Tile::M);
    const int wanted = std::clamp(multiprocessors() * BLOCKS / tiles, 1, ceil_div(pixels, DEPTH));
    const int pixels_of_part = ceil_div(ceil_div(pixels, wanted), DEPTH) * DEPTH;
    const int parts = ceil_div(pixels, pixels_of_part);
    auto sums = torch::empty({parts, count}, grad_weight.options());

    const auto stream = at::cuda::getCurrentCUDAStream();
    conv2d_wgrad_tiled<Tile, BLOCKS><<<grid_of(int64_t(tiles) * parts, 1, 1), Tile::THREADS, 0, stream>>>(
        grad_output.data_ptr<float>(), input.data_ptr<float>(), sums.data_ptr<float>(), size, pixels_of_part);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
    add_parts<<<ceil_div(count, 128), 128, 0, stream>>>(sums.data_ptr<float>(), grad_weight.data_ptr<float>(),
                                                        parts, count);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
}

torch::Tensor conv2d_wgrad(torch::Tensor grad_output, torch::Tensor input, int64_t R, int64_t S,
                           int64_t stride = 1, int64_t padding = 0, int64_t dilation = 1) {
    const Conv2d size = conv2d_wgrad_sizes(grad_output, input, R, S, stride, padding, dilation);
    const int64_t padded = (size.H + 2 * padding) * (size.W + 2 * padding);
    TORCH_CHECK(input.numel() + 2 * padded <= INT_MAX && int64_t(size.N) * size.P * size.Q <= INT_MAX - DEPTH,
                "input, padding and output are too large for int offsets");
    const c10::cuda::CUDAGuard guard(grad_output.device());
    require_sm(80, "cp.async");
    auto grad_weight = torch::zeros({size.K, size.C, size.R, size.S}, grad_output.options());
    if (size.N == 0) return grad_weight;  // CUDA refuses to launch a grid without blocks

    if (size.K > 64 && size.K <= 96)
        launch<SgemmTile<2, 2, 12, 8>, 3>(grad_output, input, grad_weight, size);
    else if (size.K > 96)
        launch<SgemmTile<2, 2, 16, 8>, 2>(grad_output, input, grad_weight, size);
    else
        launch<SgemmTile<2, 2, 8, 12>, 3>(grad_output, input, grad_weight, size);
    return grad_weight;
}
