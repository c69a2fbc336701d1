// fastconv::conv2d: its schema, and for CPU tensors a plain loop.
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <optional>

using torch::headeronly::ScalarType;
using torch::stable::Tensor;

static void check(const Tensor& tensor, const char* name, int64_t dim) {
    STD_TORCH_CHECK(tensor.scalar_type() == ScalarType::Float, name, " must be float32");
    STD_TORCH_CHECK(tensor.dim() == dim, name, " must have ", dim, " dimensions, not ", tensor.dim());
    STD_TORCH_CHECK(tensor.is_cpu(), name, " must be on the CPU");
}

static Tensor conv2d_cpu(Tensor input, Tensor weight, std::optional<Tensor> bias, int64_t stride,
                         int64_t padding, int64_t dilation) {
    check(input, "input", 4);
    check(weight, "weight", 4);
    if (bias) check(*bias, "bias", 1);
    input = contiguous(input), weight = contiguous(weight);
    if (bias) bias = contiguous(*bias);
    const int64_t N = input.size(0), C = input.size(1), H = input.size(2), W = input.size(3);
    const int64_t K = weight.size(0), R = weight.size(2), S = weight.size(3);
    STD_TORCH_CHECK(weight.size(1) == C && (!bias || bias->size(0) == K), "the channels do not fit");
    STD_TORCH_CHECK(stride > 0 && dilation > 0 && padding >= 0, "stride, padding or dilation is too small");
    const int64_t places_h = H + 2 * padding - dilation * (R - 1);
    const int64_t places_w = W + 2 * padding - dilation * (S - 1);
    STD_TORCH_CHECK(places_h > 0 && places_w > 0, "the filter is larger than the padded input");
    const int64_t P = (places_h - 1) / stride + 1, Q = (places_w - 1) / stride + 1;
    Tensor output = torch::stable::empty({N, K, P, Q}, ScalarType::Float);

    const float* x = input.const_data_ptr<float>();
    const float* w = weight.const_data_ptr<float>();
    const float* b = bias ? bias->const_data_ptr<float>() : nullptr;
    float* y = output.mutable_data_ptr<float>();
    torch::stable::parallel_for(0, N * K, 1, [=](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i)
            for (int64_t p = 0; p < P; ++p)
                for (int64_t q = 0; q < Q; ++q) {
                    float sum = b ? b[i % K] : 0.0f;
                    for (int64_t c = 0; c < C; ++c)
                        for (int64_t r = 0; r < R; ++r)
                            for (int64_t s = 0; s < S; ++s) {
                                const int64_t h = p * stride - padding + r * dilation;
                                const int64_t v = q * stride - padding + s * dilation;
                                if (h < 0 || h >= H || v < 0 || v >= W) continue;
                                sum += x[((i / K * C + c) * H + h) * W + v] *
                                       w[((i % K * C + c) * R + r) * S + s];
                            }
                    y[(i * P + p) * Q + q] = sum;
                }
    });
    return output;
}

STABLE_TORCH_LIBRARY(fastconv, m) {
    m.def(
        "conv2d(Tensor input, Tensor weight, Tensor? bias=None, int stride=1, int padding=0, int dilation=1)"
        " -> Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(fastconv, CPU, m) { m.impl("conv2d", TORCH_BOX(&conv2d_cpu)); }
