// One 16-bit floating-point type and its pair: read by cuda_fp16.h and by cuda_bf16.h, each of which names
// them in macros first. Functions are forced inline where they take pairs, because pairs are copied as one
// word and would otherwise be passed through memory.
//   SIM_T, SIM_T2   the types               SIM_FORMAT   their bits (round16.h)
//   SIM_NAME        as in __float2##NAME    SIM_PAIR     as in __float22##PAIR##_rn
#if !defined(SIM_T)
#error "include cuda_fp16.h or cuda_bf16.h"
#endif

#define SIM_PASTE_(a, b, c) a##b##c
#define SIM_PASTE(a, b, c) SIM_PASTE_(a, b, c)
#define SIM_RAW_T SIM_PASTE(SIM_T, _raw, )
#define SIM_RAW_T2 SIM_PASTE(SIM_T2, _raw, )

struct alignas(2) SIM_RAW_T {
    unsigned short x;
};
struct alignas(4) SIM_RAW_T2 {
    unsigned short x, y;
};

struct alignas(2) SIM_T {
    SIM_T() = default;
    __forceinline__ SIM_T(const SIM_RAW_T& raw) : bits_(raw.x) {}
    __forceinline__ SIM_T(float v) : bits_(sim::SIM_FORMAT::from_float(v)) {}
    __forceinline__ SIM_T(double v) : bits_(sim::round_double<sim::SIM_FORMAT>(v)) {}
#define SIM_FROM(Integer) \
    __forceinline__ SIM_T(Integer v) : bits_(sim::round_double<sim::SIM_FORMAT>(sim::integer_to_odd(v))) {}
    SIM_FROM(short)
    SIM_FROM(unsigned short)
    SIM_FROM(int)
    SIM_FROM(unsigned int)
    SIM_FROM(long)
    SIM_FROM(unsigned long)
    SIM_FROM(long long)
    SIM_FROM(unsigned long long)
#undef SIM_FROM
#if defined(SIM_OTHER_T)
    explicit __forceinline__ SIM_T(const SIM_OTHER_T& v);
#endif
    __forceinline__ operator SIM_RAW_T() const { return {bits_}; }
    __forceinline__ operator float() const { return sim::SIM_FORMAT::to_float(bits_); }
    __forceinline__ operator bool() const { return bits_ & 0x7fff; }
#define SIM_TO(Integer) \
    __forceinline__ operator Integer() const { return sim::saturated<Integer>(float(*this)); }
    SIM_TO(char)
    SIM_TO(signed char)
    SIM_TO(unsigned char)
    SIM_TO(short)
    SIM_TO(unsigned short)
    SIM_TO(int)
    SIM_TO(unsigned int)
    SIM_TO(long)
    SIM_TO(unsigned long)
    SIM_TO(long long)
    SIM_TO(unsigned long long)
#undef SIM_TO

  private:
    unsigned short bits_;
};

struct alignas(4) SIM_T2 {
    SIM_T x, y;
    SIM_VECTOR_COPY(SIM_T2, 4)
    __forceinline__ SIM_T2(const SIM_T& x, const SIM_T& y) : x(x), y(y) {}
    __forceinline__ SIM_T2(const SIM_RAW_T2& raw) : x(SIM_RAW_T{raw.x}), y(SIM_RAW_T{raw.y}) {}
    __forceinline__ operator SIM_RAW_T2() const {
        return {static_cast<SIM_RAW_T>(x).x, static_cast<SIM_RAW_T>(y).x};
    }
};

// ------------------------------------------------------------------------------------------------
// conversions

#define SIM_FLOAT(v) (static_cast<float>(v))
#define SIM_BITS(v) (static_cast<SIM_RAW_T>(v).x)
#define SIM_OF_BITS(b) (SIM_T(SIM_RAW_T{static_cast<unsigned short>(b)}))

