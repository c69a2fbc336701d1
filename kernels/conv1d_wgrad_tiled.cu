// The gradient of a 1-D convolution's weight, as a matrix product: inputs (terms x pixels) times grad_output
// transposed (pixels x channels). A term is one weight of a filter, (c, s); a pixel is an output of an image,
// (n, q). There are few terms and channels, and very many pixels: so blocks share the pixels. Each adds up a
// part of them, into a matrix of sums of its own, and a second kernel adds these matrices, always in the same
// order: the result is the same in every run.
// Measured on an H200, 2026-11-21, float32: conv1d_dilated 12.17 ms, 45.2 TFLOP/s (cuDNN 19.24). Slower, each
// against 11.69 ms, the version of its time: 8 x 8 sums a thread in place of 12 x 8 (13.42), three stages in
// place of two (12.90; perhaps as they leave less L1 cache, where a channel's taps meet), stages of 8 pixels
// (three of them: 12.45), four times as many parts (12.13).
#include "gradients.h"
#include "sgemm.h"

constexpr int DEPTH = 16, STAGES = 2;  // pixels loaded at a time, and buffers for them
constexpr int BELOW = 1 << 30;         // a position behind every input

struct Parts {
    int count, pixels;  // how many there are, and pixels of one, except perhaps the last
};

// A term's input, seen from the input of the pixel's first tap of channel 0, and its position in its row.
struct Term {
    int offset, position;
};

// On an SM: what its registers hold.
template <class Tile>
constexpr int BLOCKS = Tile::ROWS == 8 ? 4 : 3;

template <class Tile>
__global__ void __launch_bounds__(Tile::THREADS, BLOCKS<Tile>)
    conv1d_wgrad_tiled(const float* __restrict__ grad_output, const float* __restrict__ input,
                       float* __restrict__ sums, Conv1d size, Parts parts) {
    const int C = size.C, L = size.L, K = size.K, S = size.S, Q = size.Q, terms = C * S;
    // A pad of 4: copies go down the columns.
    __shared__ __align__(16) float a[STAGES][DEPTH][Tile::M + 4], b[STAGES][DEPTH][Tile::N + 4];
    __shared__ Term table[Tile::M];
    const int tiles_m = (terms + Tile::M - 1) / Tile::M, tiles_n = (K + Tile::N - 1) / Tile::N;
    const int first_term = blockIdx.x % tiles_m * Tile::M, first_k = blockIdx.x / tiles_m % tiles_n * Tile::N;
    const int part = blockIdx.x / (tiles_m * tiles_n);  // blocks of the same pixels are neighbours
    for (int i = threadIdx.x; i < Tile::M; i += Tile::THREADS) {
        const int term = first_term + i, c = term / S, l = term % S * size.dilation;
        table[i] = term < terms ? Term{c * L + l, l} : Term{0, BELOW};
    }
    __syncthreads();

    const int reach = (S - 1) * size.dilation + 1;  // of a window
    // A thread copies one pixel in DEPTH, of every STEP-th term and channel.
    constexpr int STEP = Tile::THREADS / DEPTH;
    const int x = threadIdx.x % DEPTH, y = threadIdx.x / DEPTH;
    const int first_pixel = part * parts.pixels, last_pixel = min(first_pixel + parts.pixels, size.N * Q);
    int pixel = first_pixel + x, q;  // to copy next
    const float *from_a, *from_b;
    const auto find = [&] {
        const int64_t n = pixel / Q;
        q = pixel % Q;
        from_a = input + n * C * L + q * size.stride - size.padding;
        from_b = grad_output + (n * K + first_k + y) * Q + q;
    };
    find();
    const auto load = [&](int stage, int) {
        const bool exists = pixel < last_pixel;
        const int l = q * size.stride - size.padding;
        if (exists && l >= 0 && l <= L - reach) {  // all of the window
            int offset[Tile::M / STEP];
#pragma unroll
            for (int i = 0; i < Tile::M / STEP; ++i) offset[i] = table[i * STEP + y].offset;
#pragma unroll
            for (int i = 0; i < Tile::M / STEP; ++i)
                copy_async<4>(&a[stage][x][i * STEP + y], from_a + offset[i]);
            const float* from = from_b;
#pragma unroll
            for (int k = 0; k < Tile::N; k += STEP, from += size_t(STEP) * Q)
                copy_async<4>(&b[stage][x][k + y], from, k < K - first_k - y);
        } else {
#pragma unroll 1
            for (int i = y; i < Tile::M; i += STEP) {
                const bool inside = exists && unsigned(l + table[i].position) < unsigned(L);
                copy_async<4>(&a[stage][x][i], from_a + table[i].offset, inside);
            }
#pragma unroll 1
            for (int k = y; k < Tile::N; k += STEP)
                copy_async<4>(&b[stage][x][k], from_b + int64_t(k - y) * Q, exists && first_k + k < K);
        }
        pixel += DEPTH, q += DEPTH, from_a += size_t(DEPTH) * size.stride, from_b += DEPTH;
        if (q >= Q) find();  // in another image
    };
    Tile tile;
    pipeline<STAGES>((last_pixel - first_pixel + DEPTH - 1) / DEPTH, load,
                     [&](int stage) { tile.multiply(a[stage], b[stage]); });

    sums += size_t(part) * K * terms;
#pragma unroll
    for (int j = 0; j < Tile::COLUMNS; ++j) {
        const int k = first_k + tile.column(j);
#pragma unroll
        for (int i = 0; i < Tile::ROWS; ++i) {
            const int term = first_term + tile.row(i);
            if (k < K && term < terms) sums[k * terms + term] = tile.sum[i][j];
        }
    }
}

