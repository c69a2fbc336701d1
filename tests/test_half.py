"""__half and __nv_bfloat16: every rounding against float64, every access as wide as it is written."""

import re
from fractions import Fraction

import numpy as np
import pytest
import torch
from simulated import MODES, compile_for, compile_text, line_with, nvcc_accepts

from utils.errors import KernelError
from utils.simulator import profile

# `TO(v)` makes a number of the type from a float; the rest is the same text for both types.
FORMAT = """
__device__ inline float to_float(T v) { return TO_FLOAT(v); }

__global__ void NAME_widen_kernel(const T* x, float* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = TO_FLOAT(x[i]);
}
torch::Tensor NAME_widen(torch::Tensor x) {
    auto y = torch::empty({x.numel()}, x.options().dtype(torch::kFloat));
    NAME_widen_kernel<<<(x.numel() + 255) / 256, 256>>>((const T*)x.data_ptr<AT>(), y.data_ptr<float>(),
                                                         (int)x.numel());
    return y;
}

__global__ void NAME_narrow_kernel(const double* x, T* y, int n, int how) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float v = (float)x[i];
    switch (how) {
        case 0: y[i] = FROM_FLOAT(v); break;
        case 1: y[i] = FROM_FLOAT_ROUNDED(rn)(v); break;
        case 2: y[i] = FROM_FLOAT_ROUNDED(rz)(v); break;
        case 3: y[i] = FROM_FLOAT_ROUNDED(rd)(v); break;
        case 4: y[i] = FROM_FLOAT_ROUNDED(ru)(v); break;
        case 5: y[i] = FROM_DOUBLE(x[i]); break;
        case 6: y[i] = v; break;
        case 7: y[i] = T(x[i]); break;
    }
}
torch::Tensor NAME_narrow(torch::Tensor x, int64_t how) {
    auto y = torch::empty({x.numel()}, x.options().dtype(DTYPE));
    NAME_narrow_kernel<<<(x.numel() + 255) / 256, 256>>>(x.data_ptr<double>(), (T*)y.data_ptr<AT>(),
                                                          (int)x.numel(), (int)how);
    return y;
}

__device__ T NAME_scalar(T a, T b, T c, int how) {
    switch (how) {
        case 0: return __hadd(a, b);
        case 1: return __hsub(a, b);
        case 2: return __hmul(a, b);
        case 3: return __hdiv(a, b);
        case 4: return __hfma(a, b, c);
        case 5: return __hmax(a, b);
        case 6: return __hmin(a, b);
        case 7: return __hneg(a);
        case 8: return __habs(a);
        case 9: return hsqrt(a);
        default: return a;
    }
}
__device__ T2 NAME_pair(T2 a, T2 b, T2 c, int how) {
    switch (how) {
        case 0: return __hadd2(a, b);
        case 1: return __hsub2(a, b);
        case 2: return __hmul2(a, b);
        case 3: return __h2div(a, b);
        case 4: return __hfma2(a, b, c);
        case 5: return __hmax2(a, b);
        case 6: return __hmin2(a, b);
        case 7: return __hneg2(a);
        case 8: return __habs2(a);
        case 9: return h2sqrt(a);
        default: return a;
    }
}
__device__ T NAME_operators(T a, T b, T c, int how) {
    switch (how) {
        case 0: return a + b;
        case 1: a -= b; return a;
        case 2: return a * b;
        case 3: a /= b; return a;
        case 7: return -a;
        default: return NAME_scalar(a, b, c, how);
    }
}
__global__ void NAME_calculate_kernel(const T* a, const T* b, const T* c, T* y, int n, int how, int form) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    if (form == 0) y[i] = NAME_scalar(a[i], b[i], c[i], how);
    if (form == 1) y[i] = NAME_operators(a[i], b[i], c[i], how);
    if (form == 2 && 2 * i < n)
        ((T2*)y)[i] = NAME_pair(((const T2*)a)[i], ((const T2*)b)[i], ((const T2*)c)[i], how);
}
torch::Tensor NAME_calculate(torch::Tensor a, torch::Tensor b, torch::Tensor c, int64_t how, int64_t form) {
    auto y = torch::empty_like(a);
    NAME_calculate_kernel<<<(a.numel() + 255) / 256, 256>>>(
        (const T*)a.data_ptr<AT>(), (const T*)b.data_ptr<AT>(), (const T*)c.data_ptr<AT>(),
        (T*)y.data_ptr<AT>(), (int)a.numel(), (int)how, (int)form);
    return y;
}

// One bit for each comparison: six operators, six that are true of NaN, and the same on both of a pair.
__global__ void NAME_compare_kernel(const T* a, const T* b, int* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    T u = a[i], v = b[i];
    T2 uu = PAIR(u, u), vv = PAIR(v, v);
    int bits = (u == v) | (u != v) << 1 | (u < v) << 2 | (u <= v) << 3 | (u > v) << 4 | (u >= v) << 5;
    bits |= __hequ(u, v) << 6 | __hneu(u, v) << 7 | __hltu(u, v) << 8 | __hleu(u, v) << 9;
    bits |= __hgtu(u, v) << 10 | __hgeu(u, v) << 11;
    bits |= (int)__hbeq2(uu, vv) << 12 | (int)__hblt2(uu, vv) << 13 |
            (to_float(__hge2(uu, vv).y) != 0) << 14 | (__hgt2_mask(uu, vv) == 0xffffffffu) << 15;
    bits |= (int)__hisnan(u) << 16;
    y[i] = bits;
}
torch::Tensor NAME_compare(torch::Tensor a, torch::Tensor b) {
    auto y = torch::empty({a.numel()}, a.options().dtype(torch::kInt));
    NAME_compare_kernel<<<(a.numel() + 255) / 256, 256>>>(
        (const T*)a.data_ptr<AT>(), (const T*)b.data_ptr<AT>(), y.data_ptr<int>(), (int)a.numel());
    return y;
}

__global__ void NAME_functions_kernel(const T* x, T* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    T v = x[i];
    T results[] = {hexp(v), hexp2(v), hexp10(v), hlog(v), hlog2(v), hlog10(v), hsin(v), hcos(v), hrsqrt(v),
                   hrcp(v), hfloor(v), hceil(v), htrunc(v), hrint(v), htanh(v)};
    for (int k = 0; k < 15; ++k) y[k * n + i] = results[k];
}
torch::Tensor NAME_functions(torch::Tensor x) {
    auto y = torch::empty({15, x.numel()}, x.options());
    NAME_functions_kernel<<<(x.numel() + 255) / 256, 256>>>((const T*)x.data_ptr<AT>(), (T*)y.data_ptr<AT>(),
                                                            (int)x.numel());
    return y;
}

__global__ void NAME_integers_kernel(const T* x, long long* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    T v = x[i];
    long long results[] = {TO_INTEGER(int_rn)(v), TO_INTEGER(int_rz)(v), TO_INTEGER(int_rd)(v),
                           TO_INTEGER(int_ru)(v), TO_INTEGER(uint_rz)(v), TO_INTEGER(short_rn)(v),
                           TO_INTEGER(ushort_rz)(v), TO_INTEGER(ll_rn)(v), (int)v};
    for (int k = 0; k < 9; ++k) y[k * n + i] = results[k];
}
torch::Tensor NAME_integers(torch::Tensor x) {
    auto y = torch::empty({9, x.numel()}, x.options().dtype(torch::kLong));
    NAME_integers_kernel<<<(x.numel() + 255) / 256, 256>>>(
        (const T*)x.data_ptr<AT>(), (long long*)y.data_ptr<int64_t>(), (int)x.numel());
    return y;
}
__global__ void NAME_from_integers_kernel(const long long* x, T* y, int n) {
    int i = threadIdx.x;
    y[i] = OF_INTEGER(ll, _rn)(x[i]);
    y[n + i] = OF_INTEGER(int, _rn)((int)x[i]);
    y[2 * n + i] = OF_INTEGER(ushort, _rn)((unsigned short)x[i]);
    y[3 * n + i] = OF_INTEGER(ll, _rz)(x[i]);
    y[4 * n + i] = (T)(int)x[i];
}
torch::Tensor NAME_from_integers(torch::Tensor x) {
    auto y = torch::empty({5, x.numel()}, x.options().dtype(DTYPE));
    NAME_from_integers_kernel<<<1, x.numel()>>>((const long long*)x.data_ptr<int64_t>(), (T*)y.data_ptr<AT>(),
                                                (int)x.numel());
    return y;
}

// Values between lanes, one by one and in pairs; then sums by atomic additions.
__global__ void NAME_lanes_kernel(const T* x, T* y) {
    int i = threadIdx.x;
    T2 pair = __ldg((const T2*)x + i);
    pair = __shfl_xor_sync(0xffffffffu, pair, 1);
    T one = __shfl_down_sync(0xffffffffu, x[2 * i], 2);
    T2 low = __shfl_sync(0xffffffffu, pair, 5), high = __shfl_up_sync(0xffffffffu, pair, 1);
    ((T2*)y)[i] = pair;
    y[64 + i] = one;
    ((T2*)(y + 96))[i] = PAIR(low.x, high.y);
}
torch::Tensor NAME_lanes(torch::Tensor x) {
    auto y = torch::empty({160}, x.options());
    NAME_lanes_kernel<<<1, 32>>>((const T*)x.data_ptr<AT>(), (T*)y.data_ptr<AT>());
    return y;
}
__global__ void NAME_atomics_kernel(const T* x, T* y) {
    int i = threadIdx.x;
    atomicAdd(&y[i % 4], x[i]);
    atomicAdd((T2*)(y + 4) + i % 2, PAIR(x[i], x[i]));
}
torch::Tensor NAME_atomics(torch::Tensor x) {
    auto y = torch::zeros({8}, x.options());
    NAME_atomics_kernel<<<1, 64>>>((const T*)x.data_ptr<AT>(), (T*)y.data_ptr<AT>());
    return y;
}

// Eight numbers by one 16-byte load, through shared memory as single numbers, back in pairs.
__global__ void NAME_wide_kernel(const T* x, T* y) {
    __shared__ T s[512];
    int i = threadIdx.x;
    float4 eight = ((const float4*)x)[i];
    T* parts = (T*)&eight;
    for (int k = 0; k < 8; ++k) s[8 * i + k] = parts[k] * parts[k];
    __syncthreads();
    for (int k = 0; k < 4; ++k) {
        T2 two = ((const T2*)s)[i + 64 * k];  // the shared load
        ((T2*)y)[i + 64 * k] = two + PAIR(two.y, two.x);  // the store
    }
}
torch::Tensor NAME_wide(torch::Tensor x) {
    auto y = torch::empty_like(x);
    NAME_wide_kernel<<<1, 64>>>((const T*)x.data_ptr<AT>(), (T*)y.data_ptr<AT>());
    return y;
}

__global__ void NAME_misaligned_kernel(const T* x, T* y) {
    T2 two = *(const T2*)(x + 2 * threadIdx.x + 1);  // NAME: misaligned
    y[threadIdx.x] = two.x;
}
torch::Tensor NAME_misaligned(torch::Tensor x) {
    auto y = torch::empty_like(x);
    NAME_misaligned_kernel<<<1, 16>>>((const T*)x.data_ptr<AT>(), (T*)y.data_ptr<AT>());
    return y;
}
__global__ void NAME_outside_kernel(const T* x, T* y, int shift) {
    y[threadIdx.x] = x[threadIdx.x + shift];  // NAME: outside
}
torch::Tensor NAME_outside(torch::Tensor x, int64_t shift) {
    auto y = torch::empty_like(x);
    NAME_outside_kernel<<<1, x.numel()>>>((const T*)x.data_ptr<AT>(), (T*)y.data_ptr<AT>(), (int)shift);
    return y;
}
"""
WORDS = {
    "half": {
        "TO_FLOAT": "__half2float", "FROM_FLOAT_ROUNDED(rn)": "__float2half_rn",
        "FROM_FLOAT_ROUNDED(rz)": "__float2half_rz", "FROM_FLOAT_ROUNDED(rd)": "__float2half_rd",
        "FROM_FLOAT_ROUNDED(ru)": "__float2half_ru", "FROM_FLOAT": "__float2half",
        "FROM_DOUBLE": "__double2half", "TO_INTEGER": "HALF_TO", "OF_INTEGER": "HALF_OF",
        "PAIR": "__halves2half2", "DTYPE": "torch::kHalf", "AT": "at::Half", "T2": "half2", "T": "half",
    },
    "bf16": {
        "TO_FLOAT": "__bfloat162float", "FROM_FLOAT_ROUNDED(rn)": "__float2bfloat16_rn",
        "FROM_FLOAT_ROUNDED(rz)": "__float2bfloat16_rz", "FROM_FLOAT_ROUNDED(rd)": "__float2bfloat16_rd",
        "FROM_FLOAT_ROUNDED(ru)": "__float2bfloat16_ru", "FROM_FLOAT": "__float2bfloat16",
        "FROM_DOUBLE": "__double2bfloat16", "TO_INTEGER": "BF16_TO", "OF_INTEGER": "BF16_OF",
        "PAIR": "__halves2bfloat162", "DTYPE": "torch::kBFloat16", "AT": "at::BFloat16",
        "T2": "__nv_bfloat162", "T": "__nv_bfloat16",
    },
}  # fmt: skip


