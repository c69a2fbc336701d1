// conv2d_naive with x and y exchanged, to show what that costs: thread x runs along H, so neighbouring
// threads of a warp are a whole row apart in memory.
// Measured on an H200, 2026-11-20, float32: alexnet_conv1 111 ms, where conv2d_naive takes 20.6.
#include <c10/cuda/CUDAGuard.h>
#include <torch/extension.h>
#include <climits>

__global__ void conv2d_uncoalesced(const float* __restrict__ input, const float* __restrict__ weight,
                                   const float* __restrict__ bias, float* __restrict__ output, int C, int H,
                                   int W, int K, int R, int S, int P, int Q, int stride, int padding,
                                   int dilation) {
    const int p = blockIdx.x * blockDim.x + threadIdx.x;
    const int q = blockIdx.y * blockDim.y + threadIdx.y;
    const int n = blockIdx.z / K, k = blockIdx.z % K;
    if (p >= P || q >= Q) return;

    float sum = bias ? bias[k] : 0.0f;
    for (int c = 0; c < C; ++c)
        for (int r = 0; r < R; ++r)
            for (int s = 0; s < S; ++s) {
                const int h = p * stride - padding + r * dilation;
                const int w = q * stride - padding + s * dilation;
                if (h >= 0 && h < H && w >= 0 && w < W)
                    sum += input[((n * C + c) * H + h) * W + w] * weight[((k * C + c) * R + r) * S + s];
            }
    output[((n * K + k) * P + p) * Q + q] = sum;
}

static void check_tensor(const char* name, const torch::Tensor& tensor, int64_t dim) {
    TORCH_CHECK(tensor.is_cuda(), name, " must be on the GPU");
    TORCH_CHECK(tensor.scalar_type() == torch::kFloat32, name, " must be float32");
    TORCH_CHECK(tensor.dim() == dim, name, " must have ", dim, " dimensions, not ", tensor.dim());
    TORCH_CHECK(tensor.is_contiguous(), name, " must be contiguous: pass ", name, ".contiguous()");
    TORCH_CHECK(tensor.numel() <= INT_MAX, name, " has over 2^31 - 1 elements: int indices overflow");
}

torch::Tensor conv2d(torch::Tensor input, torch::Tensor weight,
                     std::optional<torch::Tensor> bias = std::nullopt, int64_t stride = 1,
                     int64_t padding = 0, int64_t dilation = 1) {
    check_tensor("input", input, 4);
    check_tensor("weight", weight, 4);
    if (bias) check_tensor("bias", *bias, 1);
    const int64_t N = input.size(0), C = input.size(1), H = input.size(2), W = input.size(3);
    const int64_t K = weight.size(0), R = weight.size(2), S = weight.size(3);
    TORCH_CHECK(weight.size(1) == C, "weight has ", weight.size(1), " channels, input has ", C,
                " (groups are not supported)");
    TORCH_CHECK(!bias || bias->size(0) == K, "bias must have ", K, " elements, one per output channel");
    TORCH_CHECK(weight.device() == input.device() && (!bias || bias->device() == input.device()),
                "input, weight and bias must be on the same GPU");
    TORCH_CHECK(C > 0 && H > 0 && W > 0 && weight.numel() > 0, "only the batch may be empty");
    TORCH_CHECK(stride > 0 && dilation > 0, "stride and dilation must be positive");
    TORCH_CHECK(padding >= 0, "padding must not be negative");
    const int64_t limit = 1 << 29;  // keeps h and w, computed in int, from overflowing
    TORCH_CHECK(stride < limit && padding < limit && dilation < limit && H < limit && W < limit,
                "stride, padding, dilation, height and width must be below ", limit);

    // Where the filter's first row and column can start; every stride-th of them makes an output.
    const int64_t rows = H + 2 * padding - dilation * (R - 1), columns = W + 2 * padding - dilation * (S - 1);
    TORCH_CHECK(rows > 0 && columns > 0, "the filter is larger than the padded input");
    const int64_t P = (rows - 1) / stride + 1, Q = (columns - 1) / stride + 1;
    TORCH_CHECK(N * K <= 65535, "N * K is ", N * K, ": a grid has at most 65,535 blocks along z");
    TORCH_CHECK((Q + 7) / 8 <= 65535, "Q is ", Q, ": a grid has at most 65,535 blocks along y");
    TORCH_CHECK(N * K * P <= INT_MAX / Q, "the output has over 2^31 - 1 elements: int indices overflow");
    auto output = torch::empty({N, K, P, Q}, input.options());
    if (N == 0) return output;  // CUDA refuses to launch a grid without blocks

    const c10::cuda::CUDAGuard guard(input.device());
    const dim3 block(32, 8), grid((P + 31) / 32, (Q + 7) / 8, N * K);
    conv2d_uncoalesced<<<grid, block, 0, at::cuda::getCurrentCUDAStream()>>>(
        input.data_ptr<float>(), weight.data_ptr<float>(), bias ? bias->data_ptr<float>() : nullptr,
        output.data_ptr<float>(), C, H, W, K, R, S, P, Q, stride, padding, dilation);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
    return output;
}
