#include "conv.h"

// One thread per output, numbered through all images; output number i is (n, k, q).
__global__ void conv1d_kernel(const float* input, const float* weight, float* output, int N, int C,
                              int length, int K, int S, int Q, int stride, int dilation) {
    const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
    // >>> gap (2 lines): `length` is the input's; an image has K x Q outputs
    if (i >= int64_t(N) * K * Q) return;
    const int q = i % Q, k = i / Q % K, n = i / Q / K;
    // === starter
    if (i >= int64_t(N) * K * length) return;
    const int q = i % length, k = i / length % K, n = i / length / K;
    // <<< gap
    float sum = 0.0f;
    for (int c = 0; c < C; ++c)
        for (int s = 0; s < S; ++s) {
            const int l = q * stride + s * dilation;
            if (l < length) sum += input[(n * C + c) * length + l] * weight[(k * C + c) * S + s];
        }
    output[i] = sum;
}

torch::Tensor conv1d(torch::Tensor input, torch::Tensor weight, int64_t stride = 1, int64_t dilation = 1) {
    check_float32("input", input, 3);
    check_float32("weight", weight, 3);
    check_contiguous("input", input);
    check_contiguous("weight", weight);
    check_convolution(input, weight, std::nullopt, stride, 0, dilation);
    const int64_t N = input.size(0), C = input.size(1), length = input.size(2);
    const int64_t K = weight.size(0), S = weight.size(2);
    TORCH_CHECK(length < 1 << 29 && dilation * (S - 1) < length, "the filter is larger than the input");
    // >>> gap (1 line): the length of the output
    const int64_t Q = (length - dilation * (S - 1) - 1) / stride + 1;
    // === starter
    const int64_t Q = length;
    // <<< gap
    TORCH_CHECK(N * K <= INT_MAX / Q, "the output would have over 2^31 - 1 elements");
    auto output = torch::zeros({N, K, Q}, input.options());
    if (N == 0) return output;  // a grid without blocks is an error

    const c10::cuda::CUDAGuard guard(input.device());
    conv1d_kernel<<<grid_of((N * K * Q + 255) / 256, 1, 1), 256, 0, at::cuda::getCurrentCUDAStream()>>>(
        input.data_ptr<float>(), weight.data_ptr<float>(), output.data_ptr<float>(), N, C, length, K, S, Q,
        stride, dilation);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
    return output;
}
