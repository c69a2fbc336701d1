// One thread per output of a 1-D convolution. Right, but a warp takes 32 output channels of one place.
#include "conv.h"

__global__ void conv1d_coalesced(const float* __restrict__ input, const float* __restrict__ weight,
                                 const float* __restrict__ bias, float* __restrict__ output, Conv1d size) {
    const auto [N, C, L, K, S, Q, stride, padding, dilation] = size;
    // >>> gap (3 lines): k, q and n; let the lanes of a warp run along the memory of output and input
    const int q = blockIdx.x * blockDim.x + threadIdx.x;
    const int k = blockIdx.y * blockDim.y + threadIdx.y;
    const int n = blockIdx.z;
    // === starter
    const int k = blockIdx.x * blockDim.x + threadIdx.x;
    const int q = blockIdx.y * blockDim.y + threadIdx.y;
    const int n = blockIdx.z;
    // <<< gap
    if (q >= Q || k >= K) return;

    float sum = bias ? bias[k] : 0.0f;
    for (int c = 0; c < C; ++c)
        for (int s = 0; s < S; ++s) {
            const int l = q * stride - padding + s * dilation;
            if (l < 0 || l >= L) continue;
            const float x = input[(n * C + c) * L + l];
            sum += x * weight[(k * C + c) * S + s];
        }
    output[(n * K + k) * Q + q] = sum;
}

torch::Tensor conv1d(torch::Tensor input, torch::Tensor weight,
                     std::optional<torch::Tensor> bias = std::nullopt, int64_t stride = 1,
                     int64_t padding = 0, int64_t dilation = 1) {
    const Conv1d size = conv1d_sizes(input, weight, bias, stride, padding, dilation);
    auto output = torch::empty({size.N, size.K, size.Q}, input.options());
    if (size.N == 0) return output;  // CUDA refuses to launch a grid without blocks

    const dim3 block(32, 8);
    // >>> gap (1 line): a grid that covers every output
    const dim3 grid = grid_of(ceil_div(size.Q, block.x), ceil_div(size.K, block.y), size.N);
    // === starter
    const dim3 grid = grid_of(ceil_div(size.K, block.x), ceil_div(size.Q, block.y), size.N);
    // <<< gap
    const c10::cuda::CUDAGuard guard(input.device());
    conv1d_coalesced<<<grid, block, 0, at::cuda::getCurrentCUDAStream()>>>(
        input.data_ptr<float>(), weight.data_ptr<float>(), data_or_null(bias), output.data_ptr<float>(),
        size);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
    return output;
}
