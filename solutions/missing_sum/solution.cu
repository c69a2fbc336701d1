// The gradient of a convolution's weight, one block per weight: its threads share the outputs among them, and
// add up what they have found in shared memory.
#include "gradients.h"

constexpr int THREADS = 128;

__global__ void conv2d_wgrad_block(const float* __restrict__ grad_output, const float* __restrict__ input,
                                   float* __restrict__ grad_weight, Conv2d size) {
    const auto [N, C, H, W, K, R, S, P, Q, stride, padding, dilation] = size;
    __shared__ float part[THREADS];
    const int place = blockIdx.x, s = place % S, r = place / S % R, c = place / S / R % C,
              k = place / S / R / C;

    // >>> gap (17 lines): one sum is missing: find it
    float sum = 0.0f;
    for (int i = threadIdx.x; i < N * P * Q; i += THREADS) {
        const int q = i % Q, p = i / Q % P, n = i / Q / P;
        const int h = p * stride - padding + r * dilation, w = q * stride - padding + s * dilation;
        if (h >= 0 && h < H && w >= 0 && w < W) {
            sum += grad_output[((n * K + k) * P + p) * Q + q] * input[((n * C + c) * H + h) * W + w];
        }
    }
    part[threadIdx.x] = sum;
    __syncthreads();
    for (int half = THREADS / 2; half > 0; half /= 2) {  // a tree: 64 threads add, then 32, ..., then one
        if (threadIdx.x < half) part[threadIdx.x] += part[threadIdx.x + half];
        __syncthreads();
    }
    if (threadIdx.x == 0) {
        grad_weight[place] = part[0];
    }
    // === starter
    float sum = 0.0f;
    for (int i = threadIdx.x; i < P * Q; i += THREADS) {
        const int q = i % Q, p = i / Q;
        const int h = p * stride - padding + r * dilation, w = q * stride - padding + s * dilation;
        if (h >= 0 && h < H && w >= 0 && w < W) {
            sum += grad_output[(k * P + p) * Q + q] * input[(c * H + h) * W + w];
        }
    }
    part[threadIdx.x] = sum;
    __syncthreads();
    for (int half = THREADS / 2; half > 0; half /= 2) {  // a tree: 64 threads add, then 32, ..., then one
        if (threadIdx.x < half) part[threadIdx.x] += part[threadIdx.x + half];
        __syncthreads();
    }
    if (threadIdx.x == 0) {
        grad_weight[place] = part[0];
    }
    // <<< gap
}

torch::Tensor conv2d_wgrad(torch::Tensor grad_output, torch::Tensor input, int64_t R, int64_t S,
                           int64_t stride = 1, int64_t padding = 0, int64_t dilation = 1) {
    const Conv2d size = conv2d_wgrad_sizes(grad_output, input, R, S, stride, padding, dilation);
    auto grad_weight = torch::empty({size.K, size.C, size.R, size.S}, grad_output.options());

    const c10::cuda::CUDAGuard guard(grad_output.device());
    conv2d_wgrad_block<<<grid_of(grad_weight.numel(), 1, 1), THREADS, 0, at::cuda::getCurrentCUDAStream()>>>(
        grad_output.data_ptr<float>(), input.data_ptr<float>(), grad_weight.data_ptr<float>(), size);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
    return grad_weight;
}
