// AT_DISPATCH_*: the lambda once for each element type, with scalar_t naming it.
#pragma once

#include "facade/tensor.h"

namespace facade {

inline c10::ScalarType scalar_type_of(c10::ScalarType type) { return type; }
inline c10::ScalarType scalar_type_of(c10::TypeMeta type) { return type.toScalarType(); }
inline c10::ScalarType scalar_type_of(at::TensorType type) { return type.scalarType(); }

}  // namespace facade

#define AT_DISPATCH_CASE(enum_type, ...)                               \
    case enum_type: {                                                  \
        using scalar_t [[maybe_unused]] = ::facade::TypeOf<enum_type>; \
        return __VA_ARGS__();                                          \
    }
#define AT_DISPATCH_SWITCH(TYPE, NAME, ...)                                                       \
    [&] {                                                                                         \
        const ::c10::ScalarType facade_type = ::facade::scalar_type_of(TYPE);                     \
        switch (facade_type) {                                                                    \
            __VA_ARGS__                                                                           \
            default:                                                                              \
                ::facade::fail(4, "", {'"', NAME, "\" not implemented for '", facade_type, "'"}); \
        }                                                                                         \
    }()

namespace facade {

template <c10::ScalarType type>
struct TypeOfNumber;
template <>
struct TypeOfNumber<c10::kByte> {
    using type = uint8_t;
};
template <>
struct TypeOfNumber<c10::kChar> {
    using type = int8_t;
};
template <>
struct TypeOfNumber<c10::kShort> {
    using type = int16_t;
};
template <>
struct TypeOfNumber<c10::kInt> {
    using type = int;
};
template <>
struct TypeOfNumber<c10::kLong> {
    using type = int64_t;
};
template <>
struct TypeOfNumber<c10::kHalf> {
    using type = c10::Half;
};
template <>
struct TypeOfNumber<c10::kFloat> {
    using type = float;
};
template <>
struct TypeOfNumber<c10::kDouble> {
    using type = double;
};
template <>
struct TypeOfNumber<c10::kBool> {
    using type = bool;
};
template <>
struct TypeOfNumber<c10::kBFloat16> {
    using type = c10::BFloat16;
};
template <c10::ScalarType type>
using TypeOf = typename TypeOfNumber<type>::type;

}  // namespace facade

#define AT_DISPATCH_CASE_FLOATING_TYPES(...)      \
    AT_DISPATCH_CASE(::c10::kDouble, __VA_ARGS__) \
    AT_DISPATCH_CASE(::c10::kFloat, __VA_ARGS__)
#define AT_DISPATCH_CASE_INTEGRAL_TYPES(...)    \
    AT_DISPATCH_CASE(::c10::kByte, __VA_ARGS__) \
    AT_DISPATCH_CASE(::c10::kChar, __VA_ARGS__) \
    AT_DISPATCH_CASE(::c10::kInt, __VA_ARGS__)  \
    AT_DISPATCH_CASE(::c10::kLong, __VA_ARGS__) \
    AT_DISPATCH_CASE(::c10::kShort, __VA_ARGS__)
#define AT_DISPATCH_FLOATING_TYPES(TYPE, NAME, ...) \
    AT_DISPATCH_SWITCH(TYPE, NAME, AT_DISPATCH_CASE_FLOATING_TYPES(__VA_ARGS__))
#define AT_DISPATCH_FLOATING_TYPES_AND(OTHER, TYPE, NAME, ...) \
    AT_DISPATCH_SWITCH(TYPE, NAME,                             \
                       AT_DISPATCH_CASE_FLOATING_TYPES(__VA_ARGS__) AT_DISPATCH_CASE(OTHER, __VA_ARGS__))
#define AT_DISPATCH_FLOATING_TYPES_AND2(OTHER, ANOTHER, TYPE, NAME, ...)                                 \
    AT_DISPATCH_SWITCH(TYPE, NAME,                                                                       \
                       AT_DISPATCH_CASE_FLOATING_TYPES(__VA_ARGS__) AT_DISPATCH_CASE(OTHER, __VA_ARGS__) \
                           AT_DISPATCH_CASE(ANOTHER, __VA_ARGS__))
#define AT_DISPATCH_FLOATING_TYPES_AND_HALF(TYPE, NAME, ...) \
    AT_DISPATCH_FLOATING_TYPES_AND(::c10::kHalf, TYPE, NAME, __VA_ARGS__)
#define AT_DISPATCH_INTEGRAL_TYPES(TYPE, NAME, ...) \
    AT_DISPATCH_SWITCH(TYPE, NAME, AT_DISPATCH_CASE_INTEGRAL_TYPES(__VA_ARGS__))
#define AT_DISPATCH_ALL_TYPES(TYPE, NAME, ...)                      \
    AT_DISPATCH_SWITCH(TYPE, NAME,                                  \
                       AT_DISPATCH_CASE_INTEGRAL_TYPES(__VA_ARGS__) \
                           AT_DISPATCH_CASE_FLOATING_TYPES(__VA_ARGS__))