def written_for(name: str) -> str:
    text = FORMAT.replace("NAME", name)
    for word, meaning in WORDS[name].items():
        text = re.sub(rf"\b{re.escape(word)}(?!\w)", meaning, text)
    return text


SOURCE = (
    """
#include <cuda_fp16.h>
#include <cuda_bf16.h>
#define HALF_TO(kind) __half2##kind
#define BF16_TO(kind) __bfloat162##kind
#define HALF_OF(kind, how) __##kind##2half##how
#define BF16_OF(kind, how) __##kind##2bfloat16##how
"""
    + written_for("half")
    + written_for("bf16")
    + """
// PyTorch's own types in a kernel, and a launcher that chooses by the tensor's type.
template <class S> __global__ void axpy_kernel(const S* x, S* y, int n) {
    int i = threadIdx.x;
    if (i >= n) return;
    S sum = y[i];
    sum += x[i] * x[i];
    sum = sum * S(2) + 1;
    float wide = 0;
    wide += x[i];
    y[i] = sum > S(3) ? sum : S(-sum + wide * 0.5f);
}
torch::Tensor axpy(torch::Tensor x) {
    auto y = torch::ones_like(x);
    AT_DISPATCH_FLOATING_TYPES_AND2(at::kHalf, at::kBFloat16, x.scalar_type(), "axpy", ([&] {
        axpy_kernel<scalar_t><<<1, 64>>>(x.data_ptr<scalar_t>(), y.data_ptr<scalar_t>(), (int)x.numel());
    }));
    return y;
}
torch::Tensor only_half(torch::Tensor x) {
    auto y = torch::ones_like(x);
    AT_DISPATCH_FLOATING_TYPES_AND_HALF(x.scalar_type(), "only_half", ([&] {
        axpy_kernel<scalar_t><<<1, 64>>>(x.data_ptr<scalar_t>(), y.data_ptr<scalar_t>(), (int)x.numel());
    }));
    return y;
}
__global__ void between_kernel(const at::Half* x, at::Half* y) {
    __half h = x[threadIdx.x];
    __nv_bfloat16 b = __nv_bfloat16(h);
    float2 f = __half22float2(__floats2half2_rn(__half2float(h), 2.0f));
    float2 g = __bfloat1622float2(__float22bfloat162_rn(make_float2(f.x, f.y)));
    y[threadIdx.x] = h + __float2half(__bfloat162float(b)) + __low2half(__float2half2_rn(g.y)) + __half(b);
}
torch::Tensor between(torch::Tensor x) {
    auto y = torch::empty_like(x);
    between_kernel<<<1, x.numel()>>>(x.data_ptr<at::Half>(), y.data_ptr<at::Half>());
    return y;
}
"""
)
DTYPES = {"half": torch.half, "bf16": torch.bfloat16}
DIGITS = {"half": (10, -14, 65504.0), "bf16": (7, -126, torch.finfo(torch.bfloat16).max)}
NAMES = pytest.mark.parametrize("name", list(DTYPES))