__forceinline__ SIM_T SIM_PASTE(__float2, SIM_NAME, )(float v) { return SIM_T(v); }
__forceinline__ SIM_T SIM_PASTE(__float2, SIM_NAME, _rn)(float v) { return SIM_T(v); }
__forceinline__ SIM_T SIM_PASTE(__float2, SIM_NAME, _rz)(float v) {
    return SIM_OF_BITS(sim::toward_zero<sim::SIM_FORMAT>(v));
}
__forceinline__ SIM_T SIM_PASTE(__float2, SIM_NAME, _rd)(float v) {
    return SIM_OF_BITS(sim::downward<sim::SIM_FORMAT>(v));
}
__forceinline__ SIM_T SIM_PASTE(__float2, SIM_NAME, _ru)(float v) {
    return SIM_OF_BITS(sim::upward<sim::SIM_FORMAT>(v));
}
__forceinline__ SIM_T SIM_PASTE(__double2, SIM_NAME, )(double v) { return SIM_T(v); }
__forceinline__ float SIM_PASTE(__, SIM_NAME, 2float)(SIM_T v) { return SIM_FLOAT(v); }
__forceinline__ short SIM_PASTE(__, SIM_NAME, _as_short)(SIM_T v) { return static_cast<short>(SIM_BITS(v)); }
__forceinline__ unsigned short SIM_PASTE(__, SIM_NAME, _as_ushort)(SIM_T v) { return SIM_BITS(v); }
__forceinline__ SIM_T SIM_PASTE(__short_as_, SIM_NAME, )(short v) { return SIM_OF_BITS(v); }
__forceinline__ SIM_T SIM_PASTE(__ushort_as_, SIM_NAME, )(unsigned short v) { return SIM_OF_BITS(v); }

