// What the launchers of gradients do before they launch, as conv.h for those of convolutions. The sizes are
// those of the convolution whose output's gradient is given: its input is N x C x H x W, its output N x K x P
// x Q.
#pragma once

#include "conv.h"

inline void check_gradient_sizes(const torch::Tensor& grad_output, int64_t N, int64_t K, int64_t P,
                                 int64_t Q) {
    const bool one = grad_output.dim() == 3;
    TORCH_CHECK(grad_output.size(0) == N, "grad_output has ", grad_output.size(0), " images, not ", N);
    TORCH_CHECK(grad_output.size(1) == K, "grad_output has ", grad_output.size(1), " channels, not ", K);
    TORCH_CHECK(grad_output.size(-1) == Q && (one || grad_output.size(2) == P),
                "grad_output has another size than the convolution's output, ", P, " x ", Q);
    TORCH_CHECK(N * K <= INT_MAX / P / Q, "the output has over 2^31 - 1 elements: int indices overflow");
}

inline void check_gradient_tensors(const torch::Tensor& grad_output, const char* name,
                                   const torch::Tensor& other, int64_t dim, torch::ScalarType dtype) {
    check_tensor("grad_output", grad_output, dim, dtype);
    check_tensor(name, other, dim, dtype);
    check_contiguous("grad_output", grad_output);
    check_contiguous(name, other);
    TORCH_CHECK(other.device() == grad_output.device(), "grad_output and ", name, " must be on the same GPU");
    for (int i = 1; i < dim; ++i)
        TORCH_CHECK(other.size(i) > 0 && grad_output.size(i) > 0, "only the batch may be empty");
}

// For the gradient of an input of height x width: grad_output N x K x P x Q and weight K x C x R x S,
// contiguous. Throws, with the reason, for what the course's kernels do not take.
inline Conv2d conv2d_dgrad_sizes(const torch::Tensor& grad_output, const torch::Tensor& weight,
                                 int64_t height, int64_t width, int64_t stride, int64_t padding,
                                 int64_t dilation, torch::ScalarType dtype = torch::kFloat32) {
    check_gradient_tensors(grad_output, "weight", weight, 4, dtype);
    check_options(stride, padding, dilation);
    TORCH_CHECK(height > 0 && width > 0, "height and width must be positive");
    const int64_t N = grad_output.size(0), K = weight.size(0), C = weight.size(1);
    const int64_t R = weight.size(2), S = weight.size(3);
    const int64_t P = windows(height, R, stride, padding, dilation);
    const int64_t Q = windows(width, S, stride, padding, dilation);
    check_gradient_sizes(grad_output, N, K, P, Q);
    TORCH_CHECK(N * C <= INT_MAX / height / width,
                "grad_input has over 2^31 - 1 elements: int indices overflow");
    return {int(N), int(C), int(height), int(width),  int(K),       int(R),
            int(S), int(P), int(Q),      int(stride), int(padding), int(dilation)};
}

// For the gradient of a weight of R x S taps: grad_output N x K x P x Q and input N x C x H x W, contiguous.
inline Conv2d conv2d_wgrad_sizes(const torch::Tensor& grad_output, const torch::Tensor& input, int64_t R,
                                 int64_t S, int64_t stride, int64_t padding, int64_t dilation,
                                 torch::ScalarType dtype = torch::kFloat32) {
    check_gradient_tensors(grad_output, "input", input, 4, dtype);
    check_options(stride, padding, dilation);
    TORCH_CHECK(R > 0 && S > 0, "R and S must be positive");
    const int64_t N = input.size(0), C = input.size(1), H = input.size(2), W = input.size(3);
    const int64_t K = grad_output.size(1);
    const int64_t P = windows(H, R, stride, padding, dilation), Q = windows(W, S, stride, padding, dilation);
    check_gradient_sizes(grad_output, N, K, P, Q);
    TORCH_CHECK(K * C <= INT_MAX / R / S, "grad_weight has over 2^31 - 1 elements: int indices overflow");
    return {int(N), int(C), int(H), int(W),      int(K),       int(R),
            int(S), int(P), int(Q), int(stride), int(padding), int(dilation)};
}

// The same in one dimension: an input of this length, N x C x L; grad_output N x K x Q and weight K x C x S.
inline Conv1d conv1d_dgrad_sizes(const torch::Tensor& grad_output, const torch::Tensor& weight,
                                 int64_t length, int64_t stride, int64_t padding, int64_t dilation,
                                 torch::ScalarType dtype = torch::kFloat32) {
    check_gradient_tensors(grad_output, "weight", weight, 3, dtype);
    check_options(stride, padding, dilation);
    TORCH_CHECK(length > 0, "length must be positive");
    const int64_t N = grad_output.size(0), K = weight.size(0), C = weight.size(1), S = weight.size(2);
    const int64_t Q = windows(length, S, stride, padding, dilation);
    check_gradient_sizes(grad_output, N, K, 1, Q);
    TORCH_CHECK(N * C <= INT_MAX / length, "grad_input has over 2^31 - 1 elements: int indices overflow");
    return {int(N), int(C), int(length), int(K), int(S), int(Q), int(stride), int(padding), int(dilation)};
}

// And for the gradient of a weight of S taps: grad_output N x K x Q and input N x C x L.
inline Conv1d conv1d_wgrad_sizes(const torch::Tensor& grad_output, const torch::Tensor& input, int64_t S,
                                 int64_t stride, int64_t padding, int64_t dilation,
                                 torch::ScalarType dtype = torch::kFloat32) {
    check_gradient_tensors(grad_output, "input", input, 3, dtype);
    check_options(stride, padding, dilation);
    TORCH_CHECK(S > 0, "S must be positive");
    const int64_t N = input.size(0), C = input.size(1), L = input.size(2), K = grad_output.size(1);
    const int64_t Q = windows(L, S, stride, padding, dilation);
    check_gradient_sizes(grad_output, N, K, 1, Q);
    TORCH_CHECK(K * C <= INT_MAX / S, "grad_weight has over 2^31 - 1 elements: int indices overflow");
    return {int(N), int(C), int(L), int(K), int(S), int(Q), int(stride), int(padding), int(dilation)};
}

// For the gradient of the bias: images, channels, and pixels of a channel of grad_output, contiguous.
struct Channels {
    int N, K, pixels;
};

inline Channels bgrad_sizes(const torch::Tensor& grad_output, torch::ScalarType dtype = torch::kFloat32) {
    TORCH_CHECK(grad_output.dim() == 3 || grad_output.dim() == 4,
                "grad_output must have 3 or 4 dimensions, not ", grad_output.dim());
    check_tensor("grad_output", grad_output, grad_output.dim(), dtype);
    check_contiguous("grad_output", grad_output);
    int64_t pixels = 1;
    for (int i = 2; i < grad_output.dim(); ++i) pixels *= grad_output.size(i);
    TORCH_CHECK(grad_output.size(1) > 0 && pixels > 0, "only the batch may be empty");
    return {int(grad_output.size(0)), int(grad_output.size(1)), int(pixels)};
}
