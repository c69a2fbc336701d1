// The gradient of a convolution's bias: of each channel the sum of grad_output, N x K x Q or N x K x P x Q.
// One thread per channel. float32 and float64.
#include "gradients.h"

template <class T>
__global__ void bgrad_naive(const T* __restrict__ grad_output, T* __restrict__ grad_bias, Channels size) {
    const auto [N, K, pixels] = size;
    const int k = blockIdx.x * blockDim.x + threadIdx.x;
    if (k >= K) return;
    T sum = 0;
    for (int n = 0; n < N; ++n)
        for (int i = 0; i < pixels; ++i) sum += grad_output[(n * K + k) * pixels + i];
    grad_bias[k] = sum;
}

torch::Tensor bgrad(torch::Tensor grad_output) {
    const auto dtype = float32_or_float64("grad_output", grad_output);
    const Channels size = bgrad_sizes(grad_output, dtype);
    auto grad_bias = torch::empty({size.K}, grad_output.options());

    const c10::cuda::CUDAGuard guard(grad_output.device());
    AT_DISPATCH_FLOATING_TYPES(dtype, "bgrad", [&] {
        bgrad_naive<scalar_t><<<ceil_div(size.K, 256), 256, 0, at::cuda::getCurrentCUDAStream()>>>(
            grad_output.data_ptr<scalar_t>(), grad_bias.data_ptr<scalar_t>(), size);
    });
    C10_CUDA_KERNEL_LAUNCH_CHECK();
    return grad_bias;
}
