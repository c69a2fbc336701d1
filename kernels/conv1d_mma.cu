// conv1d on tensor cores
#include "conv.h"
#include "ptx.h"

#ifndef MT
#define MT 4
#define NT 4
#define WM 4
#define WK 4
#define NS 4
#endif
constexpr int M_TILES = MT, N_TILES = NT;  // of a warp: of 16 outputs and of 8 channels
constexpr int WARPS_M = WM, WARPS_K = WK;  // of a block: along the outputs and along the channels
constexpr int WARPS = WARPS_M * WARPS_K, THREADS = 32 * WARPS;
constexpr int TILE_Q = 16 * M_TILES * WARPS_M, TILE_K = 8 * N_TILES * WARPS_K;
constexpr int DEPTH = 8;                 // input channels of a stage, and of an mma
constexpr int PITCH = 16 * M_TILES + 4;  // floats from channel to channel where the outputs change places

struct Tile {
    int l, pitch;  // elements of a channel that are staged, and floats from channel to channel
    int shift;     // elements left of the first that is needed, so that copies of 16 bytes are aligned
    bool vectors;  // whether 16 bytes can be copied at a time
};

// The weights in the order in which lanes want them: for 8 channels and a tap, 4 neighbouring words a lane.
__global__ void pack(const float* __restrict__ weight, uint32_t* __restrict__ packed, Conv1d size, int count) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    const int chunks = (size.C + DEPTH - 1) / DEPTH, lane = i / 4 % 32, pairs = TILE_K / 16;
    const int s = i / 128 / pairs % size.S, chunk = i / 128 / pairs / size.S % chunks;
    const int block = i / 128 / pairs / size.S / chunks;
    const int k = block * TILE_K + i / 128 % pairs * 16 + i % 4 / 2 * 8 + lane / 4;
    const int c = chunk * DEPTH + i % 2 * 4 + lane % 4;
    packed[i] = k < size.K && c < size.C ? to_tf32(weight[(k * size.C + c) * size.S + s]) : 0;
}