@pytest.fixture(scope="module", params=MODES)
def module(request):
    return compile_for(request.param, SOURCE, "half")


@pytest.fixture(scope="module", params=MODES[:2])
def simulated(request):
    """For what a GPU only approximates."""
    return compile_for(request.param, SOURCE, "half")


@pytest.mark.nvcc
def test_nvcc_takes_the_same_source():
    nvcc_accepts(SOURCE, "half")


def rounded(x: torch.Tensor, name: str, how: str = "rn") -> torch.Tensor:
    """x (float64) in the format, rounded once, as float64: neither the simulator's way nor torch's."""
    digits, least, greatest = DIGITS[name]
    exponent = torch.frexp(x)[1] - 1
    unit = torch.ldexp(torch.ones_like(x), exponent.clamp(min=least) - digits)
    whole = {"rn": torch.round, "rz": torch.trunc, "rd": torch.floor, "ru": torch.ceil}[how]
    y = whole(x / unit) * unit
    if how == "rn":
        y = torch.where(y.abs() > greatest, torch.copysign(torch.full_like(y, torch.inf), y), y)
    else:  # only an infinity itself, or one in the direction of the rounding, leaves the finite numbers
        away = {"rz": torch.zeros_like(y), "ru": (y > 0).double(), "rd": (y < 0).double()}[how]
        limit = torch.copysign(torch.where(away > 0, torch.inf, greatest), y)
        y = torch.where(y.abs() > greatest, limit, y)
    return torch.where(torch.isfinite(x), y, x)


