"""Inline PTX: every instruction that the simulator knows, what can be done wrong, and what is refused."""

import pytest
import torch
from simulated import MODES, compile_for, compile_text, line_of, line_with, nvcc_accepts, read_kernels

from kernels import INCLUDE
from utils.errors import CompileError, KernelError
from utils.inline import load_inline
from utils.simulator import profile

# y = name(x) for x = 0, 1, 2 ... 63 and y = 0, by one warp unless it says otherwise, beside what y must be.
COPIES = r"""
//# pieces_of_4_bytes: x
__device__ unsigned shared_offset(const void* p) { return (unsigned)__cvta_generic_to_shared(p); }
#define COMMIT_AND_WAIT               \
    asm volatile(                     \
        "cp.async.commit_group;\n" :: \
            : "memory");              \
    asm volatile("cp.async.wait_group %0;\n" ::"n"(0));
//#body
__shared__ float s[64];
for (int k = i; k < 64; k += 32)
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(shared_offset(&s[k])), "l"(&x[k])
                 : "memory");
COMMIT_AND_WAIT
y[i] = s[i], y[i + 32] = s[i + 32];

//# pieces_of_8_bytes: x.view(32, 2).flip(0).flatten()
__shared__ __align__(8) float s[64];
asm volatile("cp.async.ca.shared::cta.global.L2::128B [%2], [%0], %1;"
             :  // in any order; an expression may hold commas and ?:
             : "l"((const void*)(i < 0 ? x : x + 2 * i)), "n"(sizeof(double)),
               "r"(shared_offset(&s[2 * (31 - i)]))
             : "memory");
__asm__ __volatile__("cp.async.wait_all;");
__syncthreads();
y[i] = s[i], y[i + 32] = s[i + 32];

//# pieces_of_16_bytes: x
__shared__ __align__(16) float s[64];
const unsigned start = shared_offset(s);
if (i < 8)
    asm volatile("cp.async.ca.shared.global [%0], [%1], 16;" ::"r"(start + 16 * i), "l"(x + 4 * i));
else if (i < 16)
    asm volatile(
        "cp.async.cg.shared.global.L2::256B"  // two literals, one instruction
        " [%0 + 16], [%1 + 16], 16;" ::"r"(start + 16 * i - 16),
        "l"(x + 4 * i - 4));
asm volatile("cp.async.wait_all;");
__syncthreads();
y[i] = s[i], y[i + 32] = s[i + 32];

//# zeros_behind_what_is_read: x * (x % 4 < (x / 4).floor() % 5)
__shared__ __align__(16) float s[64];
if (i < 16)
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_offset(s + 4 * i)),
                 "l"(x + 4 * i), "r"(4 * (i % 5)));
COMMIT_AND_WAIT
__syncthreads();
y[i] = s[i], y[i + 32] = s[i + 32];

//# nothing_is_read_beyond_the_end: 8 + x % 8 * (x < 32)
__shared__ float s[64];
s[i + 32] = 1;
const float* from = x + (i % 8 + (i < 8 ? 0 : 1000));  // only the first eight are inside
asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(shared_offset(s + i)), "l"(from),
             "r"(i < 8 ? 4 : 0));
COMMIT_AND_WAIT
__syncthreads();
y[i] = s[i % 8] + 8 + s[8 + i % 24];
y[i + 32] = 8 + s[8 + i % 24];

//# groups_in_order: x
__shared__ float s[4][16];
for (int k = 0; k < 4; ++k) {
    const float* from = x + 16 * k + i;
    if (i < 16) asm("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(shared_offset(&s[k][i])), "l"(from));
    asm volatile("cp.async.commit_group;");
}
asm volatile("cp.async.wait_group 2;");
if (i < 16) y[i] = s[0][i], y[16 + i] = s[1][i];
asm volatile("cp.async.wait_group 1;");
if (i < 16) y[32 + i] = s[2][i];
asm volatile("cp.async.wait_group 0;");
if (i < 16) y[48 + i] = s[3][i];

//# under_way_when_its_block_ends <<<2, 32>>>: x.view(2, 32).flip(1).flatten()
__shared__ float s[32];
s[lane] = x[i];
__syncwarp();
y[i] = s[31 - lane];
__syncwarp();
asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(shared_offset(s + lane)), "l"(x + lane));

//# an_address_and_back: x
__shared__ float s[2][64];
unsigned at = shared_offset(s[1]);
float* pointer = (float*)__cvta_shared_to_generic(at + 4 * i);
pointer[0] = x[i];
((float*)__cvta_shared_to_generic(__cvta_generic_to_shared(s)))[96 + i] = x[32 + i];
asm volatile("" ::: "memory");
__syncwarp();
y[i] = s[1][i], y[i + 32] = s[1][i + 32];
"""

