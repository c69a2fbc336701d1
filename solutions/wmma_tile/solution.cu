// conv1d on tensor cores, by WMMA, in TF32: a block computes TILE_K channels x COLUMNS outputs, with four
// warps of 32 x 32. In shared memory a channel, and an output, is a row of taps.
#include "conv.h"
#include <mma.h>

constexpr int THREADS = 128;     // of a block: 4 warps, 2 along channels x 2 along outputs
constexpr int TILE_K = 64;       // channels of a block
constexpr int COLUMNS = 64;      // outputs of a block: (n, q) in a row
constexpr int TAPS = 16;         // taps multiplied between two barriers
constexpr int PITCH = TAPS + 4;  // floats from row to row of filters and inputs
constexpr int PITCH_SUMS = COLUMNS + 4;

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
namespace wmma = nvcuda::wmma;
using Sums = wmma::fragment<wmma::accumulator, 16, 16, 8, float>;  // 16 channels x 16 outputs

__global__ void __launch_bounds__(THREADS)
    conv1d_wmma(const float* __restrict__ input, const float* __restrict__ weight,
                const float* __restrict__ bias, float* __restrict__ output, Conv1d size) {
    const auto [N, C, L, K, S, Q, stride, padding, dilation] = size;
    __shared__ __align__(32) float filters[TILE_K][PITCH], inputs[COLUMNS][PITCH];
    __shared__ __align__(32) float sums[TILE_K][PITCH_SUMS];
    const int thread = threadIdx.x, warp = thread / 32;
    const int warp_k = warp % 2 * 32, warp_column = warp / 2 * 32;
    const int block_k = blockIdx.y * TILE_K, block_column = blockIdx.x * COLUMNS;
    const int taps = C * S, columns = N * Q;

    Sums sum[2][2];  // of channels warp_k + 16 j on, outputs warp_column + 16 l on
    // >>> gap (2 lines): nothing has been summed yet
    for (auto& row : sum)
        for (auto& piece : row) wmma::fill_fragment(piece, 0.0f);
    // <<< gap
    for (int first_tap = 0; first_tap < taps; first_tap += TAPS) {
        const int i = thread % TAPS, tap = first_tap + i, c = tap / S, s = tap % S;
        for (int row = thread / TAPS; row < TILE_K; row += THREADS / TAPS) {
            const int k = block_k + row;
            filters[row][i] = k < K && tap < taps ? weight[k * taps + tap] : 0.0f;
        }
        for (int row = thread / TAPS; row < COLUMNS; row += THREADS / TAPS) {
            const int column = min(block_column + row, columns - 1), n = column / Q;
            const int l = column % Q * stride - padding + s * dilation;
            // >>> gap (2 lines): the input of this output and tap, or 0 where there is none
            const bool inside = tap < taps && l >= 0 && l < L;
            inputs[row][i] = inside ? input[(n * C + c) * L + l] : 0.0f;
            // <<< gap
        }
        __syncthreads();

        // >>> gap (13 lines): for each 8 taps: load the pieces, round them to TF32, multiply
        wmma::fragment<wmma::matrix_a, 16, 16, 8, wmma::precision::tf32, wmma::row_major> w;
        wmma::fragment<wmma::matrix_b, 16, 16, 8, wmma::precision::tf32, wmma::col_major> x[2];
        for (int t = 0; t < TAPS; t += 8) {
            for (int l = 0; l < 2; ++l) {
                wmma::load_matrix_sync(x[l], &inputs[warp_column + 16 * l][t], PITCH);
                for (auto& value : x[l].x) value = wmma::__float_to_tf32(value);
            }
            for (int j = 0; j < 2; ++j) {
                wmma::load_matrix_sync(w, &filters[warp_k + 16 * j][t], PITCH);
                for (auto& value : w.x) value = wmma::__float_to_tf32(value);
                for (int l = 0; l < 2; ++l) wmma::mma_sync(sum[j][l], w, x[l], sum[j][l]);
            }
        }
        // <<< gap
        __syncthreads();
    }
    for (int j = 0; j < 2; ++j)
        for (int l = 0; l < 2; ++l) {
            float* to = &sums[warp_k + 16 * j][warp_column + 16 * l];
            // >>> gap (1 line): store this piece
            wmma::store_matrix_sync(to, sum[j][l], PITCH_SUMS, wmma::mem_row_major);
            // <<< gap
        }
    __syncthreads();
    const int column = block_column + thread % COLUMNS;
    for (int row = thread / COLUMNS; row < TILE_K; row += THREADS / COLUMNS) {
        const int k = block_k + row;
        if (k < K && column < columns)
            output[(column / Q * K + k) * Q + column % Q] =
                sums[row][thread % COLUMNS] + (bias ? bias[k] : 0.0f);
    }
}
#else  // an older GPU: the launcher has refused
__global__ void conv1d_wmma(const float*, const float*, const float*, float*, Conv1d) {}
#endif

torch::Tensor conv1d(torch::Tensor input, torch::Tensor weight,
                     std::optional<torch::Tensor> bias = std::nullopt, int64_t stride = 1,
                     int64_t padding = 0, int64_t dilation = 1) {
    const Conv1d size = conv1d_sizes(input, weight, bias, stride, padding, dilation);
    TORCH_CHECK(int64_t(size.N) * size.Q <= INT_MAX - COLUMNS && int64_t(size.C) * size.S <= INT_MAX - TAPS,
                "too many outputs or taps: int indices overflow");
    const c10::cuda::CUDAGuard guard(input.device());
    require_sm(80, "TF32 on tensor cores");
    auto output = torch::empty({size.N, size.K, size.Q}, input.options());
    if (size.N == 0) return output;  // CUDA refuses to launch a grid without blocks

    const dim3 grid = grid_of(ceil_div(size.N * size.Q, COLUMNS), ceil_div(size.K, TILE_K), 1);
    conv1d_wmma<<<grid, THREADS, 0, at::cuda::getCurrentCUDAStream()>>>(
        input.data_ptr<float>(), weight.data_ptr<float>(), data_or_null(bias), output.data_ptr<float>(),
        size);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
    return output;
}
