// nvcuda::wmma: matrices held by a warp, and their product with float accumulation.
//
// Which lane holds which element is not specified by CUDA. Here it is nearly what the mma instructions use:
// element e of a lane stands at sim::wmma::Place, the same for both layouts of memory, so that an
// elementwise change of x[] works. Half inputs have 16 elements a lane, as on the GPU, the last of which are
// copies.
//
// Loads and stores are reported as the accesses that a GPU's plain load and store instructions would make:
// eight rows (columns, of col_major) at a time, four lanes to a row, 4 bytes a lane for 16-bit elements and
// tf32, 8 for float accumulators. These request counts are modelled, not measured: nvcc may choose ldmatrix,
// which fetches four such pieces from shared memory by one instruction, and other widths.
#pragma once
#include "cuda_bf16.h"
#include "cuda_fp16.h"

namespace nvcuda {
namespace wmma {

struct row_major;
struct col_major;
struct matrix_a;
struct matrix_b;
struct accumulator;
namespace precision {
struct tf32;
}
enum layout_t { mem_row_major, mem_col_major };

}  // namespace wmma
}  // namespace nvcuda

namespace sim::wmma {

using namespace nvcuda::wmma;

// What the multiplier reads of an element. Of a float that was not rounded to tf32 it ignores the last bits.
inline SIM_RAW float multiplicand(__half v) { return static_cast<float>(v); }
inline SIM_RAW float multiplicand(__nv_bfloat16 v) { return static_cast<float>(v); }
inline SIM_RAW float multiplicand(float v) {
    return sim::bits_as<float>(sim::bits_as<uint32_t>(v) & 0xffffe000u);
}

template <class T>
struct Element {
    using Stored = T;
};
template <>
struct Element<precision::tf32> {
    using Stored = float;
};

struct Row {
    unsigned row, column;
};

// Where element e of a lane stands: in the rows of a, the columns of b, or the accumulator.
template <class Use, int m, int n, int k>
struct Place;
template <int m, int n, int k>
struct Place<matrix_a, m, n, k> {
    static constexpr int rows = m, columns = k;
    static SIM_RAW Row of(unsigned lane, unsigned e) {
        if (k == 8) return {lane / 4 + 8 * (e / 2), lane % 4 + 4 * (e % 2)};
        return {lane / 4 + 8 * (e / 4), 2 * (lane % 4) + e % 2 + 8 * (e / 2 % 2)};
    }
};
template <int m, int n, int k>
struct Place<matrix_b, m, n, k> {
    static constexpr int rows = k, columns = n;
    static SIM_RAW Row of(unsigned lane, unsigned e) {
        const Row transposed = Place<matrix_a, n, m, k>::of(lane, e);
        return {transposed.column, transposed.row};
    }
};
template <int m, int n, int k>
struct Place<accumulator, m, n, k> {
    static constexpr int rows = m, columns = n;
    static SIM_RAW Row of(unsigned lane, unsigned e) {
        return {lane / 4 + 8 * (e / 2 % (m / 8)), 2 * (lane % 4) + e % 2 + 8 * (e / 2 / (m / 8))};
    }
};

template <int m, int n, int k, class T>
constexpr bool is_supported_input =
    (std::is_same_v<T, precision::tf32> && m == 16 && n == 16 && k == 8) ||
    ((std::is_same_v<T, __half> || std::is_same_v<T, __nv_bfloat16>) && k == 16 &&
     ((m == 16 && n == 16) || (m == 32 && n == 8) || (m == 8 && n == 32)));

// Tells the engine which bytes each lane touches. `lines` rows, `length` elements in each; or columns.
template <class T>
SIM_RAW void report(const T* matrix, unsigned stride, int lines, int length, int together, int access,
                    uint64_t pc) {
    sim_check_matrix(matrix, stride * sizeof(T), access, pc);
    const unsigned lane = sim_lane(), log2 = __builtin_ctz(static_cast<unsigned>(together * sizeof(T)));
    for (int line = lane / 4; line < lines; line += 8)
        for (int i = lane % 4 * together; i < length; i += 4 * together)
            sim_access_slow(matrix + static_cast<size_t>(line) * stride + i, log2, access, pc);
}
#if defined(SIM_CHECKED)
#define SIM_REPORT_MATRIX(where, matrix, stride, by_rows, together, access)   \
    sim::wmma::report(matrix, stride, by_rows ? where::rows : where::columns, \
                      by_rows ? where::columns : where::rows, together, access, sim_here())
#else
#define SIM_REPORT_MATRIX(where, matrix, stride, by_rows, together, access) ((void)0)
#endif

template <class Fragment, class T>
SIM_RAW void load(Fragment& f, const T* matrix, unsigned stride, bool by_rows) {
    const unsigned lane = sim_lane();
#pragma GCC unroll 16
    for (unsigned e = 0; e < Fragment::num_elements; ++e) {
        const Row at = Fragment::where::of(lane, e % Fragment::held);
        f.x[e] = matrix[by_rows ? size_t(at.row) * stride + at.column : size_t(at.column) * stride + at.row];
    }
}
template <class Fragment, class T>
SIM_RAW void store(const Fragment& f, T* matrix, unsigned stride, bool by_rows) {
    const unsigned lane = sim_lane();
#pragma GCC unroll 16
    for (unsigned e = 0; e < Fragment::num_elements; ++e) {
        const Row at = Fragment::where::of(lane, e);
        matrix[by_rows ? size_t(at.row) * stride + at.column : size_t(at.column) * stride + at.row] = f.x[e];
    }
}

template <class Fragment>
SIM_RAW void fill(Fragment& f, typename Fragment::storage_element_type value) {
    for (auto& element : f.x) element = value;
}
// Each lane brings its fragments; the product is computed once, for all lanes.
template <int m, int n, int k, class T, class C, class D>
struct Product : SimCollective {
    using Stored = typename Element<T>::Stored;
    const Stored *a, *b;
    const C* c;
    D* d;

