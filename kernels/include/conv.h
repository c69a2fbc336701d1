// What every launcher of the course does before it launches: refuse what its kernel cannot do, with a reason,
// and work out the sizes. conv2d_naive.cu has it written out in full.
// Letters as in cuDNN: N images, C input channels, H x W input, K output channels, R x S filter, P x Q
// output.
#pragma once

#include <c10/cuda/CUDAGuard.h>
#include <torch/extension.h>
#include <algorithm>
#include <climits>

struct Conv2d {
    int N, C, H, W, K, R, S, P, Q, stride, padding, dilation;
};

struct Conv1d {
    int N, C, L, K, S, Q, stride, padding, dilation;
};

inline int ceil_div(int a, int b) { return a / b + (a % b != 0); }

// The bias's data, or nullptr where there is none.
inline const float* data_or_null(const std::optional<torch::Tensor>& bias) {
    return bias ? bias->data_ptr<float>() : nullptr;
}

inline const char* dtype_name(torch::ScalarType dtype) {
    return dtype == torch::kFloat64 ? "float64" : dtype == torch::kBFloat16 ? "bfloat16" : "float32";
}

inline void check_tensor(const char* name, const torch::Tensor& tensor, int64_t dim,
                         torch::ScalarType dtype) {
    TORCH_CHECK(tensor.is_cuda(), name, " must be on the GPU");
    TORCH_CHECK(tensor.scalar_type() == dtype, name, " must be ", dtype_name(dtype));
    TORCH_CHECK(tensor.dim() == dim, name, " must have ", dim, " dimensions, not ", tensor.dim());
    TORCH_CHECK(tensor.numel() <= INT_MAX, name, " has over 2^31 - 1 elements: int indices overflow");
}

inline void check_contiguous(const char* name, const torch::Tensor& tensor) {
    TORCH_CHECK(tensor.is_contiguous(), name, " must be contiguous: pass ", name, ".contiguous()");
}

inline void check_float32(const char* name, const torch::Tensor& tensor, int64_t dim) {
    check_tensor(name, tensor, dim, torch::kFloat32);
}

// The dtype of a kernel's input that may be either; weight and bias must be the same then.
inline torch::ScalarType float32_or_bfloat16(const torch::Tensor& input) {
    const auto dtype = input.scalar_type();
    TORCH_CHECK(dtype == torch::kFloat32 || dtype == torch::kBFloat16, "input must be float32 or bfloat16");
    return dtype;
}

// What this GPU has: cudaDevAttrMultiProcessorCount, for instance.
inline int device_attribute(cudaDeviceAttr which) {
    int device = 0, value = 0;
    C10_CUDA_CHECK(cudaGetDevice(&device));
    C10_CUDA_CHECK(cudaDeviceGetAttribute(&value, which, device));
    return value;
}

// The most bytes of shared memory that a block can ask for, and the GPU's streaming multiprocessors.
inline int most_shared_bytes() { return device_attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin); }
inline int multiprocessors() { return device_attribute(cudaDevAttrMultiProcessorCount); }

// The GPU's compute capability, 80 for 8.0.
inline int compute_capability() {
    return 10 * device_attribute(cudaDevAttrComputeCapabilityMajor) +
           device_attribute(cudaDevAttrComputeCapabilityMinor);
}

// The dtype of a kernel's first tensor that may be float32 or float64; the others must be the same then.
inline torch::ScalarType float32_or_float64(const char* name, const torch::Tensor& tensor) {
    const auto dtype = tensor.scalar_type();
    TORCH_CHECK(dtype == torch::kFloat32 || dtype == torch::kFloat64, name, " must be float32 or float64");
    return dtype;
}

// Refuses a GPU that is older than what a kernel is written with; version is 80 for compute capability 8.0.
inline void require_sm(int version, const char* what) {
    const int has = compute_capability();
    TORCH_CHECK(has >= version, what, " needs a GPU of compute capability ", version / 10, ".", version % 10,
                " or newer; this one has ", has / 10, ".", has % 10);
}

inline void check_options(int64_t stride, int64_t padding, int64_t dilation) {
    TORCH_CHECK(stride > 0 && dilation > 0, "stride and dilation must be positive");
    TORCH_CHECK(padding >= 0, "padding must not be negative");
    const int64_t limit = 1 << 29;  // keeps h and w, computed in int, from overflowing
    TORCH_CHECK(stride < limit && padding < limit && dilation < limit,
                "stride, padding and dilation must be below ", limit);
}

// What one and two dimensions have in common. A depthwise weight has one channel, whatever the input has.
inline void check_convolution(const torch::Tensor& input, const torch::Tensor& weight,
                              const std::optional<torch::Tensor>& bias, int64_t stride, int64_t padding,
                              int64_t dilation, bool depthwise = false,
                              torch::ScalarType dtype = torch::kFloat32) {
    const int64_t C = input.size(1), K = weight.size(0);
    if (depthwise) {
        TORCH_CHECK(weight.size(1) == 1, "a depthwise weight has 1 channel, not ", weight.size(1));
        TORCH_CHECK(K == C, "a depthwise weight has one filter per input channel: ", C, ", not ", K);
    } else {
        TORCH_CHECK(weight.size(1) == C, "weight has ", weight.size(1), " channels, input has ", C,
                    " (groups are not supported)");
    }
    if (bias) {
        check_tensor("bias", *bias, 1, dtype);
        check_contiguous("bias", *bias);
        TORCH_CHECK(bias->size(0) == K, "bias must have ", K, " elements, one per output channel");
    }
    TORCH_CHECK(weight.device() == input.device() && (!bias || bias->device() == input.device()),
                "input, weight and bias must be on the same GPU");
    for (int i = 1; i < input.dim(); ++i)
        TORCH_CHECK(input.size(i) > 0 && weight.numel() > 0, "only the batch may be empty");
    check_options(stride, padding, dilation);
}

