// Element types, devices and shapes: ScalarType, Half, BFloat16, Device, ArrayRef, MemoryFormat.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <type_traits>
#include <utility>

#include "facade/text.h"

namespace facade {

template <class To, class From>
__host__ __device__ inline To bit_cast(From value) {
    static_assert(sizeof(To) == sizeof(From), "");
    To result;
    __builtin_memcpy(&result, &value, sizeof result);
    return result;
}

// One instruction on a GPU, so nothing that the simulator should look into.
#if defined(SIM_RAW)
#define FACADE_RAW SIM_RAW
#else
#define FACADE_RAW
#endif
#if defined(__CUDA_ARCH__) && !defined(__CUDA_SIMULATOR__)
#define FACADE_ON_GPU __CUDA_ARCH__
#else
#define FACADE_ON_GPU 0
#endif

// Rounded to the nearest, ties to even, as the GPU's own conversions do.
FACADE_RAW __host__ __device__ inline uint16_t half_from_float(float value) {
#if FACADE_ON_GPU
    uint16_t half;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(half) : "f"(value));
    return half;
#else
    const uint32_t bits = bit_cast<uint32_t>(value);
    const uint16_t sign = static_cast<uint16_t>((bits >> 16) & 0x8000u);
    const uint32_t magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) return static_cast<uint16_t>(sign | 0x7e00u);
    if (magnitude >= 0x477ff000u) return static_cast<uint16_t>(sign | 0x7c00u);
    if (magnitude < 0x38800000u) {  // a subnormal half: let float addition do the rounding
        const float shifted = bit_cast<float>(magnitude) + 0.5f;
        return static_cast<uint16_t>(sign | (bit_cast<uint32_t>(shifted) - 0x3f000000u));
    }
    const uint32_t rounded = magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13) & 1u);
    return static_cast<uint16_t>(sign | (rounded >> 13));
#endif
}

FACADE_RAW __host__ __device__ inline float float_from_half(uint16_t half) {
#if FACADE_ON_GPU
    float value;
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(half));
    return value;
#else
    const uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16;
    const uint32_t magnitude = half & 0x7fffu;
    if (magnitude >= 0x7c00u) return bit_cast<float>(sign | 0x7f800000u | ((magnitude & 0x3ffu) << 13));
    if (magnitude < 0x400u) {
        const float value = static_cast<float>(magnitude) * (1.0f / 16777216.0f);
        return bit_cast<float>(sign | bit_cast<uint32_t>(value));
    }
    return bit_cast<float>(sign | ((magnitude << 13) + 0x38000000u));
#endif
}

FACADE_RAW __host__ __device__ inline uint16_t bfloat16_from_float(float value) {
#if FACADE_ON_GPU >= 800
    uint16_t bfloat16;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bfloat16) : "f"(value));
    return bfloat16;
#else
    const uint32_t bits = bit_cast<uint32_t>(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return 0x7fc0u;
    return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
#endif
}

__host__ __device__ inline float float_from_bfloat16(uint16_t value) {
    return bit_cast<float>(static_cast<uint32_t>(value) << 16);
}

}  // namespace facade

struct __half;         // of cuda_fp16.h
struct __nv_bfloat16;  // of cuda_bf16.h

