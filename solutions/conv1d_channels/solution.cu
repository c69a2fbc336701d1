// conv1d with a register tile over output channels.
#include "conv.h"

constexpr int TILE_Q = 128, CHANNELS = 8;  // outputs of a block along q; output channels of a thread
constexpr int PITCH_K = CHANNELS + 4;      // from one tap's weights to the next, in shared memory

// Where element x of the tile lies: shift is 5, for a pad every 32 words, or 31, for none.
__host__ __device__ constexpr int place(int x, int shift) { return x + (x >> shift); }

__global__ void conv1d_channels(const float* __restrict__ input, const float* __restrict__ weight,
                                const float* __restrict__ bias, float* __restrict__ output, Conv1d size,
                                int tile_l, int shift) {
    extern __shared__ float4 shared[];
    float* filters = reinterpret_cast<float*>(shared);  // S x PITCH_K: room for this input channel's weights
    const auto [N, C, L, K, S, Q, stride, padding, dilation] = size;
    float* tile = filters + S * PITCH_K;  // tile_l elements of this input channel
    const int q = blockIdx.x * TILE_Q + threadIdx.x, n = blockIdx.z;
    const int left = blockIdx.x * TILE_Q * stride - padding;  // the tile's first element in the input

    // >>> gap (2 lines): this block's first output channel, and CHANNELS sums
    const int first_k = blockIdx.y * CHANNELS;
    float sum[CHANNELS] = {};
    // === starter
    const int k = blockIdx.y;
    float sum = 0.0f;
    // <<< gap
    for (int c = 0; c < C; ++c) {
        for (int x = threadIdx.x; x < tile_l; x += TILE_Q) {
            const int l = left + x;
            tile[place(x, shift)] = l >= 0 && l < L ? input[(n * C + c) * L + l] : 0.0f;
        }
        // >>> gap (4 lines): the weights of CHANNELS channels, those of one tap side by side; 0 beyond K
        for (int j = threadIdx.x; j < CHANNELS * S; j += TILE_Q) {
            const int i = j / S, s = j % S, k = first_k + i;
            filters[s * PITCH_K + i] = k < K ? weight[(k * C + c) * S + s] : 0.0f;
        }
        // === starter
        for (int s = threadIdx.x; s < S; s += TILE_Q) filters[s] = weight[(k * C + c) * S + s];
        // <<< gap
        __syncthreads();

        for (int s = 0; s < S; ++s) {
            const float value = tile[place(threadIdx.x * stride + s * dilation, shift)];
            // >>> gap (5 lines): a tap's weights in two float4 reads, and CHANNELS products with value
            const float4* f = reinterpret_cast<const float4*>(filters + s * PITCH_K);
            const float4 low = f[0], high = f[1];
            const float w[CHANNELS] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
#pragma unroll
            for (int i = 0; i < CHANNELS; ++i) sum[i] += w[i] * value;
            // === starter
            sum += filters[s] * value;
            // <<< gap
        }
        __syncthreads();
    }
    if (q >= Q) return;
    // >>> gap (5 lines): store what exists of CHANNELS channels, with the bias
#pragma unroll
    for (int i = 0; i < CHANNELS; ++i) {
        const int k = first_k + i;
        if (k < K) output[(n * K + k) * Q + q] = sum[i] + (bias ? bias[k] : 0.0f);
    }
    // === starter
    output[(n * K + k) * Q + q] = sum + (bias ? bias[k] : 0.0f);
    // <<< gap
}

torch::Tensor conv1d(torch::Tensor input, torch::Tensor weight,
                     std::optional<torch::Tensor> bias = std::nullopt, int64_t stride = 1,
                     int64_t padding = 0, int64_t dilation = 1) {
    const Conv1d size = conv1d_sizes(input, weight, bias, stride, padding, dilation);
    const int64_t tile_l = (TILE_Q - 1) * stride + dilation * (size.S - 1) + 1;
    const int shift = stride % 2 == 0 ? 5 : 31;
    const int64_t floats = tile_l + (tile_l >> shift) + area(size.S, PITCH_K);
    const c10::cuda::CUDAGuard guard(input.device());
    const int bytes = shared_bytes(conv1d_channels, floats * sizeof(float), "tile and filters");
    // >>> gap (1 line): blocks along y: how many groups of CHANNELS channels
    const int groups = ceil_div(size.K, CHANNELS);
    // === starter
    const int groups = size.K;
    // <<< gap
    const dim3 grid = grid_of(ceil_div(size.Q, TILE_Q), groups, size.N);
    auto output = torch::empty({size.N, size.K, size.Q}, input.options());
    if (size.N == 0) return output;  // CUDA refuses to launch a grid without blocks

    conv1d_channels<<<grid, TILE_Q, bytes, at::cuda::getCurrentCUDAStream()>>>(
        input.data_ptr<float>(), weight.data_ptr<float>(), data_or_null(bias), output.data_ptr<float>(), size,
        tile_l, shift);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
    return output;
}