# y = name(x): x is 32 rows of 8 bfloat16, y what each of 32 lanes gets of up to four matrices.
MATRICES = r"""
template <int count, bool transposed>
__global__ void matrices_kernel(const uint16_t* x, unsigned* y, int row_length) {
    extern __shared__ __align__(16) uint16_t s[];
    const int lane = threadIdx.x;
    for (int k = 0; k < 8; ++k) s[lane * row_length + k] = x[8 * lane + k];
    __syncwarp();
    unsigned m[4] = {}, row = (unsigned)__cvta_generic_to_shared(s) + lane % (8 * count) * row_length * 2;
    if constexpr (count == 1 && !transposed)
        asm volatile("ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%0}, [%1];" : "=r"(m[0]) : "r"(row));
    else if constexpr (count == 1)
        asm volatile("ldmatrix.sync.aligned.m8n8.x1.trans.shared.b16 {%0}, [%1];" : "=r"(m[0]) : "r"(row));
    else if constexpr (count == 2 && !transposed)
        asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared::cta.b16 {%0, %1}, [%2];"
                     : "=r"(m[0]), "=r"(m[1])
                     : "r"(row));
    else if constexpr (count == 2)
        asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
                     : "=r"(m[0]), "=r"(m[1])
                     : "r"(row));
    else if constexpr (!transposed)
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"  // the load
                     : "=r"(m[0]), "=r"(m[1]), "=r"(m[2]), "=r"(m[3])
                     : "r"(row));
    else
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                     : "=r"(m[0]), "=r"(m[1]), "=r"(m[2]), "=r"(m[3])
                     : "r"(row));
    for (int k = 0; k < count; ++k) y[32 * k + lane] = m[k];
}
torch::Tensor matrices(torch::Tensor x, int64_t count, bool transposed, int64_t row_length) {
    auto y = torch::zeros({count, 32}, x.options().dtype(torch::kInt32));
    auto launch = [&](auto* kernel) {
        kernel<<<1, 32, 64 * row_length>>>((const uint16_t*)x.data_ptr(), (unsigned*)y.data_ptr<int>(),
                                           (int)row_length);
    };
    if (count == 1) transposed ? launch(matrices_kernel<1, true>) : launch(matrices_kernel<1, false>);
    if (count == 2) transposed ? launch(matrices_kernel<2, true>) : launch(matrices_kernel<2, false>);
    if (count == 4) transposed ? launch(matrices_kernel<4, true>) : launch(matrices_kernel<4, false>);
    return y;
}
"""

