// Device intrinsics of arithmetic, conversion and bits: those with two underscores that CUDA declares without
// a header. The approximate ones (__expf and the like) are computed exactly here.
#pragma once

namespace sim {

template <class To, class From>
__forceinline__ To bits_as(From value) {
    static_assert(sizeof(To) == sizeof(From), "");
    To result;
    __builtin_memcpy(&result, &value, sizeof result);
    return result;
}

// To an integer as the hardware converts: what does not fit becomes the nearest that does; NaN becomes 0, or
// the top bit alone where 64 bits or a double take part.
template <class Integer>
SIM_RAW Integer saturated(double whole, bool from_double = false) {
    constexpr bool is_signed = Integer(-1) < Integer(0);
    constexpr int bits = 8 * sizeof(Integer), digits = bits - is_signed;
    const double limit = 2.0 * static_cast<double>(uint64_t(1) << (digits - 1));
    constexpr Integer greatest = static_cast<Integer>(~uint64_t(0) >> (64 - digits));
    if (whole != whole)
        return bits == 64 || from_double ? static_cast<Integer>(uint64_t(1) << (bits - 1)) : 0;
    if (whole >= limit) return greatest;
    if (whole <= (is_signed ? -limit : 0.0)) return is_signed ? static_cast<Integer>(-greatest - 1) : 0;
    return static_cast<Integer>(whole);
}

}  // namespace sim

// ------------------------------------------------------------------------------------------- fast and
// rounded

inline float __expf(float x) { return expf(x); }
inline float __exp10f(float x) { return static_cast<float>(pow(10.0, x)); }
inline float __logf(float x) { return logf(x); }
inline float __log2f(float x) { return log2f(x); }
inline float __log10f(float x) { return log10f(x); }
inline float __sinf(float x) { return sinf(x); }
inline float __cosf(float x) { return cosf(x); }
inline float __tanf(float x) { return tanf(x); }
inline float __tanhf(float x) { return tanhf(x); }
__forceinline__ void __sincosf(float x, float* s, float* c) { *s = sinf(x), *c = cosf(x); }
inline float __powf(float x, float y) { return powf(x, y); }
inline float __fdividef(float x, float y) { return x / y; }
inline float __frsqrt_rn(float x) { return static_cast<float>(1.0 / sqrt(static_cast<double>(x))); }
inline float __saturatef(float x) { return x > 0 ? fminf(x, 1.0f) : 0.0f; }

// Each in the four roundings; the engine computes those that C++ has no words for.
#define SIM_ROUNDED(T, name, operation, parameters, nearest, ...)                                      \
    inline T name##_rn parameters { return nearest; }                                                  \
    inline T name##_rz parameters { return sim_rounded_##T(operation, SIM_TOWARD_ZERO, __VA_ARGS__); } \
    inline T name##_ru parameters { return sim_rounded_##T(operation, SIM_UPWARD, __VA_ARGS__); }      \
    inline T name##_rd parameters { return sim_rounded_##T(operation, SIM_DOWNWARD, __VA_ARGS__); }
SIM_ROUNDED(float, __fadd, SIM_ADD, (float a, float b), a + b, a, b, 0)
SIM_ROUNDED(float, __fsub, SIM_ADD, (float a, float b), a - b, a, -b, 0)
SIM_ROUNDED(float, __fmul, SIM_MULTIPLY, (float a, float b), a* b, a, b, 0)
SIM_ROUNDED(float, __fdiv, SIM_DIVIDE, (float a, float b), a / b, a, b, 0)
SIM_ROUNDED(float, __frcp, SIM_DIVIDE, (float a), 1.0f / a, 1, a, 0)
SIM_ROUNDED(float, __fsqrt, SIM_ROOT, (float a), sqrtf(a), a, 0, 0)
SIM_ROUNDED(float, __fmaf, SIM_FUSED, (float a, float b, float c), fmaf(a, b, c), a, b, c)
SIM_ROUNDED(double, __dadd, SIM_ADD, (double a, double b), a + b, a, b, 0)
SIM_ROUNDED(double, __dsub, SIM_ADD, (double a, double b), a - b, a, -b, 0)
SIM_ROUNDED(double, __dmul, SIM_MULTIPLY, (double a, double b), a* b, a, b, 0)
SIM_ROUNDED(double, __ddiv, SIM_DIVIDE, (double a, double b), a / b, a, b, 0)
SIM_ROUNDED(double, __drcp, SIM_DIVIDE, (double a), 1.0 / a, 1, a, 0)
SIM_ROUNDED(double, __dsqrt, SIM_ROOT, (double a), sqrt(a), a, 0, 0)
SIM_ROUNDED(double, __fma, SIM_FUSED, (double a, double b, double c), fma(a, b, c), a, b, c)
#undef SIM_ROUNDED