// One thread per weight.
__global__ void add_parts(const float* __restrict__ sums, float* __restrict__ grad_weight, int weights,
                          int parts) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= weights) return;
    float sum = 0;
#pragma unroll 8
    for (int part = 0; part < parts; ++part) sum += sums[size_t(part) * weights + i];
    grad_weight[i] = sum;
}

template <int WARPS_N, int ROWS>
static void launch(const torch::Tensor& grad_output, const torch::Tensor& input, torch::Tensor& grad_weight,
                   const Conv1d& size) {
    using Tile = SgemmTile<4 / WARPS_N, WARPS_N, ROWS, 8>;
    const int weights = size.K * size.C * size.S, pixels = size.N * size.Q;
    const int64_t tiles = int64_t(ceil_div(size.C * size.S, Tile::M)) * ceil_div(size.K, Tile::N);
    // As many parts as fill the GPU once, but at least 16 steps each.
    const int most =
        std::clamp<int64_t>(BLOCKS<Tile> * multiprocessors() / tiles, 1, ceil_div(pixels, 16 * DEPTH));
    Parts parts;
    parts.pixels = ceil_div(ceil_div(pixels, most), DEPTH) * DEPTH;
    parts.count = ceil_div(pixels, parts.pixels);
    auto sums = torch::empty({parts.count, weights}, input.options());

    const auto stream = at::cuda::getCurrentCUDAStream();
    conv1d_wgrad_tiled<Tile><<<grid_of(parts.count * tiles, 1, 1), Tile::THREADS, 0, stream>>>(
        grad_output.data_ptr<float>(), input.data_ptr<float>(), sums.data_ptr<float>(), size, parts);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
    add_parts<<<ceil_div(weights, 128), 128, 0, stream>>>(
        sums.data_ptr<float>(), grad_weight.data_ptr<float>(), weights, parts.count);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
}

torch::Tensor conv1d_wgrad(torch::Tensor grad_output, torch::Tensor input, int64_t S, int64_t stride = 1,
                           int64_t padding = 0, int64_t dilation = 1) {
    const Conv1d size = conv1d_wgrad_sizes(grad_output, input, S, stride, padding, dilation);
    require_sm(80, "cp.async");
    TORCH_CHECK(size.N <= (1 << 30) / size.Q, "over 2^30 pixels: int indices overflow");
    const c10::cuda::CUDAGuard guard(grad_output.device());
    if (size.N == 0) return torch::zeros({size.K, size.C, size.S}, input.options());

    auto grad_weight = torch::empty({size.K, size.C, size.S}, input.options());
    // Tiles of 64 or 128 channels and of 8 or 12 terms a thread: so that least of them is for nobody.
    const bool narrow = ceil_div(size.K, 64) % 2 == 1;
    const int terms = size.C * size.S, eight = narrow ? 128 : 64, twelve = narrow ? 192 : 96;
    const bool more = ceil_div(terms, twelve) * twelve <= ceil_div(terms, eight) * eight;
    const auto launch_tile =
        narrow ? (more ? launch<1, 12> : launch<1, 8>) : (more ? launch<2, 12> : launch<2, 8>);
    launch_tile(grad_output, input, grad_weight, size);
    return grad_weight;
}
