// torch::Tensor as launchers use it: what it is and where it lies. The memory belongs to Python.
#pragma once

#include "facade/abi.h"
#include "facade/owner.h"
#include "facade/types.h"

namespace at {

using namespace c10;

class TensorOptions {
  public:
    TensorOptions() = default;
    TensorOptions(ScalarType type) : dtype_(static_cast<int>(type)) {}
    TensorOptions(TypeMeta type) : dtype_(static_cast<int>(type.toScalarType())) {}
    TensorOptions(Device device) : device_(device), has_device_(true) {}
    TensorOptions(DeviceType type) : device_(Device(type)), has_device_(true) {}
    TensorOptions(MemoryFormat format) : format_(format) {}

    TensorOptions dtype(ScalarType type) const {
        return with([&](TensorOptions& o) { o.dtype_ = static_cast<int>(type); });
    }
    TensorOptions dtype(TypeMeta type) const { return dtype(type.toScalarType()); }
    template <class T>
    TensorOptions dtype() const {
        return dtype(CppTypeToScalarType<T>::value);
    }
    TensorOptions device(Device device) const {
        return with([&](TensorOptions& o) {
            o.device_ = device;
            o.has_device_ = true;
        });
    }
    TensorOptions device(DeviceType type, int index = -1) const {
        return device(Device(type, static_cast<DeviceIndex>(index)));
    }
    TensorOptions memory_format(MemoryFormat format) const {
        return with([&](TensorOptions& o) { o.format_ = format; });
    }
    TensorOptions requires_grad(bool) const { return *this; }  // a launcher's tensors never record a gradient

    TypeMeta dtype() const { return TypeMeta(has_dtype() ? static_cast<ScalarType>(dtype_) : kFloat); }
    Device device() const { return device_; }
    MemoryFormat format() const { return format_; }
    bool has_dtype() const { return dtype_ >= 0; }
    bool has_device() const { return has_device_; }
    int dtype_or_default() const { return dtype_; }

  private:
    template <class Change>
    TensorOptions with(Change change) const {
        TensorOptions changed = *this;
        change(changed);
        return changed;
    }

    int dtype_ = -1;
    Device device_ = kCPU;
    bool has_device_ = false;
    MemoryFormat format_ = MemoryFormat::Preserve;
};

// What the deprecated type() returns.
class TensorType {
  public:
    TensorType(ScalarType type, bool is_cuda) : type_(type), is_cuda_(is_cuda) {}
    ScalarType scalarType() const { return type_; }
    bool is_cuda() const { return is_cuda_; }
    friend bool operator==(TensorType a, TensorType b) {
        return a.type_ == b.type_ && a.is_cuda_ == b.is_cuda_;
    }
    friend bool operator!=(TensorType a, TensorType b) { return !(a == b); }

  private:
    ScalarType type_;
    bool is_cuda_;
};

class Tensor {
  public:
    Tensor() : value_{} { value_.integer = -1; }
    explicit Tensor(const facade::Value& value) : value_(value) {}
    // One that the launcher made, whose memory is its own.
    Tensor(const facade::Value& value, facade::Owner owner) : value_(value), owner_(owner) {}

    bool defined() const { return value_.integer >= 0; }
    int64_t handle() const { return value_.integer; }

    int64_t dim() const { return need().dim; }
    int64_t ndimension() const { return dim(); }
    IntArrayRef sizes() const { return IntArrayRef(need().sizes, static_cast<size_t>(value_.dim)); }
    IntArrayRef strides() const { return IntArrayRef(need().strides, static_cast<size_t>(value_.dim)); }
    int64_t size(int64_t dimension) const { return need().sizes[wrap(dimension)]; }
    int64_t stride(int64_t dimension) const { return need().strides[wrap(dimension)]; }
    int64_t numel() const {
        int64_t count = 1;
        for (int i = 0; i < need().dim; ++i) count *= value_.sizes[i];
        return count;
    }

    ScalarType scalar_type() const { return static_cast<ScalarType>(need().dtype); }
    TypeMeta dtype() const { return TypeMeta(scalar_type()); }
    TensorType type() const { return TensorType(scalar_type(), is_cuda()); }
    int64_t element_size() const { return elementSize(scalar_type()); }
    int64_t itemsize() const { return element_size(); }
    size_t nbytes() const { return static_cast<size_t>(numel() * element_size()); }
    bool is_floating_point() const { return isFloatingType(scalar_type()); }

