// conv1d on tensor cores, in TF32: a warp's lanes read the matrix of outputs x taps out of the staged window,
// as in conv2d_mma_window. The 8 taps of an mma are one tap of 8 input channels: with a pitch of 8 mod 32
// floats lane (g, t) reads bank 8 t + stride g, and no two lanes meet where the stride is odd. A block
// computes 128 output channels, so that the input is read once. Its weights stay in shared memory, the blocks
// stay on their SM, and the input goes by: 8 channels of 384 outputs are computed while the next 8 are
// copied, from one tile into the next.
//
// Measured on an H200, 2026-11-21: conv1d_dilated 4.98 ms, cuDNN in TF32 9.83; 168 registers, 1 block an SM.
// A block a tile, its weights through L1: 9.42 ms. Rounding the inputs to TF32 once, in shared memory, was
// slower than at every use (5.78 ms for 5.36, 16 warps of 64 x 32); storing the sums straight from the
// fragments was 12.2 for 9.99.

#include "conv.h"
#include "ptx.h"

constexpr int M_TILES = 4, N_TILES = 8;  // of a warp: of 16 outputs and of 8 channels
constexpr int WARPS_M = 6, WARPS_K = 2;  // of a block: along the outputs and along the channels
constexpr int WARPS = WARPS_M * WARPS_K, THREADS = 32 * WARPS;
constexpr int TILE_Q = 16 * M_TILES * WARPS_M, TILE_K = 8 * N_TILES * WARPS_K;  // 384 outputs, 128 channels
constexpr int DEPTH = 8;                 // input channels of a stage, and of an mma
constexpr int STAGES = 2;                // in shared memory: one is copied while the other is computed
constexpr int LANES = THREADS / DEPTH;   // that copy a channel
constexpr int PITCH = 16 * M_TILES + 4;  // floats from channel to channel where the outputs change places

struct Tile {
    int l, pitch;  // elements of a channel that are staged, and floats from channel to channel
    int shift;     // elements left of the first that is needed, so that copies of 16 bytes are aligned
    bool vectors;  // whether 16 bytes can be copied at a time
};

// The weights in the order in which lanes want them: for 8 channels and a tap, 4 neighbouring words a lane.
__global__ void pack(const float* __restrict__ weight, uint32_t* __restrict__ packed, Conv1d size,
                     int count) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    const int chunks = (size.C + DEPTH - 1) / DEPTH, lane = i / 4 % 32, pairs = TILE_K / 16;
    const int s = i / 128 / pairs % size.S, chunk = i / 128 / pairs / size.S % chunks;
    const int block = i / 128 / pairs / size.S / chunks;
    const int k = block * TILE_K + i / 128 % pairs * 16 + i % 4 / 2 * 8 + lane / 4;
    const int c = chunk * DEPTH + i % 2 * 4 + lane % 4;
    packed[i] = k < size.K && c < size.C ? to_tf32(weight[(k * size.C + c) * size.S + s]) : 0;
}

