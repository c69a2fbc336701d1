// conv1d with a register tile, CHANNELS x PIXELS outputs a thread, and cp.async in STAGES stages: the copies
// of the next STAGES - 1 stages are under way while one is multiplied.
#include "conv.h"
#include "ptx.h"

constexpr int CHANNELS = 8, PIXELS = 8;  // outputs of a thread
constexpr int TILE_Q = 32 * PIXELS;      // outputs of a block along q; a warp's lanes are neighbours
constexpr int MOST_WARPS = 8;            // of a block; each has output channels of its own
constexpr int STAGE = 4096;              // floats of a stage, about
constexpr int STAGES = 3;

// Where element x of the tile lies: shift is 5, for a pad every 32 words, or 31, for none.
__host__ __device__ constexpr int place(int x, int shift) { return x + (x >> shift); }

struct Tile {
    int l, pitch;  // elements, words from channel to channel
    int depth;     // input channels of a stage
};

// STRIDE is the stride, where the compiler shall know it; 0 stands for any.
template <int STRIDE>
__global__ void __launch_bounds__(32 * MOST_WARPS, 2)
    conv1d_async(const float* __restrict__ input, const float* __restrict__ weight,
                 const float* __restrict__ bias, float* __restrict__ output, Conv1d size, Tile tile) {
    const auto [N, C, L, K, S, Q, any_stride, padding, dilation] = size;
    const int stride = STRIDE ? STRIDE : any_stride, shift = stride % 2 == 0 ? 5 : 31;
    const int lane = threadIdx.x, warp = threadIdx.y, warps = blockDim.y;
    const int pitch_k = warps * CHANNELS + 4;
    extern __shared__ float4 shared[];
    float* stages = reinterpret_cast<float*>(shared);
    const int inputs_at = tile.depth * S * pitch_k;  // in a stage: first depth x S x pitch_k weights
    const int stage_floats = inputs_at + tile.depth * tile.pitch;  // then depth x pitch inputs

    const int n = blockIdx.z, block_k = blockIdx.x * warps * CHANNELS, block_q = blockIdx.y * TILE_Q;
    const int left = block_q * stride - padding;

    // Start to copy the input channels from first_c on into a stage, and what weights they need. There may
    // be fewer than depth channels left, or none. One group is committed in any case.
    const auto fetch = [&](int first_c, int stage) {
        float* filters = stages + stage * stage_floats;
        const int depth = min(tile.depth, size.C - first_c);
        for (int c = warp; c < depth; c += warps) {
            const float* from = input + (n * size.C + first_c + c) * size.L + left;
            float* to = filters + inputs_at + c * tile.pitch;
            // >>> gap (2 lines): copy tile.l elements, those outside of the input as zeros; mind place()
            for (int x = lane; x < tile.l; x += 32)
                copy_async<4>(to + place(x, shift), from + x, left + x >= 0 && left + x < size.L);
            // <<< gap
        }
        for (int tap = lane; tap < depth * size.S; tap += 32)
#pragma unroll
            for (int j = 0; j < CHANNELS; ++j) {
                const int i = warp * CHANNELS + j, k = block_k + i;
                const float* from = weight + (k * size.C + first_c) * size.S + tap;
                // >>> gap (1 line): copy this weight; those of channels beyond K are zeros
                copy_async<4>(filters + tap * pitch_k + i, from, k < size.K);
                // <<< gap
            }
        // >>> gap (1 line): close the group
        commit_copies();
        // <<< gap
    };

    float sum[CHANNELS][PIXELS] = {};
    const auto multiply = [&](int stage, int depth) {
        const float* f = stages + stage * stage_floats + warp * CHANNELS;
        const float* staged = stages + stage * stage_floats + inputs_at;
        for (int c = 0; c < depth; ++c)
            for (int s = 0; s < size.S; ++s, f += pitch_k) {
                const float4 low = reinterpret_cast<const float4*>(f)[0];
                const float4 high = reinterpret_cast<const float4*>(f)[1];
                const float w[CHANNELS] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
                const float* first =
                    staged + c * tile.pitch + place(lane * stride + s * size.dilation, shift);
                const int step = place(32 * stride, shift);
#pragma unroll
                for (int j = 0; j < PIXELS; ++j) {
                    const float value = first[j * step];
#pragma unroll
                    for (int i = 0; i < CHANNELS; ++i) sum[i][j] += w[i] * value;
                }
            }
    };
    // >>> gap (11 lines): start the first copies; then, step after step: wait, barrier, copy, multiply
#pragma unroll
    for (int s = 0; s < STAGES - 1; ++s) fetch(s * tile.depth, s);
    int stage = 0, free = STAGES - 1;  // to multiply, and to fill
    for (int first_c = 0; first_c < C; first_c += tile.depth) {
        wait_for_copies<STAGES - 2>();
        __syncthreads();
        fetch(first_c + (STAGES - 1) * tile.depth, free);
        multiply(stage, min(tile.depth, C - first_c));
        stage = stage + 1 < STAGES ? stage + 1 : 0;
        free = free + 1 < STAGES ? free + 1 : 0;
    }
    // === starter
    for (int first_c = 0; first_c < C; first_c += tile.depth) {
        fetch(first_c, 0);
        multiply(0, min(tile.depth, C - first_c));
    }
    // <<< gap

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
}

torch::Tensor conv1d(torch::Tensor input, torch::Tensor weight,
                     std::optional<torch::Tensor> bias = std::nullopt, int64_t stride = 1,
                     int64_t padding = 0, int64_t dilation = 1) {
    const Conv1d size = conv1d_sizes(input, weight, bias, stride, padding, dilation);
    const int64_t l = (TILE_Q - 1) * stride + dilation * (size.S - 1) + 1;
    const int shift = stride % 2 == 0 ? 5 : 31;
    const int64_t pitch = (l + (l >> shift) + 3) / 4 * 4;  // every stage begins at a multiple of 16 bytes
    const int warps = std::min(ceil_div(size.K, CHANNELS), MOST_WARPS);
    const int64_t channel = pitch + area(size.S, warps * CHANNELS + 4);  // floats
    const int64_t depth = std::clamp<int64_t>(STAGE / channel, 1, size.C);
    const c10::cuda::CUDAGuard guard(input.device());
    require_sm(80, "cp.async");
    const dim3 block(32, warps);
    const dim3 grid = grid_of(ceil_div(size.K, warps * CHANNELS), ceil_div(size.Q, TILE_Q), size.N);
    auto output = torch::empty({size.N, size.K, size.Q}, input.options());
    if (size.N == 0) return output;  // CUDA refuses to launch a grid without blocks

    auto kernel = stride == 1   ? conv1d_async<1>
                  : stride == 2 ? conv1d_async<2>
                  : stride == 3 ? conv1d_async<3>
                                : conv1d_async<0>;
    const int bytes = shared_bytes(kernel, STAGES * depth * channel * sizeof(float), "tiles and filters");
    kernel<<<grid, block, bytes, at::cuda::getCurrentCUDAStream()>>>(
        input.data_ptr<float>(), weight.data_ptr<float>(), data_or_null(bias), output.data_ptr<float>(), size,
        Tile{int(l), int(pitch), int(depth)});
    C10_CUDA_KERNEL_LAUNCH_CHECK();
    return output;
}