// ------------------------------------------------------------------------------------------------
// conversions

#define SIM_TO_INTEGER(Real, from, Integer, to)                                                           \
    inline Integer __##from##2##to##_rn(Real x) {                                                         \
        return sim::saturated<Integer>(nearbyint(x), sizeof(Real) == 8);                                  \
    }                                                                                                     \
    inline Integer __##from##2##to##_rz(Real x) { return sim::saturated<Integer>(x, sizeof(Real) == 8); } \
    inline Integer __##from##2##to##_ru(Real x) {                                                         \
        return sim::saturated<Integer>(ceil(x), sizeof(Real) == 8);                                       \
    }                                                                                                     \
    inline Integer __##from##2##to##_rd(Real x) {                                                         \
        return sim::saturated<Integer>(floor(x), sizeof(Real) == 8);                                      \
    }
#define SIM_OF_INTEGER(Integer, from, Real, to)                                                           \
    inline Real __##from##2##to##_rn(Integer n) { return static_cast<Real>(n); }                          \
    inline Real __##from##2##to##_rz(Integer n) {                                                         \
        return sim_rounded_##Real##_of_##from(n, SIM_TOWARD_ZERO);                                        \
    }                                                                                                     \
    inline Real __##from##2##to##_ru(Integer n) { return sim_rounded_##Real##_of_##from(n, SIM_UPWARD); } \
    inline Real __##from##2##to##_rd(Integer n) { return sim_rounded_##Real##_of_##from(n, SIM_DOWNWARD); }
SIM_TO_INTEGER(float, float, int, int)
SIM_TO_INTEGER(float, float, unsigned int, uint)
SIM_TO_INTEGER(float, float, long long, ll)
SIM_TO_INTEGER(float, float, unsigned long long, ull)
SIM_TO_INTEGER(double, double, int, int)
SIM_TO_INTEGER(double, double, unsigned int, uint)
SIM_TO_INTEGER(double, double, long long, ll)
SIM_TO_INTEGER(double, double, unsigned long long, ull)
#define sim_rounded_float_of_int sim_rounded_float_of_ll
#define sim_rounded_float_of_uint sim_rounded_float_of_ull
SIM_OF_INTEGER(int, int, float, float)
SIM_OF_INTEGER(unsigned int, uint, float, float)
SIM_OF_INTEGER(long long, ll, float, float)
SIM_OF_INTEGER(unsigned long long, ull, float, float)
SIM_OF_INTEGER(long long, ll, double, double)
SIM_OF_INTEGER(unsigned long long, ull, double, double)
#undef sim_rounded_float_of_int
#undef sim_rounded_float_of_uint
#undef SIM_TO_INTEGER
#undef SIM_OF_INTEGER
inline double __int2double_rn(int n) { return n; }
inline double __uint2double_rn(unsigned n) { return n; }
inline float __double2float_rn(double x) { return static_cast<float>(x); }
inline float __double2float_rz(double x) { return sim_rounded_float_of_double(x, SIM_TOWARD_ZERO); }
inline float __double2float_ru(double x) { return sim_rounded_float_of_double(x, SIM_UPWARD); }
inline float __double2float_rd(double x) { return sim_rounded_float_of_double(x, SIM_DOWNWARD); }