// How many windows fit: the output's height, width or length.
inline int windows(int64_t size, int64_t taps, int64_t stride, int64_t padding, int64_t dilation) {
    TORCH_CHECK(size < 1 << 29, "height, width and length must be below ", 1 << 29);
    const int64_t places = size + 2 * padding - dilation * (taps - 1);
    TORCH_CHECK(places > 0, "the filter is larger than the padded input");
    return (places - 1) / stride + 1;
}

// Sizes of a convolution of input N x C x H x W and weight K x C x R x S (C x 1 x R x S where depthwise).
// Throws, with the reason, for what the course's kernels do not take. Layout is the caller's business.
inline Conv2d conv2d_sizes_any_layout(const torch::Tensor& input, const torch::Tensor& weight,
                                      const std::optional<torch::Tensor>& bias, int64_t stride,
                                      int64_t padding, int64_t dilation, bool depthwise = false,
                                      torch::ScalarType dtype = torch::kFloat32) {
    check_tensor("input", input, 4, dtype);
    check_tensor("weight", weight, 4, dtype);
    check_convolution(input, weight, bias, stride, padding, dilation, depthwise, dtype);
    const int64_t N = input.size(0), C = input.size(1), H = input.size(2), W = input.size(3);
    const int64_t K = weight.size(0), R = weight.size(2), S = weight.size(3);
    const int64_t P = windows(H, R, stride, padding, dilation), Q = windows(W, S, stride, padding, dilation);
    TORCH_CHECK(N * K <= INT_MAX / P / Q, "the output has over 2^31 - 1 elements: int indices overflow");
    return {int(N), int(C), int(H), int(W),      int(K),       int(R),
            int(S), int(P), int(Q), int(stride), int(padding), int(dilation)};
}

// The same for contiguous tensors, which nearly all kernels want.
inline Conv2d conv2d_sizes(const torch::Tensor& input, const torch::Tensor& weight,
                           const std::optional<torch::Tensor>& bias, int64_t stride, int64_t padding,
                           int64_t dilation, bool depthwise = false,
                           torch::ScalarType dtype = torch::kFloat32) {
    const Conv2d sizes =
        conv2d_sizes_any_layout(input, weight, bias, stride, padding, dilation, depthwise, dtype);
    check_contiguous("input", input);
    check_contiguous("weight", weight);
    return sizes;
}

// Sizes of a convolution of input N x C x L and weight K x C x S, both contiguous. Throws as conv2d_sizes.
inline Conv1d conv1d_sizes(const torch::Tensor& input, const torch::Tensor& weight,
                           const std::optional<torch::Tensor>& bias, int64_t stride, int64_t padding,
                           int64_t dilation, torch::ScalarType dtype = torch::kFloat32) {
    check_tensor("input", input, 3, dtype);
    check_tensor("weight", weight, 3, dtype);
    check_convolution(input, weight, bias, stride, padding, dilation, false, dtype);
    check_contiguous("input", input);
    check_contiguous("weight", weight);
    const int64_t N = input.size(0), C = input.size(1), L = input.size(2), K = weight.size(0);
    const int64_t S = weight.size(2), Q = windows(L, S, stride, padding, dilation);
    TORCH_CHECK(N * K <= INT_MAX / Q, "the output has over 2^31 - 1 elements: int indices overflow");
    return {int(N), int(C), int(L), int(K), int(S), int(Q), int(stride), int(padding), int(dilation)};
}

// A grid of x * y * z blocks; refuses what CUDA would refuse, with the number.
inline dim3 grid_of(int64_t x, int64_t y, int64_t z) {
    TORCH_CHECK(x <= INT_MAX, x, " blocks along x: a grid has at most 2^31 - 1");
    TORCH_CHECK(y <= 65535, y, " blocks along y: a grid has at most 65,535");
    TORCH_CHECK(z <= 65535, z, " blocks along z: a grid has at most 65,535");
    return dim3(x, y, z);
}

// Elements of a tile, where stride and dilation can be so large that the product overflows.
inline int64_t area(int64_t rows, int64_t columns) {
    return rows > INT_MAX / columns ? INT_MAX : rows * columns;
}

// Dynamic shared memory for a kernel, in bytes: more than 48 KB has to be asked for, and no block gets more
// than the GPU has.
template <class Kernel>
int shared_bytes(Kernel* kernel, int64_t bytes, const char* why) {
    const int most = most_shared_bytes();
    TORCH_CHECK(bytes <= most, why, " needs ", bytes, " bytes of shared memory; a block of this GPU has ",
                most);
    if (bytes > 48 * 1024)
        C10_CUDA_CHECK(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, int(bytes)));
    return bytes;
}
