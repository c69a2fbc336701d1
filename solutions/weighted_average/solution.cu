// The moving average of the lesson, with a weight for each of the three neighbours: a 1-D convolution.
#include <c10/cuda/CUDAException.h>
#include <torch/extension.h>

__global__ void weighted_average_kernel(const float* x, const float* weight, float* y, int outputs) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    // >>> gap (1 line): weight the three neighbours instead of averaging them
    if (i < outputs) y[i] = weight[0] * x[i] + weight[1] * x[i + 1] + weight[2] * x[i + 2];
    // === starter
    if (i < outputs) y[i] = (x[i] + x[i + 1] + x[i + 2]) / 3.0f;
    // <<< gap
}

torch::Tensor weighted_average(torch::Tensor input, torch::Tensor weight) {
    TORCH_CHECK(input.is_cuda(), "input must be on the GPU");
    TORCH_CHECK(input.scalar_type() == torch::kFloat32, "input must be float32, not ", input.scalar_type());
    TORCH_CHECK(input.dim() == 1 && input.is_contiguous(), "input must be contiguous, of one dimension");
    TORCH_CHECK(input.numel() >= 3 && input.numel() < 1LL << 31, "input must have 3 to 2^31 - 1 elements");
    TORCH_CHECK(weight.device() == input.device() && weight.scalar_type() == torch::kFloat32,
                "weight must be float32, where the input is");
    TORCH_CHECK(weight.dim() == 1 && weight.numel() == 3 && weight.is_contiguous(),
                "weight must have 3 elements, one after the other");
    int outputs = input.numel() - 2;
    auto output = torch::empty({outputs}, input.options());

    int threads = 256;
    int blocks = (outputs + threads - 1) / threads;
    weighted_average_kernel<<<blocks, threads>>>(input.data_ptr<float>(), weight.data_ptr<float>(),
                                                 output.data_ptr<float>(), outputs);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
    return output;
}
