// The operators of cg::reduce and the scans; `less` gives the smaller, `greater` the greater of two.
#pragma once

namespace cooperative_groups {
#define SIM_GROUP_OPERATOR(name, expression)                                              \
    template <class T = void>                                                             \
    struct name {                                                                         \
        __forceinline__ T operator()(const T& a, const T& b) const { return expression; } \
    };                                                                                    \
    template <>                                                                           \
    struct name<void> {                                                                   \
        template <class T>                                                                \
        __forceinline__ T operator()(const T& a, const T& b) const {                      \
            return expression;                                                            \
        }                                                                                 \
    };
SIM_GROUP_OPERATOR(plus, a + b)
SIM_GROUP_OPERATOR(less, b < a ? b : a)
SIM_GROUP_OPERATOR(greater, a < b ? b : a)
SIM_GROUP_OPERATOR(bit_and, a& b)
SIM_GROUP_OPERATOR(bit_or, a | b)
SIM_GROUP_OPERATOR(bit_xor, a ^ b)
#undef SIM_GROUP_OPERATOR
}  // namespace cooperative_groups