namespace c10 {

using std::nullopt;
using std::nullopt_t;
using std::optional;

// Conversions from and to CUDA's own type, which only some sources define.
#define FACADE_SAME_BITS(T, Cuda)                                                       \
    template <class Other, std::enable_if_t<std::is_same<Other, Cuda>::value, int> = 0> \
    __host__ __device__ T(const Other& value) : x(facade::bit_cast<uint16_t>(value)) {} \
    template <class Other, std::enable_if_t<std::is_same<Other, Cuda>::value, int> = 0> \
    __host__ __device__ operator Other() const {                                        \
        return facade::bit_cast<Other>(x);                                              \
    }

struct alignas(2) Half {  // same bits as __half: reinterpret_cast<__half*>(t.data_ptr<at::Half>())
    uint16_t x;
    Half() = default;
    __host__ __device__ Half(float value) : x(facade::half_from_float(value)) {}
    __host__ __device__ operator float() const { return facade::float_from_half(x); }
    FACADE_SAME_BITS(Half, __half)
};

struct alignas(2) BFloat16 {  // same bits as __nv_bfloat16
    uint16_t x;
    BFloat16() = default;
    __host__ __device__ BFloat16(float value) : x(facade::bfloat16_from_float(value)) {}
    __host__ __device__ operator float() const { return facade::float_from_bfloat16(x); }
    FACADE_SAME_BITS(BFloat16, __nv_bfloat16)
};
#undef FACADE_SAME_BITS

// As in PyTorch: two of a kind give that kind, rounded after every operation; beside a float or double they
// are one.
#define FACADE_OPERATOR(T, sign)                                                                           \
    __host__ __device__ inline T operator sign(T a, T b) { return float(a) sign float(b); }                \
    __host__ __device__ inline T& operator sign## = (T & a, T b) { return a = a sign b; }                  \
    __host__ __device__ inline float operator sign(T a, float b) { return float(a) sign b; }               \
    __host__ __device__ inline float operator sign(float a, T b) { return a sign float(b); }               \
    __host__ __device__ inline float& operator sign## = (float& a, T b) { return a = a sign float(b); }    \
    __host__ __device__ inline double operator sign(T a, double b) { return double(float(a)) sign b; }     \
    __host__ __device__ inline double operator sign(double a, T b) { return a sign double(float(b)); }     \
    __host__ __device__ inline T operator sign(T a, int b) { return a sign T(static_cast<float>(b)); }     \
    __host__ __device__ inline T operator sign(int a, T b) { return T(static_cast<float>(a)) sign b; }     \
    __host__ __device__ inline T operator sign(T a, int64_t b) { return a sign T(static_cast<float>(b)); } \
    __host__ __device__ inline T operator sign(int64_t a, T b) { return T(static_cast<float>(a)) sign b; }
// Comparisons would convert to float by themselves; said here, they are not taken for __half's.
#define FACADE_COMPARISON(T, sign) \
    __host__ __device__ inline bool operator sign(T a, T b) { return float(a) sign float(b); }
#define FACADE_OPERATORS(T)  \
    FACADE_OPERATOR(T, +)    \
    FACADE_OPERATOR(T, -)    \
    FACADE_OPERATOR(T, *)    \
    FACADE_OPERATOR(T, /)    \
    FACADE_COMPARISON(T, ==) \
    FACADE_COMPARISON(T, !=) \
    FACADE_COMPARISON(T, <)  \
    FACADE_COMPARISON(T, <=) \
    FACADE_COMPARISON(T, >)  \
    FACADE_COMPARISON(T, >=) \
    __host__ __device__ inline T operator-(T a) { return -float(a); }
FACADE_OPERATORS(Half)
FACADE_OPERATORS(BFloat16)
#undef FACADE_OPERATOR
#undef FACADE_COMPARISON
#undef FACADE_OPERATORS

// PyTorch's own numbers.
enum class ScalarType : int8_t {
    Byte = 0,
    Char = 1,
    Short = 2,
    Int = 3,
    Long = 4,
    Half = 5,
    Float = 6,
    Double = 7,
    Bool = 11,
    BFloat16 = 15,
    Undefined = 127,
};

constexpr ScalarType kByte = ScalarType::Byte, kChar = ScalarType::Char, kShort = ScalarType::Short;
constexpr ScalarType kInt = ScalarType::Int, kLong = ScalarType::Long, kHalf = ScalarType::Half;
constexpr ScalarType kFloat = ScalarType::Float, kDouble = ScalarType::Double, kBool = ScalarType::Bool;
constexpr ScalarType kBFloat16 = ScalarType::BFloat16;
constexpr ScalarType kUInt8 = kByte, kInt8 = kChar, kInt16 = kShort, kInt32 = kInt, kInt64 = kLong;
constexpr ScalarType kFloat16 = kHalf, kFloat32 = kFloat, kFloat64 = kDouble, kF16 = kHalf, kF32 = kFloat,
                     kF64 = kDouble, kI32 = kInt, kI64 = kLong, kU8 = kByte;

struct ScalarTypeFacts {
    const char* name;       // "Float"
    const char* type_name;  // "float"
    int size;               // bytes
};

inline ScalarTypeFacts facts(ScalarType type) {
    switch (type) {
        case ScalarType::Byte:
            return {"Byte", "unsigned char", 1};
        case ScalarType::Char:
            return {"Char", "signed char", 1};
        case ScalarType::Short:
            return {"Short", "short int", 2};
        case ScalarType::Int:
            return {"Int", "int", 4};
        case ScalarType::Long:
            return {"Long", "long int", 8};
        case ScalarType::Half:
            return {"Half", "c10::Half", 2};
        case ScalarType::Float:
            return {"Float", "float", 4};
        case ScalarType::Double:
            return {"Double", "double", 8};
        case ScalarType::Bool:
            return {"Bool", "bool", 1};
        case ScalarType::BFloat16:
            return {"BFloat16", "c10::BFloat16", 2};
        default:
            return {"Undefined", "nullptr (uninitialized)", 0};
    }
}

inline const char* toString(ScalarType type) { return facts(type).name; }
inline int64_t elementSize(ScalarType type) { return facts(type).size; }
inline bool isFloatingType(ScalarType type) {
    return type == kFloat || type == kDouble || type == kHalf || type == kBFloat16;
}
inline bool isIntegralType(ScalarType type, bool include_bool) {
    return static_cast<int>(type) <= 4 || (include_bool && type == kBool);
}

template <class T>
struct CppTypeToScalarType;
template <>
struct CppTypeToScalarType<uint8_t> {
    static constexpr ScalarType value = kByte;
};
template <>
struct CppTypeToScalarType<int8_t> {
    static constexpr ScalarType value = kChar;
};
template <>
struct CppTypeToScalarType<int16_t> {
    static constexpr ScalarType value = kShort;
};
template <>
struct CppTypeToScalarType<int> {
    static constexpr ScalarType value = kInt;
};
template <>
struct CppTypeToScalarType<long> {
    static constexpr ScalarType value = kLong;
};
template <>
struct CppTypeToScalarType<long long> {
    static constexpr ScalarType value = kLong;
};
template <>
struct CppTypeToScalarType<Half> {
    static constexpr ScalarType value = kHalf;
};
template <>
struct CppTypeToScalarType<float> {
    static constexpr ScalarType value = kFloat;
};
template <>
struct CppTypeToScalarType<double> {
    static constexpr ScalarType value = kDouble;
};
template <>
struct CppTypeToScalarType<bool> {
    static constexpr ScalarType value = kBool;
};
template <>
struct CppTypeToScalarType<BFloat16> {
    static constexpr ScalarType value = kBFloat16;
};

enum class MemoryFormat : int8_t { Contiguous, Preserve, ChannelsLast, ChannelsLast3d };

enum class DeviceType : int8_t { CPU = 0, CUDA = 1 };
constexpr DeviceType kCPU = DeviceType::CPU, kCUDA = DeviceType::CUDA;
using DeviceIndex = int8_t;

class Device {
  public:
    Device(DeviceType type, DeviceIndex index = -1) : type_(type), index_(index) {}
    DeviceType type() const { return type_; }
    DeviceIndex index() const { return index_; }
    bool has_index() const { return index_ != -1; }
    bool is_cuda() const { return type_ == kCUDA; }
    bool is_cpu() const { return type_ == kCPU; }
    bool operator==(const Device& other) const { return type_ == other.type_ && index_ == other.index_; }
    bool operator!=(const Device& other) const { return !(*this == other); }

