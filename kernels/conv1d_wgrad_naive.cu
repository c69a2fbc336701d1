// The gradient of a 1-D convolution's weight, one thread per weight: float32 and float64.
#include "gradients.h"

template <class T>
__global__ void conv1d_wgrad_naive(const T* __restrict__ grad_output, const T* __restrict__ input,
                                   T* __restrict__ grad_weight, Conv1d size) {
    const auto [N, C, L, K, S, Q, stride, padding, dilation] = size;
    const int64_t place = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
    if (place >= int64_t(K) * C * S) return;
    const int s = place % S, c = place / S % C, k = place / S / C;

    T sum = 0;
    for (int n = 0; n < N; ++n)
        for (int q = 0; q < Q; ++q) {
            const int l = q * stride - padding + s * dilation;
            if (l >= 0 && l < L) sum += grad_output[(n * K + k) * Q + q] * input[(n * C + c) * L + l];
        }
    grad_weight[place] = sum;
}

torch::Tensor conv1d_wgrad(torch::Tensor grad_output, torch::Tensor input, int64_t S, int64_t stride = 1,
                           int64_t padding = 0, int64_t dilation = 1) {
    const auto dtype = float32_or_float64("grad_output", grad_output);
    const Conv1d size = conv1d_wgrad_sizes(grad_output, input, S, stride, padding, dilation, dtype);
    auto grad_weight = torch::empty({size.K, size.C, size.S}, grad_output.options());

    const c10::cuda::CUDAGuard guard(grad_output.device());
    const dim3 grid = grid_of(ceil_div(grad_weight.numel(), 256), 1, 1);
    AT_DISPATCH_FLOATING_TYPES(dtype, "conv1d_wgrad", [&] {
        conv1d_wgrad_naive<scalar_t><<<grid, 256, 0, at::cuda::getCurrentCUDAStream()>>>(
            grad_output.data_ptr<scalar_t>(), input.data_ptr<scalar_t>(), grad_weight.data_ptr<scalar_t>(),
            size);
    });
    C10_CUDA_KERNEL_LAUNCH_CHECK();
    return grad_weight;
}
