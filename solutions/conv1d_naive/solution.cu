// One thread per output of a 1-D convolution: input N x C x L, weight K x C x S, output N x K x Q.
#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDAGuard.h>
#include <torch/extension.h>
#include <climits>

__global__ void conv1d_naive(const float* __restrict__ input, const float* __restrict__ weight,
                             const float* __restrict__ bias, float* __restrict__ output, int C, int L, int K,
                             int S, int Q, int stride, int padding, int dilation) {
    // bias is nullptr when there is none. Block: 256 threads along Q. Grid: Q / 256 rounded up, K, N.
    // >>> gap (10 lines): find q, k and n; leave if there is no such q; sum over c and s; store the sum
    const int q = blockIdx.x * blockDim.x + threadIdx.x;
    const int k = blockIdx.y, n = blockIdx.z;
    if (q >= Q) return;
    float sum = bias ? bias[k] : 0.0f;
    for (int c = 0; c < C; ++c)
        for (int s = 0; s < S; ++s) {
            const int l = q * stride - padding + s * dilation;
            if (l >= 0 && l < L) sum += input[(n * C + c) * L + l] * weight[(k * C + c) * S + s];
        }
    output[(n * K + k) * Q + q] = sum;
    // <<< gap
}

static void check_tensor(const char* name, const torch::Tensor& tensor, int64_t dim) {
    TORCH_CHECK(tensor.is_cuda(), name, " must be on the GPU");
    TORCH_CHECK(tensor.scalar_type() == torch::kFloat32, name, " must be float32");
    TORCH_CHECK(tensor.dim() == dim, name, " must have ", dim, " dimensions, not ", tensor.dim());
    TORCH_CHECK(tensor.is_contiguous(), name, " must be contiguous: pass ", name, ".contiguous()");
    TORCH_CHECK(tensor.numel() <= INT_MAX, name, " has over 2^31 - 1 elements: int indices would overflow");
}

torch::Tensor conv1d(torch::Tensor input, torch::Tensor weight,
                     std::optional<torch::Tensor> bias = std::nullopt, int64_t stride = 1,
                     int64_t padding = 0, int64_t dilation = 1) {
    check_tensor("input", input, 3);
    check_tensor("weight", weight, 3);
    if (bias) check_tensor("bias", *bias, 1);
    const int64_t N = input.size(0), C = input.size(1), L = input.size(2);
    const int64_t K = weight.size(0), S = weight.size(2);
    TORCH_CHECK(weight.size(1) == C, "weight has ", weight.size(1), " channels, input ", C,
                ": no groups here");
    TORCH_CHECK(!bias || bias->size(0) == K, "bias must have one element per output channel: ", K);
    TORCH_CHECK(weight.device() == input.device() && (!bias || bias->device() == input.device()),
                "input, weight and bias must be on the same GPU");
    TORCH_CHECK(C * L > 0 && weight.numel() > 0, "only the batch may be empty");
    TORCH_CHECK(stride >= 1 && dilation >= 1 && padding >= 0, "stride and dilation start at 1, padding at 0");
    TORCH_CHECK(std::max({stride, dilation, padding, L}) < INT_MAX / 4, "a size is over 2^29");
    TORCH_CHECK(dilation * (S - 1) < L + 2 * padding, "the filter is larger than the padded input");

    // >>> gap (1 line): how many outputs fit along L
    const int64_t Q = (L + 2 * padding - dilation * (S - 1) - 1) / stride + 1;
    // === starter
    const int64_t Q = L;
    // <<< gap
    TORCH_CHECK(K <= 65535 && N <= 65535, "too many blocks along y or z: at most 65,535");
    TORCH_CHECK(N * K <= INT_MAX / Q, "the output would have over 2^31 - 1 elements");
    auto output = torch::empty({N, K, Q}, input.options());
    if (N == 0) return output;  // a grid without blocks is an error

    const c10::cuda::CUDAGuard guard(input.device());  // launch where the input is
    const dim3 block(256), grid((Q + 255) / 256, K, N);
    conv1d_naive<<<grid, block, 0, at::cuda::getCurrentCUDAStream()>>>(
        input.data_ptr<float>(), weight.data_ptr<float>(), bias ? bias->data_ptr<float>() : nullptr,
        output.data_ptr<float>(), C, L, K, S, Q, stride, padding, dilation);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
    return output;
}
