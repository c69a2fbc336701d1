// The first kernel: every output is the mean of three neighbouring inputs and has a thread of its own.
#include <c10/cuda/CUDAException.h>
#include <torch/extension.h>

__global__ void moving_average_kernel(const float* x, float* y, int outputs) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < outputs) y[i] = (x[i] + x[i + 1] + x[i + 2]) / 3.0f;
}

torch::Tensor moving_average(torch::Tensor input) {
    TORCH_CHECK(input.is_cuda(), "input must be on the GPU");
    TORCH_CHECK(input.scalar_type() == torch::kFloat32, "input must be float32, not ", input.scalar_type());
    TORCH_CHECK(input.dim() == 1 && input.is_contiguous(), "input must be contiguous, of one dimension");
    TORCH_CHECK(input.numel() >= 3 && input.numel() < 1LL << 31, "input must have 3 to 2^31 - 1 elements");
    int outputs = input.numel() - 2;
    auto output = torch::empty({outputs}, input.options());

    int threads = 256;
    int blocks = (outputs + threads - 1) / threads;
    moving_average_kernel<<<blocks, threads>>>(input.data_ptr<float>(), output.data_ptr<float>(), outputs);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
    return output;
}
