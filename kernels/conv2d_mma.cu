// Implicit GEMM on tensor cores, by the instructions themselves (mma.sync, ldmatrix, cp.async), for
// channels_last tensors: float32 (rounded to TF32) or bfloat16, sums in float. A block computes TILE_M pixels
// (n, p, q in a row) x TILE_N output channels. It walks over r, s and c, c fastest, in steps of PIECES pieces
// of 16 bytes: as channels lie side by side, a piece of a pixel or of a filter is one cp.async, and one row
// of one matrix of ldmatrix. STAGES steps are under way: while the warps multiply one, the copies of the next
// ones arrive behind their backs, without passing through registers.
//
// Measured on an H200, 2026-11-21, weights' rounding included; cuDNN's best of both layouts in brackets:
// TF32: vgg_conv2 0.355 ms (0.247), resnet_3x3_56 0.102 (0.079), _28 0.088 (0.067), _14 0.081 (0.053),
// _7 0.095 (0.052), pointwise 0.110 (0.080), alexnet_conv1 0.715 (1.283), resnet_conv1 0.267 (0.402). BF16:
// vgg_conv2 0.198 (0.128), _56 0.055 (0.045), _28 0.045 (0.034), _14 0.042 (0.031), _7 0.046 (0.032),
// pointwise 0.066 (0.041). vgg_conv2 in TF32 without the swizzle of place(): 3.4 times the time.
#include <cmath>
#include "channels_last.h"

__device__ __forceinline__ void multiply(float, float (&sum)[4], const uint32_t (&a)[4], uint32_t b0,
                                         uint32_t b1) {
    mma_tf32(sum, a, b0, b1);
}
__device__ __forceinline__ void multiply(bf16, float (&sum)[4], const uint32_t (&a)[4], uint32_t b0,
                                         uint32_t b1) {
    mma_bf16(sum, a, b0, b1);
}

// The multiplier would cut a float's last 13 bits off; rounded first, its error is smaller and has no
// direction.
__device__ __forceinline__ void round_matrices(float, uint32_t (&a)[4]) {
#pragma unroll
    for (int i = 0; i < 4; ++i) a[i] = to_tf32(__uint_as_float(a[i]));
}
__device__ __forceinline__ void round_matrices(bf16, uint32_t (&)[4]) {}

// The weights, and an input that has to be copied anyway, are rounded before the product.
struct Rounded {
    __device__ float operator()(float x) const { return __uint_as_float(to_tf32(x)); }
    __device__ bf16 operator()(bf16 x) const { return x; }
};

__device__ __forceinline__ void put(float* to, float x, float y) { *reinterpret_cast<float2*>(to) = {x, y}; }
__device__ __forceinline__ void put(bf16* to, float x, float y) {
    *reinterpret_cast<__nv_bfloat162*>(to) = __floats2bfloat162_rn(x, y);
}

// A warp's sums to the output: through shared memory (`staged`, the warp's own), where the stages were, to be
// stored in whole rows, 16 bytes a lane.
template <int WARP_M, int WARP_N, class T>
__device__ __forceinline__ void store_tile(const float (&sum)[WARP_M / 16][WARP_N / 8][4], const T* bias,
                                           T* output, T* staged, int first_m, int M, int first_k, int K) {
    constexpr int PITCH = WARP_N + 8, PER_PIECE = 16 / sizeof(T);
    const int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
    __syncthreads();  // nobody reads the stages any more
#pragma unroll
    for (int l = 0; l < WARP_N / 8; ++l) {
        const int k = first_k + l * 8 + 2 * t;
        const float b0 = bias && k < K ? float(bias[k]) : 0.0f;
        const float b1 = bias && k + 1 < K ? float(bias[k + 1]) : 0.0f;
#pragma unroll
        for (int j = 0; j < WARP_M / 8; ++j)
            put(staged + (j * 8 + g) * PITCH + l * 8 + 2 * t, sum[j / 2][l][j % 2 * 2] + b0,
                sum[j / 2][l][j % 2 * 2 + 1] + b1);
    }
    __syncwarp();
    const int step = K % PER_PIECE == 0 ? PER_PIECE : 1;
#pragma unroll 8
    for (int i = lane * step; i < WARP_M * WARP_N; i += 32 * step) {
        const int y = i / WARP_N, x = i % WARP_N, m = first_m + y, k = first_k + x;
        if (m >= M || k >= K) continue;
        if (step > 1)
            *reinterpret_cast<uint4*>(output + m * K + k) =
                *reinterpret_cast<const uint4*>(staged + y * PITCH + x);
        else
            output[m * K + k] = staged[y * PITCH + x];
    }
}

