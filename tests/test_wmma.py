"""nvcuda::wmma: products against float64 with a bound for float accumulation, and what can be done wrong."""

import pytest
import torch
from simulated import MODES, compile_for, compile_text, line_with, nvcc_accepts

from utils.errors import CompileError, KernelError
from utils.simulator import profile

SOURCE = """
#include <mma.h>
using namespace nvcuda;

// d = max(2 (a b + c), 0), by one warp.
template <int M, int N, int K, class T, class S, class A, class B, class C>
__global__ void product_kernel(const S* a, const S* b, const C* c, C* d, int lda, int ldb, int ldc,
                               wmma::layout_t layout, bool round_first) {
    wmma::fragment<wmma::matrix_a, M, N, K, T, A> fa;
    wmma::fragment<wmma::matrix_b, M, N, K, T, B> fb;
    wmma::fragment<wmma::accumulator, M, N, K, C> sum, zero;
    wmma::load_matrix_sync(fa, a, lda);
    wmma::load_matrix_sync(fb, b, ldb);
    wmma::load_matrix_sync(sum, c, ldc, layout);
    wmma::fill_fragment(zero, C(0.0f));
    if constexpr (K == 8) {
        for (int i = 0; i < fa.num_elements && round_first; ++i) fa.x[i] = wmma::__float_to_tf32(fa.x[i]);
        for (int i = 0; i < fb.num_elements && round_first; ++i) fb.x[i] = wmma::__float_to_tf32(fb.x[i]);
    }
    wmma::mma_sync(sum, fa, fb, sum);
    for (int i = 0; i < sum.num_elements; ++i) {
        const float v = 2.0f * (float)sum.x[i];
        sum.x[i] = v > 0.0f ? C(v) : zero.x[i];
    }
    wmma::store_matrix_sync(d, sum, ldc, layout);
}
template <int M, int N, int K, class T, class S, class A, class B, class C>
void run(torch::Tensor a, torch::Tensor b, torch::Tensor c, torch::Tensor d, bool by_rows, bool round_first) {
    product_kernel<M, N, K, T, S, A, B, C><<<1, 32>>>(
        (const S*)a.data_ptr(), (const S*)b.data_ptr(), (const C*)c.data_ptr(), (C*)d.data_ptr(),
        (int)a.size(1), (int)b.size(1), (int)c.size(1), by_rows ? wmma::mem_row_major : wmma::mem_col_major,
        round_first);
}
using row = wmma::row_major;
using col = wmma::col_major;
using tf32 = wmma::precision::tf32;
using bf16 = __nv_bfloat16;
torch::Tensor product(torch::Tensor a, torch::Tensor b, torch::Tensor c, int64_t kind, bool by_rows,
                      bool round_first) {
    auto d = torch::zeros_like(c);
    switch (kind) {
        case 0: run<16, 16, 16, half, half, row, row, float>(a, b, c, d, by_rows, round_first); break;
        case 1: run<16, 16, 16, half, half, row, col, float>(a, b, c, d, by_rows, round_first); break;
        case 2: run<16, 16, 16, half, half, col, row, float>(a, b, c, d, by_rows, round_first); break;
        case 3: run<16, 16, 16, half, half, col, col, half>(a, b, c, d, by_rows, round_first); break;
        case 4: run<32, 8, 16, half, half, row, col, float>(a, b, c, d, by_rows, round_first); break;
        case 5: run<8, 32, 16, half, half, col, row, half>(a, b, c, d, by_rows, round_first); break;
        case 6: run<16, 16, 16, bf16, bf16, row, col, float>(a, b, c, d, by_rows, round_first); break;
        case 7: run<32, 8, 16, bf16, bf16, col, row, float>(a, b, c, d, by_rows, round_first); break;
        case 8: run<8, 32, 16, bf16, bf16, row, row, float>(a, b, c, d, by_rows, round_first); break;
        case 9: run<16, 16, 8, tf32, float, row, col, float>(a, b, c, d, by_rows, round_first); break;
        case 10: run<16, 16, 8, tf32, float, col, row, float>(a, b, c, d, by_rows, round_first); break;
    }
    return d;
}

// c = a b, of multiples of 64: four warps a block, each 32x32 of a 64x64 tile, through padded shared memory.
__global__ void matmul_kernel(const half* a, const half* b, float* c, int n, int k) {
    __shared__ __align__(32) half as[64][16 + 8], bs[16][64 + 8];
    const int warp = threadIdx.x / 32, row0 = 64 * blockIdx.y, col0 = 64 * blockIdx.x;
    const int wr = 32 * (warp / 2), wc = 32 * (warp % 2);
    wmma::fragment<wmma::accumulator, 16, 16, 16, float> sum[2][2];
    for (int i = 0; i < 4; ++i) wmma::fill_fragment(sum[i / 2][i % 2], 0.0f);
    for (int k0 = 0; k0 < k; k0 += 16) {
        for (int i = threadIdx.x; i < 64 * 16 / 2; i += blockDim.x) {
            *(half2*)&as[i / 8][2 * (i % 8)] = *(const half2*)&a[(row0 + i / 8) * k + k0 + 2 * (i % 8)];
            *(half2*)&bs[i / 32][2 * (i % 32)] = *(const half2*)&b[(k0 + i / 32) * n + col0 + 2 * (i % 32)];
        }
        __syncthreads();
        for (int i = 0; i < 2; ++i) {
            wmma::fragment<wmma::matrix_a, 16, 16, 16, half, row> fa;
            wmma::load_matrix_sync(fa, &as[wr + 16 * i][0], 24);
            for (int j = 0; j < 2; ++j) {
                wmma::fragment<wmma::matrix_b, 16, 16, 16, half, row> fb;
                wmma::load_matrix_sync(fb, &bs[0][wc + 16 * j], 72);
                wmma::mma_sync(sum[i][j], fa, fb, sum[i][j]);
            }
        }
        __syncthreads();
    }
    for (int i = 0; i < 4; ++i)
        wmma::store_matrix_sync(c + (row0 + wr + 16 * (i / 2)) * n + col0 + wc + 16 * (i % 2),
                                sum[i / 2][i % 2], n, wmma::mem_row_major);
}
torch::Tensor matmul(torch::Tensor a, torch::Tensor b) {
    auto c = torch::empty({a.size(0), b.size(1)}, a.options().dtype(torch::kFloat));
    matmul_kernel<<<dim3(b.size(1) / 64, a.size(0) / 64), 128>>>(
        (const half*)a.data_ptr<at::Half>(), (const half*)b.data_ptr<at::Half>(), c.data_ptr<float>(),
        (int)b.size(1), (int)a.size(1));
    return c;
}

__global__ void rounding_kernel(const float* x, float* y) {
    y[threadIdx.x] = wmma::__float_to_tf32(x[threadIdx.x]);
}
torch::Tensor rounding(torch::Tensor x) {
    auto y = torch::empty_like(x);
    rounding_kernel<<<1, x.numel()>>>(x.data_ptr<float>(), y.data_ptr<float>());
    return y;
}

// Each with one thing wrong, unless `mistake` is false.
__global__ void load_kernel(const half* x, half* y, int at, int stride) {
    wmma::fragment<wmma::matrix_a, 16, 16, 16, half, row> f;
    wmma::load_matrix_sync(f, x + at, stride);  // the load
    wmma::fragment<wmma::accumulator, 16, 16, 16, half> g;
    wmma::fill_fragment(g, f.x[0]);
    wmma::store_matrix_sync(y + at, g, stride, wmma::mem_row_major);  // the store
}
torch::Tensor load(torch::Tensor x, int64_t at, int64_t stride, int64_t threads) {
    auto y = torch::zeros_like(x);
    load_kernel<<<1, threads>>>((const half*)x.data_ptr<at::Half>(), (half*)y.data_ptr<at::Half>(), (int)at,
                                (int)stride);
    return y;
}
__global__ void half_a_warp_kernel(float* y, bool mistake) {
    wmma::fragment<wmma::accumulator, 16, 16, 16, float> f;
    wmma::fill_fragment(f, 3.0f);
    if (threadIdx.x < 16 || !mistake) wmma::store_matrix_sync(y, f, 16, wmma::mem_row_major);  // half of them
}
__global__ void half_multiplies_kernel(float* y, bool mistake) {
    wmma::fragment<wmma::matrix_a, 16, 16, 16, half, row> a;
    wmma::fragment<wmma::matrix_b, 16, 16, 16, half, row> b;
    wmma::fragment<wmma::accumulator, 16, 16, 16, float> f;
    wmma::fill_fragment(a, __float2half(1));
    wmma::fill_fragment(b, __float2half(0.1875f));
    wmma::fill_fragment(f, 0.0f);
    if (threadIdx.x >= 16 && mistake) wmma::fill_fragment(f, 1.0f);
    else wmma::mma_sync(f, a, b, f);  // the multiplication
    __syncwarp();
    wmma::store_matrix_sync(y, f, 16, wmma::mem_row_major);
}
__global__ void read_too_early_kernel(float* y, bool mistake) {
    __shared__ __align__(32) float s[256];
    wmma::fragment<wmma::accumulator, 16, 16, 16, float> f;
    wmma::fill_fragment(f, 3.0f);
    wmma::store_matrix_sync(s, f, 16, wmma::mem_row_major);  // to shared memory
    if (!mistake) __syncwarp();
    for (int i = threadIdx.x; i < 256; i += 32) y[i] = s[i];  // read
}
torch::Tensor wrong(torch::Tensor x, int64_t which, bool mistake) {
    auto y = torch::zeros({16, 16}, x.options());
    float* p = y.data_ptr<float>();
    if (which == 0) half_a_warp_kernel<<<1, 32>>>(p, mistake);
    if (which == 1) half_multiplies_kernel<<<1, 32>>>(p, mistake);
    if (which == 2) read_too_early_kernel<<<1, 32>>>(p, mistake);
    return y;
}
"""
KINDS = {  # kind -> m, n, k, type of a and b, layout of a, of b, type of c
    0: (16, 16, 16, torch.half, "row", "row", torch.float),
    1: (16, 16, 16, torch.half, "row", "col", torch.float),
    2: (16, 16, 16, torch.half, "col", "row", torch.float),
    3: (16, 16, 16, torch.half, "col", "col", torch.half),
    4: (32, 8, 16, torch.half, "row", "col", torch.float),
    5: (8, 32, 16, torch.half, "col", "row", torch.half),
    6: (16, 16, 16, torch.bfloat16, "row", "col", torch.float),
    7: (32, 8, 16, torch.bfloat16, "col", "row", torch.float),
    8: (8, 32, 16, torch.bfloat16, "row", "row", torch.float),
    9: (16, 16, 8, torch.float, "row", "col", torch.float),
    10: (16, 16, 8, torch.float, "col", "row", torch.float),
}


