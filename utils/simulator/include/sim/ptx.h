// The PTX instructions that inline assembly may hold: utils/simulator/rewriting makes a call of one of these
// of each asm, its operands in the instruction's order. `statement` tells one asm from another.
#pragma once
#include "../cuda_runtime.h"
#include "copy.h"
#include "ptx_operands.h"
#include "round16.h"

namespace sim::ptx {

__forceinline__ void copy(Shared to, const void* from, int bytes, int read, bool known, const char* refusal) {
    if (!known || read < 0 || read > bytes) sim_refuse(refusal, sim_here());
    copy_piece(sim_shared_at(to.offset, sim_here()), from, bytes, bytes - read);
}
// Of the `bytes` at `to`, those behind the first `read` become zeros.
__forceinline__ void copy_ca(Shared to, const void* from, int bytes, int read) {
    copy(to, from, bytes, read, bytes == 4 || bytes == 8 || bytes == 16,
         "cp.async.ca of other than 4, 8 or 16 bytes, or that reads more than it writes,");
}
__forceinline__ void copy_ca(Shared to, const void* from, int bytes) { copy_ca(to, from, bytes, bytes); }
__forceinline__ void copy_cg(Shared to, const void* from, int bytes, int read) {
    copy(to, from, bytes, read, bytes == 16,
         "cp.async.cg of other than 16 bytes, or that reads more than it writes,");
}
__forceinline__ void copy_cg(Shared to, const void* from, int bytes) { copy_cg(to, from, bytes, bytes); }
__forceinline__ void commit_group() { commit_copies(); }
__forceinline__ void wait_group(int still_under_way) { await_copies(still_under_way); }
__forceinline__ void wait_all() { await_all_copies(); }

// Rounded to nearest, ties away from zero.
inline SIM_RAW uint32_t rounded_to_tf32(float x) {
    const uint32_t bits = bits_as<uint32_t>(x);
    return (bits & 0x7f800000u) == 0x7f800000u ? bits : (bits + 0x1000u) & 0xffffe000u;
}
template <class T>
__forceinline__ void to_tf32(T& to, float x) {
    to = rounded_to_tf32(x);
}

struct Registers {
    uint32_t x[4];
};
struct Sums {
    float x[4];
};

// Each of the first 8 * count lanes brings a row of 16 bytes; of matrix m, a lane gets two neighbours of row
// lane / 4 or, transposed, of column lane / 4.
template <bool transposed>
struct Matrices : SimCollective {
    uint16_t row[8];
    Registers got;
    int count;

    static SIM_RAW void hand_out(SimCollective* const* lanes) {
        for (unsigned lane = 0; lane < 32; ++lane) {
            Matrices& mine = *static_cast<Matrices*>(lanes[lane]);
            for (int m = 0; m < mine.count; ++m) {
                const unsigned outer = lane / 4, inner = 2 * (lane % 4);
                auto element = [&](unsigned row, unsigned column) SIM_RAW {
                    return uint32_t(static_cast<Matrices*>(lanes[8 * m + row])->row[column]);
                };
                mine.got.x[m] = transposed ? element(inner, outer) | element(inner + 1, outer) << 16
                                           : element(outer, inner) | element(outer, inner + 1) << 16;
            }
        }
    }
};
template <bool transposed>
SIM_RAW __attribute__((noinline)) Registers load_matrices(int count, Shared address, int statement,
                                                          uint64_t pc) {
    Matrices<transposed> matrices;
    matrices.work = &Matrices<transposed>::hand_out;
    matrices.count = count;
    if (sim_lane() < 8u * count) {
        const void* row = sim_shared_at(address.offset, pc);
#if defined(SIM_CHECKED)
        sim_access_slow(row, 5, 0, pc);  // 5: kRowOfMatrix
#endif
        __builtin_memcpy(matrices.row, row, 16);
    }
    sim_together(&matrices, statement, pc);
    return matrices.got;
}
template <bool transposed, class T>
__forceinline__ void ldmatrix(int statement, T& a, Shared address) {
    const Registers got = load_matrices<transposed>(1, address, statement, sim_here());
    a = got.x[0];
}
template <bool transposed, class T>
__forceinline__ void ldmatrix(int statement, T& a, T& b, Shared address) {
    const Registers got = load_matrices<transposed>(2, address, statement, sim_here());
    a = got.x[0], b = got.x[1];
}
template <bool transposed, class T>
__forceinline__ void ldmatrix(int statement, T& a, T& b, T& c, T& d, Shared address) {
    const Registers got = load_matrices<transposed>(4, address, statement, sim_here());
    a = got.x[0], b = got.x[1], c = got.x[2], d = got.x[3];
}

// Element e of a register. Of a float that was not rounded to TF32 the multiplier ignores the last bits.
struct Tf32 {
    static constexpr int per_register = 1;
    static SIM_RAW float element(uint32_t x, int) { return bits_as<float>(x & 0xffffe000u); }
};
struct Bf16 {
    static constexpr int per_register = 2;
    static SIM_RAW float element(uint32_t x, int e) { return Bfloat16::to_float(uint16_t(x >> 16 * e)); }
};
struct F16 {
    static constexpr int per_register = 2;
    static SIM_RAW float element(uint32_t x, int e) { return Half::to_float(uint16_t(x >> 16 * e)); }
};

// c += a b: a is 16 x k, b is k x 8, c is 16 x 8. A lane holds of a the rows lane / 4 and lane / 4 + 8 in
// turn, of b the column lane / 4, of c two neighbours in each of a's rows.
template <int k, class T>
struct Product : SimCollective {
    Registers a, b;
    Sums c;