template <class T, int TILE_M, int TILE_N, int WARPS_M, int WARPS_N, int STAGES, int RESIDENT>
__global__ void __launch_bounds__(32 * WARPS_M * WARPS_N, RESIDENT)
    conv2d_mma(const uint4* __restrict__ input, const uint4* __restrict__ weight, const T* __restrict__ bias,
               T* __restrict__ output, Conv2d size, int pieces, int steps) {
    const auto [N, C, H, W, K, R, S, P, Q, stride, padding, dilation] = size;
    constexpr int THREADS = 32 * WARPS_M * WARPS_N;
    constexpr int ROWS = THREADS / PIECES;  // rows that the block copies at once
    constexpr int M_COPIES = TILE_M / ROWS, N_COPIES = TILE_N / ROWS, STAGE = (TILE_M + TILE_N) * PIECES;
    constexpr int WARP_M = TILE_M / WARPS_M, WARP_N = TILE_N / WARPS_N, SUBSTEPS = PIECES / 2;
    extern __shared__ uint4 stages[];  // STAGES times: TILE_M rows of the input, TILE_N of the weights
    __shared__ Row rows[TILE_M];
    const int tiles_n = (K + TILE_N - 1) / TILE_N, M = N * P * Q;
    const int block_m = blockIdx.x / tiles_n * TILE_M, block_n = blockIdx.x % tiles_n * TILE_N;

    for (int i = threadIdx.x; i < TILE_M; i += THREADS) rows[i] = row_of(block_m + i, size, pieces);
    __syncthreads();

    // What this thread copies: its piece of every ROWS-th row.
    const int piece = threadIdx.x % PIECES, row = threadIdx.x / PIECES;
    Row mine[M_COPIES];
#pragma unroll
    for (int i = 0; i < M_COPIES; ++i) mine[i] = rows[row + i * ROWS];
    const int filter_pieces = R * S * pieces, filters = K - block_n - row;  // filters from this row on
    const uint4* const filter = weight + size_t(block_n + row) * filter_pieces;
    uint4* const to = stages + place(row, piece);
    int c = piece % pieces, s = piece / pieces % S, r = piece / pieces / S;  // the next piece to copy
    const auto copy_part = [&](int stage, int part, int parts) {
        const unsigned offset = unsigned(r * size.W + s) * size.dilation * pieces + c;
        const unsigned tap = 1u << min(r, MOST_TAPS) | 1u << 16 << s;
#pragma unroll
        for (int i = M_COPIES * part / parts; i < M_COPIES * (part + 1) / parts; ++i)
            copy_async<16>(to + stage + i * ROWS * PIECES, input + (mine[i].begin + offset),
                           (mine[i].outside & tap) == 0);
        const uint4* from = filter + ((r * size.S + s) * pieces + c);
        const int left = r < size.R ? filters : 0;
#pragma unroll
        for (int i = N_COPIES * part / parts; i < N_COPIES * (part + 1) / parts; ++i)
            copy_async<16>(to + stage + (TILE_M + i * ROWS) * PIECES, from + size_t(i * ROWS) * filter_pieces,
                           i * ROWS < left);
    };
    const auto end_copies = [&] {
        commit_copies();
        for (c += PIECES; c >= pieces; c -= pieces)
            if (++s == size.S) s = 0, ++r;
    };

    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const int warp_m = warp / WARPS_N * WARP_M, warp_n = warp % WARPS_N * WARP_N;
    const uint4* const a_row = stages + (warp_m + lane % 16) * PIECES;
    const uint4* const b_row = stages + (TILE_M + warp_n + lane / 16 * 8 + lane % 8) * PIECES;
    const int a_piece = lane / 16 ^ lane % 8, b_piece = lane / 8 % 2 ^ lane % 8;
    uint32_t a[2][WARP_M / 16][4], b[2][WARP_N / 16][4];  // one is loaded while the other is multiplied
    const auto load_substep = [&](int buffer, int stage, int substep) {
#pragma unroll
        for (int i = 0; i < WARP_M / 16; ++i)
            load_matrices(a[buffer][i], a_row + stage + i * 16 * PIECES + (2 * substep ^ a_piece));
#pragma unroll
        for (int j = 0; j < WARP_N / 16; ++j)
            load_matrices(b[buffer][j], b_row + stage + j * 16 * PIECES + (2 * substep ^ b_piece));
    };

#pragma unroll
    for (int i = 0; i < STAGES - 1; ++i) {
        copy_part(i * STAGE, 0, 1);
        end_copies();
    }
    wait_for_copies<STAGES - 2>();
    __syncthreads();
    load_substep(0, 0, 0);
    float sum[WARP_M / 16][WARP_N / 8][4] = {};
    int current = 0, free = (STAGES - 1) * STAGE;
    for (int step = 0; step < steps; ++step) {
#pragma unroll
        for (int i = 0; i < SUBSTEPS; ++i) {
            if (i == SUBSTEPS - 1) {
                end_copies();
                wait_for_copies<STAGES - 2>();  // the next step's have arrived,
                __syncthreads();                // everybody's, and nobody reads the current stage any more
                free = current;
                current = current == (STAGES - 1) * STAGE ? 0 : current + STAGE;
            } else {
                copy_part(free, i, SUBSTEPS - 1);
            }
            load_substep((i + 1) % 2, current, (i + 1) % SUBSTEPS);
#pragma unroll
            for (int j = 0; j < WARP_M / 16; ++j) round_matrices(T(), a[i % 2][j]);
#pragma unroll
            for (int j = 0; j < WARP_M / 16; ++j)
#pragma unroll
                for (int l = 0; l < WARP_N / 8; ++l)
                    multiply(T(), sum[j][l], a[i % 2][j], b[i % 2][l / 2][l % 2 * 2],
                             b[i % 2][l / 2][l % 2 * 2 + 1]);
        }
    }
    wait_for_copies<0>();  // of zeros, past the last step

    store_tile<WARP_M, WARP_N>(sum, bias, output, reinterpret_cast<T*>(stages) + warp * WARP_M * (WARP_N + 8),
                               block_m + warp_m, M, block_n + warp_n, K);
}

