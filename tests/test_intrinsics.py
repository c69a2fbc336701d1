"""CUDA's arithmetic, conversions and bit functions: each expression against float64 or Python's integers."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from simulated import MODES, compile_for, compile_text, nvcc_accepts

from utils.simulator import profile

ULP = 2.0**-23
# expression of floats a, b, c -> (its value in float64, bound of the relative error); 0: exact.
FLOATS = {
    "__expf(a)": (lambda a, b, c: a.exp(), 4 * ULP),
    "__exp10f(a)": (lambda a, b, c: 10**a, 4 * ULP),
    "__logf(b)": (lambda a, b, c: b.log(), 4 * ULP),
    "__log2f(b)": (lambda a, b, c: b.log2(), 4 * ULP),
    "__log10f(b)": (lambda a, b, c: b.log10(), 4 * ULP),
    "__sinf(a)": (lambda a, b, c: a.sin(), 4 * ULP),
    "__cosf(a)": (lambda a, b, c: a.cos(), 4 * ULP),
    "__tanf(a)": (lambda a, b, c: a.tan(), 4 * ULP),
    "__powf(b, a)": (lambda a, b, c: b**a, 4 * ULP),
    "__fdividef(a, b)": (lambda a, b, c: a / b, ULP),
    "fdividef(a, b)": (lambda a, b, c: a / b, ULP),
    "__saturatef(a)": (lambda a, b, c: a.clamp(0, 1), 0),
    "__saturatef(a / 0.0f * 0.0f)": (lambda a, b, c: 0 * a, 0),
    "__frsqrt_rn(b)": (lambda a, b, c: b.rsqrt(), ULP / 2),
    "rsqrtf(b)": (lambda a, b, c: b.rsqrt(), 2 * ULP),
    "rcbrtf(b)": (lambda a, b, c: b ** (-1 / 3), ULP),
    "norm3df(a, b, c)": (lambda a, b, c: (a * a + b * b + c * c).sqrt(), ULP),
    "norm4df(a, b, c, a)": (lambda a, b, c: (2 * a * a + b * b + c * c).sqrt(), ULP),
    "rnorm3df(a, b, c)": (lambda a, b, c: (a * a + b * b + c * c).rsqrt(), ULP),
    "rhypotf(a, b)": (lambda a, b, c: (a * a + b * b).rsqrt(), ULP),
    "normcdff(a)": (lambda a, b, c: 0.5 * torch.erfc(-a / 2**0.5), ULP),
    "exp10f(a)": (lambda a, b, c: 10**a, 4 * ULP),
    "sinpif(a)": (lambda a, b, c: (torch.pi * a).sin(), 8 * ULP),
    "cospif(a)": (lambda a, b, c: (torch.pi * a).cos(), 8 * ULP),
    "sinpif(rintf(a)) + cospif(rintf(a) + 0.5f)": (lambda a, b, c: 0 * a, 0),
    "fminf(a, c) + fmaxf(a, c)": (lambda a, b, c: (a + c).float().double(), 0),
    "copysignf(b, a)": (lambda a, b, c: b.copysign(a), 0),
    "fdimf(a, c)": (lambda a, b, c: (a - c).relu(), ULP),
    "min(a, c) + max(a, 1.0f)": (lambda a, b, c: torch.minimum(a, c) + a.clamp(min=1), ULP),
    "__int_as_float(__float_as_int(a))": (lambda a, b, c: a, 0),
    "__uint_as_float(__float_as_uint(a) ^ 0x80000000u)": (lambda a, b, c: -a, 0),
    "__double2float_rn((double)a * b)": (lambda a, b, c: (a * b).float().double(), 0),
    "[&] { float s, t; sincosf(a, &s, &t); return s + 2 * t; }()": (
        lambda a, b, c: a.sin() + 2 * a.cos(),
        1e-5,
    ),
    "[&] { float s, t; __sincosf(a, &s, &t); return s + 2 * t; }()": (
        lambda a, b, c: a.sin() + 2 * a.cos(),
        1e-5,
    ),
    "[&] { float s, t; sincospif(0.5f, &s, &t); return s + t; }()": (lambda a, b, c: 0 * a + 1, 0),
}
# The same in the four roundings: expression with HOW for the suffix -> its exact value of Fractions.
ROUNDED = {
    "__fadd_HOW(a, c)": lambda a, b, c: a + c,
    "__fsub_HOW(a, c)": lambda a, b, c: a - c,
    "__fmul_HOW(a, c)": lambda a, b, c: a * c,
    "__fdiv_HOW(a, b)": lambda a, b, c: a / b,
    "__frcp_HOW(b)": lambda a, b, c: 1 / b,
    "__fmaf_HOW(a, b, c)": lambda a, b, c: a * b + c,
    "__fsqrt_HOW(b)": None,
    "__int2float_HOW((int)(a * 1e8) + 1)": lambda a, b, c: Fraction(int(a * 10**8)) + 1,
    "__ll2float_HOW((long long)a * 123456789123ll)": lambda a, b, c: Fraction(int(a)) * 123456789123,
    "__double2float_HOW((double)a * c)": lambda a, b, c: a * c,
}
DOUBLES = {
    "__dadd_rn(a, b)": lambda a, b: a + b,
    "__dsub_rn(a, b)": lambda a, b: a - b,
    "__dmul_rn(a, b)": lambda a, b: a * b,
    "__ddiv_rn(a, b)": lambda a, b: a / b,
    "__drcp_rn(b)": lambda a, b: 1 / b,
    "__dsqrt_rn(b)": lambda a, b: b.sqrt(),
    "__fma_rn(a, b, -a * b)": None,
    "__longlong_as_double(__double_as_longlong(a))": lambda a, b: a,
    "__hiloint2double(__double2hiint(a), __double2loint(a))": lambda a, b: a,
    "__int2double_rn((int)a)": lambda a, b: a.trunc(),
    "__ll2double_rn((long long)(a * 1000))": lambda a, b: (a * 1000).trunc(),
    "rsqrt(b) * sqrt(b)": lambda a, b: torch.ones_like(b),
    "sinpi(rint(a)) + rhypot(3.0, 4.0)": lambda a, b: 0 * a + 0.2,
}


def signed(n: int, bits: int = 32) -> int:
    n &= (1 << bits) - 1
    return n - (1 << bits) if n >> (bits - 1) else n


def parts(n: int, bits: int, is_signed: bool = False) -> list[int]:
    found = [n >> k & ((1 << bits) - 1) for k in range(0, 32, bits)]
    return [signed(p, bits) for p in found] if is_signed else found


def whole(found: list[int], bits: int) -> int:
    return sum((p & ((1 << bits) - 1)) << (bits * k) for k, p in enumerate(found))


def each(bits: int, f, is_signed: bool = False):
    def of_all(u: int, v: int) -> int:
        pairs = zip(parts(u, bits, is_signed), parts(v, bits, is_signed), strict=True)
        return whole([f(p, q) for p, q in pairs], bits)

    return of_all


def dot(a: list[int], b: list[int]) -> int:
    return sum(p * q for p, q in zip(a, b, strict=True))


def joined(low: int, high: int) -> int:
    return (high << 32) | low


# expression of ints a, b and unsigned u, v (the same bits) -> its value from u and v; compared modulo 2^64.
INTEGERS = {
    "__mul24(a % 4096, b % 4096)": lambda u, v: int(np.fmod(signed(u), 4096)) * int(np.fmod(signed(v), 4096)),
    "__umul24(u, v) ": lambda u, v: (u & 0xFFFFFF) * (v & 0xFFFFFF) & 0xFFFFFFFF,
    "__mulhi(a, b)": lambda u, v: signed(u) * signed(v) >> 32,
    "__umulhi(u, v)": lambda u, v: u * v >> 32,
    "__mul64hi((long long)a << 20, (long long)b << 20)": lambda u, v: (
        (signed(u) << 20) * (signed(v) << 20) >> 64
    ),
    "__umul64hi((unsigned long long)u << 31, (unsigned long long)v << 31)": lambda u, v: (u * v << 62) >> 64,
    "__sad(a, b, 7u)": lambda u, v: abs(signed(u) - signed(v)) + 7 & 0xFFFFFFFF,
    "__usad(u, v, 7u)": lambda u, v: abs(u - v) + 7 & 0xFFFFFFFF,
    "__hadd(a, b)": lambda u, v: signed(u) + signed(v) >> 1,
    "__rhadd(a, b)": lambda u, v: signed(u) + signed(v) + 1 >> 1,
    "__uhadd(u, v)": lambda u, v: u + v >> 1,
    "__urhadd(u, v)": lambda u, v: u + v + 1 >> 1,
    "__popc(u)": lambda u, v: u.bit_count(),
    "__popcll(joined)": lambda u, v: joined(u, v).bit_count(),
    "__clz(a)": lambda u, v: 32 - u.bit_length(),
    "__clzll((long long)joined)": lambda u, v: 64 - joined(u, v).bit_length(),
    "__ffs(a)": lambda u, v: (u & -u).bit_length(),
    "__ffsll((long long)joined)": lambda u, v: (joined(u, v) & -joined(u, v)).bit_length(),
    "__brev(u)": lambda u, v: int(f"{u:032b}"[::-1], 2),
    "__brevll(joined)": lambda u, v: int(f"{joined(u, v):064b}"[::-1], 2),
    "__byte_perm(u, v, 0x6240)": lambda u, v: whole([joined(u, v) >> 8 * k & 255 for k in (0, 4, 2, 6)], 8),
    "__byte_perm(u, v, 0x1357)": lambda u, v: whole([joined(u, v) >> 8 * k & 255 for k in (7, 5, 3, 1)], 8),
    "__funnelshift_l(u, v, u)": lambda u, v: joined(u, v) << (u & 31) >> 32 & 0xFFFFFFFF,
    "__funnelshift_r(u, v, u)": lambda u, v: joined(u, v) >> (u & 31) & 0xFFFFFFFF,
    "__funnelshift_lc(u, v, u % 50)": lambda u, v: joined(u, v) << min(u % 50, 32) >> 32 & 0xFFFFFFFF,
    "__funnelshift_rc(u, v, u % 50)": lambda u, v: joined(u, v) >> min(u % 50, 32) & 0xFFFFFFFF,
    "__dp4a(a, b, 5)": lambda u, v: signed(5 + dot(parts(u, 8, True), parts(v, 8, True))),
    "__dp4a(u, v, 5u)": lambda u, v: 5 + dot(parts(u, 8), parts(v, 8)),
    "__vadd2(u, v)": each(16, lambda p, q: p + q),
    "__vadd4(u, v)": each(8, lambda p, q: p + q),
    "__vsub2(u, v)": each(16, lambda p, q: p - q),
    "__vsub4(u, v)": each(8, lambda p, q: p - q),
    "__vmaxs2(u, v)": each(16, max, True),
    "__vmaxs4(u, v)": each(8, max, True),
    "__vmaxu4(u, v)": each(8, max),
    "__vmins4(u, v)": each(8, min, True),
    "__vminu2(u, v)": each(16, min),
    "__vavgu4(u, v)": each(8, lambda p, q: p + q + 1 >> 1),
    "__vabsdiffu4(u, v)": each(8, lambda p, q: abs(p - q)),
    "__vcmpeq4(u, v)": each(8, lambda p, q: 255 * (p == q)),
    "(long long)umin(u, v) + umax(u, 3)": lambda u, v: min(u, v) + max(u, 3),
    "llmax(a, b) + (long long)ullmin(u, v)": lambda u, v: max(signed(u), signed(v)) + min(u, v),
}
TO_INTEGER = {
    "int": (-(2**31), 2**31 - 1),
    "uint": (0, 2**32 - 1),
    "ll": (-(2**63), 2**63 - 1),
    "ull": (0, 2**64 - 1),
}
CONVERSIONS = [
    (f"__{real}2{name}_{how}(x)", real, name, how)
    for real in ("float", "double") for name in TO_INTEGER for how in ("rn", "rz", "ru", "rd")
]  # fmt: skip
HOW = ("rn", "rz", "ru", "rd")


def listed(expressions) -> str:
    return "\n".join(f"    y[{k} * n + i] = {expression};" for k, expression in enumerate(expressions))


FLOAT_LIST = [*FLOATS, *(expression.replace("HOW", how) for expression in ROUNDED for how in HOW)]
SOURCE = f"""
__global__ void floats_kernel(const float* x, float* y, int n) {{
    const int i = threadIdx.x;
    const float a = x[i], b = x[n + i], c = x[2 * n + i];
{listed(FLOAT_LIST)}
}}
torch::Tensor floats(torch::Tensor x) {{
    auto y = torch::empty({{{len(FLOAT_LIST)}, x.size(1)}}, x.options());
    floats_kernel<<<1, x.size(1)>>>(x.data_ptr<float>(), y.data_ptr<float>(), (int)x.size(1));
    return y;
}}
__global__ void doubles_kernel(const double* x, double* y, int n) {{
    const int i = threadIdx.x;
    const double a = x[i], b = x[n + i];
{listed(DOUBLES)}
}}
torch::Tensor doubles(torch::Tensor x) {{
    auto y = torch::empty({{{len(DOUBLES)}, x.size(1)}}, x.options());
    doubles_kernel<<<1, x.size(1)>>>(x.data_ptr<double>(), y.data_ptr<double>(), (int)x.size(1));
    return y;
}}
__global__ void integers_kernel(const int* x, long long* y, int n) {{
    const int i = threadIdx.x;
    const int a = x[i], b = x[n + i];
    const unsigned u = a, v = b;
    const unsigned long long joined = (unsigned long long)v << 32 | u;
{listed(INTEGERS)}
}}
torch::Tensor integers(torch::Tensor x) {{
    auto y = torch::empty({{{len(INTEGERS)}, x.size(1)}}, x.options().dtype(torch::kLong));
    integers_kernel<<<1, x.size(1)>>>(x.data_ptr<int>(), (long long*)y.data_ptr<int64_t>(), (int)x.size(1));
    return y;
}}
__global__ void conversions_kernel(const double* from, long long* y, int n) {{
    const int i = threadIdx.x;
    const double x = from[i];
{listed(c[0] for c in CONVERSIONS)}
}}
torch::Tensor conversions(torch::Tensor x) {{
    auto y = torch::empty({{{len(CONVERSIONS)}, x.size(0)}}, x.options().dtype(torch::kLong));
    conversions_kernel<<<1, x.size(0)>>>(x.data_ptr<double>(), (long long*)y.data_ptr<int64_t>(),
                                         (int)x.size(0));
    return y;
}}