def same(actual: torch.Tensor, expected: torch.Tensor) -> bool:
    """Equal, with NaN where NaN is expected, and the sign of zero too."""
    actual, expected = actual.double(), expected.double()
    both_nan = actual.isnan() & expected.isnan()
    return bool((both_nan | ((actual == expected) & (actual.signbit() == expected.signbit()))).all())


def every_number(name: str) -> torch.Tensor:
    return torch.arange(-32768, 32768).to(torch.int16).view(DTYPES[name])


def awkward(name: str, count: int = 1 << 16) -> torch.Tensor:
    """float64 numbers of every size, among them ties of the format, ties and a bit, and the special ones."""
    generator = torch.Generator().manual_seed(5)
    spread = torch.randint(-(2**31), 2**31, (count,), generator=generator).to(torch.int32).view(torch.float)
    exact = every_number(name).double()
    exact = exact[exact.isfinite()]
    neighbours = rounded(exact * (1 + 2.0 ** -DIGITS[name][0] * 0.75), name)
    ties = (exact + neighbours) / 2
    special = torch.tensor(
        [0.0, -0.0, torch.inf, -torch.inf, torch.nan, 65504, 65519.99, 65520, 3e38, 1e-46, 5e-8]
    )
    return torch.cat([spread.double(), ties, ties * (1 + 1e-7), ties * (1 - 1e-7), special.double()])


