// The gradient of a 1-D convolution's input, one thread per input: float32 and float64.
#include "gradients.h"

template <class T>
__global__ void conv1d_dgrad_naive(const T* __restrict__ grad_output, const T* __restrict__ weight,
                                   T* __restrict__ grad_input, Conv1d size) {
    const auto [N, C, L, K, S, Q, stride, padding, dilation] = size;
    const int64_t place = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
    if (place >= int64_t(N) * C * L) return;
    const int l = place % L, c = place / L % C, n = place / L / C;

    T sum = 0;
    // >>> gap (6 lines): add up what every output that reads this input gives back
    for (int k = 0; k < K; ++k)
        for (int s = 0; s < S; ++s) {
            const int q = l + padding - s * dilation;  // stride times the output that s connects
            if (q < 0 || q % stride != 0 || q / stride >= Q) continue;
            sum += grad_output[(n * K + k) * Q + q / stride] * weight[(k * C + c) * S + s];
        }
    // <<< gap
    grad_input[place] = sum;
}

torch::Tensor conv1d_dgrad(torch::Tensor grad_output, torch::Tensor weight, int64_t length,
                           int64_t stride = 1, int64_t padding = 0, int64_t dilation = 1) {
    const auto dtype = float32_or_float64("grad_output", grad_output);
    const Conv1d size = conv1d_dgrad_sizes(grad_output, weight, length, stride, padding, dilation, dtype);
    auto grad_input = torch::empty({size.N, size.C, size.L}, grad_output.options());
    if (size.N == 0) return grad_input;

    const c10::cuda::CUDAGuard guard(grad_output.device());
    const dim3 grid = grid_of(ceil_div(grad_input.numel(), 256), 1, 1);
    AT_DISPATCH_FLOATING_TYPES(dtype, "conv1d_dgrad", [&] {
        conv1d_dgrad_naive<scalar_t><<<grid, 256, 0, at::cuda::getCurrentCUDAStream()>>>(
            grad_output.data_ptr<scalar_t>(), weight.data_ptr<scalar_t>(), grad_input.data_ptr<scalar_t>(),
            size);
    });
    C10_CUDA_KERNEL_LAUNCH_CHECK();
    return grad_input;
}
