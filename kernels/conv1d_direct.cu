// One thread per output of a 1-D convolution, for float32 and float64: what numerical checks of gradients
// need.
#include "conv.h"

template <class T>
__global__ void conv1d_direct(const T* __restrict__ input, const T* __restrict__ weight,
                              const T* __restrict__ bias, T* __restrict__ output, Conv1d size) {
    const auto [N, C, L, K, S, Q, stride, padding, dilation] = size;
    const int64_t place = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
    if (place >= int64_t(N) * K * Q) return;
    const int q = place % Q, k = place / Q % K, n = place / Q / K;

    T sum = bias ? bias[k] : T(0);
    for (int c = 0; c < C; ++c)
        for (int s = 0; s < S; ++s) {
            const int l = q * stride - padding + s * dilation;
            if (l >= 0 && l < L) sum += input[(n * C + c) * L + l] * weight[(k * C + c) * S + s];
        }
    output[place] = sum;
}

torch::Tensor conv1d(torch::Tensor input, torch::Tensor weight,
                     std::optional<torch::Tensor> bias = std::nullopt, int64_t stride = 1,
                     int64_t padding = 0, int64_t dilation = 1) {
    const auto dtype = float32_or_float64("input", input);
    const Conv1d size = conv1d_sizes(input, weight, bias, stride, padding, dilation, dtype);
    auto output = torch::empty({size.N, size.K, size.Q}, input.options());
    if (size.N == 0) return output;

    const c10::cuda::CUDAGuard guard(input.device());
    const dim3 grid = grid_of(ceil_div(output.numel(), 256), 1, 1);
    AT_DISPATCH_FLOATING_TYPES(dtype, "conv1d", [&] {
        conv1d_direct<scalar_t><<<grid, 256, 0, at::cuda::getCurrentCUDAStream()>>>(
            input.data_ptr<scalar_t>(), weight.data_ptr<scalar_t>(),
            bias ? bias->data_ptr<scalar_t>() : nullptr, output.data_ptr<scalar_t>(), size);
    });
    C10_CUDA_KERNEL_LAUNCH_CHECK();
    return output;
}