@NAMES
def test_widening_of_every_number(module, name):
    x = every_number(name)
    assert same(getattr(module, f"{name}_widen")(x), x.double())


@NAMES
def test_narrowing_from_float(module, name):
    x = awkward(name).float().double()
    for how, rounding in enumerate(["rn", "rn", "rz", "rd", "ru"]):
        y = getattr(module, f"{name}_narrow")(x, how)
        finite = x.abs() < torch.finfo(torch.float).max
        assert same(y[finite], rounded(x, name, rounding)[finite]), rounding
    assert same(getattr(module, f"{name}_narrow")(x, 0), x.float().to(DTYPES[name]))  # torch's own rounding
    assert same(getattr(module, f"{name}_narrow")(x, 6), rounded(x, name))


@NAMES
def test_narrowing_from_double_rounds_once(module, name):
    exact = every_number(name).double()
    exact = exact[exact.isfinite() & (exact.abs() > 1e-30)]
    ties = exact * (1 + 2.0 ** -(DIGITS[name][0] + 1))
    x = torch.cat([awkward(name), ties, ties * (1 + 2.0**-45), ties * (1 - 2.0**-45)])
    for how in 5, 7:
        assert same(getattr(module, f"{name}_narrow")(x, how), rounded(x, name))
    if name == "half":
        with np.errstate(over="ignore"):
            assert same(module.half_narrow(x, 5), torch.from_numpy(x.numpy().astype(np.float16)))
    assert not torch.equal(x.float().double(), x)  # some of them do need it


