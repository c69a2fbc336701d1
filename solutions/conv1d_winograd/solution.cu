// conv1d with 3 taps and stride 1 by Winograd's F(2, 3): a thread computes two neighbouring outputs of one
// output channel, from four products an input channel.
#include "conv.h"

constexpr int THREADS = 128;  // of a block, each with a pair of outputs
constexpr int DEPTH = 64;     // input channels whose filters are transformed at a time

__global__ void conv1d_winograd(const float* __restrict__ input, const float* __restrict__ weight,
                                const float* __restrict__ bias, float* __restrict__ output, Conv1d size) {
    const auto [N, C, L, K, S, Q, stride, padding, dilation] = size;
    __shared__ float4 filters[DEPTH];  // each transformed once, for all pairs of the block
    const int q = 2 * (blockIdx.x * THREADS + threadIdx.x), k = blockIdx.y, n = blockIdx.z;

    float m[4] = {};  // sums over the channels
    for (int first_c = 0; first_c < C; first_c += DEPTH) {
        const int depth = min(DEPTH, C - first_c);
        for (int c = threadIdx.x; c < depth; c += THREADS) {
            const float* g = weight + (k * C + first_c + c) * 3;
            // >>> gap (2 lines): the filter's factors of the four products
            const float outer = g[0] + g[2];
            filters[c] = make_float4(g[0], (outer + g[1]) / 2, (outer - g[1]) / 2, g[2]);
            // === starter
            filters[c] = make_float4(g[0], g[1], g[2], 0.0f);
            // <<< gap
        }
        __syncthreads();
        for (int c = 0; c < depth; ++c) {
            const float* row = input + (n * C + first_c + c) * L;
            const float4 u = filters[c];
            float d[4];  // what the pair's two windows cover
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                const int l = q - padding + i;
                d[i] = l >= 0 && l < L ? row[l] : 0.0f;
            }
            // >>> gap (4 lines): four products in place of six, added to m
            m[0] += (d[0] - d[2]) * u.x;
            m[1] += (d[1] + d[2]) * u.y;
            m[2] += (d[2] - d[1]) * u.z;
            m[3] += (d[3] - d[1]) * u.w;
            // === starter
            m[0] += d[0] * u.x + d[1] * u.y + d[2] * u.z;
            m[1] += d[1] * u.x + d[2] * u.y + d[3] * u.z;
            // <<< gap
        }
        __syncthreads();
    }
    if (q >= Q) return;
    const float b = bias ? bias[k] : 0.0f;
    float* pair = output + (n * K + k) * Q + q;
    // >>> gap (2 lines): the two outputs from the four sums; the second one may not exist
    pair[0] = m[0] + m[1] + m[2] + b;
    if (q + 1 < Q) pair[1] = m[1] - m[2] + m[3] + b;
    // === starter
    pair[0] = m[0] + b;
    if (q + 1 < Q) pair[1] = m[1] + b;
    // <<< gap
}

torch::Tensor conv1d(torch::Tensor input, torch::Tensor weight,
                     std::optional<torch::Tensor> bias = std::nullopt, int64_t stride = 1,
                     int64_t padding = 0, int64_t dilation = 1) {
    const Conv1d size = conv1d_sizes(input, weight, bias, stride, padding, dilation);
    TORCH_CHECK(size.S == 3, "F(2, 3) is for filters of 3 taps, not of ", size.S);
    TORCH_CHECK(stride == 1 && dilation == 1, "F(2, 3) is for stride 1 and dilation 1");
    const c10::cuda::CUDAGuard guard(input.device());
    const dim3 grid = grid_of(ceil_div(size.Q, 2 * THREADS), size.K, size.N);
    auto output = torch::empty({size.N, size.K, size.Q}, input.options());
    if (size.N == 0) return output;  // CUDA refuses to launch a grid without blocks

    conv1d_winograd<<<grid, THREADS, 0, at::cuda::getCurrentCUDAStream()>>>(
        input.data_ptr<float>(), weight.data_ptr<float>(), data_or_null(bias), output.data_ptr<float>(),
        size);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
    return output;
}