    static SIM_RAW void multiply(SimCollective* const* lanes) {
        using PlaceA = Place<matrix_a, m, n, k>;
        using PlaceB = Place<matrix_b, m, n, k>;
        using PlaceC = Place<accumulator, m, n, k>;
        float a[m][k], b[k][n], c[m][n];
        for (unsigned lane = 0; lane < 32; ++lane) {
            const Product& mine = *static_cast<const Product*>(lanes[lane]);
#pragma GCC unroll 16
            for (unsigned e = 0; e < m * k / 32; ++e) {
                const Row at = PlaceA::of(lane, e);
                a[at.row][at.column] = multiplicand(mine.a[e]);
            }
#pragma GCC unroll 16
            for (unsigned e = 0; e < k * n / 32; ++e) {
                const Row at = PlaceB::of(lane, e);
                b[at.row][at.column] = multiplicand(mine.b[e]);
            }
#pragma GCC unroll 16
            for (unsigned e = 0; e < m * n / 32; ++e) {
                const Row at = PlaceC::of(lane, e);
                c[at.row][at.column] = static_cast<float>(mine.c[e]);
            }
        }
        // Products of such inputs are exact in float; their sum is rounded at each step.
        for (int i = 0; i < m; ++i)
            for (int l = 0; l < k; ++l)
                for (int j = 0; j < n; ++j) c[i][j] += a[i][l] * b[l][j];
        for (unsigned lane = 0; lane < 32; ++lane) {
            D* d = static_cast<Product*>(lanes[lane])->d;
#pragma GCC unroll 16
            for (unsigned e = 0; e < m * n / 32; ++e) {
                const Row at = PlaceC::of(lane, e);
                d[e] = D(c[at.row][at.column]);
            }
        }
    }
};
template <int m, int n, int k, class T, class C, class D>
SIM_RAW void multiply(const typename Element<T>::Stored* a, const typename Element<T>::Stored* b, const C* c,
                      D* d, int line) {
    Product<m, n, k, T, C, D> product;
    product.work = &Product<m, n, k, T, C, D>::multiply;
    product.a = a, product.b = b, product.c = c, product.d = d;
    sim_warp(SIM_WARP_WHOLE, 0xffffffffu, line,
             reinterpret_cast<uint64_t>(static_cast<SimCollective*>(&product)), 0);
}
}  // namespace sim::wmma

