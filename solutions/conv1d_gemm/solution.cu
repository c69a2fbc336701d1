// conv1d as an implicit GEMM: weight (K x CS) times input (CS x NQ), where the second matrix is never stored.
// Row `tap` is one of the C S products of an output, `column` one of the N Q outputs of a channel.
#include "conv.h"

constexpr int THREADS = 256;              // of a block: 16 rows along channels x 16 columns along outputs
constexpr int TILE_K = 128;               // channels of a block: 8 a thread
constexpr int COLUMNS = 128;              // outputs of a block: 8 a thread
constexpr int TAPS = 16;                  // taps multiplied between two barriers
constexpr int PARTS = THREADS / COLUMNS;  // threads that share the fetches of a column
constexpr int BEYOND = 1 << 30;           // a place that lies beyond every input

// Before the product, once: the weights in the order in which the blocks read them, packed[block of TILE_K
// channels][tap][channel], filled up with zeros; and a table that says of every tap where its input lies,
// seen from the first input of an output's window: {numbers, places along L}. Taps that only fill up the last
// tile lie beyond every input, and so count as padding.
__global__ void prepare(const float* __restrict__ weight, float* __restrict__ packed,
                        int2* __restrict__ table, Conv1d size, int taps) {
    const auto [N, C, L, K, S, Q, stride, padding, dilation] = size;
    const int tap = blockIdx.x * 8 + threadIdx.y, k = blockIdx.y * 8 + threadIdx.x;
    const bool exists = tap < C * S;
    packed[(k / TILE_K * taps + tap) * TILE_K + k % TILE_K] =
        exists && k < K ? weight[k * C * S + tap] : 0.0f;
    if (k > 0) return;
    // >>> gap (2 lines): which channel and which tap of the filter? Its entry; one without input is BEYOND
    const int c = tap / S, l = tap % S * dilation;
    table[tap] = exists ? int2{c * L + l, l} : int2{0, BEYOND};
    // <<< gap
}

__global__ void __launch_bounds__(THREADS, 2)
    conv1d_gemm(const float* __restrict__ input, const float4* __restrict__ packed,
                const int2* __restrict__ table, const float* __restrict__ bias, float* __restrict__ output,
                Conv1d size, int taps) {
    const auto [N, C, L, K, S, Q, stride, padding, dilation] = size;
    __shared__ float4 inputs[TAPS][COLUMNS / 4];
    __shared__ float4 filters[TAPS][TILE_K / 4];
    const int thread = threadIdx.x, lane = thread % 32, warp = thread / 32;
    // Lane and lane ^ 1 have the same outputs, lane and lane ^ 2 the same channels, as in conv2d_gemm.
    const int row = warp % 4 * 4 + lane / 16 * 2 + lane % 2, column = warp / 4 * 8 + lane / 2 % 8;
    const int blocks_k = (K + TILE_K - 1) / TILE_K, block_k = blockIdx.x % blocks_k;
    const int first_column = blockIdx.x / blocks_k * COLUMNS, columns = N * Q;

    // A thread fetches inputs of one column: every second tap, from tap `part` on. The column's place
    // in a row of the tile is exchanged, so that four places side by side are four columns 8 apart. A thread
    // computes these four, and the lanes beside it their neighbours: that makes stores of 8 neighbours.
    const int fetched = thread % COLUMNS, part = thread / COLUMNS;
    const int place = fetched / 32 * 32 + fetched % 8 * 4 + fetched % 32 / 8;
    // >>> gap (3 lines): for the fetched column: the first place of its window in L, and that input's address
    const int mine = min(first_column + fetched, columns - 1);
    const int l0 = mine % Q * stride - padding;
    const float* corner = input + mine / Q * C * L + l0;
    // <<< gap

    float sum[8][8] = {};
    for (int first_tap = 0; first_tap < taps; first_tap += TAPS) {
#pragma unroll
        for (int i = 0; i < TAPS * TILE_K / 4; i += THREADS)
            filters[0][i + thread] = packed[(block_k * taps + first_tap) * (TILE_K / 4) + i + thread];
        // >>> gap (6 lines): each fetched tap's input, or 0 where that is padding, to its place in the tile
#pragma unroll
        for (int i = 0; i < TAPS; i += PARTS) {
            const int2 tap = table[first_tap + i + part];
            const bool inside = unsigned(l0 + tap.y) < unsigned(L);
            reinterpret_cast<float*>(inputs[i + part])[place] = inside ? corner[tap.x] : 0.0f;
        }
        // <<< gap
        __syncthreads();

        // >>> gap (11 lines): for each tap, 8 weights and 8 inputs in four float4, and their 64 products
#pragma unroll
        for (int i = 0; i < TAPS; ++i) {
            const float4 w0 = filters[i][row], w1 = filters[i][16 + row];
            const float4 x0 = inputs[i][column], x1 = inputs[i][16 + column];
            const float w[8] = {w0.x, w0.y, w0.z, w0.w, w1.x, w1.y, w1.z, w1.w};
            const float x[8] = {x0.x, x0.y, x0.z, x0.w, x1.x, x1.y, x1.z, x1.w};
#pragma unroll
            for (int j = 0; j < 8; ++j)
#pragma unroll
                for (int l = 0; l < 8; ++l) sum[j][l] += w[j] * x[l];
        }
        // <<< gap
        __syncthreads();
    }
#pragma unroll
    for (int l = 0; l < 8; ++l) {  // two groups of four columns, 8 apart; the second group 64 further on
        const int at = first_column + l / 4 * 64 + column / 8 * 32 + l % 4 * 8 + column % 8;
        if (at >= columns) break;
        float* out = output + at / Q * K * Q + at % Q;
#pragma unroll
        for (int j = 0; j < 8; ++j) {
            const int k = block_k * TILE_K + j / 4 * 64 + row * 4 + j % 4;
            if (k < K) out[k * Q] = sum[j][l] + (bias ? bias[k] : 0.0f);
        }
    }
}