OPERATIONS = {
    0: lambda a, b, c: a + b,
    1: lambda a, b, c: a - b,
    2: lambda a, b, c: a * b,
    3: lambda a, b, c: a / b,
    5: lambda a, b, c: torch.fmax(a, b),
    6: lambda a, b, c: torch.fmin(a, b),
    7: lambda a, b, c: -a,
    8: lambda a, b, c: a.abs(),
    9: lambda a, b, c: a.sqrt(),
}


def operands(name: str, count: int = 1 << 15):
    generator = torch.Generator().manual_seed(7)
    bits = torch.randint(-32768, 32768, (3, count), generator=generator).to(torch.int16).view(DTYPES[name])
    near = torch.randn((3, count), generator=generator).to(DTYPES[name])
    return torch.cat([bits, near], dim=1).contiguous().unbind()


@NAMES
@pytest.mark.parametrize("how", OPERATIONS)
def test_arithmetic_is_rounded_once(module, name, how):
    a, b, c = operands(name)
    exact = OPERATIONS[how](a.double(), b.double(), c.double())
    for form in range(3):  # function, operator, pair
        y = getattr(module, f"{name}_calculate")(a, b, c, how, form)
        # Which zero is the greater is left open.
        expected = rounded(exact, name)
        zeros = (expected == 0) & (y == 0) if how in (5, 6) else torch.zeros_like(expected, dtype=torch.bool)
        assert same(torch.where(zeros, 0, y.double()), torch.where(zeros, 0, expected)), form


@NAMES
def test_fused_multiply_add_is_rounded_once(module, name):
    a, b, c = (torch.cat([t[:1500], t[-1500:]]) for t in operands(name))
    # A product that is a tie, and an addend that decides it, however small.
    tie = 1 + 2.0 ** -DIGITS[name][0] * 3 / 2
    small = torch.finfo(DTYPES[name]).smallest_normal
    more = [(tie / 1.5, 1.5, small), (1.5, 1.5, -small), (2 - 0.25, 1 + 2.0 ** -DIGITS[name][0], small)]
    # Just below halfway between two numbers, by less than float can tell.
    unit = 2.0 ** -DIGITS[name][0]
    more += [(sign * (1 + unit) / 32, 16 * unit * (1 - unit), sign * (1 + unit)) for sign in (1, -1)]
    columns = torch.tensor(more).to(DTYPES[name]).unbind(1)
    a, b, c = (torch.cat(pair) for pair in zip((a, b, c), columns, strict=True))
    y = getattr(module, f"{name}_calculate")(a, b, c, 4, 0)
    assert same(y[:-1], getattr(module, f"{name}_calculate")(a[:-1], b[:-1], c[:-1], 4, 2))
    digits, least, greatest = DIGITS[name]
    for p, q, r, result in zip(a.tolist(), b.tolist(), c.tolist(), y.tolist(), strict=True):
        if not all(map(np.isfinite, (p, q, r))):
            assert np.isnan(result) == np.isnan(p * q + r) and (np.isnan(result) or result == p * q + r)
            continue
        exact = Fraction(p) * Fraction(q) + Fraction(r)
        if exact == 0:
            assert result == 0
            continue
        exponent = max(int(np.floor(np.log2(abs(float(exact)) or 5e-324))), least)
        while abs(exact) >= Fraction(2) ** (exponent + 1):
            exponent += 1
        while exponent > least and abs(exact) < Fraction(2) ** exponent:
            exponent -= 1
        unit = Fraction(2) ** (exponent - digits)
        expected = float(round(exact / unit) * unit)  # Python rounds ties to even
        assert result == (expected if abs(expected) <= greatest else np.copysign(np.inf, expected)), (p, q, r)


