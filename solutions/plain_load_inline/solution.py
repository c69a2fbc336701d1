from utils import load_inline  # the keywords of torch.utils.cpp_extension.load_inline

cpp_source = "torch::Tensor twice(torch::Tensor input);"

cuda_source = r"""
#include <torch/extension.h>

__global__ void twice_kernel(const float* x, float* y, int count) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count) y[i] = 2.0f * x[i];
}

torch::Tensor twice(torch::Tensor input) {
    TORCH_CHECK(input.is_cuda() && input.is_contiguous() && input.scalar_type() == torch::kFloat32);
    auto output = torch::empty_like(input);
    int count = input.numel();
    if (count == 0) return output;
    twice_kernel<<<(count + 255) / 256, 256>>>(input.data_ptr<float>(), output.data_ptr<float>(), count);
    return output;
}
"""

# >>> gap (6 lines): compile both sources into `module`; the function to export is the launcher
module = load_inline(
    name="twice",
    cpp_sources=cpp_source,
    cuda_sources=cuda_source,
    functions=["twice"],
)
# === starter
module = None
# <<< gap