@pytest.fixture(scope="module", params=MODES)
def module(request):
    return compile_for(request.param, SOURCE, "wmma")


@pytest.fixture(scope="module")
def checked():
    return compile_text(SOURCE, name="wmma")


@pytest.mark.nvcc
def test_nvcc_takes_the_same_source():
    nvcc_accepts(SOURCE, "wmma")


def stored(x: torch.Tensor, by_rows: bool) -> torch.Tensor:
    """The matrix as memory holds it, its rows or columns eight elements longer than they need be."""
    lines = x if by_rows else x.T
    return torch.nn.functional.pad(lines, (0, 8), value=float("nan")).contiguous()


def tf32(x: torch.Tensor, how: str) -> torch.Tensor:
    """x in float64, with 10 bits behind the point."""
    x = x.double()
    unit = torch.ldexp(torch.ones_like(x), torch.frexp(x)[1] - 11)
    return x.sign() * (x.abs() / unit + (0.5 if how == "nearest, ties away" else 0)).floor() * unit


@pytest.mark.parametrize("by_rows", [True, False], ids=["c_by_rows", "c_by_columns"])
@pytest.mark.parametrize("kind", KINDS)
def test_products(module, kind, by_rows):
    m, n, k, dtype, layout_a, layout_b, dtype_c = KINDS[kind]
    torch.manual_seed(kind)
    a, b, c = torch.randn(m, k).to(dtype), torch.randn(k, n).to(dtype), torch.randn(m, n).to(dtype_c)
    for round_first in (True, False) if dtype == torch.float else (False,):
        u, v = a.double(), b.double()
        if dtype == torch.float:
            u, v = (tf32(t, "nearest, ties away" if round_first else "cut off") for t in (a, b))
        at, bt, ct = stored(a, layout_a == "row"), stored(b, layout_b == "row"), stored(c, by_rows)
        d = module.product(at, bt, ct, kind, by_rows, round_first)
        d = (d if by_rows else d.T)[:m, :n]
        sums = u @ v + c.double()
        # k + 1 additions in float, each off by at most a unit in the last place of the sum so far: half of
        # one here, but a tensor core cuts off.
        bound = (k + 2) * 2.0**-23 * (u.abs() @ v.abs() + c.double().abs())
        if dtype_c == torch.half:  # and two roundings to half
            bound = bound + 2.0**-10 * (sums.abs() + bound)
        assert ((d.double() - (2 * sums).relu()).abs() <= 2 * bound).all()
        if dtype == torch.float:  # rounding and cutting off do differ by more than that
            assert (2 * (a.double() @ b.double() + c) - 2 * sums).abs().max() > 20 * bound.max()


