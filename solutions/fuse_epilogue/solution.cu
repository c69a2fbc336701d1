// A 1x1 layer with its bias and its ReLU in one kernel, by WMMA, in TF32: output = max(weight input + bias,
// 0). A block computes TILE_K channels x PIXELS pixels of one image, a warp 16 x 64 of them.
#include "conv.h"
#include <mma.h>

constexpr int WARPS = 4, THREADS = 32 * WARPS;
constexpr int TILE_K = 16 * WARPS;   // channels of a block, 16 a warp
constexpr int PIXELS = 64;           // of a block: four pieces of 16
constexpr int STEP = 16;             // input channels multiplied between two barriers
constexpr int PITCH = PIXELS + 8;    // floats from row to row of filters and inputs
constexpr int PITCH_PIECE = 16 + 4;  // floats from row to row of a piece of the sums

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
namespace wmma = nvcuda::wmma;
using Weights = wmma::fragment<wmma::matrix_a, 16, 16, 8, wmma::precision::tf32, wmma::col_major>;
using Inputs = wmma::fragment<wmma::matrix_b, 16, 16, 8, wmma::precision::tf32, wmma::row_major>;
using Sums = wmma::fragment<wmma::accumulator, 16, 16, 8, float>;

__global__ void __launch_bounds__(THREADS)
    pointwise_relu(const float* __restrict__ input, const float* __restrict__ weight,
                   const float* __restrict__ bias, float* __restrict__ output, int C, int K, int pixels) {
    __shared__ __align__(32) float filters[STEP][PITCH], inputs[STEP][PITCH];
    __shared__ __align__(32) float pieces[WARPS][16][PITCH_PIECE];  // one for each warp
    const int thread = threadIdx.x, warp = thread / 32, lane = thread % 32;
    const int first_pixel = blockIdx.x * PIXELS, block_k = blockIdx.y * TILE_K, n = blockIdx.z;
    input += n * C * pixels;
    output += n * K * pixels;

    Sums sum[PIXELS / 16];
    for (auto& piece : sum) wmma::fill_fragment(piece, 0.0f);
    for (int first_c = 0; first_c < C; first_c += STEP) {
        for (int i = thread; i < STEP * PIXELS; i += THREADS) {
            const int row = i / PIXELS, column = i % PIXELS, c = first_c + row, pixel = first_pixel + column;
            const bool inside = c < C && pixel < pixels;
            inputs[row][column] = wmma::__float_to_tf32(inside ? input[c * pixels + pixel] : 0.0f);
        }
        for (int i = thread; i < STEP * TILE_K; i += THREADS) {
            const int row = i % STEP, column = i / STEP, c = first_c + row, k = block_k + column;
            filters[row][column] = wmma::__float_to_tf32(c < C && k < K ? weight[k * C + c] : 0.0f);
        }
        __syncthreads();
        for (int i = 0; i < STEP; i += 8) {
            Weights w;
            wmma::load_matrix_sync(w, &filters[i][warp * 16], PITCH);
            for (int l = 0; l < PIXELS / 16; ++l) {
                Inputs x;
                wmma::load_matrix_sync(x, &inputs[i][l * 16], PITCH);
                wmma::mma_sync(sum[l], w, x, sum[l]);
            }
        }
        __syncthreads();
    }
    // A warp's pieces of 16 channels x 16 pixels, one after the other, through its own 16 rows of `pieces`.
    float (&piece)[16][PITCH_PIECE] = pieces[warp];
    for (int l = 0; l < PIXELS / 16; ++l) {
        // >>> gap (9 lines): the piece to shared memory; from there, with bias and ReLU, to the output
        wmma::store_matrix_sync(&piece[0][0], sum[l], PITCH_PIECE, wmma::mem_row_major);
        __syncwarp();
        const int pixel = first_pixel + l * 16 + lane % 16;
        for (int row = lane / 16; row < 16; row += 2) {
            const int k = block_k + warp * 16 + row;
            if (k < K && pixel < pixels)
                output[k * pixels + pixel] = fmaxf(piece[row][lane % 16] + bias[k], 0.0f);
        }
        __syncwarp();
        // <<< gap
    }
}
#else  // an older GPU: the launcher has refused
__global__ void pointwise_relu(const float*, const float*, const float*, float*, int, int, int) {}
#endif

torch::Tensor pointwise(torch::Tensor input, torch::Tensor weight, torch::Tensor bias) {
    const Conv2d size = conv2d_sizes(input, weight, bias, 1, 0, 1);
    TORCH_CHECK(size.R == 1 && size.S == 1, "the filters must be 1 x 1");
    const c10::cuda::CUDAGuard guard(input.device());
    require_sm(80, "TF32 on tensor cores");
    auto output = torch::empty({size.N, size.K, size.P, size.Q}, input.options());
    if (size.N == 0) return output;  // CUDA refuses to launch a grid without blocks

    const int pixels = size.P * size.Q;
    const dim3 grid = grid_of(ceil_div(pixels, PIXELS), ceil_div(size.K, TILE_K), size.N);
    pointwise_relu<<<grid, THREADS, 0, at::cuda::getCurrentCUDAStream()>>>(
        input.data_ptr<float>(), weight.data_ptr<float>(), bias.data_ptr<float>(), output.data_ptr<float>(),
        size.C, size.K, pixels);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
    return output;
}