  private:
    DeviceType type_;
    DeviceIndex index_;
};

// What dtype() returns: comparable with a ScalarType, printed as C++ names the type.
class TypeMeta {
  public:
    TypeMeta(ScalarType type) : type_(type) {}
    ScalarType toScalarType() const { return type_; }
    const char* name() const { return facts(type_).type_name; }
    size_t itemsize() const { return facts(type_).size; }
    friend bool operator==(TypeMeta a, TypeMeta b) { return a.type_ == b.type_; }
    friend bool operator!=(TypeMeta a, TypeMeta b) { return a.type_ != b.type_; }

  private:
    ScalarType type_;
};

struct VectorOf;  // facade/vector.h

template <class T>
class ArrayRef {
  public:
    using value_type = T;
    using size_type = size_t;
    using iterator = const T*;
    using const_iterator = const T*;

    constexpr ArrayRef() : data_(nullptr), length_(0) {}
    constexpr ArrayRef(const T* data, size_t length) : data_(data), length_(length) {}
    constexpr ArrayRef(const T* begin, const T* end) : data_(begin), length_(end - begin) {}
    constexpr ArrayRef(const T& one) : data_(&one), length_(1) {}
// A list written in a call lives as long as the call; one that a named ArrayRef was made of does not, as in
// PyTorch.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Winit-list-lifetime"
#endif
    constexpr ArrayRef(const std::initializer_list<T>& list) : data_(list.begin()), length_(list.size()) {}
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
    template <class Container, class = std::enable_if_t<std::is_convertible<
                                   decltype(std::declval<const Container&>().data()), const T*>::value>>
    ArrayRef(const Container& values) : data_(values.data()), length_(values.size()) {}
    template <size_t N>
    constexpr ArrayRef(const T (&values)[N]) : data_(values), length_(N) {}

