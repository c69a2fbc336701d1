// The gradient of a convolution's input, one thread per input pixel: it gathers from every output whose
// window the pixel lies in. The launcher takes float32 and float64: numerical checks of gradients want the
// latter.
#include "gradients.h"

template <class T>
__global__ void conv2d_dgrad_naive(const T* __restrict__ grad_output, const T* __restrict__ weight,
                                   T* __restrict__ grad_input, Conv2d size) {
    const auto [N, C, H, W, K, R, S, P, Q, stride, padding, dilation] = size;
    const int64_t pixel = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
    if (pixel >= int64_t(N) * C * H * W) return;
    const int w = pixel % W, h = pixel / W % H, c = pixel / W / H % C, n = pixel / W / H / C;

    T sum = 0;
    for (int k = 0; k < K; ++k)
        for (int r = 0; r < R; ++r) {
            const int p = h + padding - r * dilation;  // stride times the row of the output that r connects
            if (p < 0 || p % stride != 0 || p / stride >= P) continue;
            for (int s = 0; s < S; ++s) {
                const int q = w + padding - s * dilation;
                if (q < 0 || q % stride != 0 || q / stride >= Q) continue;
                sum += grad_output[((n * K + k) * P + p / stride) * Q + q / stride] *
                       weight[((k * C + c) * R + r) * S + s];
            }
        }
    grad_input[pixel] = sum;
}

torch::Tensor conv2d_dgrad(torch::Tensor grad_output, torch::Tensor weight, int64_t height, int64_t width,
                           int64_t stride = 1, int64_t padding = 0, int64_t dilation = 1) {
    const auto dtype = float32_or_float64("grad_output", grad_output);
    const Conv2d size =
        conv2d_dgrad_sizes(grad_output, weight, height, width, stride, padding, dilation, dtype);
    auto grad_input = torch::empty({size.N, size.C, size.H, size.W}, grad_output.options());
    if (size.N == 0) return grad_input;

    const c10::cuda::CUDAGuard guard(grad_output.device());
    const dim3 grid = grid_of(ceil_div(grad_input.numel(), 256), 1, 1);
    AT_DISPATCH_FLOATING_TYPES(dtype, "conv2d_dgrad", [&] {
        conv2d_dgrad_naive<scalar_t><<<grid, 256, 0, at::cuda::getCurrentCUDAStream()>>>(
            grad_output.data_ptr<scalar_t>(), weight.data_ptr<scalar_t>(), grad_input.data_ptr<scalar_t>(),
            size);
    });
    C10_CUDA_KERNEL_LAUNCH_CHECK();
    return grad_input;
}