def test_tf32_is_rounded_to_nearest_ties_away(module):
    x = torch.cat(
        [torch.randn(500), torch.tensor([1 + 2.0**-11, -1 - 2.0**-11, 1 + 2.0**-11 - 2.0**-23, 0.0, 3e38])]
    )
    assert torch.equal(module.rounding(x).double(), tf32(x, "nearest, ties away"))
    assert module.rounding(torch.tensor([torch.inf, -torch.inf])).tolist() == [torch.inf, -torch.inf]
    assert module.rounding(torch.tensor([torch.nan])).isnan().all()


def test_a_tiled_matrix_product(module):
    torch.manual_seed(1)
    a, b = torch.randn(64, 80).half(), torch.randn(80, 128).half()
    u, v = a.double(), b.double()
    bound = 82 * 2.0**-23 * (u.abs() @ v.abs())
    assert ((module.matmul(a, b).double() - u @ v).abs() <= bound).all()


def test_accesses_of_a_warp(checked):
    """As the header says: 4 bytes a lane and eight rows at a time, 8 bytes for float accumulators."""
    a, b, c = torch.randn(16, 16).half(), torch.randn(16, 16).half(), torch.zeros(16, 16)
    (launch,) = profile(checked.product, a, b, c, 0, True, False)
    assert launch.global_load.bytes_requested == 2 * 512 + 1024
    assert launch.global_store.bytes_requested == 1024
    # a and b: four pieces of 8 rows of 16 bytes; c: four pieces of 8 rows of 32 bytes.
    assert (launch.global_load.requests, launch.global_load.sectors) == (12, 2 * 4 * 8 + 4 * 8)
    assert (launch.global_store.requests, launch.global_store.sectors) == (4, 32)
    assert profile(checked.matmul, torch.randn(64, 16).half(), torch.randn(16, 64).half())


