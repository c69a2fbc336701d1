// Operands of inline PTX, converted as little as nvcc does: "r" takes integers of 32 bits, "l" integers of 64
// bits and pointers, "f" floats, "n" integers that are constants.
#pragma once
#include <type_traits>

namespace sim::ptx {

template <class T>
constexpr bool is_integer = std::is_integral_v<T> || std::is_enum_v<T>;

#define SIM_CHECK_R                                                                                         \
    static_assert(is_integer<T> && sizeof(T) == 4,                                                          \
                  "an operand \"r\" of asm is an integer of 32 bits (of a float: __float_as_uint(x); of a " \
                  "pointer to shared memory: (uint32_t)__cvta_generic_to_shared(p))")
#define SIM_CHECK_F static_assert(std::is_same_v<T, float>, "an operand \"f\" of asm is a float")
template <class T>
__forceinline__ uint32_t in_r(T value) {
    SIM_CHECK_R;
    return static_cast<uint32_t>(value);
}
template <class T>
__forceinline__ const void* in_l(T value) {
    static_assert((is_integer<T> && sizeof(T) == 8) || std::is_pointer_v<T>,
                  "an operand \"l\" of asm is a pointer or an integer of 64 bits");
    return (const void*)value;
}
template <class T>
__forceinline__ float in_f(T value) {
    SIM_CHECK_F;
    return static_cast<float>(value);
}
template <class T>
__forceinline__ int in_n(T value) {
    static_assert(is_integer<T>, "an operand \"n\" of asm is a constant integer");
    return static_cast<int>(value);
}
template <class T>
__forceinline__ T& out_r(T& place) {
    SIM_CHECK_R;
    return place;
}
template <class T>
__forceinline__ T& out_f(T& place) {
    SIM_CHECK_F;
    return place;
}
#undef SIM_CHECK_R
#undef SIM_CHECK_F

// A place in shared memory, in a register of 32 or 64 bits.
struct Shared {
    uint32_t offset;
    __forceinline__ Shared(uint32_t offset) : offset(offset) {}
    __forceinline__ Shared(const void* wide)
        : offset(static_cast<uint32_t>(reinterpret_cast<size_t>(wide))) {}
};
// [%0 + 16]
__forceinline__ uint32_t plus(uint32_t shared, int offset) { return shared + offset; }
__forceinline__ const void* plus(const void* place, int offset) {
    return static_cast<const char*>(place) + offset;
}

}  // namespace sim::ptx
