// conv1d with a register tile: every thread computes CHANNELS output channels x PIXELS outputs, 32 apart.
#include "conv.h"

constexpr int CHANNELS = 8, PIXELS = 8;  // outputs of a thread
constexpr int TILE_Q = 32 * PIXELS;      // outputs of a block along q; a warp's lanes are neighbours
constexpr int MOST_WARPS = 8;            // of a block; each has output channels of its own
constexpr int STAGE = 16384;             // floats to stage at a time, about

// Where element x of the tile lies: shift is 5, for a pad every 32 words, or 31, for none.
__host__ __device__ constexpr int place(int x, int shift) { return x + (x >> shift); }

struct Tile {
    int l, pitch;  // elements, words from channel to channel
    int depth;     // input channels staged at a time
};

// STRIDE is the stride, where the compiler shall know it: the distance of a thread's outputs in the tile is
// then part of its load instructions, and costs no additions. 0 stands for any.
template <int STRIDE>
__global__ void __launch_bounds__(32 * MOST_WARPS, 2)
    conv1d_registers(const float* __restrict__ input, const float* __restrict__ weight,
                     const float* __restrict__ bias, float* __restrict__ output, Conv1d size, Tile tile) {
    const auto [N, C, L, K, S, Q, any_stride, padding, dilation] = size;
    const int stride = STRIDE ? STRIDE : any_stride, shift = stride % 2 == 0 ? 5 : 31;
    const int lane = threadIdx.x, warp = threadIdx.y, warps = blockDim.y;
    const int pitch_k = warps * CHANNELS + 4;
    extern __shared__ float4 shared[];
    float* filters = reinterpret_cast<float*>(shared);   // depth x S x pitch_k
    float* staged = filters + tile.depth * S * pitch_k;  // depth x pitch

    const int n = blockIdx.z, block_k = blockIdx.x * warps * CHANNELS, block_q = blockIdx.y * TILE_Q;
    const int left = block_q * stride - padding;
    const bool interior = left >= 0 && left + tile.l <= L;  // nothing of the tile is padding

    float sum[CHANNELS][PIXELS] = {};
    for (int first_c = 0; first_c < C; first_c += tile.depth) {
        const int depth = min(tile.depth, C - first_c);
        for (int c = warp; c < depth; c += warps) {
            const float* from = input + (n * C + first_c + c) * L + left;
            float* to = staged + c * tile.pitch;
#pragma unroll 8  // eight loads on their way at a time
            for (int x = lane; x < tile.l; x += 32)
                to[place(x, shift)] = interior || (left + x >= 0 && left + x < L) ? from[x] : 0.0f;
        }
        for (int tap = lane; tap < depth * S; tap += 32)
#pragma unroll
            for (int j = 0; j < CHANNELS; ++j) {
                const int i = warp * CHANNELS + j, k = block_k + i;
                filters[tap * pitch_k + i] = k < K ? weight[(k * C + first_c) * S + tap] : 0.0f;
            }
        __syncthreads();

        const float* f = filters + warp * CHANNELS;
        for (int c = 0; c < depth; ++c)
            for (int s = 0; s < S; ++s, f += pitch_k) {
                // >>> gap (11 lines): read CHANNELS weights and PIXELS inputs; multiply each with each
                const float4 low = reinterpret_cast<const float4*>(f)[0];
                const float4 high = reinterpret_cast<const float4*>(f)[1];
                const float w[CHANNELS] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
                const float* first = staged + c * tile.pitch + place(lane * stride + s * dilation, shift);
                const int step = place(32 * stride, shift);
#pragma unroll
                for (int j = 0; j < PIXELS; ++j) {
                    const float value = first[j * step];
#pragma unroll
                    for (int i = 0; i < CHANNELS; ++i) sum[i][j] += w[i] * value;
                }
                // <<< gap
            }
        __syncthreads();
    }
    // >>> gap (11 lines): store what exists of CHANNELS x PIXELS outputs, with the bias
#pragma unroll
    for (int i = 0; i < CHANNELS; ++i) {
        const int k = block_k + warp * CHANNELS + i;
        if (k >= K) break;
        const float b = bias ? bias[k] : 0.0f;
#pragma unroll
        for (int j = 0; j < PIXELS; ++j) {
            const int q = block_q + j * 32 + lane;
            if (q < Q) output[(n * K + k) * Q + q] = sum[i][j] + b;
        }
    }
    // <<< gap
}

torch::Tensor conv1d(torch::Tensor input, torch::Tensor weight,
                     std::optional<torch::Tensor> bias = std::nullopt, int64_t stride = 1,
                     int64_t padding = 0, int64_t dilation = 1) {
    const Conv1d size = conv1d_sizes(input, weight, bias, stride, padding, dilation);
    const int64_t l = (TILE_Q - 1) * stride + dilation * (size.S - 1) + 1;
    const int shift = stride % 2 == 0 ? 5 : 31;
    const int64_t pitch = l + (l >> shift);
    const int warps = std::min(ceil_div(size.K, CHANNELS), MOST_WARPS);
    const int64_t channel = pitch + area(size.S, warps * CHANNELS + 4);  // floats
    const int64_t depth = std::clamp<int64_t>(STAGE / channel, 1, size.C);
    const c10::cuda::CUDAGuard guard(input.device());
    const dim3 block(32, warps);
    const dim3 grid = grid_of(ceil_div(size.K, warps * CHANNELS), ceil_div(size.Q, TILE_Q), size.N);
    auto output = torch::empty({size.N, size.K, size.Q}, input.options());
    if (size.N == 0) return output;  // CUDA refuses to launch a grid without blocks

    auto kernel = stride == 1   ? conv1d_registers<1>
                  : stride == 2 ? conv1d_registers<2>
                  : stride == 3 ? conv1d_registers<3>
                                : conv1d_registers<0>;
    const int bytes = shared_bytes(kernel, depth * channel * sizeof(float), "tile and filters");
    kernel<<<grid, block, bytes, at::cuda::getCurrentCUDAStream()>>>(
        input.data_ptr<float>(), weight.data_ptr<float>(), data_or_null(bias), output.data_ptr<float>(), size,
        Tile{int(l), int(pitch), int(depth)});
    C10_CUDA_KERNEL_LAUNCH_CHECK();
    return output;
}