# d = a b + c of one mma: a is 16 x k, b is given by columns.
PRODUCTS = r"""
#include <cuda_bf16.h>
#include <cuda_fp16.h>
template <class T, int K>
__global__ void product_kernel(const T* a, const T* b, const float* c, float* to) {
    const int per = 4 / sizeof(T), group = threadIdx.x / 4, place = threadIdx.x % 4;
    unsigned u[4] = {}, v[2] = {};
    for (int r = 0; r < K / per / 4; ++r) {
        const int k = 4 * per * r + per * place;
        u[2 * r] = *(const unsigned*)&a[group * K + k];
        u[2 * r + 1] = *(const unsigned*)&a[(group + 8) * K + k];
        v[r] = *(const unsigned*)&b[group * K + k];
    }
    float d[4];
    for (int e = 0; e < 4; ++e) d[e] = c[(group + 8 * (e / 2)) * 8 + 2 * place + e % 2];
MULTIPLY    for (int e = 0; e < 4; ++e) to[(group + 8 * (e / 2)) * 8 + 2 * place + e % 2] = d[e];
}
template <class T, int K>
void run(torch::Tensor a, torch::Tensor b, torch::Tensor c, torch::Tensor d) {
    product_kernel<T, K><<<1, 32>>>((const T*)a.data_ptr(), (const T*)b.data_ptr(), c.data_ptr<float>(),
                                    d.data_ptr<float>());
}
torch::Tensor product(torch::Tensor a, torch::Tensor b, torch::Tensor c) {
    auto d = torch::empty_like(c);
    const bool half = a.scalar_type() == torch::kHalf;
    switch (a.size(1) * (a.scalar_type() == torch::kFloat32)) {
        case 4: run<float, 4>(a, b, c, d); return d;
        case 8: run<float, 8>(a, b, c, d); return d;
    }
    if (a.size(1) == 8)
        half ? run<__half, 8>(a, b, c, d) : run<__nv_bfloat16, 8>(a, b, c, d);
    else
        half ? run<__half, 16>(a, b, c, d) : run<__nv_bfloat16, 16>(a, b, c, d);
    return d;
}
__global__ void rounding_kernel(const float* x, float* y) {
    unsigned bits;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x[threadIdx.x]));
    y[threadIdx.x] = __uint_as_float(bits);
}
torch::Tensor rounding(torch::Tensor x) {
    auto y = torch::empty_like(x);
    rounding_kernel<<<1, x.numel()>>>(x.data_ptr<float>(), y.data_ptr<float>());
    return y;
}
"""


def multiplications() -> str:
    """A branch for each shape; half of them read the sums from registers of their own."""
    types = {"tf32": "float", "f16": "__half", "bf16": "__nv_bfloat16"}
    text = ""
    for name, element in types.items():
        for k in (4, 8) if name == "tf32" else (8, 16):
            form = f"mma.sync.aligned.m16n8k{k}.row.col.f32.{name}.{name}.f32"
            if k == (8 if name == "tf32" else 16):
                asm = (
                    f'"{form} {{%0, %1, %2, %3}}, {{%4, %5, %6, %7}}, {{%8, %9}}, {{%0, %1, %2, %3}};" : '
                    '"+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) : "r"(u[0]), "r"(u[1]), "r"(u[2]), '
                    '"r"(u[3]), "r"(v[0]), "r"(v[1])'
                )
            else:
                asm = (
                    f'"{form} {{%0, %1, %2, %3}}, {{%4, %5}}, {{%6}}, {{%7, %8, %9, %10}};\\n" : "=f"(d[0]), '
                    '"=f"(d[1]), "=f"(d[2]), "=f"(d[3]) : "r"(u[0]), "r"(u[1]), "r"(v[0]), "f"(d[0]), '
                    '"f"(d[1]), "f"(d[2]), "f"(d[3])'
                )
            text += f"    if constexpr (std::is_same_v<T, {element}> && K == {k}) asm volatile({asm});\n"
    return text


COPYING = read_kernels(COPIES)
TEXT = (
    "#include <type_traits>\n"
    + "".join(k.text for k in COPYING)
    + MATRICES
    + PRODUCTS.replace("MULTIPLY", multiplications())
)


@pytest.fixture(scope="module", params=MODES)
def module(request):
    return compile_for(request.param, TEXT, "ptx")


@pytest.fixture(scope="module")
def checked():
    return compile_text(TEXT, name="ptx")


@pytest.mark.nvcc
def test_nvcc_takes_the_same_source():
    nvcc_accepts(TEXT, "ptx")