    bool is_cuda() const { return need().is_cuda != 0; }
    bool is_cpu() const { return !is_cuda(); }
    Device device() const {
        return is_cuda() ? Device(kCUDA, static_cast<DeviceIndex>(value_.device_index)) : Device(kCPU);
    }
    int64_t get_device() const { return is_cuda() ? value_.device_index : -1; }
    TensorOptions options() const { return TensorOptions(scalar_type()).device(device()); }
    bool is_same(const Tensor& other) const { return handle() == other.handle(); }

    bool is_contiguous(MemoryFormat format = MemoryFormat::Contiguous) const {
        static constexpr int orders[2][5] = {{1, 3, 2, 0, 0}, {1, 4, 3, 2, 0}};
        const bool last = format == MemoryFormat::ChannelsLast,
                   last3d = format == MemoryFormat::ChannelsLast3d;
        if ((last && dim() != 4) || (last3d && dim() != 5)) return false;
        if (numel() == 0) return !last && !last3d ? true : dense(orders[last3d]);
        return dense(last || last3d ? orders[last3d] : nullptr);
    }
    Tensor contiguous(MemoryFormat format = MemoryFormat::Contiguous) const {
        TORCH_CHECK(format != MemoryFormat::Preserve,
                    "preserve memory format is unsupported by the contiguous operator");
        return is_contiguous(format) ? *this : copied(format);
    }
    Tensor clone() const { return copied(MemoryFormat::Preserve); }

    void* data_ptr() const { return const_cast<void*>(need().data); }
    const void* const_data_ptr() const { return need().data; }
    void* mutable_data_ptr() const { return data_ptr(); }
    template <class T>
    T* data_ptr() const {
        return typed<T>();
    }
    template <class T>
    const std::remove_const_t<T>* const_data_ptr() const {
        return typed<std::remove_const_t<T>>();
    }
    template <class T>
    T* mutable_data_ptr() const {
        return typed<T>();
    }
    template <class T>
    T* data() const {
        return typed<T>();
    }

  private:
    Tensor copied(MemoryFormat format) const {
        facade::Value copy;
        facade::Call* call = facade::current_call;
        if (call->host->copy(call->token, handle(), static_cast<int64_t>(format), &copy) != 0)
            throw facade::HostFailed();
        return Tensor(copy, facade::Owner(copy.data));
    }
    const facade::Value& need() const {
        if (__builtin_expect(!defined(), 0)) undefined();
        return value_;
    }
    [[noreturn, gnu::noinline, gnu::cold]] static void undefined() {
        facade::fail(0, "this tensor is undefined: an optional one that was not given, or one never assigned",
                     {});
    }
    [[noreturn, gnu::noinline, gnu::cold]] void wrong_type(ScalarType wanted) const {
        facade::fail(0, "", {"expected scalar type ", wanted, " but found ", scalar_type()});
    }
    [[gnu::noinline]] int64_t wrap(int64_t dimension) const {
        const int64_t count = need().dim;
        TORCH_CHECK_INDEX(count > 0, "Dimension specified as ", dimension, " but tensor has no dimensions");
        TORCH_CHECK_INDEX(dimension >= -count && dimension < count,
                          "Dimension out of range (expected to be in range of [", -count, ", ", count - 1,
                          "], but got ", dimension, ")");
        return dimension < 0 ? dimension + count : dimension;
    }
    // Whether the elements lie without gaps, the given dimension (or the last) fastest; ones have no say.
    bool dense(const int* order) const {
        int64_t expected = 1;
        for (int i = 0; i < value_.dim; ++i) {
            const int d = order != nullptr ? order[i] : value_.dim - 1 - i;
            if (value_.sizes[d] == 1) continue;
            if (value_.strides[d] != expected) return false;
            expected *= value_.sizes[d];
        }
        return true;
    }
    template <class T>
    T* typed() const {
        using Element = std::remove_const_t<T>;
        static_assert(facade_is_element<Element>::value,
                      "data_ptr<T>() takes the types of PyTorch: for __half write "
                      "reinterpret_cast<__half*>(t.data_ptr<at::Half>()), for __nv_bfloat16 at::BFloat16");
        if constexpr (facade_is_element<Element>::value) {
            constexpr ScalarType wanted = CppTypeToScalarType<Element>::value;
            if (__builtin_expect(scalar_type() != wanted, 0)) wrong_type(wanted);
        }
        return static_cast<T*>(data_ptr());
    }
    template <class T>
    using facade_is_element = std::bool_constant<
        std::is_same<T, Half>::value || std::is_same<T, BFloat16>::value ||
        (std::is_arithmetic<T>::value && !std::is_same<T, unsigned>::value && !std::is_same<T, char>::value &&
         !std::is_same<T, unsigned short>::value && !std::is_same<T, unsigned long>::value &&
         !std::is_same<T, unsigned long long>::value && !std::is_same<T, long double>::value)>;