// RESIDENT: the block's weights stay in shared memory, for all its tiles.
template <int STAGES, bool RESIDENT>
__global__ void __launch_bounds__(THREADS)
    conv1d_mma(const float* __restrict__ input, const uint4* __restrict__ packed, const float* __restrict__ bias,
               float* __restrict__ output, Conv1d size, Tile tile) {
    const auto [N, C, L, K, S, Q, stride, padding, dilation] = size;
    const int lane = threadIdx.x, warp = threadIdx.y, g = lane / 4, t = lane % 4;
    const int warp_m = warp % WARPS_M, warp_k = warp / WARPS_M, block_k = blockIdx.y * TILE_K;
    const int chunks = (C + DEPTH - 1) / DEPTH, blocks_q = (Q + TILE_Q - 1) / TILE_Q, tiles = N * blocks_q;
    extern __shared__ float4 shared[];
    float* stages = reinterpret_cast<float*>(shared);  // STAGES x DEPTH x pitch
    float* turned = stages + STAGES * DEPTH * tile.pitch + warp * 8 * PITCH;
    uint4* resident = reinterpret_cast<uint4*>(stages + STAGES * DEPTH * tile.pitch + WARPS * 8 * PITCH);

    packed += blockIdx.y * chunks * S * (TILE_K / 16) * 32;
    if (RESIDENT)
        for (int i = warp * 32 + lane; i < chunks * S * (TILE_K / 16) * 32; i += THREADS)
            copy_async<16>(resident + i, packed + i);

    // The block's stages, one after another, through all its tiles: the copies run ahead of the arithmetic.
    constexpr int LANES = THREADS / DEPTH;  // that copy a channel
    const int row = (warp * 32 + lane) / LANES, column = (warp * 32 + lane) % LANES;
    int next_tile = blockIdx.x, next_chunk = 0, next_stage = 0;
    auto start = [&]() {
        if (next_tile < tiles) {
            const int C = size.C, L = size.L, c = next_chunk * DEPTH + row, n = next_tile / blocks_q;
            const int left = next_tile % blocks_q * TILE_Q * size.stride - size.padding - tile.shift;
            const float* from = input + (c < C ? (n * C + c) * L : 0);
            float* to = stages + (next_stage * DEPTH + row) * tile.pitch;
            if (tile.vectors)
#pragma unroll 4
                for (int x = column * 4; x < tile.l; x += 4 * LANES) {
                    const bool inside = c < C && left + x >= 0 && left + x < L;
                    copy_async<16>(to + x, from + (inside ? left + x : 0), inside);
                }
            else
                for (int x = column; x < tile.l; x += LANES) {
                    const bool inside = c < C && left + x >= 0 && left + x < L;
                    copy_async<4>(to + x, from + (inside ? left + x : 0), inside);
                }
            if (++next_chunk == chunks) next_chunk = 0, next_tile += gridDim.x;
            if (++next_stage == STAGES) next_stage = 0;
        }
        commit_copies();
    };
    for (int i = 0; i < STAGES - 1; ++i) start();

    int now = 0;  // the stage
    for (int t_index = blockIdx.x; t_index < tiles; t_index += gridDim.x) {
        const uint4* weights = (RESIDENT ? resident : packed) + warp_k * N_TILES / 2 * 32 + lane;
        float sum[M_TILES][N_TILES][4] = {};
        for (int chunk = 0; chunk < chunks; ++chunk) {
            wait_for_copies<STAGES - 2>();
            float* stage = stages + now * DEPTH * tile.pitch;
            if (++now == STAGES) now = 0;
#ifndef ROUND_AT_USE
            float* own = stage + row * tile.pitch;  // what this thread has copied
            if (tile.vectors)
#pragma unroll 4
                for (int x = column * 4; x < tile.l; x += 4 * LANES) {
                    const float4 v = *reinterpret_cast<float4*>(own + x);
                    *reinterpret_cast<uint4*>(own + x) = {to_tf32(v.x), to_tf32(v.y), to_tf32(v.z), to_tf32(v.w)};
                }
            else
                for (int x = column; x < tile.l; x += LANES) reinterpret_cast<uint32_t*>(own)[x] = to_tf32(own[x]);
#endif
            __syncthreads();
            start();
            const float* first = stage + t * tile.pitch + (warp_m * 16 * M_TILES + g) * stride + tile.shift;
            for (int s = 0; s < S; ++s, first += dilation, weights += TILE_K / 16 * 32) {
                uint4 b[N_TILES / 2];
#pragma unroll
                for (int j = 0; j < N_TILES / 2; ++j) b[j] = weights[j * 32];
#pragma unroll
                for (int m = 0; m < M_TILES; ++m) {
                    uint32_t a[4];
#pragma unroll
                    for (int i = 0; i < 4; ++i) {
                        const float v = first[i / 2 * 4 * tile.pitch + (2 * m + i % 2) * 8 * stride];
#ifdef ROUND_AT_USE
                        a[i] = to_tf32(v);
#else
                        a[i] = __float_as_uint(v);
#endif
                    }
#pragma unroll
                    for (int j = 0; j < N_TILES / 2; ++j) {
                        mma_tf32(sum[m][2 * j], a, b[j].x, b[j].y);
                        mma_tf32(sum[m][2 * j + 1], a, b[j].z, b[j].w);
                    }
                }
            }
        }
        const int n = t_index / blocks_q, warp_q = t_index % blocks_q * TILE_Q + warp_m * 16 * M_TILES;
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
#pragma unroll
            for (int c = 0; c < 8; ++c) {
                const int k = block_k + (warp_k * N_TILES + i) * 8 + c;
                const float b = bias && k < K ? bias[k] : 0.0f;
#pragma unroll
                for (int x = lane; x < 16 * M_TILES; x += 32) {
                    const int q = warp_q + x;
#ifdef STREAM
                    if (k < K && q < Q) __stcs(output + (n * K + k) * Q + q, turned[c * PITCH + x] + b);
#else
                    if (k < K && q < Q) output[(n * K + k) * Q + q] = turned[c * PITCH + x] + b;
#endif
                }
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
    TORCH_CHECK(count <= INT_MAX, "the filters have over 2^31 - 1 elements when padded: int indices overflow");
    auto packed = torch::empty({count}, weight.options());
    const auto stream = at::cuda::getCurrentCUDAStream();
    pack<<<ceil_div(count, 256), 256, 0, stream>>>(weight.data_ptr<float>(),
                                                   reinterpret_cast<uint32_t*>(packed.data_ptr<float>()), size, count);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
    const int64_t stage = DEPTH * pitch * sizeof(float), turn = WARPS * 8 * PITCH * sizeof(float);
    const int64_t kept = count / blocks_k * sizeof(float);
    int device = 0, multiprocessors = 0;
    C10_CUDA_CHECK(cudaGetDevice(&device));
    C10_CUDA_CHECK(cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device));
    const bool fits = NS * stage + turn + kept <= 227 * 1024;
    const auto kernel = fits ? conv1d_mma<NS, true> : conv1d_mma<2, false>;
    const int bytes = shared_bytes(kernel, fits ? NS * stage + turn + kept : 2 * stage + turn, "two stages of the window");
    const int64_t tiles = int64_t(size.N) * ceil_div(size.Q, TILE_Q);
    TORCH_CHECK(tiles <= INT_MAX, "too many tiles");
    const dim3 grid = grid_of(std::min<int64_t>(tiles, ceil_div(multiprocessors, blocks_k)), blocks_k, 1);
    kernel<<<grid, dim3(32, WARPS), bytes, stream>>>(input.data_ptr<float>(),
                                                     reinterpret_cast<const uint4*>(packed.data_ptr<float>()),
                                                     data_or_null(bias), output.data_ptr<float>(), size, tile);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
    return output;
}
