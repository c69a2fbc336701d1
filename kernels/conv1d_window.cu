// conv1d as conv2d_window: a register tile of 16 channels x 7 outputs a thread, a warp's lanes 8
// neighbouring outputs x 4 groups of channels, the products in the order that the register file likes. New:
// two stages in shared memory, so that the next channels are copied behind the arithmetic of these.
// Measured on an H200, 2026-11-21, float32: conv1d_dilated 11.67 ms, 47.1 TFLOP/s (conv1d_registers 17.99,
// cuDNN 14.54); 168 registers, 3 blocks an SM. Slower, each against the version of its time: 16 x 8 outputs
// a thread (12.73 ms against 11.83: the registers run out), 16 x 6 (12.37 against 11.58), 8 channels a stage
// in place of 12 (12.00 against 11.58), one stage in place of two (12.78 against 12.66).
#include "conv.h"
#include "ptx.h"

constexpr int LANES_Q = 8, LANES_K = 4;    // lanes of a warp: neighbouring outputs x groups of channels
constexpr int CHANNELS = 16, OUTPUTS = 7;  // of a thread; its outputs are LANES_Q apart
constexpr int WARP_K = LANES_K * CHANNELS, WARP_Q = LANES_Q * OUTPUTS;  // of a warp: 64 channels x 56 outputs
constexpr int WARPS_K = 2, WARPS_Q = 2, WARPS = WARPS_K * WARPS_Q;      // of a block
constexpr int TILE_K = WARPS_K * WARP_K, TILE_Q = WARPS_Q * WARP_Q;     // of a block
constexpr int STAGE = 9000;  // floats to stage at a time, about: input channels are added until it is full

struct Tile {
    int l;      // elements of the window
    int depth;  // input channels staged at a time
    bool wide;  // whether four neighbours of the input can be copied at once
};

// Weight, K x C x S, as the kernel reads it: TILE_K output channels together, and innermost. terms is C S;
// channels beyond K are zeros.
__global__ void pack(const float* __restrict__ weight, float* __restrict__ packed, int K, int terms,
                     int count) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    const int k = i / (terms * TILE_K) * TILE_K + i % TILE_K, term = i / TILE_K % terms;
    packed[i] = k < K ? weight[k * terms + term] : 0.0f;
}

// Starts to copy `depth` rows of `count` elements, from element `first` of the input on, WIDTH at a time; a
// row of the input has L elements, and zeros on either side. WIDTH divides first, count and L.
template <int WIDTH>
__device__ void copy_window(float* to, const float* input, int first, int count, int L, int depth) {
    const int thread = threadIdx.y * 32 + threadIdx.x;
    for (int x = WIDTH * thread; x < count; x += WIDTH * 32 * WARPS) {
        const bool inside = first + x >= 0 && first + x < L;
        const float* from = input + (first + x);
#pragma unroll 4
        for (int c = 0; c < depth; ++c, from += L) copy_async<4 * WIDTH>(to + c * count + x, from, inside);
    }
}

// Starts to copy a stage of `depth` channels: the filters, and behind them the window.
__device__ void copy_stage(float* filters, float* window, const float* packed, const float* input, int S,
                           int L, int left, int depth, Tile tile) {
    if (tile.wide)
        copy_window<4>(window, input, left, tile.l, L, depth);
    else
        copy_window<1>(window, input, left, tile.l, L, depth);
    const int thread = threadIdx.y * 32 + threadIdx.x;
#pragma unroll 4
    for (int i = 4 * thread; i < depth * S * TILE_K; i += 4 * 32 * WARPS)
        copy_async<16>(filters + i, packed + i);
    commit_copies();
}