    facade::Value value_;
    facade::Owner owner_;
};

namespace facade_detail {

inline Tensor create(facade::Fill fill, double value, IntArrayRef sizes, const TensorOptions& options,
                     int64_t like = -1) {
    TORCH_CHECK(sizes.size() <= facade::kMaxDimensions, "the course's torch header knows tensors of at most ",
                facade::kMaxDimensions, " dimensions, not ", sizes.size(), "; build with backend='torch'");
    facade::Request request{};
    request.fill = fill;
    request.value = value;
    request.like = like;
    request.dtype = options.dtype_or_default();
    request.device_type = static_cast<int64_t>(options.device().type());
    request.device_index = options.device().index();
    request.memory_format = static_cast<int64_t>(options.format());
    request.dim = static_cast<int64_t>(sizes.size());
    for (size_t i = 0; i < sizes.size(); ++i) request.sizes[i] = sizes[i];
    facade::Value made;
    facade::Call* call = facade::current_call;
    TORCH_CHECK(call != nullptr, "tensors can be made only inside a launcher's call, on its own thread");
    if (call->host->create(call->token, &request, &made) != 0) throw facade::HostFailed();
    return Tensor(made, facade::Owner(made.data));
}

// The options of `like`, with those that `wanted` names put over them.
inline Tensor create_like(facade::Fill fill, double value, const Tensor& like) {
    return create(fill, value, like.sizes(), like.options(), like.handle());
}
inline Tensor create_like(facade::Fill fill, double value, const Tensor& like, const TensorOptions& wanted) {
    TensorOptions options = wanted.has_dtype() ? wanted : wanted.dtype(like.scalar_type());
    if (!wanted.has_device()) options = options.device(like.device());
    const bool preserve = wanted.format() == MemoryFormat::Preserve;
    return create(fill, value, like.sizes(), options, preserve ? like.handle() : -1);
}

}  // namespace facade_detail

inline Tensor empty(IntArrayRef sizes, const TensorOptions& options = {}) {
    return facade_detail::create(facade::kEmpty, 0, sizes, options);
}
inline Tensor zeros(IntArrayRef sizes, const TensorOptions& options = {}) {
    return facade_detail::create(facade::kZeros, 0, sizes, options);
}
inline Tensor ones(IntArrayRef sizes, const TensorOptions& options = {}) {
    return facade_detail::create(facade::kOnes, 1, sizes, options);
}
inline Tensor full(IntArrayRef sizes, double value, const TensorOptions& options = {}) {
    return facade_detail::create(facade::kFull, value, sizes, options);
}
inline Tensor empty_like(const Tensor& like) { return facade_detail::create_like(facade::kEmpty, 0, like); }
inline Tensor zeros_like(const Tensor& like) { return facade_detail::create_like(facade::kZeros, 0, like); }
inline Tensor ones_like(const Tensor& like) { return facade_detail::create_like(facade::kOnes, 1, like); }
inline Tensor full_like(const Tensor& like, double value) {
    return facade_detail::create_like(facade::kFull, value, like);
}
inline Tensor empty_like(const Tensor& like, const TensorOptions& options) {
    return facade_detail::create_like(facade::kEmpty, 0, like, options);
}
inline Tensor zeros_like(const Tensor& like, const TensorOptions& options) {
    return facade_detail::create_like(facade::kZeros, 0, like, options);
}
inline Tensor ones_like(const Tensor& like, const TensorOptions& options) {
    return facade_detail::create_like(facade::kOnes, 1, like, options);
}

inline TensorOptions dtype(ScalarType type) { return TensorOptions(type); }
inline TensorOptions device(Device device) { return TensorOptions(device); }

inline std::optional<Device> device_of(const Tensor& tensor) {
    if (!tensor.defined()) return std::nullopt;
    return tensor.device();
}

}  // namespace at

namespace c10 {
using at::TensorOptions;
}
