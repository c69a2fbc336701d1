// The gradient of a 1-D convolution's input, as matrix products. Output q's tap s touches the input at l =
// q stride + s dilation - padding. So the inputs fall into phases, by (l + padding) % stride, and all inputs
// of a phase meet the same taps: two taps share a phase if they are stride / gcd(stride, dilation) taps
// apart, or a multiple of that. With m = (l + padding - j dilation) / stride, j the first tap of the phase,
//     grad_input[c][l] = sum over k and t of weight[k][c][j + t phases] grad_output[k][m - t shift]
// which is a product of two matrices, (channel, phase) x (k, t) and (k, t) x m: all phases read the same
// numbers at the same m. A block computes a tile of it for neighbouring m, with the phases side by side, so
// that its results fill a stretch of grad_input.
// Measured on an H200, 2026-11-21, float32: conv1d_dilated 12.05 ms, 45.6 TFLOP/s (conv1d_dgrad_naive 1701,
// cuDNN 28.69). Slower, each against the version of its time: results stored straight from the registers
// (19.78 ms against 12.84: every lane then has a sector of its own), numbers of grad_output copied
// one by one in place of pairs (12.20 against 11.84), three stages in place of two (12.89 against 12.84).
#include "gradients.h"
#include "sgemm.h"
#include <numeric>

constexpr int DEPTH = 16, STAGES = 2;  // rows of grad_output loaded at a time, and buffers for them
constexpr int WARPS_M = 2, WARPS_N = 2, BLOCKS = 3;
constexpr int PITCH = 32 + 4;  // of the results in shared memory

struct Plan {
    int phases;  // with taps: tap s belongs to phase s % phases
    int taps;    // of a phase; a phase that has fewer is filled up with weights of zero
    int shift;   // the next tap's outputs lie that much before this one's
    int first;   // the first m
    int depth;   // K, rounded up to whole steps
};

// The weights as the blocks read them, packed[tile][t][k][row]. A row is one phase of one channel. A tile has
// `together` phases of a channel, and so has a warp: first one phase of its channels, then the next.
__global__ void pack(const float* __restrict__ weight, float* __restrict__ packed, Conv1d size, Plan plan,
                     int rows, int together, int count) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    const int row = i % rows, k = i / rows % plan.depth, t = i / rows / plan.depth % plan.taps;
    const int tile = i / rows / plan.depth / plan.taps;
    const int channels = rows / together, groups = (size.C + channels - 1) / channels;  // of a tile
    const int of_warp = channels / WARPS_M, warp = row / (of_warp * together);
    const int c = tile % groups * channels + warp * of_warp + row % of_warp;
    const int s = tile / groups * together + row / of_warp % together + t * plan.phases;
    packed[i] = c < size.C && k < size.K && s < size.S ? weight[(k * size.C + c) * size.S + s] : 0.0f;
}

// A tile's rows are TOGETHER phases of M / TOGETHER channels, for every warp in this order, its columns
// neighbouring m. OUTPUTS neighbours of grad_output are copied in one instruction.
template <class Tile, int TOGETHER, int OUTPUTS>
__global__ void __launch_bounds__(Tile::THREADS, BLOCKS)
    conv1d_dgrad_tiled(const float* __restrict__ grad_output, const float* __restrict__ packed,
                       float* __restrict__ grad_input, Conv1d size, Plan plan) {
    const int C = size.C, L = size.L, K = size.K, Q = size.Q;
    struct Stage {
        float a[DEPTH][Tile::M], b[DEPTH][Tile::N];
    };
    __shared__ __align__(16) Stage stages[STAGES];
    constexpr int CHANNELS = Tile::M / TOGETHER, ROWS = 4 * Tile::ROWS;  // of a block; of a warp
    const int groups = (C + CHANNELS - 1) / CHANNELS, tiles = groups * (plan.phases / TOGETHER);
    const int tile_row = blockIdx.x % tiles, n = blockIdx.y;  // blocks of the same outputs are neighbours
    const int first_m = plan.first + blockIdx.x / tiles * Tile::N;
    const int steps_k = plan.depth / DEPTH;

    constexpr int FLOATS_A = DEPTH * Tile::M;
    static_assert(FLOATS_A % (4 * Tile::THREADS) == 0, "every thread copies the same number");
    constexpr int THREADS_B = Tile::N / OUTPUTS, STEP_B = Tile::THREADS / THREADS_B;
    const int k_b = threadIdx.x / THREADS_B, x_b = threadIdx.x % THREADS_B * OUTPUTS;
    const float* from_a = packed + tile_row * plan.taps * plan.depth * Tile::M + threadIdx.x * 4;
    const float* image = grad_output + n * K * Q;
    int k = k_b, q = first_m + x_b;  // where the next step begins for this thread
    const auto load = [&](int stage, int) {
#pragma unroll
        for (int i = 0; i < FLOATS_A; i += 4 * Tile::THREADS)
            copy_async<16>(stages[stage].a[0] + i + threadIdx.x * 4, from_a + i);
        const bool inside = q >= 0 && q < Q;
        const float* from = image + (inside ? size_t(k) * Q + q : 0);
#pragma unroll
        for (int i = 0; i < DEPTH; i += STEP_B, from += STEP_B * size_t(Q))
            copy_async<4 * OUTPUTS>(&stages[stage].b[i + k_b][x_b], from, inside && k + i < K);
        from_a += FLOATS_A, k += DEPTH;
        if (k >= plan.depth) k = k_b, q -= plan.shift;  // the next tap
    };
    Tile tile;
    pipeline<STAGES>(plan.taps * steps_k, load,
                     [&](int stage) { tile.multiply(stages[stage].a, stages[stage].b); });

    // A phase's inputs lie `stride` apart, with those of the other phases between them. So a warp lays its
    // rows into shared memory, 32 columns at a time, and its lanes take neighbours in (m, phase) from there:
    // what they store together fills whole sectors of grad_input.
    __syncthreads();
    static_assert(Tile::THREADS / 32 * ROWS * PITCH * sizeof(float) <= sizeof(stages), "room for all warps");
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    float* staged = reinterpret_cast<float*>(stages) + warp * ROWS * PITCH;  // ROWS x PITCH
    const int warp_row = warp / WARPS_N * ROWS, warp_m = first_m + warp % WARPS_N * 8 * Tile::COLUMNS;
    const int first_c = tile_row % groups * CHANNELS + warp_row / TOGETHER, channels = C - first_c;
    const int first_phase = tile_row / groups * TOGETHER;
#pragma unroll
    for (int j = 0; j < Tile::COLUMNS; j += 4) {
#pragma unroll
        for (int i = 0; i < Tile::ROWS; ++i)
            store4(staged + (tile.row(i) - warp_row) * PITCH + tile.column(0) % 32, &tile.sum[i][j]);
        __syncwarp();
#pragma unroll
        for (int y = lane; y < 32 * TOGETHER; y += 32) {
            const int phase = y % TOGETHER, x = y / TOGETHER;
            const int64_t m = warp_m + j * 8 + x;
            const int64_t l = m * size.stride + (first_phase + phase) * size.dilation - size.padding;
            if (l < 0 || l >= L) continue;
            float* to = grad_input + int64_t(n * C + first_c) * L + l;
#pragma unroll
            for (int c = 0; c < ROWS / TOGETHER; ++c, to += L)
                if (c < channels) *to = staged[(phase * (ROWS / TOGETHER) + c) * PITCH + x];
        }
        __syncwarp();
    }
}