// What lanes tell each other, and loads, stores and atomics in all their forms.
__global__ void __launch_bounds__(64) lanes_kernel(const double* x, double* y, int n) {{
    const int i = threadIdx.x;
    int all;
    const unsigned same = __match_all_sync(0xffffffffu, i / 32, &all);
    int some;
    const unsigned other = __match_all_sync(0xffffffffu, i / 40, &some);
    const long long big = __shfl_xor_sync(0xffffffffu, (1ll << 40) + i, 1) - (1ll << 40);
    y[i] = __shfl_sync(0xffffffffu, x[i], 3) + 1000 * big + 1e6 * (all && same == 0xffffffffu) +
           1e7 * (some != 0) + 1e8 * (other != 0);
}}
torch::Tensor lanes(torch::Tensor x) {{
    auto y = torch::empty_like(x);
    lanes_kernel<<<1, 64>>>(x.data_ptr<double>(), y.data_ptr<double>(), (int)x.numel());
    return y;
}}
__global__ void cached_kernel(const float* __restrict__ x, float* __restrict__ y) {{
    const int i = threadIdx.x;
    __builtin_assume(i < 64);
    const float* aligned = (const float*)__builtin_assume_aligned(x, 16);
    float sum = __ldg(&x[i]) + __ldca(&x[i]) + __ldcg(&x[i]) + __ldcs(&x[i]) + __ldcv(&x[i]) + __ldlu(&x[i]);
#pragma unroll 4
    for (int k = 0; k < 8; ++k) sum += aligned[i];
    __stcg(&y[i], sum);
    __stcs(&y[64 + i], sum);
    __stwb(&y[128 + i], sum);
    __stwt(&y[192 + i], sum);
    const float4 four = __ldg((const float4*)x + i % 16);
    y[256 + i] = four.w;
}}
torch::Tensor cached(torch::Tensor x) {{
    auto y = torch::empty({{320}}, x.options());
    cached_kernel<<<1, 64>>>(x.data_ptr<float>(), y.data_ptr<float>());
    return y;
}}
__global__ void atomics_kernel(double* d, unsigned long long* u, int* n, unsigned short* s) {{
    const int i = threadIdx.x;
    atomicAdd(&d[0], 0.5 * i);
    atomicAdd_system(&d[1], 1.0);
    atomicAdd_block(&u[0], 1ull << 33);
    atomicMax(&u[1], (unsigned long long)i << 40);
    atomicAdd(&n[0], 1);
    atomicAdd_system(&n[0], 1);
    atomicMin_block(&n[1], -i);
    atomicXor(&n[2], 1 << i % 31);
    unsigned long long seen = u[2], before;
    do {{
        before = seen;
        seen = atomicCAS(&u[2], before, before + 3);
    }} while (seen != before);
    unsigned short old = s[1], was;
    do {{
        was = old;
        old = atomicCAS(&s[1], was, (unsigned short)(was + 1));
    }} while (old != was);
}}
void atomics(torch::Tensor d, torch::Tensor u, torch::Tensor n, torch::Tensor s) {{
    atomics_kernel<<<2, 64>>>(d.data_ptr<double>(), (unsigned long long*)u.data_ptr<int64_t>(),
                              n.data_ptr<int>(), (unsigned short*)s.data_ptr<int16_t>());
}}
__global__ void bytes_kernel(const uchar4* x, char4* y, short2* z, uchar2* w) {{
    const uchar4 v = x[threadIdx.x];
    y[threadIdx.x] = make_char4(v.x + 1, v.y + 2, v.z + 3, v.w + 4);
    z[threadIdx.x] = make_short2(v.x * v.y, v.z * v.w);
    w[threadIdx.x] = make_uchar2(v.w, v.x);
}}
std::vector<torch::Tensor> bytes(torch::Tensor x) {{
    auto y = torch::empty({{128}}, x.options().dtype(torch::kChar));
    auto z = torch::empty({{64}}, x.options().dtype(torch::kShort));
    auto w = torch::empty({{64}}, x.options());
    bytes_kernel<<<1, 32>>>((const uchar4*)x.data_ptr<uint8_t>(), (char4*)y.data_ptr<int8_t>(),
                            (short2*)z.data_ptr<int16_t>(), (uchar2*)w.data_ptr<uint8_t>());
    return {{y, z, w}};
}}
"""


@pytest.fixture(scope="module", params=MODES)
def module(request):
    return compile_for(request.param, SOURCE, "intrinsics")


@pytest.fixture(scope="module", params=MODES[:2])
def simulated(request):
    """For what a GPU only approximates."""
    return compile_for(request.param, SOURCE, "intrinsics")


@pytest.mark.nvcc
def test_nvcc_takes_the_same_source():
    nvcc_accepts(SOURCE, "intrinsics")


def three() -> torch.Tensor:
    """a and c of either sign, b positive."""
    generator = torch.Generator().manual_seed(3)
    x = 2 * torch.randn(3, 200, generator=generator)
    x[1] = x[1].abs() + 0.01
    return x


@pytest.mark.parametrize("expression", FLOATS)
def test_floats(simulated, expression):
    x = three()
    value, bound = FLOATS[expression]
    expected = value(*x.double())
    error = (simulated.floats(x)[FLOAT_LIST.index(expression)].double() - expected).abs()
    assert (error <= bound * expected.abs().clamp(min=0.1)).all(), error.max()


@pytest.mark.parametrize("expression", ROUNDED)
def test_the_four_roundings(module, expression):
    x = three()
    start = FLOAT_LIST.index(expression.replace("HOW", "rn"))
    results = module.floats(x)[start : start + 4].double().T.tolist()
    inexact = 0
    for (a, b, c), (nearest, zero, up, down) in zip(x.T.tolist(), results, strict=True):
        if ROUNDED[expression] is None:  # a root: its square tells
            above, below = Fraction(up) ** 2 >= Fraction(b), Fraction(down) ** 2 <= Fraction(b)
            exact = Fraction(b) ** Fraction(1, 2)
        else:
            exact = ROUNDED[expression](Fraction(a), Fraction(b), Fraction(c))
            above, below = Fraction(up) >= exact, Fraction(down) <= exact
        assert above and below and zero == (down if exact > 0 else up) and nearest in (up, down)
        if ROUNDED[expression] is not None:
            assert abs(Fraction(nearest) - exact) == min(
                abs(Fraction(up) - exact), abs(Fraction(down) - exact)
            )
        if up != down:
            assert np.nextafter(np.float32(down), np.float32(np.inf)) == np.float32(up)
            inexact += 1
        else:
            assert ROUNDED[expression] is None or Fraction(up) == exact
    assert inexact > 100


@pytest.mark.parametrize("expression", DOUBLES)
def test_doubles(module, expression):
    a, b = torch.randn(2, 200, dtype=torch.double)
    b = b.abs() + 0.1
    y = module.doubles(torch.stack([a, b]))[list(DOUBLES).index(expression)]
    if DOUBLES[expression] is None:  # the rest of a product, exactly
        products = zip(a.tolist(), b.tolist(), strict=True)
        assert y.tolist() == [float(Fraction(p) * Fraction(q) - Fraction(p * q)) for p, q in products]
    else:
        torch.testing.assert_close(y, DOUBLES[expression](a, b), rtol=3e-16, atol=0)


@pytest.mark.parametrize("expression", INTEGERS)
def test_integers(module, expression):
    generator = torch.Generator().manual_seed(11)
    x = torch.randint(-(2**31), 2**31, (2, 200), generator=generator).to(torch.int32)
    x[:, :8] = torch.tensor(
        [[0, 0, 1, -1, 2**31 - 1, -(2**31), 0x7F80FF01, 5], [0, 1, 0, -1, -(2**31), -1, 0x7F01FF80, 5]]
    )
    y = module.integers(x)[list(INTEGERS).index(expression)].tolist()
    for (a, b), result in zip(x.T.tolist(), y, strict=True):
        expected = INTEGERS[expression](a & 0xFFFFFFFF, b & 0xFFFFFFFF)
        assert (result - expected) % 2**64 == 0, (a, b, result, expected)


def test_conversions_to_integers(module):
    x = torch.tensor(
        [
            0.0,
            0.4,
            0.5,
            0.6,
            1.5,
            2.5,
            -0.4,
            -0.5,
            -1.5,
            -2.5,
            2e9,
            3e9,
            -3e9,
            5e9,
            1e19,
            -1e19,
            2e19,
            torch.nan,
        ]
    )
    x = torch.cat([x.double(), 1000 * torch.randn(40).double()])
    functions = {"rn": np.rint, "rz": np.trunc, "ru": np.ceil, "rd": np.floor}
    y = module.conversions(x)
    for k, (expression, real, name, how) in enumerate(CONVERSIONS):
        least, greatest = TO_INTEGER[name]
        values = (x.float().double() if real == "float" else x).tolist()
        for value, result in zip(values, y[k].tolist(), strict=True):
            if np.isnan(value):
                wide = "ll" in name or real == "double"  # as PTX says of cvt
                bits = 64 if "ll" in name else 32
                assert (result - wide * 2 ** (bits - 1)) % 2**bits == 0, expression
                continue
            expected = min(max(int(functions[how](value)), least), greatest)
            assert (result - expected) % 2**64 == 0, (expression, value)


def test_values_between_lanes(module):
    x = torch.randn(64).double()
    i = torch.arange(64)
    expected = x[i // 32 * 32 + 3] + 1000 * (i ^ 1) + 1e6 + (i < 32) * (1e7 + 1e8)
    assert torch.equal(module.lanes(x), expected)


def test_loads_and_stores_of_every_kind(module):
    x = torch.arange(64.0)
    y = module.cached(x).view(5, 64)
    assert torch.equal(y[:4], (14 * x).expand(4, 64))
    assert torch.equal(y[4], 4 * (x % 16) + 3)


def test_atomics(module):
    d, u = torch.zeros(2).double(), torch.zeros(3, dtype=torch.int64)
    n, s = torch.tensor([0, 5, 0]).int(), torch.zeros(4, dtype=torch.int16)
    module.atomics(d, u, n, s)
    assert d.tolist() == [2016.0, 128.0]
    assert u.tolist() == [128 << 33, 63 << 40, 128 * 3]
    assert n.tolist() == [256, -63, 0] and s.tolist() == [0, 128, 0, 0]


def test_small_vectors_are_one_access(module):
    x = torch.arange(128).to(torch.uint8)
    y, z, w = module.bytes(x)
    v = x.view(32, 4).int()
    assert torch.equal(y.view(32, 4), (v + torch.tensor([1, 2, 3, 4])).to(torch.int8))
    assert torch.equal(z.view(32, 2), torch.stack([v[:, 0] * v[:, 1], v[:, 2] * v[:, 3]], 1).to(torch.int16))
    assert torch.equal(w.view(32, 2), x.view(32, 4)[:, [3, 0]])
    (launch,) = profile(compile_text(SOURCE, name="intrinsics").bytes, x)
    assert (launch.global_load.requests, launch.global_load.bytes_requested) == (1, 128)
    assert (launch.global_store.requests, launch.global_store.bytes_requested) == (3, 128 + 128 + 64)
