// conv2d_naive once more, for float32 and float64: what numerical checks of gradients need.
#include "conv.h"

template <class T>
__global__ void conv2d_direct(const T* __restrict__ input, const T* __restrict__ weight,
                              const T* __restrict__ bias, T* __restrict__ output, Conv2d size) {
    const auto [N, C, H, W, K, R, S, P, Q, stride, padding, dilation] = size;
    const int64_t pixel = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
    if (pixel >= int64_t(N) * K * P * Q) return;
    const int q = pixel % Q, p = pixel / Q % P, k = pixel / Q / P % K, n = pixel / Q / P / K;

    T sum = bias ? bias[k] : T(0);
    for (int c = 0; c < C; ++c)
        for (int r = 0; r < R; ++r)
            for (int s = 0; s < S; ++s) {
                const int h = p * stride - padding + r * dilation, w = q * stride - padding + s * dilation;
                if (h >= 0 && h < H && w >= 0 && w < W)
                    sum += input[((n * C + c) * H + h) * W + w] * weight[((k * C + c) * R + r) * S + s];
            }
    output[pixel] = sum;
}

torch::Tensor conv2d(torch::Tensor input, torch::Tensor weight,
                     std::optional<torch::Tensor> bias = std::nullopt, int64_t stride = 1,
                     int64_t padding = 0, int64_t dilation = 1) {
    const auto dtype = float32_or_float64("input", input);
    const Conv2d size = conv2d_sizes(input, weight, bias, stride, padding, dilation, false, dtype);
    auto output = torch::empty({size.N, size.K, size.P, size.Q}, input.options());
    if (size.N == 0) return output;

    const c10::cuda::CUDAGuard guard(input.device());
    const dim3 grid = grid_of(ceil_div(output.numel(), 256), 1, 1);
    AT_DISPATCH_FLOATING_TYPES(dtype, "conv2d", [&] {
        conv2d_direct<scalar_t><<<grid, 256, 0, at::cuda::getCurrentCUDAStream()>>>(
            input.data_ptr<scalar_t>(), weight.data_ptr<scalar_t>(),
            bias ? bias->data_ptr<scalar_t>() : nullptr, output.data_ptr<scalar_t>(), size);
    });
    C10_CUDA_KERNEL_LAUNCH_CHECK();
    return output;
}