// STRIDE is the stride, where the compiler shall know it: the distance of a lane's outputs in the window is
// then part of its load instructions. 0 stands for any. RESIDENT: the block's weights stay in shared memory,
// for all its tiles.
template <int STRIDE, bool RESIDENT>
__global__ void __launch_bounds__(THREADS)
    conv1d_mma(const float* __restrict__ input, const uint4* __restrict__ packed,
               const float* __restrict__ bias, float* __restrict__ output, Conv1d size, Tile tile) {
    const int C = size.C, L = size.L, K = size.K, S = size.S, Q = size.Q;
    const int stride = STRIDE ? STRIDE : size.stride;
    const int lane = threadIdx.x, warp = threadIdx.y, g = lane / 4, t = lane % 4;
    const int warp_m = warp % WARPS_M, warp_k = warp / WARPS_M;
    const int chunks = (C + DEPTH - 1) / DEPTH, blocks_q = (Q + TILE_Q - 1) / TILE_Q;
    const int tiles = size.N * blocks_q, step = TILE_K / 16 * 32;  // uint4 of weights of a chunk and tap
    extern __shared__ float4 shared[];
    float* stages = reinterpret_cast<float*>(shared);  // STAGES x DEPTH x pitch
    float* turned = stages + STAGES * DEPTH * tile.pitch + warp * 8 * PITCH;
    uint4* resident = reinterpret_cast<uint4*>(stages + STAGES * DEPTH * tile.pitch + WARPS * 8 * PITCH);

    packed += blockIdx.y * chunks * S * step;
    if (RESIDENT)
        for (int i = warp * 32 + lane; i < chunks * S * step; i += THREADS)
            copy_async<16>(resident + i, packed + i);

    // The block's stages, one after another, through all its tiles: the copies run ahead of the arithmetic,
    // from one tile into the next.
    const int row = (warp * 32 + lane) / LANES, column = (warp * 32 + lane) % LANES;
    int next_tile = blockIdx.x, next_chunk = 0, next_stage = 0, left = 0;
    const float* next = input;  // where the tile's first channel begins
    auto start = [&]() {
        if (next_tile < tiles) {
            if (next_chunk == 0) {
                left = next_tile % blocks_q * TILE_Q * stride - size.padding - tile.shift;
                next = input + next_tile / blocks_q * C * L;
            }
            const int c = next_chunk * DEPTH + row;
            const float* from = next + min(c, C - 1) * L + left;
            float* to = stages + (next_stage * DEPTH + row) * tile.pitch;
            const bool interior = left >= 0 && left + tile.l <= L && c < C;
            if (tile.vectors && interior) {
                for (int x = column * 4; x < tile.l; x += 4 * 4 * LANES)
#pragma unroll
                    for (int i = 0; i < 4; ++i)
                        if (x + i * 4 * LANES < tile.l)
                            copy_async<16>(to + x + i * 4 * LANES, from + x + i * 4 * LANES);
            } else {
                for (int x = column * 4; x < tile.l; x += 4 * LANES)
                    for (int i = x; i < x + 4; ++i) {
                        const bool inside = c < C && left + i >= 0 && left + i < L;
                        copy_async<4>(to + i, inside ? from + i : input, inside);
                    }
            }
            if (++next_chunk == chunks) next_chunk = 0, next_tile += gridDim.x;
            if (++next_stage == STAGES) next_stage = 0;
        }
        commit_copies();
    };
    for (int i = 0; i < STAGES - 1; ++i) start();

    int now = 0;  // the stage
    for (int at = blockIdx.x; at < tiles; at += gridDim.x) {
        const uint4* weights = (RESIDENT ? resident : packed) + warp_k * N_TILES / 2 * 32 + lane;
        float sum[M_TILES][N_TILES][4] = {};
        for (int chunk = 0; chunk < chunks; ++chunk) {
            wait_for_copies<STAGES - 2>();  // of this thread; after the barrier, of all
            __syncthreads();
            start();  // into the stage that all have done with
            const float* low =
                stages + (now * DEPTH + t) * tile.pitch + (warp_m * 16 * M_TILES + g) * stride + tile.shift;
            const float* high = low + 4 * tile.pitch;
#pragma unroll 1
            for (int s = 0; s < S; ++s) {
                uint4 b[N_TILES / 2];
#pragma unroll
                for (int j = 0; j < N_TILES / 2; ++j) b[j] = weights[j * 32];
                weights += step;
#pragma unroll
                for (int m = 0; m < M_TILES; ++m) {
                    uint32_t a[4];
#pragma unroll
                    for (int i = 0; i < 4; ++i)
                        a[i] = to_tf32((i < 2 ? low : high)[(2 * m + i % 2) * 8 * stride]);
#pragma unroll
                    for (int j = 0; j < N_TILES / 2; ++j) {
                        mma_tf32(sum[m][2 * j], a, b[j].x, b[j].y);
                        mma_tf32(sum[m][2 * j + 1], a, b[j].z, b[j].w);
                    }
                }
                low += size.dilation, high += size.dilation;
            }
            if (++now == STAGES) now = 0;
        }
        // Through shared memory, so that the lanes of a store are neighbours.
        const int q = at % blocks_q * TILE_Q + warp_m * 16 * M_TILES;
#pragma unroll
        for (int i = 0; i < N_TILES; ++i) {
#pragma unroll
            for (int m = 0; m < M_TILES; ++m) {
                float* to = turned + 2 * t * PITCH + m * 16 + g;
                to[0] = sum[m][i][0];
                to[PITCH] = sum[m][i][1];
                to[8] = sum[m][i][2];
                to[PITCH + 8] = sum[m][i][3];
            }
            __syncwarp();
            const int k = blockIdx.y * TILE_K + (warp_k * N_TILES + i) * 8;
            float b[8];
#pragma unroll
            for (int c = 0; c < 8; ++c) b[c] = bias && k + c < K ? bias[k + c] : 0.0f;
#pragma unroll
            for (int x = lane; x < 16 * M_TILES; x += 32) {
                if (q + x >= Q) continue;
                float* to = output + (at / blocks_q * K + k) * Q + q + x;
#pragma unroll
                for (int c = 0; c < 8; ++c)
                    if (k + c < K) to[c * Q] = turned[c * PITCH + x] + b[c];
            }
            __syncwarp();
        }
    }
}