// STRIDE and TAPS are the stride and the filter's width, where the compiler shall know them: the places in
// shared memory are then part of their load instructions. 0 stands for any.
template <int STRIDE, int TAPS>
__global__ void __launch_bounds__(32 * WARPS, 3)
    conv1d_window(const float* __restrict__ input, const float* __restrict__ packed,
                  const float* __restrict__ bias, float* __restrict__ output, Conv1d size, Tile tile) {
    const auto [N, C, L, K, any_S, Q, any_stride, padding, dilation] = size;
    const int stride = STRIDE ? STRIDE : any_stride, S = TAPS ? TAPS : any_S;
    const int lane_q = threadIdx.x % LANES_Q, lane_k = threadIdx.x / LANES_Q;
    const int warp_k = threadIdx.y % WARPS_K, warp_q = threadIdx.y / WARPS_K;
    const int filter_floats = tile.depth * S * TILE_K, stage_floats = filter_floats + tile.depth * tile.l;
    extern __shared__ float4 shared[];
    float* stages = reinterpret_cast<float*>(shared);  // 2 x (depth x S x TILE_K, depth x l)

    const int groups = (K + TILE_K - 1) / TILE_K, group = blockIdx.x % groups, n = blockIdx.y;
    const int block_q = blockIdx.x / groups * TILE_Q, first_l = block_q * stride - padding;
    const int left = tile.wide ? first_l & ~3 : first_l;  // the window's first element
    input += n * C * L;
    packed += group * C * S * TILE_K;

    float sum[CHANNELS][OUTPUTS] = {};
    copy_stage(stages, stages + filter_floats, packed, input, S, L, left, min(tile.depth, C), tile);
    float *now = stages, *next = stages + stage_floats;
    for (int first_c = 0; first_c < C; first_c += tile.depth) {
        const int depth = min(tile.depth, C - first_c), next_c = first_c + depth;
        wait_for_copies<0>();
        __syncthreads();  // this stage is here, and nobody reads the last one any more
        if (next_c < C)
            copy_stage(next, next + filter_floats, packed + next_c * S * TILE_K, input + next_c * L, S, L,
                       left, min(tile.depth, C - next_c), tile);
        const float* f = now + warp_k * WARP_K + 4 * lane_k;
        const float* row = now + filter_floats + (warp_q * WARP_Q + lane_q) * stride + first_l - left;
#pragma unroll 1
        for (int c = 0; c < depth; ++c) {
#pragma unroll
            for (int s = 0; s < S; ++s) {
                float w[CHANNELS], x[OUTPUTS];
#pragma unroll
                for (int i = 0; i < CHANNELS; i += 4) {
                    const float4 four = *reinterpret_cast<const float4*>(f + s * TILE_K + i * LANES_K);
                    w[i] = four.x, w[i + 1] = four.y, w[i + 2] = four.z, w[i + 3] = four.w;
                }
#pragma unroll
                for (int j = 0; j < OUTPUTS; ++j) x[j] = row[j * LANES_Q * stride + s * dilation];
#pragma unroll
                for (int j = 0; j < OUTPUTS; ++j)
#pragma unroll
                    for (int i = 0; i < CHANNELS; ++i) sum[i][j] += w[i] * x[j];
            }
            f += S * TILE_K;
            row += tile.l;
        }
        float* const other = now;
        now = next, next = other;
    }
    const int q = block_q + warp_q * WARP_Q + lane_q;
#pragma unroll
    for (int i = 0; i < CHANNELS; ++i) {
        const int k = group * TILE_K + warp_k * WARP_K + i / 4 * 4 * LANES_K + 4 * lane_k + i % 4;
        if (k >= K) continue;
        const float b = bias ? bias[k] : 0.0f;
        float* to = output + (n * K + k) * Q + q;
        if (q + (OUTPUTS - 1) * LANES_Q < Q) {  // all of them: nothing to compare
#pragma unroll
            for (int j = 0; j < OUTPUTS; ++j) to[j * LANES_Q] = sum[i][j] + b;
        } else {
#pragma unroll
            for (int j = 0; j < OUTPUTS; ++j)
                if (q + j * LANES_Q < Q) to[j * LANES_Q] = sum[i][j] + b;
        }
    }
}

torch::Tensor conv1d(torch::Tensor input, torch::Tensor weight,
                     std::optional<torch::Tensor> bias = std::nullopt, int64_t stride = 1,
                     int64_t padding = 0, int64_t dilation = 1) {
    const Conv1d size = conv1d_sizes(input, weight, bias, stride, padding, dilation);
    const c10::cuda::CUDAGuard guard(input.device());
    require_sm(80, "cp.async");
    const int64_t elements = int64_t(TILE_Q - 1) * stride + int64_t(size.S - 1) * dilation + 1;
    const int64_t l = (elements + 6) / 4 * 4;  // room for up to 3 more on the left, in whole fours
    const bool wide = size.L % 4 == 0 && reinterpret_cast<uintptr_t>(input.data_ptr<float>()) % 16 == 0;
    const int64_t channel = l + area(size.S, TILE_K);  // floats
    const int64_t depth = std::clamp<int64_t>(STAGE / channel, 1, size.C);
    const auto kernel = stride == 3 && size.S == 3 ? conv1d_window<3, 3> : conv1d_window<0, 0>;
    const int bytes = shared_bytes(kernel, 2 * depth * channel * sizeof(float), "window and filters");
    const int groups = ceil_div(size.K, TILE_K), terms = size.C * size.S;
    const dim3 grid = grid_of(int64_t(ceil_div(size.Q, TILE_Q)) * groups, size.N, 1);
    TORCH_CHECK(int64_t(groups) * TILE_K <= (1 << 30) / terms,
                "the packed weight has over 2^30 elements: int indices overflow");
    const int count = groups * TILE_K * terms;
    auto packed = torch::empty({count}, weight.options());
    auto output = torch::empty({size.N, size.K, size.Q}, input.options());
    if (size.N == 0) return output;  // CUDA refuses to launch a grid without blocks

    const auto stream = at::cuda::getCurrentCUDAStream();
    pack<<<ceil_div(count, 256), 256, 0, stream>>>(weight.data_ptr<float>(), packed.data_ptr<float>(), size.K,
                                                   terms, count);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
    kernel<<<grid, dim3(32, WARPS), bytes, stream>>>(input.data_ptr<float>(), packed.data_ptr<float>(),
                                                     data_or_null(bias), output.data_ptr<float>(), size,
                                                     Tile{int(l), int(depth), wide});
    C10_CUDA_KERNEL_LAUNCH_CHECK();
    return output;
}