__forceinline__ int __float_as_int(float x) { return sim::bits_as<int>(x); }
__forceinline__ unsigned __float_as_uint(float x) { return sim::bits_as<unsigned>(x); }
__forceinline__ float __int_as_float(int i) { return sim::bits_as<float>(i); }
__forceinline__ float __uint_as_float(unsigned i) { return sim::bits_as<float>(i); }
__forceinline__ long long __double_as_longlong(double x) { return sim::bits_as<long long>(x); }
__forceinline__ double __longlong_as_double(long long i) { return sim::bits_as<double>(i); }
__forceinline__ int __double2hiint(double x) { return static_cast<int>(__double_as_longlong(x) >> 32); }
__forceinline__ int __double2loint(double x) { return static_cast<int>(__double_as_longlong(x)); }
__forceinline__ double __hiloint2double(int high, int low) {
    return __longlong_as_double(
        static_cast<long long>(static_cast<unsigned long long>(high) << 32 | static_cast<unsigned>(low)));
}

// --------------------------------------------------------------------------------------- integers and bits

inline int __mul24(int a, int b) { return (a << 8 >> 8) * (b << 8 >> 8); }
inline unsigned __umul24(unsigned a, unsigned b) { return (a & 0xffffffu) * (b & 0xffffffu); }
inline int __mulhi(int a, int b) { return static_cast<int>(static_cast<int64_t>(a) * b >> 32); }
inline unsigned __umulhi(unsigned a, unsigned b) {
    return static_cast<unsigned>(static_cast<uint64_t>(a) * b >> 32);
}
inline long long __mul64hi(long long a, long long b) {
    return static_cast<long long>(static_cast<__int128>(a) * b >> 64);
}
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
    return static_cast<unsigned long long>(static_cast<unsigned __int128>(a) * b >> 64);
}
inline unsigned __sad(int a, int b, unsigned c) { return c + static_cast<unsigned>(a > b ? a - b : b - a); }
inline unsigned __usad(unsigned a, unsigned b, unsigned c) { return c + (a > b ? a - b : b - a); }
inline int __hadd(int a, int b) { return static_cast<int>((static_cast<int64_t>(a) + b) >> 1); }
inline int __rhadd(int a, int b) { return static_cast<int>((static_cast<int64_t>(a) + b + 1) >> 1); }
inline unsigned __uhadd(unsigned a, unsigned b) {
    return static_cast<unsigned>((static_cast<uint64_t>(a) + b) >> 1);
}
inline unsigned __urhadd(unsigned a, unsigned b) {
    return static_cast<unsigned>((static_cast<uint64_t>(a) + b + 1) >> 1);
}

__forceinline__ int __popc(unsigned x) { return __builtin_popcount(x); }
__forceinline__ int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline SIM_RAW int __clz(int x) { return x ? __builtin_clz(static_cast<unsigned>(x)) : 32; }
inline SIM_RAW int __clzll(long long x) {
    return x ? __builtin_clzll(static_cast<unsigned long long>(x)) : 64;
}
__forceinline__ int __ffs(int x) { return __builtin_ffs(x); }
__forceinline__ int __ffsll(long long x) { return __builtin_ffsll(x); }
inline SIM_RAW unsigned long long __brevll(unsigned long long x) {
    x = (x >> 1 & 0x5555555555555555u) | (x & 0x5555555555555555u) << 1;
    x = (x >> 2 & 0x3333333333333333u) | (x & 0x3333333333333333u) << 2;
    x = (x >> 4 & 0x0f0f0f0f0f0f0f0fu) | (x & 0x0f0f0f0f0f0f0f0fu) << 4;
    return __builtin_bswap64(x);
}
inline SIM_RAW unsigned __brev(unsigned x) { return static_cast<unsigned>(__brevll(x) >> 32); }
// Four of the eight bytes of y:x, each chosen by the lower three bits of a hexadecimal digit of `choice`.
inline SIM_RAW unsigned __byte_perm(unsigned x, unsigned y, unsigned choice) {
    const uint64_t both = static_cast<uint64_t>(y) << 32 | x;
    unsigned result = 0;
    for (int i = 0; i < 4; ++i)
        result |= static_cast<unsigned>(both >> 8 * (choice >> 4 * i & 7) & 0xff) << 8 * i;
    return result;
}
inline unsigned __funnelshift_l(unsigned low, unsigned high, unsigned by) {
    return static_cast<unsigned>((static_cast<uint64_t>(high) << 32 | low) << (by & 31) >> 32);
}
inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned by) {
    return static_cast<unsigned>((static_cast<uint64_t>(high) << 32 | low) >> (by & 31));
}
inline unsigned __funnelshift_lc(unsigned low, unsigned high, unsigned by) {
    return static_cast<unsigned>((static_cast<uint64_t>(high) << 32 | low) << (by < 32 ? by : 32) >> 32);
}
inline unsigned __funnelshift_rc(unsigned low, unsigned high, unsigned by) {
    return static_cast<unsigned>((static_cast<uint64_t>(high) << 32 | low) >> (by < 32 ? by : 32));
}