template <class T>
struct Tile {
    decltype(&conv2d_mma<T, 64, 64, 2, 2, 4, 3>) kernel;
    int m, n, threads, bytes;
    int resident;  // blocks an SM
    double rate;   // outputs x steps that a full SM does in a microsecond, about, on an H200
};

template <class T, int M, int N, int WARPS_M, int WARPS_N, int STAGES, int RESIDENT>
constexpr Tile<T> tile(double rate) {
    return {conv2d_mma<T, M, N, WARPS_M, WARPS_N, STAGES, RESIDENT>,
            M,
            N,
            32 * WARPS_M * WARPS_N,
            STAGES * (M + N) * PIECES * 16,
            RESIDENT,
            rate};
}

constexpr int TILES = 5;
template <class T>
constexpr Tile<T> TABLE[TILES] = {
    tile<T, 256, 64, 4, 1, 2, 2>(23e3),    tile<T, 128, 128, 2, 2, 3, 2>(24e3),
    tile<T, 192, 128, 4, 2, 4, 1>(22.5e3), tile<T, 96, 128, 2, 2, 4, 2>(23.5e3),
    tile<T, 64, 64, 2, 2, 4, 3>(15e3),
};

int64_t tiles() { return TILES; }

// The tile that should take the least time. Blocks come in turns that fill the SMs; in the last one an SM
// may have fewer of them, and is slower then, but not by as much.
template <class T>
static int fastest_tile(int M, int K, int steps) {
    const int sms = multiprocessors(), most = most_shared_bytes();
    int best = -1;
    double least = INFINITY;
    for (int i = 0; i < TILES; ++i) {
        const auto& tile = TABLE<T>[i];
        const int64_t blocks = int64_t(ceil_div(M, tile.m)) * ceil_div(K, tile.n);
        const int64_t places = sms * tile.resident, left = blocks % places;
        const double last_turn = std::pow(double((left + sms - 1) / sms) / tile.resident, 0.6);
        const double outputs = (blocks / places + last_turn) * tile.resident * tile.m * tile.n;
        const double time = outputs * (steps + 4) / tile.rate;
        if (tile.bytes <= most && time < least) least = time, best = i;
    }
    TORCH_CHECK(best >= 0, "no tile fits into this GPU's shared memory");
    return best;
}

template <class T>
static void launch(const torch::Tensor& input, const torch::Tensor& weight,
                   const std::optional<torch::Tensor>& bias, torch::Tensor& output, const Conv2d& size,
                   int only) {
    constexpr int PER_PIECE = 16 / sizeof(T);
    const auto stream = at::cuda::getCurrentCUDAStream();
    const int pieces = ceil_div(size.C, PER_PIECE), steps = ceil_div(size.R * size.S * pieces, PIECES);
    const int M = size.N * size.P * size.Q;
    const auto x = packed<Rounded, T>(input, false, stream);
    const auto w = packed<Rounded, T>(weight, sizeof(T) == 4, stream);
    const T* const b = bias ? static_cast<const T*>(bias->data_ptr()) : nullptr;
    const Tile<T>& tile = TABLE<T>[only < 0 ? fastest_tile<T>(M, size.K, steps) : only];
    const auto kernel = tile.kernel;
    const int bytes = shared_bytes(kernel, tile.bytes, "this tile");
    const dim3 grid = grid_of(int64_t(ceil_div(M, tile.m)) * ceil_div(size.K, tile.n), 1, 1);
    kernel<<<grid, tile.threads, bytes, stream>>>(static_cast<const uint4*>(x.data_ptr()),
                                                  static_cast<const uint4*>(w.data_ptr()), b,
                                                  static_cast<T*>(output.data_ptr()), size, pieces, steps);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
}

torch::Tensor conv2d(torch::Tensor input, torch::Tensor weight,
                     std::optional<torch::Tensor> bias = std::nullopt, int64_t stride = 1,
                     int64_t padding = 0, int64_t dilation = 1, int64_t tile = -1) {
    const Conv2d size = channels_last_sizes(input, weight, bias, stride, padding, dilation);
    TORCH_CHECK(tile >= -1 && tile < TILES, "tile must be -1 to ", TILES - 1);
    const c10::cuda::CUDAGuard guard(input.device());
    require_sm(80, "conv2d_mma");
    auto output = channels_last_output(size, input);
    if (size.N == 0) return output;  // CUDA refuses to launch a grid without blocks

    if (input.scalar_type() == torch::kFloat32)
        launch<float>(input, weight, bias, output, size, int(tile));
    else
        launch<bf16>(input, weight, bias, output, size, int(tile));
    return output;
}