namespace nvcuda {
namespace wmma {

// Rounded to the nearest number with 10 bits behind the point, ties away from zero, as cvt.rna.tf32.f32.
__forceinline__ float __float_to_tf32(float x) {
    const unsigned bits = __float_as_uint(x);
    const unsigned rounded = (bits + 0x1000u) & 0xffffe000u;
    return __uint_as_float((bits & 0x7f800000u) == 0x7f800000u ? bits : rounded);
}

template <class Use, int m, int n, int k, class T, class Layout = void>
class fragment {
    static constexpr bool is_accumulator = std::is_same_v<Use, accumulator>;
    static constexpr bool supported =
        is_accumulator ? sim::wmma::is_supported_input<m, n, k, __half> && std::is_same_v<T, __half> ||
                             (sim::wmma::is_supported_input<m, n, k, __half> ||
                              sim::wmma::is_supported_input<m, n, k, precision::tf32>) &&
                                 std::is_same_v<T, float>
                       : sim::wmma::is_supported_input<m, n, k, T> && !std::is_void_v<Layout>;
    static_assert(supported,
                  "the simulator has wmma fragments of half and bfloat16 (16x16x16, 32x8x16, 8x32x16) and of "
                  "precision::tf32 (16x16x8), matrix_a and matrix_b with row_major or col_major, and "
                  "accumulators of float (or half, with half inputs)");

  public:
    using where = sim::wmma::Place<Use, m, n, k>;
    static constexpr int held = where::rows * where::columns / 32;
    enum { num_elements = std::is_same_v<T, __half> && !is_accumulator ? 16 : held };
    enum { num_storage_elements = num_elements };
    using element_type = T;
    using storage_element_type = typename sim::wmma::Element<T>::Stored;
    storage_element_type x[num_elements];
};

template <class Use, int m, int n, int k, class T, class Layout>
__forceinline__ void load_matrix_sync(fragment<Use, m, n, k, T, Layout>& f,
                                      const typename sim::wmma::Element<T>::Stored* matrix, unsigned stride,
                                      int line = __builtin_LINE()) {
    using Fragment = fragment<Use, m, n, k, T, Layout>;
    constexpr bool by_rows = std::is_same_v<Layout, row_major>;
    sim_warp(SIM_WARP_WHOLE, 0xffffffffu, line, 0, 0);
    SIM_REPORT_MATRIX(Fragment::where, matrix, stride, by_rows, (sizeof(*matrix) == 2 ? 2 : 1), 0);
    sim::wmma::load(f, matrix, stride, by_rows);
}
template <int m, int n, int k, class T>
__forceinline__ void load_matrix_sync(fragment<accumulator, m, n, k, T>& f, const T* matrix, unsigned stride,
                                      layout_t layout, int line = __builtin_LINE()) {
    using Fragment = fragment<accumulator, m, n, k, T>;
    sim_warp(SIM_WARP_WHOLE, 0xffffffffu, line, 0, 0);
    SIM_REPORT_MATRIX(Fragment::where, matrix, stride, (layout == mem_row_major), 2, 0);
    sim::wmma::load(f, matrix, stride, layout == mem_row_major);
}
template <int m, int n, int k, class T>
__forceinline__ void store_matrix_sync(T* matrix, const fragment<accumulator, m, n, k, T>& f, unsigned stride,
                                       layout_t layout, int line = __builtin_LINE()) {
    using Fragment = fragment<accumulator, m, n, k, T>;
    sim_warp(SIM_WARP_WHOLE, 0xffffffffu, line, 0, 0);
    SIM_REPORT_MATRIX(Fragment::where, matrix, stride, (layout == mem_row_major), 2, 1);
    sim::wmma::store(f, matrix, stride, layout == mem_row_major);
}

template <class Use, int m, int n, int k, class T, class Layout>
__forceinline__ void fill_fragment(fragment<Use, m, n, k, T, Layout>& f,
                                   const typename sim::wmma::Element<T>::Stored& value) {
    sim::wmma::fill(f, value);
}

template <int m, int n, int k, class T, class LayoutA, class LayoutB, class C, class D>
__forceinline__ void mma_sync(fragment<accumulator, m, n, k, D>& d,
                              const fragment<matrix_a, m, n, k, T, LayoutA>& a,
                              const fragment<matrix_b, m, n, k, T, LayoutB>& b,
                              const fragment<accumulator, m, n, k, C>& c, int line = __builtin_LINE()) {
    sim::wmma::multiply<m, n, k, T, C, D>(a.x, b.x, c.x, d.x, line);
}

}  // namespace wmma
}  // namespace nvcuda
