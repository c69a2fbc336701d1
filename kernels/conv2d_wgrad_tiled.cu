// The gradient of a convolution's weight as an implicit GEMM: grad_output (K x NPQ) times the input as the
// windows see it (NPQ x CRS). The result is small and the sum is long, the other way round than in
// conv2d_gemm: so the pixels are cut into parts, as many as it takes to fill the GPU. Every block multiplies one
// part for one tile of the result and writes its sums into a tensor of its own; a second kernel adds up the
// parts in a fixed order, so that the same numbers come out every time.
// - Eight lanes fetch eight neighbouring pixels of the same row, and a warp four rows (channels or taps): few
//   sectors of global memory, and in shared memory, where the matrices lie pixel by pixel, no bank conflicts.
// - sgemm.h has the register tile of a thread, and the pipeline.
#include "gradients.h"
#include "sgemm.h"

#ifndef DEPTH_
#define DEPTH_ 16
#endif
#ifndef STAGES_
#define STAGES_ 2
#endif
constexpr int DEPTH = DEPTH_;    // pixels that are multiplied between two barriers
constexpr int STAGES = STAGES_;
constexpr int BELOW = 1 << 30;  // a row below every image

// The result's tile of a block is Tile::M channels x Tile::N taps, BLOCKS blocks share an SM.
template <class Tile, int BLOCKS>
__global__ void __launch_bounds__(Tile::THREADS, BLOCKS)
    conv2d_wgrad_tiled(const float* __restrict__ grad_output, const float* __restrict__ input,
                       float* __restrict__ sums, Conv2d size, int pixels_of_part) {
    const auto [N, C, H, W, K, R, S, P, Q, stride, padding, dilation] = size;
    constexpr int LINES = Tile::THREADS / 8;  // rows of a matrix that the block fetches at a time
    static_assert(Tile::M % LINES == 0 && Tile::N % LINES == 0, "the same number for every thread");
    // Rows are 4 words longer: then 8 pixels x 4 neighbours in a row lie in 32 different banks.
    __shared__ __align__(16) float gradients[STAGES][DEPTH][Tile::M + 4];
    __shared__ __align__(16) float inputs[STAGES][DEPTH][Tile::N + 4];
    __shared__ int4 table[Tile::N];  // where a tap's input lies, seen from its window's corner; row; column

    const int taps = C * R * S, tiles_t = (taps + Tile::N - 1) / Tile::N, tiles_k = (K + Tile::M - 1) / Tile::M;
    const int first_tap = blockIdx.x % tiles_t * Tile::N, first_k = blockIdx.x / tiles_t % tiles_k * Tile::M;
    const int part = blockIdx.x / tiles_t / tiles_k;
    for (int t = threadIdx.x; t < Tile::N; t += Tile::THREADS) {
        const int tap = first_tap + t, c = tap / (R * S), h = tap / S % R * dilation, w = tap % S * dilation;
        table[t] = tap < taps ? int4{(c * H + h) * W + w, h, w, 0} : int4{0, BELOW, 0, 0};
    }
    __syncthreads();

    const int first = part * pixels_of_part, end = min(first + pixels_of_part, N * P * Q);
    const int line = threadIdx.x / 8;
    const auto load = [&](int stage, int step) {
#pragma unroll
        for (int d = threadIdx.x % 8; d < DEPTH; d += 8) {
            const int pixel = first + step * DEPTH + d;
            const int n = pixel / (size.P * size.Q), place = pixel % (size.P * size.Q);
            const int left = place % size.Q * size.stride - size.padding;
            const int top = pixel < end ? place / size.Q * size.stride - size.padding : BELOW;
            const float* from = grad_output + (n * size.K + first_k + line) * size.P * size.Q + place;
            const int k_left = pixel < end ? size.K - first_k - line : 0;
#pragma unroll
            for (int i = 0; i < Tile::M; i += LINES)
                copy_async<4>(&gradients[stage][d][i + line], from + i * size.P * size.Q, i < k_left);
            const float* corner = input + n * size.C * size.H * size.W + (pixel < end ? top * size.W + left : 0);
#pragma unroll
            for (int i = 0; i < Tile::N; i += LINES) {
                const int4 tap = table[i + line];
                const int h = top + tap.y, w = left + tap.z;
                const bool inside = unsigned(h) < unsigned(size.H) && unsigned(w) < unsigned(size.W);
                copy_async<4>(&inputs[stage][d][i + line], corner + tap.x, inside);
            }
        }
    };
    Tile tile;
    pipeline<STAGES>((end - first + DEPTH - 1) / DEPTH, load,
                     [&](int stage) { tile.multiply(gradients[stage], inputs[stage]); });

    float* to = sums + part * K * taps;
#pragma unroll
    for (int i = 0; i < Tile::ROWS; ++i)
#pragma unroll
        for (int j = 0; j < Tile::COLUMNS; ++j) {
            const int k = first_k + tile.row(i), tap = first_tap + tile.column(j);
            if (k < K && tap < taps) to[k * taps + tap] = tile.sum[i][j];
        }
}

__global__ void add_parts(const float* __restrict__ sums, float* __restrict__ grad_weight, int parts, int count) {
    const int place = blockIdx.x * blockDim.x + threadIdx.x;
    if (place >= count) return;
    float sum = 0.0f;
#pragma unroll 8
    for (int part = 0; part < parts; ++part) sum += sums[part * count + place];
    grad_weight[place] = sum;
}

template <class Tile, int BLOCKS>
static void launch(const torch::Tensor& grad_output, const torch::Tensor& input, torch::Tensor& grad_weight,
                   const Conv2d& size) {
    const int count = grad_weight.numel(), pixels = size.N * size.P * size.Q;
    const int64_t tiles = int64_t(ceil_div(count / size.K, Tile::N)) * ceil_div(size.K, Tile::M);
    const int wanted = std::clamp<int64_t>(multiprocessors() * BLOCKS / tiles, 1, ceil_div(pixels, DEPTH));
    const int pixels_of_part = ceil_div(ceil_div(pixels, wanted), DEPTH) * DEPTH;
    const int parts = ceil_div(pixels, pixels_of_part);
    auto sums = torch::empty({parts, count}, grad_weight.options());

    const auto stream = at::cuda::getCurrentCUDAStream();
    conv2d_wgrad_tiled<Tile, BLOCKS><<<grid_of(tiles * parts, 1, 1), Tile::THREADS, 0, stream>>>(
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
    TORCH_CHECK(input.numel() + 2 * padded <= INT_MAX && size.N * size.P * size.Q <= INT_MAX - 2 * DEPTH,
                "input, padding and output are too large for int offsets");
    const c10::cuda::CUDAGuard guard(grad_output.device());
    require_sm(80, "cp.async");
    if (size.N == 0) return torch::zeros({size.K, size.C, size.R, size.S}, grad_output.options());
    auto grad_weight = torch::empty({size.K, size.C, size.R, size.S}, grad_output.options());
#ifdef TILE
    launch<SgemmTile<TILE>, BLOCKS_>(grad_output, input, grad_weight, size);
#else
    const bool twelve = ceil_div(size.K, 96) * 96 < ceil_div(size.K, 64) * 64;  // fewer channels for nobody
    if (twelve)
        launch<SgemmTile<2, 3, 12, 8>, 2>(grad_output, input, grad_weight, size);
    else
        launch<SgemmTile<2, 2, 8, 12>, 3>(grad_output, input, grad_weight, size);
#endif
    return grad_weight;
}