@NAMES
def test_comparisons(module, name):
    a, b, _ = operands(name, 1 << 12)
    a = torch.cat([a, a, torch.tensor([0.0, torch.nan, torch.nan, 1.0]).to(a.dtype)])
    b = torch.cat([b, a[: len(b)], torch.tensor([-0.0, torch.nan, 1.0, torch.nan]).to(a.dtype)])
    u, v = a.double(), b.double()
    nan = u.isnan() | v.isnan()
    plain = [u == v, (u != v), u < v, u <= v, u > v, u >= v]
    expected = [
        *plain,
        plain[0] | nan,
        u != v,
        *(c | nan for c in plain[2:]),
        u == v,
        u < v,
        u >= v,
        u > v,
        u.isnan(),
    ]
    bits = sum(condition.int() << k for k, condition in enumerate(expected))
    assert torch.equal(getattr(module, f"{name}_compare")(a, b), bits.int())


@NAMES
def test_functions_are_within_a_unit_in_the_last_place(simulated, name):
    x = torch.cat([torch.linspace(-4, 4, 997), torch.linspace(0.01, 60, 499)]).to(DTYPES[name])
    v = x.double()
    exact = [v.exp(), v.exp2(), 10**v, v.log(), v.log2(), v.log10(), v.sin(), v.cos(), v.rsqrt(), 1 / v]
    exact += [v.floor(), v.ceil(), v.trunc(), v.round(), v.tanh()]
    for k, (y, expected) in enumerate(
        zip(getattr(simulated, f"{name}_functions")(x).double(), exact, strict=True)
    ):
        nearest = rounded(expected, name)
        unit = torch.ldexp(
            torch.ones_like(v), torch.frexp(nearest)[1].clamp(min=DIGITS[name][1]) - DIGITS[name][0]
        )
        close = ((y - nearest).abs() <= unit) | (y == nearest) | (y.isnan() & nearest.isnan())
        assert close.all(), (k, v[~close], y[~close], nearest[~close])


@NAMES
def test_integers(module, name):
    x = torch.cat(
        [
            torch.linspace(-70, 70, 281),
            torch.tensor([300.7, -5.5, 2.5, 3.5, 6e4, -6e4, 3e38, -3e38, torch.nan]),
        ]
    )
    x = x.to(DTYPES[name])
    v = x.double()
    wholes = [
        v.round(),
        v.trunc(),
        v.floor(),
        v.ceil(),
        v.trunc(),
        v.round(),
        v.trunc(),
        v.round(),
        v.trunc(),
    ]
    ranges = [(-(2**31), 2**31 - 1)] * 4 + [
        (0, 2**32 - 1),
        (-32768, 32767),
        (0, 65535),
        (-(2**63), 2**63 - 1),
        (-(2**31), 2**31 - 1),
    ]
    for y, whole, (least, greatest) in zip(
        getattr(module, f"{name}_integers")(x), wholes, ranges, strict=True
    ):
        of_nan = least if greatest == 2**63 - 1 else 0  # as PTX says of cvt
        expected = [of_nan if np.isnan(w) else int(min(max(w, least), greatest)) for w in whole.tolist()]
        assert y.tolist() == expected
    n = torch.tensor(
        [0, 1, -1, 257, -4099, 65519, 65520, 65535, 2**24 + 1, 2**31 - 1, 2**62 + 2**54 + 1, -(2**63)]
    )
    y = getattr(module, f"{name}_from_integers")(n).double()
    assert same(y[1], rounded(n.to(torch.int32).double(), name)) and same(y[4], y[1])
    assert same(y[2], rounded((n % 65536).double(), name))
    assert same(y[0][:-2], rounded(n[:-2].double(), name)) and same(
        y[3][:-2], rounded(n[:-2].double(), name, "rz")
    )
    assert y[0][-2] == (torch.inf if name == "half" else 2.0**62 + 2.0**55)  # not 2^62, its even neighbour


