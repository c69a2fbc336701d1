// The gradient of a convolution's weight, one thread per weight: it adds up what every output of every image
// has to say about it. Few weights, long sums: most of the GPU has nothing to do. float32 and float64.
#include "gradients.h"

template <class T>
__global__ void conv2d_wgrad_naive(const T* __restrict__ grad_output, const T* __restrict__ input,
                                   T* __restrict__ grad_weight, Conv2d size) {
    const auto [N, C, H, W, K, R, S, P, Q, stride, padding, dilation] = size;
    const int64_t place = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
    if (place >= int64_t(K) * C * R * S) return;
    const int s = place % S, r = place / S % R, c = place / S / R % C, k = place / S / R / C;

    T sum = 0;
    for (int n = 0; n < N; ++n)
        for (int p = 0; p < P; ++p) {
            const int h = p * stride - padding + r * dilation;
            if (h < 0 || h >= H) continue;
            for (int q = 0; q < Q; ++q) {
                const int w = q * stride - padding + s * dilation;
                if (w >= 0 && w < W)
                    sum += grad_output[((n * K + k) * P + p) * Q + q] * input[((n * C + c) * H + h) * W + w];
            }
        }
    grad_weight[place] = sum;
}

torch::Tensor conv2d_wgrad(torch::Tensor grad_output, torch::Tensor input, int64_t R, int64_t S,
                           int64_t stride = 1, int64_t padding = 0, int64_t dilation = 1) {
    const auto dtype = float32_or_float64("grad_output", grad_output);
    const Conv2d size = conv2d_wgrad_sizes(grad_output, input, R, S, stride, padding, dilation, dtype);
    auto grad_weight = torch::empty({size.K, size.C, size.R, size.S}, grad_output.options());

    const c10::cuda::CUDAGuard guard(grad_output.device());
    const dim3 grid = grid_of(ceil_div(grad_weight.numel(), 256), 1, 1);
    AT_DISPATCH_FLOATING_TYPES(dtype, "conv2d_wgrad", [&] {
        conv2d_wgrad_naive<scalar_t><<<grid, 256, 0, at::cuda::getCurrentCUDAStream()>>>(
            grad_output.data_ptr<scalar_t>(), input.data_ptr<scalar_t>(), grad_weight.data_ptr<scalar_t>(),
            size);
    });
    C10_CUDA_KERNEL_LAUNCH_CHECK();
    return grad_weight;
}
