// The gradient of a convolution's bias, one warp per channel: its lanes share the pixels of grad_output, and
// add up what they have found by shuffles.
#include "gradients.h"

constexpr int WARPS = 4;  // of a block, a channel each

__global__ void bgrad_warp(const float* __restrict__ grad_output, float* __restrict__ grad_bias,
                           Channels size) {
    const auto [N, K, pixels] = size;
    const int lane = threadIdx.x, k = blockIdx.x * WARPS + threadIdx.y;
    if (k >= K) return;  // the whole warp: all its lanes have the same k
    // >>> gap (5 lines): each lane's part of the sum; then add up the lanes; one of them stores
    float sum = 0.0f;
    for (int n = 0; n < N; ++n)
        for (int i = lane; i < pixels; i += 32) sum += grad_output[(n * K + k) * pixels + i];
    for (int step = 16; step > 0; step /= 2) sum += __shfl_down_sync(0xffffffff, sum, step);
    if (lane == 0) grad_bias[k] = sum;
    // <<< gap
}

torch::Tensor bgrad(torch::Tensor grad_output) {
    const Channels size = bgrad_sizes(grad_output);
    auto grad_bias = torch::empty({size.K}, grad_output.options());

    const c10::cuda::CUDAGuard guard(grad_output.device());
    bgrad_warp<<<ceil_div(size.K, WARPS), dim3(32, WARPS), 0, at::cuda::getCurrentCUDAStream()>>>(
        grad_output.data_ptr<float>(), grad_bias.data_ptr<float>(), size);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
    return grad_bias;
}
