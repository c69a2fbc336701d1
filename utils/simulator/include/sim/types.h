// dim3 and the vector types. Vectors of 2 to 16 bytes are copied as one machine vector, so that a `float4`
// load stays one access of 16 bytes, as it is on the GPU, and is not split into four by the optimiser.
#pragma once

struct dim3 {
    unsigned int x, y, z;
    constexpr dim3(unsigned int x = 1, unsigned int y = 1, unsigned int z = 1) : x(x), y(y), z(z) {}
    constexpr dim3(uint3 v) : x(v.x), y(v.y), z(v.z) {}
    constexpr operator uint3() const { return uint3{x, y, z}; }
};

namespace sim {
typedef int16_t Bits2 __attribute__((may_alias));
typedef int32_t Bits4 __attribute__((may_alias));
typedef int64_t Bits8 __attribute__((may_alias));
typedef long long Bits16 __attribute__((vector_size(16), may_alias));
template <int bytes>
struct BitsOf;
template <>
struct BitsOf<2> {
    using type = Bits2;
};
template <>
struct BitsOf<4> {
    using type = Bits4;
};
template <>
struct BitsOf<8> {
    using type = Bits8;
};
template <>
struct BitsOf<16> {
    using type = Bits16;
};
}  // namespace sim

#define SIM_VECTOR_COPY(V, bytes)                                            \
    V() = default;                                                           \
    __forceinline__ V(const V& o) { copy(o); }                               \
    __forceinline__ V& operator=(const V& o) {                               \
        copy(o);                                                             \
        return *this;                                                        \
    }                                                                        \
    __forceinline__ void copy(const V& o) {                                  \
        using Bits = typename sim::BitsOf<bytes>::type;                      \
        *reinterpret_cast<Bits*>(this) = *reinterpret_cast<const Bits*>(&o); \
    }

#define SIM_VECTORS(T, N, size)                                                              \
    struct N##1 { T x; };                                                                    \
    struct alignas(2 * size) N##2 {                                                          \
        T x, y;                                                                              \
        SIM_SELECT_COPY_##size(N##2, 2) __forceinline__ N##2(T x, T y = 0) : x(x), y(y) {}   \
    };                                                                                       \
    struct N##3 { T x, y, z; };                                                              \
    struct alignas(4 * size > 16 ? 16 : 4 * size) N##4 {                                     \
        T x, y, z, w;                                                                        \
        SIM_SELECT_COPY_##size(N##4, 4) __forceinline__ N##4(T x, T y = 0, T z = 0, T w = 0) \
            : x(x), y(y), z(z), w(w) {}                                                      \
    };                                                                                       \
    inline N##1 make_##N##1(T x) { return {x}; }                                             \
    inline N##2 make_##N##2(T x, T y) { return N##2(x, y); }                                 \
    inline N##3 make_##N##3(T x, T y, T z) { return {x, y, z}; }                             \
    inline N##4 make_##N##4(T x, T y, T z, T w) { return N##4(x, y, z, w); }
#define SIM_VECTOR_PLAIN(V) V() = default;
#define SIM_SELECT_COPY_1(V, n) SIM_VECTOR_COPY(V, n)
#define SIM_SELECT_COPY_2(V, n) SIM_COPY_SHORT##n(V)
#define SIM_COPY_SHORT2(V) SIM_VECTOR_COPY(V, 4)
#define SIM_COPY_SHORT4(V) SIM_VECTOR_COPY(V, 8)
#define SIM_SELECT_COPY_4(V, n) SIM_COPY_WORD##n(V)
#define SIM_COPY_WORD2(V) SIM_VECTOR_COPY(V, 8)
#define SIM_COPY_WORD4(V) SIM_VECTOR_COPY(V, 16)
#define SIM_SELECT_COPY_8(V, n) SIM_COPY_LONG##n(V)
#define SIM_COPY_LONG2(V) SIM_VECTOR_COPY(V, 16)
#define SIM_COPY_LONG4(V) SIM_VECTOR_PLAIN(V)

SIM_VECTORS(signed char, char, 1)
SIM_VECTORS(unsigned char, uchar, 1)
SIM_VECTORS(short, short, 2)
SIM_VECTORS(unsigned short, ushort, 2)
SIM_VECTORS(int, int, 4)
SIM_VECTORS(float, float, 4)
SIM_VECTORS(long long, longlong, 8)
SIM_VECTORS(unsigned long long, ulonglong, 8)
SIM_VECTORS(double, double, 8)
// uint3 is in abi.h, which must stay plain C++.
struct uint1 {
    unsigned int x;
};
struct alignas(8) uint2 {
    unsigned int x, y;
    SIM_VECTOR_COPY(uint2, 8)
    __forceinline__ uint2(unsigned int x, unsigned int y = 0) : x(x), y(y) {}
};
struct alignas(16) uint4 {
    unsigned int x, y, z, w;
    SIM_VECTOR_COPY(uint4, 16)
    __forceinline__ uint4(unsigned int x, unsigned int y = 0, unsigned int z = 0, unsigned int w = 0)
        : x(x), y(y), z(z), w(w) {}
};
inline uint1 make_uint1(unsigned int x) { return {x}; }
inline uint2 make_uint2(unsigned int x, unsigned int y) { return uint2(x, y); }
inline uint3 make_uint3(unsigned int x, unsigned int y, unsigned int z) { return {x, y, z}; }
inline uint4 make_uint4(unsigned int x, unsigned int y, unsigned int z, unsigned int w) {
    return uint4(x, y, z, w);
}