torch::Tensor conv1d(torch::Tensor input, torch::Tensor weight,
                     std::optional<torch::Tensor> bias = std::nullopt, int64_t stride = 1,
                     int64_t padding = 0, int64_t dilation = 1) {
    const Conv1d size = conv1d_sizes(input, weight, bias, stride, padding, dilation);
    const c10::cuda::CUDAGuard guard(input.device());
    require_sm(80, "mma.sync");
    Tile tile{};
    tile.shift = (4 - padding % 4) % 4;
    const int64_t l = (tile.shift + (TILE_Q - 1) * stride + (size.S - 1) * dilation + 1 + 3) / 4 * 4;
    const int64_t bank = stride % 2 ? 8 : 16;
    const int64_t pitch = (l - bank + 31) / 32 * 32 + bank;
    tile.l = l, tile.pitch = pitch;
    tile.vectors = size.L % 4 == 0 && reinterpret_cast<uintptr_t>(input.data_ptr()) % 16 == 0;
    auto output = torch::empty({size.N, size.K, size.Q}, input.options());
    if (size.N == 0) return output;  // CUDA refuses to launch a grid without blocks

    const int blocks_k = ceil_div(size.K, TILE_K);
    const int64_t count = int64_t(blocks_k) * TILE_K * ceil_div(size.C, DEPTH) * DEPTH * size.S;
    TORCH_CHECK(count <= INT_MAX - 256,
                "the filters have over 2^31 - 1 elements when padded: int indices overflow");
    auto packed = torch::empty({count}, weight.options());
    const auto stream = at::cuda::getCurrentCUDAStream();
    pack<<<ceil_div(count, 256), 256, 0, stream>>>(
        weight.data_ptr<float>(), reinterpret_cast<uint32_t*>(packed.data_ptr<float>()), size, count);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
    const int64_t stage = DEPTH * pitch * sizeof(float), turn = WARPS * 8 * PITCH * sizeof(float);
    const int64_t kept = count / blocks_k * sizeof(float);
    const bool fits = STAGES * stage + turn + kept <= most_shared_bytes();
    const auto kernel = !fits         ? conv1d_mma<0, false>
                        : stride == 3 ? conv1d_mma<3, true>
                                      : conv1d_mma<0, true>;
    const int bytes =
        shared_bytes(kernel, STAGES * stage + turn + (fits ? kept : 0), "two stages of the window");
    const int64_t tiles = int64_t(size.N) * ceil_div(size.Q, TILE_Q);
    TORCH_CHECK(tiles <= 1 << 30, tiles, " tiles of ", TILE_Q, " outputs: at most 2^30");
    const dim3 grid = grid_of(std::min<int64_t>(tiles, ceil_div(multiprocessors(), blocks_k)), blocks_k, 1);
    kernel<<<grid, dim3(32, WARPS), bytes, stream>>>(
        input.data_ptr<float>(), reinterpret_cast<const uint4*>(packed.data_ptr<float>()), data_or_null(bias),
        output.data_ptr<float>(), size, tile);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
    return output;
}