// Four bytes, or two halfwords, at once.
namespace sim {
template <class Part, class Function>
SIM_RAW unsigned by_parts(unsigned a, unsigned b, Function f) {
    constexpr int bits = 8 * sizeof(Part);
    unsigned result = 0;
    for (int at = 0; at < 32; at += bits) {
        const int part = f(static_cast<Part>(a >> at), static_cast<Part>(b >> at));
        result |= (static_cast<unsigned>(part) & ((1u << bits) - 1)) << at;
    }
    return result;
}
template <class A, class B>
SIM_RAW int dot4(unsigned a, unsigned b) {
    int sum = 0;
    for (int at = 0; at < 32; at += 8) sum += static_cast<A>(a >> at) * static_cast<B>(b >> at);
    return sum;
}
}  // namespace sim
#define SIM_BY_PARTS(name, Part, expression)                                               \
    inline unsigned name(unsigned a, unsigned b) {                                         \
        return sim::by_parts<Part>(a, b, [](int p, int q) SIM_RAW { return expression; }); \
    }
SIM_BY_PARTS(__vadd2, unsigned short, p + q)
SIM_BY_PARTS(__vadd4, unsigned char, p + q)
SIM_BY_PARTS(__vsub2, unsigned short, p - q)
SIM_BY_PARTS(__vsub4, unsigned char, p - q)
SIM_BY_PARTS(__vmaxs2, short, p > q ? p : q)
SIM_BY_PARTS(__vmaxs4, signed char, p > q ? p : q)
SIM_BY_PARTS(__vmaxu2, unsigned short, p > q ? p : q)
SIM_BY_PARTS(__vmaxu4, unsigned char, p > q ? p : q)
SIM_BY_PARTS(__vmins2, short, p < q ? p : q)
SIM_BY_PARTS(__vmins4, signed char, p < q ? p : q)
SIM_BY_PARTS(__vminu2, unsigned short, p < q ? p : q)
SIM_BY_PARTS(__vminu4, unsigned char, p < q ? p : q)
SIM_BY_PARTS(__vavgu4, unsigned char, (p + q + 1) >> 1)
SIM_BY_PARTS(__vabsdiffu2, unsigned short, p > q ? p - q : q - p)
SIM_BY_PARTS(__vabsdiffu4, unsigned char, p > q ? p - q : q - p)
SIM_BY_PARTS(__vcmpeq4, unsigned char, p == q ? 0xff : 0)
#undef SIM_BY_PARTS
inline int __dp4a(int a, int b, int c) {
    return c + sim::dot4<signed char, signed char>(static_cast<unsigned>(a), static_cast<unsigned>(b));
}
inline unsigned __dp4a(unsigned a, unsigned b, unsigned c) {
    return c + static_cast<unsigned>(sim::dot4<unsigned char, unsigned char>(a, b));
}
__forceinline__ int __dp4a(char4 a, char4 b, int c) {
    return c + a.x * b.x + a.y * b.y + a.z * b.z + a.w * b.w;
}
__forceinline__ unsigned __dp4a(uchar4 a, uchar4 b, unsigned c) {
    return c + a.x * b.x + a.y * b.y + a.z * b.z + a.w * b.w;
}
