// The kernel is right, the launch is not.
#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDAGuard.h>
#include <torch/extension.h>
#include <climits>

__global__ void conv2d_small(const float* __restrict__ input, const float* __restrict__ weight,
                             float* __restrict__ output, int C, int H, int W, int K, int R, int S, int P,
                             int Q) {
    const int q = blockIdx.x * blockDim.x + threadIdx.x;
    const int p = blockIdx.y * blockDim.y + threadIdx.y;
    const int n = blockIdx.z / K, k = blockIdx.z % K;
    if (p >= P || q >= Q) return;
    float sum = 0.0f;
    for (int c = 0; c < C; ++c)
        for (int r = 0; r < R; ++r)
            for (int s = 0; s < S; ++s)
                sum += input[((n * C + c) * H + p + r) * W + q + s] * weight[((k * C + c) * R + r) * S + s];
    output[((n * K + k) * P + p) * Q + q] = sum;
}

torch::Tensor conv2d(torch::Tensor input, torch::Tensor weight) {
    for (const auto& tensor : {input, weight}) {
        TORCH_CHECK(tensor.is_cuda() && tensor.scalar_type() == torch::kFloat32,
                    "float32 on the GPU, please");
        TORCH_CHECK(
            tensor.dim() == 4 && tensor.is_contiguous() && tensor.numel() > 0 && tensor.numel() <= INT_MAX,
            "input and weight must be contiguous, of 4 dimensions, not empty, below 2^31 elements");
    }
    const int64_t N = input.size(0), C = input.size(1), H = input.size(2), W = input.size(3);
    const int64_t K = weight.size(0), R = weight.size(2), S = weight.size(3), P = H - R + 1, Q = W - S + 1;
    TORCH_CHECK(weight.size(1) == C && weight.device() == input.device(), "weight does not fit the input");
    TORCH_CHECK(P >= 1 && Q >= 1, "the filter is larger than the input");
    TORCH_CHECK(N * K <= 65535 && P <= 65535, "too many blocks along y or z: at most 65,535");
    TORCH_CHECK(N * K <= INT_MAX / (P * Q), "the output would have over 2^31 - 1 elements");
    auto output = torch::empty({N, K, P, Q}, input.options());

    const c10::cuda::CUDAGuard guard(input.device());  // launch where the input is
    const dim3 block(32, 8);
    // >>> gap (1 line): launch enough blocks, in the right directions; there are two mistakes
    const dim3 grid((Q + block.x - 1) / block.x, (P + block.y - 1) / block.y, N * K);
    // === starter
    const dim3 grid(P / block.x, Q / block.y, N * K);
    // <<< gap
    conv2d_small<<<grid, block, 0, at::cuda::getCurrentCUDAStream()>>>(
        input.data_ptr<float>(), weight.data_ptr<float>(), output.data_ptr<float>(), C, H, W, K, R, S, P, Q);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
    return output;
}