#define SIM_INTEGER(Integer, name)                                                              \
    __forceinline__ SIM_T SIM_PASTE(__##name##2, SIM_NAME, _rn)(Integer v) { return SIM_T(v); } \
    __forceinline__ SIM_T SIM_PASTE(__##name##2, SIM_NAME, _rz)(Integer v) {                    \
        return SIM_OF_BITS(sim::toward_zero<sim::SIM_FORMAT>(sim::integer_to_odd(v)));          \
    }                                                                                           \
    __forceinline__ SIM_T SIM_PASTE(__##name##2, SIM_NAME, _rd)(Integer v) {                    \
        return SIM_OF_BITS(sim::downward<sim::SIM_FORMAT>(sim::integer_to_odd(v)));             \
    }                                                                                           \
    __forceinline__ SIM_T SIM_PASTE(__##name##2, SIM_NAME, _ru)(Integer v) {                    \
        return SIM_OF_BITS(sim::upward<sim::SIM_FORMAT>(sim::integer_to_odd(v)));               \
    }                                                                                           \
    __forceinline__ Integer SIM_PASTE(__, SIM_NAME, 2##name##_rn)(SIM_T v) {                    \
        return sim::saturated<Integer>(nearbyintf(SIM_FLOAT(v)));                               \
    }                                                                                           \
    __forceinline__ Integer SIM_PASTE(__, SIM_NAME, 2##name##_rz)(SIM_T v) {                    \
        return sim::saturated<Integer>(SIM_FLOAT(v));                                           \
    }                                                                                           \
    __forceinline__ Integer SIM_PASTE(__, SIM_NAME, 2##name##_rd)(SIM_T v) {                    \
        return sim::saturated<Integer>(floorf(SIM_FLOAT(v)));                                   \
    }                                                                                           \
    __forceinline__ Integer SIM_PASTE(__, SIM_NAME, 2##name##_ru)(SIM_T v) {                    \
        return sim::saturated<Integer>(ceilf(SIM_FLOAT(v)));                                    \
    }
SIM_INTEGER(short, short)
SIM_INTEGER(unsigned short, ushort)
SIM_INTEGER(int, int)
SIM_INTEGER(unsigned int, uint)
SIM_INTEGER(long long, ll)
SIM_INTEGER(unsigned long long, ull)
#undef SIM_INTEGER

__forceinline__ signed char SIM_PASTE(__, SIM_NAME, 2char_rz)(SIM_T v) { return static_cast<signed char>(v); }
__forceinline__ unsigned char SIM_PASTE(__, SIM_NAME, 2uchar_rz)(SIM_T v) {
    return static_cast<unsigned char>(v);
}

__forceinline__ SIM_T2 SIM_PASTE(__float2, SIM_PAIR, _rn)(float v) { return SIM_T2(SIM_T(v), SIM_T(v)); }
__forceinline__ SIM_T2 SIM_PASTE(__floats2, SIM_PAIR, _rn)(float x, float y) {
    return SIM_T2(SIM_T(x), SIM_T(y));
}
__forceinline__ SIM_T2 SIM_PASTE(__float22, SIM_PAIR, _rn)(float2 v) {
    return SIM_T2(SIM_T(v.x), SIM_T(v.y));
}
__forceinline__ float2 SIM_PASTE(__, SIM_PAIR, 2float2)(SIM_T2 v) {
    return float2(SIM_FLOAT(v.x), SIM_FLOAT(v.y));
}
__forceinline__ SIM_T2 SIM_PASTE(__, SIM_NAME, SIM_DOUBLED)(SIM_T v) { return SIM_T2(v, v); }
__forceinline__ SIM_T2 SIM_PASTE(make_, SIM_PAIR, )(SIM_T x, SIM_T y) { return SIM_T2(x, y); }
__forceinline__ SIM_T2 SIM_PASTE(__, SIM_HALVES, )(SIM_T x, SIM_T y) { return SIM_T2(x, y); }
__forceinline__ SIM_T SIM_PASTE(__low2, SIM_NAME, )(SIM_T2 v) { return v.x; }
__forceinline__ SIM_T SIM_PASTE(__high2, SIM_NAME, )(SIM_T2 v) { return v.y; }
__forceinline__ SIM_T2 SIM_PASTE(__low2, SIM_PAIR, )(SIM_T2 v) { return SIM_T2(v.x, v.x); }
__forceinline__ SIM_T2 SIM_PASTE(__high2, SIM_PAIR, )(SIM_T2 v) { return SIM_T2(v.y, v.y); }
__forceinline__ SIM_T2 SIM_PASTE(__lows2, SIM_PAIR, )(SIM_T2 a, SIM_T2 b) { return SIM_T2(a.x, b.x); }
__forceinline__ SIM_T2 SIM_PASTE(__highs2, SIM_PAIR, )(SIM_T2 a, SIM_T2 b) { return SIM_T2(a.y, b.y); }
__forceinline__ SIM_T2 __lowhigh2highlow(SIM_T2 v) { return SIM_T2(v.y, v.x); }
__forceinline__ float __low2float(SIM_T2 v) { return SIM_FLOAT(v.x); }
__forceinline__ float __high2float(SIM_T2 v) { return SIM_FLOAT(v.y); }

// -------------------------------------------------------------------------------------------------
// arithmetic Sums, products, quotients and roots of so few bits may be rounded to float first: float has more
// than twice as many.

__forceinline__ SIM_T __hadd(SIM_T a, SIM_T b) { return SIM_T(SIM_FLOAT(a) + SIM_FLOAT(b)); }
__forceinline__ SIM_T __hsub(SIM_T a, SIM_T b) { return SIM_T(SIM_FLOAT(a) - SIM_FLOAT(b)); }
__forceinline__ SIM_T __hmul(SIM_T a, SIM_T b) { return SIM_T(SIM_FLOAT(a) * SIM_FLOAT(b)); }
__forceinline__ SIM_T __hdiv(SIM_T a, SIM_T b) { return SIM_T(SIM_FLOAT(a) / SIM_FLOAT(b)); }
__forceinline__ SIM_T __hfma(SIM_T a, SIM_T b, SIM_T c) {
    return SIM_OF_BITS(sim::fused_multiply_add<sim::SIM_FORMAT>(SIM_FLOAT(a), SIM_FLOAT(b), SIM_FLOAT(c)));
}
__forceinline__ SIM_T __hneg(SIM_T a) { return SIM_OF_BITS(SIM_BITS(a) ^ 0x8000); }
__forceinline__ SIM_T __habs(SIM_T a) { return SIM_OF_BITS(SIM_BITS(a) & 0x7fff); }
__forceinline__ bool __hisnan(SIM_T a) { return (SIM_BITS(a) & 0x7fff) > sim::SIM_FORMAT::kInfinity; }
__forceinline__ int __hisinf(SIM_T a) {
    return (SIM_BITS(a) & 0x7fff) != sim::SIM_FORMAT::kInfinity ? 0 : SIM_BITS(a) & 0x8000 ? -1 : 1;
}
__forceinline__ SIM_T __hmax(SIM_T a, SIM_T b) { return SIM_T(sim::greater(SIM_FLOAT(a), SIM_FLOAT(b))); }
__forceinline__ SIM_T __hmin(SIM_T a, SIM_T b) { return SIM_T(-sim::greater(-SIM_FLOAT(a), -SIM_FLOAT(b))); }
__forceinline__ SIM_T __hmax_nan(SIM_T a, SIM_T b) {
    return SIM_T(sim::max_or_nan(SIM_FLOAT(a), SIM_FLOAT(b)));
}
__forceinline__ SIM_T __hmin_nan(SIM_T a, SIM_T b) {
    return SIM_T(-sim::max_or_nan(-SIM_FLOAT(a), -SIM_FLOAT(b)));
}
__forceinline__ SIM_T __hadd_rn(SIM_T a, SIM_T b) { return __hadd(a, b); }
__forceinline__ SIM_T __hsub_rn(SIM_T a, SIM_T b) { return __hsub(a, b); }
__forceinline__ SIM_T __hmul_rn(SIM_T a, SIM_T b) { return __hmul(a, b); }
__forceinline__ SIM_T __hadd_sat(SIM_T a, SIM_T b) { return SIM_T(sim::between_0_and_1(__hadd(a, b))); }
__forceinline__ SIM_T __hsub_sat(SIM_T a, SIM_T b) { return SIM_T(sim::between_0_and_1(__hsub(a, b))); }
__forceinline__ SIM_T __hmul_sat(SIM_T a, SIM_T b) { return SIM_T(sim::between_0_and_1(__hmul(a, b))); }
__forceinline__ SIM_T __hfma_sat(SIM_T a, SIM_T b, SIM_T c) {
    return SIM_T(sim::between_0_and_1(__hfma(a, b, c)));
}
__forceinline__ SIM_T __hfma_relu(SIM_T a, SIM_T b, SIM_T c) {
    return __hmax_nan(__hfma(a, b, c), SIM_T(0.0f));
}

// Of each function of one or more numbers, the one that works on both halves of a pair.
#define SIM_PAIR_OF_1(name, pair) \
    __forceinline__ SIM_T2 pair(SIM_T2 a) { return SIM_T2(name(a.x), name(a.y)); }
#define SIM_PAIR_OF_2(name, pair) \
    __forceinline__ SIM_T2 pair(SIM_T2 a, SIM_T2 b) { return SIM_T2(name(a.x, b.x), name(a.y, b.y)); }
#define SIM_PAIR_OF_3(name, pair)                                \
    __forceinline__ SIM_T2 pair(SIM_T2 a, SIM_T2 b, SIM_T2 c) {  \
        return SIM_T2(name(a.x, b.x, c.x), name(a.y, b.y, c.y)); \
    }
SIM_PAIR_OF_1(__hneg, __hneg2)
SIM_PAIR_OF_1(__habs, __habs2)
SIM_PAIR_OF_2(__hadd, __hadd2)
SIM_PAIR_OF_2(__hsub, __hsub2)
SIM_PAIR_OF_2(__hmul, __hmul2)
SIM_PAIR_OF_2(__hdiv, __h2div)
SIM_PAIR_OF_2(__hmax, __hmax2)
SIM_PAIR_OF_2(__hmin, __hmin2)
SIM_PAIR_OF_2(__hmax_nan, __hmax2_nan)
SIM_PAIR_OF_2(__hmin_nan, __hmin2_nan)
SIM_PAIR_OF_2(__hadd_rn, __hadd2_rn)
SIM_PAIR_OF_2(__hsub_rn, __hsub2_rn)
SIM_PAIR_OF_2(__hmul_rn, __hmul2_rn)
SIM_PAIR_OF_2(__hadd_sat, __hadd2_sat)
SIM_PAIR_OF_2(__hsub_sat, __hsub2_sat)
SIM_PAIR_OF_2(__hmul_sat, __hmul2_sat)
SIM_PAIR_OF_3(__hfma, __hfma2)
SIM_PAIR_OF_3(__hfma_sat, __hfma2_sat)
SIM_PAIR_OF_3(__hfma_relu, __hfma2_relu)

// (a.x + i a.y) (b.x + i b.y) + (c.x + i c.y), in the order of operations that CUDA documents.
__forceinline__ SIM_T2 __hcmadd(SIM_T2 a, SIM_T2 b, SIM_T2 c) {
    SIM_T re = __hfma(a.x, b.x, c.x), im = __hfma(a.x, b.y, c.y);
    return SIM_T2(__hfma(__hneg(a.y), b.y, re), __hfma(a.y, b.x, im));
}

#define SIM_FUNCTION(name, pair, expression)          \
    __forceinline__ SIM_T name(SIM_T a) {             \
        const float v = SIM_FLOAT(a);                 \
        return SIM_T(static_cast<float>(expression)); \
    }                                                 \
    SIM_PAIR_OF_1(name, pair)
SIM_FUNCTION(hsqrt, h2sqrt, sqrtf(v))
SIM_FUNCTION(hrsqrt, h2rsqrt, 1.0f / sqrtf(v))
SIM_FUNCTION(hrcp, h2rcp, 1.0f / v)
SIM_FUNCTION(hexp, h2exp, expf(v))
SIM_FUNCTION(hexp2, h2exp2, exp2f(v))
SIM_FUNCTION(hexp10, h2exp10, pow(10.0, v))
SIM_FUNCTION(hlog, h2log, logf(v))
SIM_FUNCTION(hlog2, h2log2, log2f(v))
SIM_FUNCTION(hlog10, h2log10, log10f(v))
SIM_FUNCTION(hsin, h2sin, sinf(v))
SIM_FUNCTION(hcos, h2cos, cosf(v))
SIM_FUNCTION(htanh, h2tanh, tanhf(v))
SIM_FUNCTION(htanh_approx, h2tanh_approx, tanhf(v))
SIM_FUNCTION(hceil, h2ceil, ceilf(v))
SIM_FUNCTION(hfloor, h2floor, floorf(v))
SIM_FUNCTION(htrunc, h2trunc, truncf(v))
SIM_FUNCTION(hrint, h2rint, nearbyintf(v))
#undef SIM_FUNCTION

// ------------------------------------------------------------------------------------------------
// comparisons Each also in the form that is true where a NaN takes part (..u), for both halves of a pair
// (..2: 1 or 0 in each, ..2_mask: all bits or none of each) and as one answer for a pair (b..2).

#define SIM_COMPARISON(name, condition)                                                                    \
    __forceinline__ bool __h##name(SIM_T a, SIM_T b) {                                                     \
        const float u = SIM_FLOAT(a), v = SIM_FLOAT(b);                                                    \
        return condition;                                                                                  \
    }                                                                                                      \
    __forceinline__ SIM_T2 __h##name##2(SIM_T2 a, SIM_T2 b) {                                              \
        return SIM_T2(SIM_T(__h##name(a.x, b.x) ? 1.0f : 0.0f), SIM_T(__h##name(a.y, b.y) ? 1.0f : 0.0f)); \
    }                                                                                                      \
    __forceinline__ unsigned __h##name##2_mask(SIM_T2 a, SIM_T2 b) {                                       \
        return (__h##name(a.x, b.x) ? 0xffffu : 0u) | (__h##name(a.y, b.y) ? 0xffff0000u : 0u);            \
    }                                                                                                      \
    __forceinline__ bool __hb##name##2(SIM_T2 a, SIM_T2 b) {                                               \
        return __h##name(a.x, b.x) & __h##name(a.y, b.y);                                                  \
    }
