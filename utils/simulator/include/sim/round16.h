// The bits of half and bfloat16 numbers: to float exactly, from float and double with one rounding, to
// nearest even. All of it is uninstrumented: on a GPU each of these is one instruction.
#pragma once

namespace sim {

struct Half {
    static constexpr uint16_t kInfinity = 0x7c00;
    static constexpr bool kProductFitsFloat = true;
    static SIM_RAW float to_float(uint16_t h) {
        const uint32_t sign = static_cast<uint32_t>(h & 0x8000u) << 16;
        const uint32_t magnitude = h & 0x7fffu;
        if (magnitude >= 0x7c00u) return bits_as<float>(sign | 0x7f800000u | magnitude << 13);
        if (magnitude < 0x400u)  // subnormal: a whole number of 2^-24
            return bits_as<float>(sign | bits_as<uint32_t>(static_cast<float>(magnitude) * 0x1p-24f));
        return bits_as<float>(sign | ((magnitude << 13) + 0x38000000u));
    }
    static SIM_RAW uint16_t from_float(float x) {
        const uint32_t bits = bits_as<uint32_t>(x), magnitude = bits & 0x7fffffffu;
        const uint16_t sign = static_cast<uint16_t>(bits >> 16 & 0x8000u);
        if (magnitude > 0x7f800000u) return 0x7fff;  // the hardware's NaN
        if (magnitude >= 0x477ff000u) return sign | kInfinity;
        if (magnitude < 0x38800000u)  // subnormal: adding 0.5 leaves the rounding to float's own addition
            return static_cast<uint16_t>(sign |
                                         (bits_as<uint32_t>(bits_as<float>(magnitude) + 0.5f) - 0x3f000000u));
        const uint32_t rounded = magnitude - 0x38000000u + 0xfffu + (magnitude >> 13 & 1u);
        return static_cast<uint16_t>(sign | rounded >> 13);
    }
};

struct Bfloat16 {
    static constexpr uint16_t kInfinity = 0x7f80;
    static constexpr bool kProductFitsFloat = false;
    static SIM_RAW float to_float(uint16_t b) { return bits_as<float>(static_cast<uint32_t>(b) << 16); }
    static SIM_RAW uint16_t from_float(float x) {
        const uint32_t bits = bits_as<uint32_t>(x);
        if ((bits & 0x7fffffffu) > 0x7f800000u) return 0x7fff;
        return static_cast<uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
    }
};

// A number of few bits must not be rounded twice. Rounding to odd first, where what was cut off leaves its
// trace in the last bit, gives the second rounding all that it needs to know.
inline SIM_RAW float float_to_odd(double x) {
    const float f = static_cast<float>(x);
    if (f != f || static_cast<double>(f) == x) return f;
    const uint32_t bits = bits_as<uint32_t>(f);
    if (bits & 1) return f;
    return bits_as<float>(fabs(static_cast<double>(f)) < fabs(x) ? bits + 1 : bits - 1);
}
template <class Real, class Bits>
SIM_RAW Real add_to_odd(Real a, Real b) {
    const Real sum = a + b;
    if (sum - sum != 0) return sum;  // infinity or NaN
    const Real b_part = sum - a, error = (a - (sum - b_part)) + (b - b_part);
    const Bits bits = bits_as<Bits>(sum);
    if (error == 0 || (bits & 1)) return sum;
    return bits_as<Real>((error > 0) == (sum > 0) ? bits + 1 : bits - 1);
}
template <class Integer>
SIM_RAW double integer_to_odd(Integer n) {
    const double nearest = static_cast<double>(n);
    if (fabs(nearest) < 0x1p53 || !(n & 0x7ff)) return nearest;
    return static_cast<double>((n | 0x7ff) ^ 0x3ff);  // bit 10 stands for what is below it
}

template <class Format>
SIM_RAW uint16_t round_double(double x) {
    return Format::from_float(float_to_odd(x));
}
// The product is exact: of halfs in float, of bfloat16, whose exponents reach as far as float's own, in
// double.
template <class Format>
SIM_RAW uint16_t fused_multiply_add(float a, float b, float c) {
    if constexpr (Format::kProductFitsFloat)
        return Format::from_float(add_to_odd<float, uint32_t>(a * b, c));
    else
        return round_double<Format>(add_to_odd<double, uint64_t>(static_cast<double>(a) * b, c));
}

// The other three roundings: from the nearest one step toward zero, down or up, where that one went too far.
template <class Format>
SIM_RAW uint16_t toward_zero(double x) {
    const uint16_t nearest = round_double<Format>(x);
    return fabs(static_cast<double>(Format::to_float(nearest))) > fabs(x) ? nearest - 1 : nearest;
}
template <class Format>
SIM_RAW uint16_t downward(double x) {
    const uint16_t nearest = round_double<Format>(x);
    if (!(Format::to_float(nearest) > x)) return nearest;
    return nearest & 0x8000 ? nearest + 1 : nearest - 1;
}
template <class Format>
SIM_RAW uint16_t upward(double x) {
    const uint16_t nearest = round_double<Format>(x);
    if (!(Format::to_float(nearest) < x)) return nearest;
    return nearest & 0x8000 ? nearest - 1 : nearest + 1;
}

// The greater of two, of which +0 is more than -0 and any number more than a NaN.
inline SIM_RAW float greater(float a, float b) {
    if (a != a || b != b) return a != a ? b : a;
    return a > b || (a == b && !__builtin_signbit(a)) ? a : b;
}
inline SIM_RAW float max_or_nan(float a, float b) { return a != a ? a : b != b ? b : greater(a, b); }
inline SIM_RAW float between_0_and_1(float x) { return x > 0 ? fminf(x, 1.0f) : 0.0f; }

}  // namespace sim