template <int TOGETHER>
static void launch(const torch::Tensor& grad_output, const torch::Tensor& weight, torch::Tensor& grad_input,
                   const Conv1d& size, Plan plan) {
    using Tile = SgemmTile<WARPS_M, WARPS_N, TOGETHER == 3 ? 12 : 8, 8>;
    static_assert(4 * Tile::ROWS % TOGETHER == 0, "a warp has all phases of its channels");
    const int tiles = ceil_div(size.C, Tile::M / TOGETHER) * (plan.phases / TOGETHER);
    const int64_t count = area(area(tiles, plan.taps), area(plan.depth, Tile::M));
    TORCH_CHECK(count <= 1 << 30, "the packed weight has over 2^30 elements: int indices overflow");
    auto packed = torch::empty({count}, weight.options());
    const auto stream = at::cuda::getCurrentCUDAStream();
    pack<<<ceil_div(count, 256), 256, 0, stream>>>(weight.data_ptr<float>(), packed.data_ptr<float>(), size,
                                                   plan, Tile::M, TOGETHER, count);
    C10_CUDA_KERNEL_LAUNCH_CHECK();

    const bool pairs = size.Q % 2 == 0 && (plan.taps == 1 || plan.shift % 2 == 0) &&
                       reinterpret_cast<uintptr_t>(grad_output.data_ptr<float>()) % 8 == 0;
    const auto kernel = pairs ? conv1d_dgrad_tiled<Tile, TOGETHER, 2> : conv1d_dgrad_tiled<Tile, TOGETHER, 1>;
    const int last = (size.L - 1 + size.padding) / size.stride;
    const dim3 grid = grid_of(int64_t(ceil_div(last - plan.first + 1, Tile::N)) * tiles, size.N, 1);
    kernel<<<grid, Tile::THREADS, 0, stream>>>(grad_output.data_ptr<float>(), packed.data_ptr<float>(),
                                               grad_input.data_ptr<float>(), size, plan);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
}

torch::Tensor conv1d_dgrad(torch::Tensor grad_output, torch::Tensor weight, int64_t length,
                           int64_t stride = 1, int64_t padding = 0, int64_t dilation = 1) {
    const Conv1d size = conv1d_dgrad_sizes(grad_output, weight, length, stride, padding, dilation);
    require_sm(80, "cp.async");
    const c10::cuda::CUDAGuard guard(grad_output.device());
    const int divisor = std::gcd(size.stride, size.dilation);
    Plan plan;
    plan.phases = std::min(size.stride / divisor, size.S), plan.taps = ceil_div(size.S, plan.phases);
    plan.shift = size.dilation / divisor;
    plan.depth = ceil_div(size.K, DEPTH) * DEPTH;
    // The smallest m of all phases, rounded down to an even number.
    const int64_t lowest = padding - (plan.phases - 1) * dilation;
    plan.first = (lowest >= 0 ? lowest / stride : -((stride - 1 - lowest) / stride)) & ~1;

    // Phases without taps remain zeros.
    auto grad_input = plan.phases == stride ? torch::empty({size.N, size.C, size.L}, grad_output.options())
                                            : torch::zeros({size.N, size.C, size.L}, grad_output.options());
    if (size.N == 0) return grad_input;  // CUDA refuses to launch a grid without blocks
    (plan.phases == 2   ? launch<2>
     : plan.phases == 3 ? launch<3>
     : plan.phases == 4 ? launch<4>
                        : launch<1>)(grad_output, weight, grad_input, size, plan);
    return grad_input;
}