@pytest.mark.parametrize("kernel", COPYING, ids=lambda kernel: kernel.name)
def test_copies(module, kernel):
    x = torch.arange(64.0)
    expected = eval(kernel.notes, {"x": x})
    assert getattr(module, kernel.name)(x).tolist() == expected.tolist()


@pytest.mark.parametrize("order", ["reverse", "random"])
@pytest.mark.parametrize("kernel", COPYING, ids=lambda kernel: kernel.name)
def test_no_false_alarm_in_any_order(checked, kernel, order):
    profile(getattr(checked, kernel.name), torch.arange(64.0), order=order, seed=3)


@pytest.mark.parametrize("transposed", [False, True], ids=["plain", "transposed"])
@pytest.mark.parametrize("count", [1, 2, 4])
def test_matrices(module, count, transposed):
    x = torch.randperm(256).to(torch.int16).view(32, 8)
    matrices = x.view(4, 8, 8)[:count]
    if transposed:
        matrices = matrices.transpose(1, 2)
    expected = matrices.contiguous().view(torch.int32)  # two neighbours in a word: lane 4 row + column / 2
    assert torch.equal(module.matrices(x, count, transposed, 24), expected.view(count, 32))


def tf32(x: torch.Tensor, half: float) -> torch.Tensor:
    """x in float64 with 10 bits behind the point: cut off, or with half = 0.5 to nearest, ties away."""
    x = x.double()
    unit = torch.ldexp(torch.ones_like(x), torch.frexp(x)[1] - 11)
    return x.sign() * (x.abs() / unit + half).floor() * unit


SHAPES = [
    (torch.float, 4),
    (torch.float, 8),
    (torch.half, 8),
    (torch.half, 16),
    (torch.bfloat16, 8),
    (torch.bfloat16, 16),
]


@pytest.mark.parametrize("dtype, k", SHAPES)
def test_products(module, dtype, k):
    torch.manual_seed(k)
    a, b, c = torch.randn(16, k).to(dtype), torch.randn(8, k).to(dtype), torch.randn(16, 8)
    u, v = (tf32(t, 0) if dtype == torch.float else t.double() for t in (a, b))
    exact = u @ v.T + c.double()
    # k + 1 additions in float, each off by a unit in the last place of the sum so far at most.
    bound = (k + 2) * 2.0**-23 * (u.abs() @ v.abs().T + c.double().abs())
    assert ((module.product(a, b, c).double() - exact).abs() <= bound).all()
    if dtype == torch.float:  # TF32 is less exact than that
        assert ((a.double() @ b.double().T + c - exact).abs() > bound).any()


def test_tf32_is_rounded_to_nearest_ties_away(module):
    x = torch.cat(
        [torch.randn(500), torch.tensor([1 + 2.0**-11, -1 - 2.0**-11, 1 + 2.0**-11 - 2.0**-23, 0.0, 3e38])]
    )
    assert torch.equal(module.rounding(x).double(), tf32(x, 0.5))
    assert module.rounding(torch.tensor([torch.inf, -torch.inf])).tolist() == [torch.inf, -torch.inf]
    assert module.rounding(torch.tensor([torch.nan])).isnan().all()