SIM_COMPARISON(eq, u == v)
SIM_COMPARISON(ne, (u < v) | (u > v))
SIM_COMPARISON(lt, u < v)
SIM_COMPARISON(le, u <= v)
SIM_COMPARISON(gt, u > v)
SIM_COMPARISON(ge, u >= v)
SIM_COMPARISON(equ, !((u < v) | (u > v)))
SIM_COMPARISON(neu, u != v)
SIM_COMPARISON(ltu, !(u >= v))
SIM_COMPARISON(leu, !(u > v))
SIM_COMPARISON(gtu, !(u <= v))
SIM_COMPARISON(geu, !(u < v))
#undef SIM_COMPARISON
__forceinline__ SIM_T2 __hisnan2(SIM_T2 a) {
    return SIM_T2(SIM_T(__hisnan(a.x) ? 1.0f : 0.0f), SIM_T(__hisnan(a.y) ? 1.0f : 0.0f));
}

// --------------------------------------------------------------------------------------------------
// operators

#define SIM_OPERATOR(sign, function, V)                                                \
    __forceinline__ V operator sign(const V& a, const V& b) { return function(a, b); } \
    __forceinline__ V& operator sign## = (V & a, const V& b) { return a = function(a, b); }
#define SIM_OPERATORS(V, suffix, divide, compare)                                                  \
    SIM_OPERATOR(+, __hadd##suffix, V)                                                             \
    SIM_OPERATOR(-, __hsub##suffix, V)                                                             \
    SIM_OPERATOR(*, __hmul##suffix, V)                                                             \
    SIM_OPERATOR(/, divide, V)                                                                     \
    __forceinline__ V operator+(const V& a) { return a; }                                          \
    __forceinline__ V operator-(const V& a) { return __hneg##suffix(a); }                          \
    __forceinline__ bool operator==(const V& a, const V& b) { return compare##eq##suffix(a, b); }  \
    __forceinline__ bool operator!=(const V& a, const V& b) { return compare##neu##suffix(a, b); } \
    __forceinline__ bool operator<(const V& a, const V& b) { return compare##lt##suffix(a, b); }   \
    __forceinline__ bool operator<=(const V& a, const V& b) { return compare##le##suffix(a, b); }  \
    __forceinline__ bool operator>(const V& a, const V& b) { return compare##gt##suffix(a, b); }   \
    __forceinline__ bool operator>=(const V& a, const V& b) { return compare##ge##suffix(a, b); }
SIM_OPERATORS(SIM_T, , __hdiv, __h)
SIM_OPERATORS(SIM_T2, 2, __h2div, __hb)
#undef SIM_OPERATOR
#undef SIM_OPERATORS

#define SIM_STEP(V, one)                                        \
    __forceinline__ V& operator++(V& a) { return a = a + one; } \
    __forceinline__ V& operator--(V& a) { return a = a - one; } \
    __forceinline__ V operator++(V& a, int) {                   \
        const V before = a;                                     \
        ++a;                                                    \
        return before;                                          \
    }                                                           \
    __forceinline__ V operator--(V& a, int) {                   \
        const V before = a;                                     \
        --a;                                                    \
        return before;                                          \
    }
SIM_STEP(SIM_T, SIM_T(1.0f))
SIM_STEP(SIM_T2, SIM_T2(SIM_T(1.0f), SIM_T(1.0f)))
#undef SIM_STEP

// A pair travels between lanes as one word, not through memory as other types of its kind would.
namespace sim {
template <class How>
__forceinline__ SIM_T2 shuffle(int line, unsigned mask, SIM_T2 value, int n, int width = 32) {
    const unsigned word = static_cast<unsigned>(SIM_BITS(value.x)) | static_cast<unsigned>(SIM_BITS(value.y))
                                                                         << 16;
    const unsigned other = shuffle<How>(line, mask, word, n, width);
    return SIM_T2(SIM_OF_BITS(other), SIM_OF_BITS(other >> 16));
}
}  // namespace sim

#undef SIM_PAIR_OF_1
#undef SIM_PAIR_OF_2
#undef SIM_PAIR_OF_3
#undef SIM_FLOAT
#undef SIM_BITS
#undef SIM_OF_BITS
#undef SIM_PASTE
#undef SIM_PASTE_
#undef SIM_RAW_T
#undef SIM_RAW_T2
#undef SIM_T
#undef SIM_T2
#undef SIM_FORMAT
#undef SIM_NAME
#undef SIM_PAIR
#undef SIM_DOUBLED
#undef SIM_HALVES
#undef SIM_OTHER_T