@NAMES
def test_values_between_lanes(module, name):
    x = torch.arange(64).to(DTYPES[name])
    y = getattr(module, f"{name}_lanes")(x)
    swapped = x.view(16, 2, 2).flip(1).reshape(32, 2)
    assert torch.equal(y[:64].view(32, 2), swapped)
    assert torch.equal(y[64:96], torch.cat([x[4::2], x[60::2]]))
    before = torch.cat([swapped[:1], swapped[:-1]])
    assert torch.equal(y[96:].view(32, 2), torch.stack([swapped[5, 0].expand(32), before[:, 1]], dim=1))


@NAMES
def test_atomic_additions(module, name):
    x = torch.arange(64).remainder(5).to(DTYPES[name])
    sums = x.view(16, 4).sum(0)
    pairs = x.view(32, 2).sum(0).repeat_interleave(2)
    assert torch.equal(getattr(module, f"{name}_atomics")(x), torch.cat([sums, pairs]))


@NAMES
def test_accesses_are_as_wide_as_written(name):
    module = compile_text(SOURCE, name="half")
    x = torch.arange(512).remainder(7).to(DTYPES[name])
    launcher = getattr(module, f"{name}_wide")
    pairs = (x * x).view(256, 2)
    assert torch.equal(launcher(x).view(256, 2), pairs + pairs.flip(1))
    (launch,) = profile(launcher, x)
    assert (launch.global_load.requests, launch.global_load.bytes_requested) == (2, 1024)
    assert (launch.global_store.requests, launch.global_store.bytes_requested) == (8, 1024)
    assert (launch.shared_load.requests, launch.shared_load.bytes_requested) == (8, 1024)
    assert (launch.shared_store.requests, launch.shared_store.bytes_requested) == (16, 1024)


@NAMES
def test_misaligned_pair_is_named(name):
    launcher = getattr(compile_text(SOURCE, name="half"), f"{name}_misaligned")
    with pytest.raises(KernelError, match="reads 4 bytes at byte 2 of x") as caught:
        launcher(torch.ones(64, dtype=DTYPES[name]))
    error = caught.value
    assert (error.kind, error.thread) == ("misaligned", (0, 0, 0))
    assert error.line == line_with(launcher, f"// {name}: misaligned")


@NAMES
def test_reading_past_the_end_is_named(name):
    launcher = getattr(compile_text(SOURCE, name="half"), f"{name}_outside")
    assert launcher(torch.ones(32, dtype=DTYPES[name]), 0).sum() == 32
    with pytest.raises(KernelError, match=r"reads x\[32\], 1 past the last of the 32 elements") as caught:
        launcher(torch.ones(32, dtype=DTYPES[name]), 1)
    error = caught.value
    assert (error.kind, error.thread) == ("out-of-bounds", (31, 0, 0))
    assert error.line == line_with(launcher, f"// {name}: outside")


@pytest.mark.parametrize("dtype", [torch.half, torch.bfloat16, torch.float, torch.double])
def test_pytorchs_own_types_in_kernels(module, dtype):
    x = torch.linspace(-3, 3, 64).to(dtype)
    sums = (torch.ones_like(x) + x * x) * 2 + 1  # rounded after every operation, as torch does
    wide = (-sums).float() + x.float() * 0.5 if dtype != torch.double else -sums + x * 0.5
    torch.testing.assert_close(module.axpy(x), torch.where(sums > 3, sums, wide.to(dtype)), rtol=1e-7, atol=0)
    if dtype != torch.bfloat16:
        assert torch.equal(module.only_half(x), module.axpy(x))
    else:
        with pytest.raises(NotImplementedError, match="not implemented for 'BFloat16'"):
            module.only_half(x)


def test_conversions_between_the_types(module):
    x = torch.randn(64).half()
    b = x.bfloat16().half()
    assert torch.equal(module.between(x), x + b + 2 + b)