torch::Tensor conv1d(torch::Tensor input, torch::Tensor weight,
                     std::optional<torch::Tensor> bias = std::nullopt, int64_t stride = 1,
                     int64_t padding = 0, int64_t dilation = 1) {
    const Conv1d size = conv1d_sizes(input, weight, bias, stride, padding, dilation);
    TORCH_CHECK(
        int64_t(size.C) * size.L + dilation * (size.S - 1) <= INT_MAX && size.N * size.Q <= INT_MAX - COLUMNS,
        "channels, padding and output are too large for int offsets");
    const int64_t taps = (int64_t(size.C) * size.S + TAPS - 1) / TAPS * TAPS;
    const int64_t blocks_k = ceil_div(size.K, TILE_K), weights = blocks_k * TILE_K * taps;
    TORCH_CHECK(weights <= INT_MAX, "the packed weights have over 2^31 - 1 elements: int indices overflow");
    const c10::cuda::CUDAGuard guard(input.device());
    auto output = torch::empty({size.N, size.K, size.Q}, input.options());
    if (size.N == 0) return output;  // CUDA refuses to launch a grid without blocks

    auto packed = torch::empty({weights}, input.options());
    auto table = torch::empty({taps, 2}, input.options().dtype(torch::kInt32));
    auto* entries = reinterpret_cast<int2*>(table.data_ptr<int>());
    const auto stream = at::cuda::getCurrentCUDAStream();
    const dim3 block(8, 8), blocks = grid_of(taps / 8, blocks_k * TILE_K / 8, 1);
    prepare<<<blocks, block, 0, stream>>>(weight.data_ptr<float>(), packed.data_ptr<float>(), entries, size,
                                          taps);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
    const dim3 grid = grid_of(ceil_div(size.N * size.Q, COLUMNS) * blocks_k, 1, 1);
    conv1d_gemm<<<grid, THREADS, 0, stream>>>(
        input.data_ptr<float>(), reinterpret_cast<const float4*>(packed.data_ptr<float>()), entries,
        data_or_null(bias), output.data_ptr<float>(), size, taps);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
    return output;
}