    constexpr const T* data() const { return data_; }
    constexpr size_t size() const { return length_; }
    constexpr bool empty() const { return length_ == 0; }
    constexpr const T* begin() const { return data_; }
    constexpr const T* end() const { return data_ + length_; }
    constexpr const T& operator[](size_t i) const { return data_[i]; }
    const T& at(size_t i) const {
        TORCH_CHECK(i < length_, "ArrayRef: invalid index Index = ", i, "; Length = ", length_);
        return data_[i];
    }
    const T& front() const { return at(0); }
    const T& back() const { return at(length_ - 1); }
    ArrayRef slice(size_t from, size_t count) const { return ArrayRef(data_ + from, count); }
    ArrayRef slice(size_t from) const { return ArrayRef(data_ + from, length_ - from); }
    bool equals(ArrayRef other) const {
        if (length_ != other.length_) return false;
        for (size_t i = 0; i < length_; ++i)
            if (!(data_[i] == other.data_[i])) return false;
        return true;
    }
    template <class Vector = VectorOf, class U = T>
    auto vec() const {
        return typename Vector::template type<U>(begin(), end());
    }
    friend bool operator==(ArrayRef a, ArrayRef b) { return a.equals(b); }
    friend bool operator!=(ArrayRef a, ArrayRef b) { return !a.equals(b); }

  private:
    const T* data_;
    size_t length_;
};

using IntArrayRef = ArrayRef<int64_t>;

inline facade::Text& operator<<(facade::Text& text, ScalarType type) { return text << toString(type); }
inline facade::Text& operator<<(facade::Text& text, TypeMeta type) { return text << type.name(); }
inline facade::Text& operator<<(facade::Text& text, DeviceType type) {
    return text << (type == kCUDA ? "cuda" : "cpu");
}
inline facade::Text& operator<<(facade::Text& text, const Device& device) {
    text << device.type();
    if (device.has_index()) text << ':' << static_cast<int>(device.index());
    return text;
}

}  // namespace c10
