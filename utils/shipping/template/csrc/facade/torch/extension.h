// The words of <torch/extension.h> that the course's launchers use, said with PyTorch's stable ABI. This
// folder comes first on the include path, so that kernels/*.cu compile unchanged, and bind to no version of
// PyTorch.
#pragma once

#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <initializer_list>
#include <optional>

#define TORCH_CHECK STD_TORCH_CHECK

HIDDEN_NAMESPACE_BEGIN(torch)

using headeronly::ScalarType;
constexpr auto kFloat32 = ScalarType::Float, kFloat64 = ScalarType::Double, kBFloat16 = ScalarType::BFloat16;

struct TensorOptions {
    ScalarType dtype;
    stable::Device device;
};

struct Tensor : stable::Tensor {
    Tensor(const stable::Tensor& tensor) : stable::Tensor(tensor) {}

    template <class T>
    T* data_ptr() const {
        return static_cast<T*>(stable::Tensor::data_ptr());
    }
    TensorOptions options() const { return {scalar_type(), device()}; }
};

inline Tensor empty(std::initializer_list<int64_t> sizes, const TensorOptions& options) {
    return stable::empty({sizes.begin(), sizes.size()}, options.dtype, std::nullopt, options.device);
}

HIDDEN_NAMESPACE_END(torch)