MISTAKES = {
    "past_the_end": ((16, 16, 32), "out-of-bounds", "the load", (28, 0, 0), "reads x[256], 1 past the last"),
    "rows_too_far_apart": ((0, 24, 32), "out-of-bounds", "the load", (12, 0, 0), "reads x[264]"),
    "misaligned": ((8, 16, 32), "misaligned", "the load", (0, 0, 0), "32 bytes at byte 16 of x (float16"),
    "odd_rows": ((0, 15, 32), "misaligned", "the load", (0, 0, 0), "30 bytes apart"),
    "half_a_block": ((0, 16, 16), "deadlock", "the load", (0, 0, 0), "not all 32 lanes of its warp come"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_wrong_loads_are_named(checked, name):
    arguments, kind, where, thread, words = MISTAKES[name]
    x = torch.ones(256).half()
    assert torch.equal(checked.load(x, 0, 16, 32), x)
    with pytest.raises(KernelError) as caught:
        checked.load(x, *arguments)
    error = caught.value
    assert (error.kind, error.thread) == (kind, thread), str(error)
    assert error.line == line_with(checked.load, f"// {where}") and words in str(error)


WRONG = {
    0: ("deadlock", "half of them", (0, 0, 0), "not all 32 lanes"),
    1: ("deadlock", "the multiplication", (0, 0, 0), "not all 32 lanes"),
    2: ("race", "// read", None, "race"),
}


@pytest.mark.parametrize("which", WRONG)
def test_what_a_warp_must_do_together(checked, which):
    kind, where, thread, words = WRONG[which]
    assert (checked.wrong(torch.ones(1), which, False) == 3).all()
    with pytest.raises(KernelError) as caught:
        checked.wrong(torch.ones(1), which, True)
    error = caught.value
    assert error.kind == kind and words in str(error), str(error)
    assert error.line == line_with(checked.wrong, where)
    assert thread is None or error.thread == thread


def test_other_shapes_are_refused_with_what_there_is():
    with pytest.raises(CompileError, match="16x16x16, 32x8x16, 8x32x16"):
        compile_text(
            """
#include <mma.h>
using namespace nvcuda::wmma;
__global__ void k() { fragment<matrix_a, 16, 16, 32, half, row_major> f; }
void go() { k<<<1, 32>>>(); }
"""
        )