    static SIM_RAW void multiply(SimCollective* const* lanes) {
        constexpr int per = T::per_register, step = 4 * per;
        float a[16][k], b[k][8], c[16][8];
        for (int lane = 0; lane < 32; ++lane) {
            const Product& mine = *static_cast<const Product*>(lanes[lane]);
            const int group = lane / 4, place = lane % 4;
            for (int r = 0; r < k / step; ++r)
                for (int e = 0; e < per; ++e) {
                    const int column = step * r + per * place + e;
                    a[group][column] = T::element(mine.a.x[2 * r], e);
                    a[group + 8][column] = T::element(mine.a.x[2 * r + 1], e);
                    b[column][group] = T::element(mine.b.x[r], e);
                }
            for (int e = 0; e < 4; ++e) c[group + 8 * (e / 2)][2 * place + e % 2] = mine.c.x[e];
        }
        // Products of such inputs are exact in float; their sum is rounded at each step.
        for (int i = 0; i < 16; ++i)
            for (int l = 0; l < k; ++l)
                for (int j = 0; j < 8; ++j) c[i][j] += a[i][l] * b[l][j];
        for (int lane = 0; lane < 32; ++lane)
            for (int e = 0; e < 4; ++e)
                static_cast<Product*>(lanes[lane])->c.x[e] =
                    c[lane / 4 + 8 * (e / 2)][2 * (lane % 4) + e % 2];
    }
};
template <int k, class T>
SIM_RAW __attribute__((noinline)) Sums multiply(Registers a, Registers b, Sums c, int statement,
                                                uint64_t pc) {
    Product<k, T> product;
    product.work = &Product<k, T>::multiply;
    product.a = a, product.b = b, product.c = c;
    sim_together(&product, statement, pc);
    return product.c;
}
template <int k, class T>
__forceinline__ void mma(int statement, float& d0, float& d1, float& d2, float& d3, uint32_t a0, uint32_t a1,
                         uint32_t a2, uint32_t a3, uint32_t b0, uint32_t b1, float c0, float c1, float c2,
                         float c3) {
    const Sums d = multiply<k, T>({a0, a1, a2, a3}, {b0, b1, 0, 0}, {c0, c1, c2, c3}, statement, sim_here());
    d0 = d.x[0], d1 = d.x[1], d2 = d.x[2], d3 = d.x[3];
}
template <int k, class T>
__forceinline__ void mma(int statement, float& d0, float& d1, float& d2, float& d3, uint32_t a0, uint32_t a1,
                         uint32_t b0, float c0, float c1, float c2, float c3) {
    mma<k, T>(statement, d0, d1, d2, d3, a0, a1, 0u, 0u, b0, 0u, c0, c1, c2, c3);
}

}  // namespace sim::ptx