# Rows of 8 bfloat16, in bytes apart: each matrix needs one wavefront where its rows lie in different banks.
@pytest.mark.parametrize(
    "count, row_bytes, wavefronts",
    [(1, 16, 1), (2, 16, 2), (4, 16, 4), (4, 48, 4), (4, 32, 8), (2, 128, 16), (4, 128, 32)],
)
def test_wavefronts_of_ldmatrix(checked, count, row_bytes, wavefronts):
    (launch,) = profile(checked.matrices, torch.zeros(32, 8).bfloat16(), count, False, row_bytes // 2)
    loads = launch.shared_load
    assert (loads.requests, loads.wavefronts) == (1, wavefronts)
    assert (loads.bank_conflicts, loads.bytes_requested) == (wavefronts - count, 128 * count)
    if count == 4:
        assert list(loads.by_line) == [line_with(checked.matrices, "// the load")]


@pytest.mark.parametrize("size, requests", [(4, 2), (8, 1), (16, 2)])
def test_one_load_and_one_store_a_copy(checked, size, requests):
    (launch,) = profile(getattr(checked, f"pieces_of_{size}_bytes"), torch.arange(64.0))
    for counts in launch.global_load, launch.shared_store:
        assert (counts.requests, counts.bytes_requested) == (requests, 256)
    assert launch.shared_store.bank_conflicts == 0


def test_what_is_not_read_is_not_counted(checked):
    launcher = checked.nothing_is_read_beyond_the_end
    (launch,) = profile(launcher, torch.arange(64.0))
    line = line_of(launcher, "cp.async.ca")
    load, store = (counts.by_line[line] for counts in (launch.global_load, launch.shared_store))
    assert (load.requests, load.bytes_requested) == (1, 32)
    assert (store.requests, store.bytes_requested) == (1, 128)


# -------------------------------------------------------------------------------- what is refused, and why

WRAPPED = """__global__ void k(float* y) {{
    unsigned r[4] = {{}}, at = 0;
    float f[4] = {{}};
    {body}
    y[0] = f[0] + r[0];
}}
void go(torch::Tensor y) {{ k<<<1, 32>>>(y.data_ptr<float>()); }}
"""
X4 = "ldmatrix.sync.aligned.m8n8.x4.shared.b16"
INTO = '"=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])'
REFUSED = {
    "another instruction": ('asm("mov.u32 %0, %laneid;" : "=r"(r[0]));', "mov.u32 %0, %laneid;"),
    "two instructions": (
        'asm volatile("cp.async.commit_group;" "cp.async.wait_all;");',
        "cp.async.commit_group;cp.",
    ),
    "in a scope": ('asm("{ .reg .pred p; cp.async.wait_all; }");', "{ .reg .pred p; "),
    "a predicate": ('asm("@p cp.async.wait_all;");', "@p cp.async.wait_all;"),
    "a cache policy": (
        'asm("cp.async.cg.shared.global.L2::cache_hint [%0], [%1], 16, %2;" :: "r"(at), "l"(y), "l"(0ull));',
        "cp.async.cg.shared.global.L2::cache_hint",
    ),
    "cg of 8 bytes": (
        'asm("cp.async.cg.shared.global.b8 [%0], [%1], 8;" :: "r"(at), "l"(y));',
        "cp.async.cg",
    ),
    "tf32 of 16": (
        'asm("mma.sync.aligned.m16n8k16.row.col.f32.tf32.tf32.f32 {};");',
        "mma.sync.aligned.m16n8k16",
    ),
    "bf16 of 4": (
        'asm("mma.sync.aligned.m16n8k4.row.col.f32.bf16.bf16.f32 {};");',
        "mma.sync.aligned.m16n8k4",
    ),
    "sums in half": ('asm("mma.sync.aligned.m16n8k8.row.col.f16.f16.f16.f16 {};");', "mma.sync.aligned"),
    "an odd escape": ('asm("cp.async.wait_all;\\t\\n" "\\?");', "cp.async.wait_all; ?"),
    "a macro's text": ('asm(WAIT "_all;");', "WAIT"),
}


def refusal(body: str, kind, **options):
    with pytest.raises(kind) as caught:
        compile_text(WRAPPED.format(body=body), **options)
    return caught.value


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_known_is_refused_by_name_and_line(case):
    body, words = REFUSED[case]
    error = refusal(body, KernelError)
    assert (error.kind, error.line, error.source) == ("unsupported", 5, body)
    assert "Inline PTX, asm(" in str(error) and words in str(error)
    assert (
        "cp.async" in str(error) and "ldmatrix" in str(error) and "one instruction in an asm()" in str(error)
    )


MISTAKEN = {
    "no such operand": (
        f'asm("{X4} {{%0, %1, %2, %9}}, [%4];" : {INTO} : "r"(at));',
        "no operand %9; this asm has %0 to %4",
    ),
    "names": (
        'asm("cvt.rna.tf32.f32 %[to], %[from];" : [to] "=r"(r[0]) : [from] "f"(f[0]));',
        "nvcc knows it by its number alone",
    ),
    "too few registers": (
        f'asm("{X4} {{%0, %1, %2}}, [%4];" : {INTO} : "r"(at));',
        "{%0, %1, %2} should be 4 registers",
    ),
    "too few operands": (f'asm("{X4} {{%0, %1, %2, %3}};" : {INTO});', "operands is 2, not 1"),
    "too many": (
        'asm("cp.async.ca.shared.global [%0], [%1], 4, 4, 4;" :: "r"(at), "l"(y));',
        "operands is 3 or 4, not 5",
    ),
    "none at all": ('asm("cp.async.wait_group;");', "operands is 1, not 0"),
    "no brackets": (
        f'asm("{X4} {{%0, %1, %2, %3}}, %4;" : {INTO} : "r"(at));',
        "%4 stands in brackets, as in [%0]",
    ),
    "brackets": ('asm("cvt.rna.tf32.f32 %0, [%1];" : "=r"(r[0]) : "f"(f[0]));', "[%1] is no address"),
    "not an output": (
        'asm("cvt.rna.tf32.f32 %0, %1;" :: "r"(r[0]), "f"(f[0]));',
        'writes %0: its constraint is "=r"',
    ),
    "a wrong type": (
        'asm("cvt.rna.tf32.f32 %0, %1;" : "=f"(f[1]) : "f"(f[0]));',
        '%0 is "=f" and should be "=r"',
    ),
    "read and written": (
        'asm("mma.sync.aligned.m16n8k4.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %4}, {%4}, '
        '{%0, %1, %2, %3};"'
        ' : "=f"(f[0]), "+f"(f[1]), "+f"(f[2]), "+f"(f[3]) : "r"(at));',
        'reads %0, too: its constraint is "+f", not "=f"',
    ),
    "a register's name": ('asm("cvt.rna.tf32.f32 r1, %0;" :: "f"(f[0]));', "r1 is no operand here"),
    "an operand without parentheses": (
        'asm("cvt.rna.tf32.f32 %0, %1;" : "=r" r : "f"(f[0]));',
        'is written "r"(variable)',
    ),
}


@pytest.mark.parametrize("case", MISTAKEN)
def test_wrong_operands_are_named_with_the_line(case):
    body, words = MISTAKEN[case]
    error = refusal(body, CompileError)
    assert error.line == 5 and words in str(error) and body in str(error)


MISTYPED = {
    "r of a size_t": (
        'asm("cp.async.cg.shared.global [%0], [%1], 16;" :: "r"(sizeof(r)), "l"(y));',
        "32 bits",
    ),
    "r of a float": (f'asm("{X4} {{%0, %1, %2, %3}}, [%4];" : {INTO} : "r"(f[0]));', "__float_as_uint(x)"),
    "r of a bool": (
        'asm("cp.async.cg.shared.global [%0], [%1], 16, %2;" :: "r"(at), "l"(y), "r"(at < 3));',
        "32 bits",
    ),
    "l of an int": ('asm("cp.async.cg.shared.global [%0], [%1], 16;" :: "r"(at), "l"(at));', "a pointer or"),
    "f of a double": ('asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(r[0]) : "f"(1.0));', "is a float"),
    "r for a float": ('asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(f[0]) : "f"(f[1]));', "32 bits"),
}


@pytest.mark.parametrize("case", MISTYPED)
def test_operands_of_other_types_are_refused_as_by_nvcc(case):
    body, words = MISTYPED[case]
    error = refusal(body, CompileError)
    assert error.line == 5 and words in str(error)


WRONG = {
    "a pointer for an offset": (
        'asm("cp.async.cg.shared.global [%0], [%1], 16;" :: "r"((unsigned)(size_t)y), "l"(y));',
        "out-of-bounds",
        "for an address of shared memory: PTX wants the 32 bits of __cvta_generic_to_shared",
    ),
    "12 bytes": (
        'asm("cp.async.ca.shared.global [%0], [%1], 12;" :: "r"(at), "l"(y));',
        "unsupported",
        "than 4, 8 or 16 bytes",
    ),
    "cg of 8": (
        'asm("cp.async.cg.shared.global [%0], [%1], 8;" :: "r"(at), "l"(y));',
        "unsupported",
        "other than 16 bytes",
    ),
    "more than fits": (
        'asm("cp.async.cg.shared.global [%0], [%1], 16, %2;" :: "r"(at), "l"(y), "r"(17));',
        "unsupported",
        "reads more than it writes",
    ),
    "misaligned, though a part is read": (
        'asm("cp.async.cg.shared.global [%0], [%1], 16, %2;" :: "r"(at), "l"(y + 3), "r"(4));',
        "misaligned",
        "reads 16 bytes at byte 12 of y",
    ),
    "nobody's shared memory": (
        f'asm("{X4} {{%0, %1, %2, %3}}, [%4];" : {INTO} : "r"(at));',
        "out-of-bounds",
        "reads",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_numbers_are_named_when_it_runs(case):
    body, kind, words = WRONG[case]
    with pytest.raises(KernelError) as caught:
        compile_text(WRAPPED.format(body=body)).go(torch.zeros(64))
    error = caught.value
    assert (error.kind, error.line, error.thread) == (kind, 5, (0, 0, 0)) and words in str(error), str(error)


# ---------------------------------------------------------------------------------------- headers with PTX


def with_header(text: str, folder, **options):
    return load_inline(
        "cell", cuda_sources=text, backend="simulator", extra_include_paths=[str(folder)], **options
    )


TILE = """#include <torch/extension.h>
#include "ptx.h"
__global__ void tile_kernel(const float* x, float* y, int n, bool guarded) {
    __shared__ float s[64];
    const int i = threadIdx.x;
    copy_async<4>(&s[i], &x[i], !guarded || i < n);  // the copy
    commit_copies();
    wait_for_copies<PENDING>();
    __syncthreads();
    y[i] = s[63 - i];  // the reading
}
torch::Tensor tile(torch::Tensor x, bool guarded) {
    auto y = torch::empty({64}, x.options());
    tile_kernel<<<1, 64>>>(x.data_ptr<float>(), y.data_ptr<float>(), (int)x.numel(), guarded);
    return y;
}
"""


@pytest.mark.parametrize("checked", [True, False], ids=["checked", "quick"])
def test_the_course_s_header_runs_unchanged(checked):
    tile = with_header(TILE.replace("PENDING", "0"), INCLUDE, checked=checked).tile
    x = torch.arange(60.0)
    assert tile(x, True).tolist() == [0, 0, 0, 0, *range(59, -1, -1)]


def test_errors_inside_a_header_s_functions_are_at_the_learner_s_line():
    tile = with_header(TILE.replace("PENDING", "0"), INCLUDE).tile
    with pytest.raises(KernelError, match=r"reads x\[60\], 1 past the last") as caught:
        tile(torch.arange(60.0), False)
    error = caught.value
    assert (error.kind, error.thread, error.line) == (
        "out-of-bounds",
        (60, 0, 0),
        line_with(tile, "// the copy"),
    )
    tile = with_header(TILE.replace("PENDING", "1"), INCLUDE).tile
    with pytest.raises(KernelError, match=rf"issued at line {line_with(tile, '// the copy')}") as caught:
        tile(torch.arange(64.0), True)
    assert (caught.value.kind, caught.value.line) == ("race", line_with(tile, "// the reading"))


PART_OF_A_WARP = """#include <torch/extension.h>
#include "ptx.h"
__global__ void part_kernel(float* y) {
    uint32_t a[4] = {};
    float sum[4] = {};
    if (threadIdx.x < 16) {
        mma_tf32(sum, a, 0, 0);  // half of them
    }
    y[threadIdx.x] = sum[0];
}
void part(torch::Tensor y) { part_kernel<<<1, 32>>>(y.data_ptr<float>()); }
"""


@pytest.mark.parametrize("checked", [True, False], ids=["checked", "quick"])
def test_lanes_missing_at_a_header_s_instruction(checked):
    part = with_header(PART_OF_A_WARP, INCLUDE, checked=checked).part
    with pytest.raises(KernelError, match="not all 32 lanes of its warp come") as caught:
        part(torch.zeros(32))
    error = caught.value
    assert (error.kind, error.thread) == ("deadlock", (0, 0, 0))
    assert error.line == line_with(part, "// half of them") and error.source.startswith("mma_tf32")


def test_headers_that_include_each_other(tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "wait.h").write_text(
        '#pragma once\n#include "../outer.h"\n'
        '__device__ inline void wait_all() { asm volatile("cp.async.wait_all;"); }\n'
    )
    (tmp_path / "outer.h").write_text(
        '#pragma once\n#include <climits>\n#  include "inner/wait.h" // relative to this one\n'
        "__device__ inline float next(float x) { __shared__ float s[32]; s[threadIdx.x] = x; wait_all();\n"
        "return s[threadIdx.x] + 1; }\n"
    )
    text = """#include <torch/extension.h>
#include <outer.h>
#include "inner/wait.h"
__global__ void k(float* y) { y[threadIdx.x] = next(y[threadIdx.x]); }
void go(torch::Tensor y) { k<<<1, 32>>>(y.data_ptr<float>()); }
"""
    y = torch.zeros(32)
    with_header(text, tmp_path).go(y)
    assert (y == 1).all()


def test_headers_of_plain_cpp_stay_as_they_are(tmp_path):
    (tmp_path / "plain.h").write_text('#include "tile.h"\ninline void pause() { asm volatile("" "nop"); }\n')
    (tmp_path / "tile.h").write_text(
        "__device__ inline float keep(float x) { __shared__ float s[32]; s[threadIdx.x] = x;\n"
        "return s[threadIdx.x] + 1; }\n"
    )
    text = """#include <torch/extension.h>
#include "plain.h"
__global__ void k(float* y) { y[threadIdx.x] = keep(y[threadIdx.x]); }
void go(torch::Tensor y) { pause(); k<<<1, 32>>>(y.data_ptr<float>()); }
"""
    y = torch.zeros(32)
    with_header(text, tmp_path).go(y)
    assert (y == 1).all()


def test_what_is_refused_in_a_header_names_it_and_who_includes_it(tmp_path):
    header = tmp_path / "bad.h"
    text = '#include <torch/extension.h>\n\n#include "bad.h"\nvoid go() {}\n'
    header.write_text('\n__device__ void f() { asm("nanosleep.u32 8;"); }\n')
    with pytest.raises(KernelError, match=r'in bad.h: Inline PTX, asm\("nanosleep.u32 8;".*line 2') as caught:
        with_header(text, tmp_path)
    assert (caught.value.kind, caught.value.line) == ("unsupported", 3)
    assert caught.value.source == '#include "bad.h"'
    header.write_text('\n__device__ void f() { asm("cp.async.wait_group %0;"); }\n')
    with pytest.raises(CompileError, match=r"in bad.h: line 2: .*no operand %0; this asm has none") as caught:
        with_header(text, tmp_path)
    assert caught.value.line == 3
    header.write_text("\n__device__ void f() { int x = nonsense; }\n")
    with pytest.raises(CompileError, match="nonsense"):
        with_header(text, tmp_path)
    header.write_text("\n__device__ void f() { int x = 1; }\n")
    with_header(text, tmp_path)
