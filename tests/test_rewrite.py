"""Launches and `__shared__` in every form that a source may hold: what the rewriting turns into C++."""

import pytest
import torch
from simulated import compile_text

from utils.errors import CompileError, KernelError
from utils.simulator import profile
from utils.simulator.rewriting import rewrite

PLAIN = "__global__ void plain(float* y, float v) { y[blockIdx.x * blockDim.x + threadIdx.x] += v; }\n"

# Each launches kernels that add 1 to the first 64 elements of y; every snippet is the body of a launcher.
LAUNCHES = {
    "one_line": "plain<<<2, 32>>>(y, 1);",
    "spaces": "plain <<< 2 , 32 >>> ( y , 1 ) ;",
    "several_lines": "plain\n    <<<2,  // blocks\n     32  /* threads >>> */\n    >>>\n    (y,\n     1);",
    "expressions": "plain<<<(n + 31) / 32 > 2 ? 3 : (n >> 5), std::min(32, n)>>>(y, 1);",
    "shift_in_parentheses": "plain<<<(n >> 5), (n >> 1) >= 16 ? 32 : 1>>>(y, 1);",
    "initialiser_lists": "plain<<<dim3{2, 1, 1}, dim3{32}>>>(y, 1);",
    "shared_and_stream": "plain<<<2, 32, 16 * sizeof(float), at::cuda::getCurrentCUDAStream()>>>(y, 1);",
    "null_stream": "plain<<<2, 32, 0, 0>>>(y, 1); cudaStream_t s = nullptr; plain<<<2, 9, 0, s>>>(y, 0);",
    "template_named": "typed<float><<<2, 32>>>(y, 1);",
    "template_deduced": "typed<<<2, 32>>>(y, 1.0f);",
    "template_commas": "sized<float, 32, (3 > 2)><<<2, 32>>>(y, 1);",
    "template_of_templates": "typed<inner::Pair<int, inner::Pair<int, float>>::B::B><<<2, 32>>>(y, 1);",
    "in_a_namespace": "inner::deeper::add<<<2, 32>>>(y, 1);",
    "namespace_template": "inner::many<4><<<2, 32>>>(y);",
    "global_namespace": "::plain<<<2, 32>>>(y, 1);",
    "pointer": "void (*k)(float*, float) = plain; k<<<2, 32>>>(y, 1);",
    "pointer_in_parentheses": "auto k = &typed<float>; (*k)<<<2, 32>>>(y, 1);",
    "chosen_in_parentheses": "(n > 3 ? plain : inner::deeper::add)<<<2, 32>>>(y, 1);",
    "array_of_kernels": "void (*k[2])(float*, float) = {inner::deeper::add, plain}; (k[1])<<<2, 32>>>(y, 1);",
    "element_of_an_array": "void (*k[2])(float*, float) = {nullptr, plain}; k[n > 3]<<<2, 32>>>(y, 1);",
    "member": "Choice c{{plain, 2}}; c.inner.kernel<<<c.inner.blocks, 32>>>(y, 1);",
    "member_by_a_pointer": "const Choice c[2] = {{{plain, 2}}}, *p = c; p->inner.kernel<<<2, 32>>>(y, 1);",
    "member_of_an_element": "Choice c[2] = {{{plain, 2}}}; c[n - 64].inner.kernel<<<2, 32>>>(y, 1);",
    "lambda": "auto go = [&](int blocks) { plain<<<blocks, 32>>>(y, 1); }; go(2);",
    "template_function": "call<32>(y);",
    "member_function": "Maker<2>().launch(y);",
    "macro": "LAUNCH(plain, 2, 32, y, 1.0f);",
    "macro_of_the_launch": "ADD_ONE(y);",
    "macro_of_several_lines": "BOTH(y);",
    "macro_as_configuration": "plain<<<CONFIGURATION>>>(y, 1);",
    "if_without_braces": "if (n > 3) plain<<<2, 32>>>(y, 1); else plain<<<1, 1>>>(y, 1);",
    "after_else": "if (n < 3) y[0] = 5;\n    else plain<<<2, 32>>>(y, 1);",
    "after_return": "auto go = [&] { return plain<<<2, 32>>>(y, 1); }; go();",
    "after_a_cast": "for (int k = 0; k < 2; ++k) plain<<<1, 32>>>(y + 32 * k, (float)1);",
    "comma": "int a = 0; a = 1, plain<<<2, 32>>>(y, a);",
    "label": "switch (n) { case 64: plain<<<2, 32>>>(y, 1); break; default: goto end; }\n    end:;",
    "after_a_comment": "/* <<<1, 1>>> */ plain<<<2, 32>>>(y, 1);  // plain<<<9, 9>>>(y, 1);",
    "strings": 'const char *s = "plain<<<1, 1>>>(y); \\" //"; if (s[0] + \'"\') plain<<<2, 32>>>(y, 1);',
    "raw_string": 'const char* s = R"(" plain<<<1, 1>>>( )"; if (s[0] == \'"\') plain<<<2, 32>>>(y, 1);',
    "digit_separators": "plain<<<2, 3'2>>>(y, 1'000 / 1'000);",
    "dispatch": 'AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "k",\n'
    "    ([&] { typed<scalar_t><<<2, 32>>>((scalar_t*)y, 1); }));",
    "overloaded": "over<<<2, 32>>>(y, 1.0f);",
    "default_template_argument": "fixed<><<<2, 32>>>(y);",
    "argument_is_a_call": "plain<<<2, 32>>>(std::max(y, y), std::min<float>(1, 3));",
    "struct_argument": "structured<<<2, 32>>>(Task{y, 1});",
    "null_argument": "maybe<<<2, 32>>>(y, NULL);  maybe<<<1, 1>>>(y, nullptr);",
    "kernel_by_a_macro": "by_a_macro<<<2, 32>>>(y);",
    "void_first": "void_before<<<2, 32>>>(y);",
    "default_argument": "optional<<<2, 32>>>(y);",
    "braces_for_a_struct": "structured<<<2, 32>>>({y, 1});",
    "braces_and_numbers": "boxed<<<2, 32>>>(y, {1, 2});",
    "literal_zero_for_a_pointer": "pointed<<<2, 32>>>(y, 0);  inner::deeper::also<<<1, 1>>>(0, 1);",
    "number_of_another_type": "plain<<<2, 32>>>(y, 1);  boxed<<<1, 1>>>(y, {0, true});",
    "launch_bounds_before": "bounded<<<2, 32>>>(y, 0);",
    "template_with_launch_bounds": "tuned<1><<<2, 32>>>(y, 1.0f);",
    "same_name_as_a_function": "shared_name<<<2, 32>>>(y, 1);",
    "same_name_as_a_parameter": "apply(plain, y);",
    "left_shift_is_no_launch": "plain<<<1 << 1, 1 << 5>>>(y, 1);",
}
BEFORE = (
    PLAIN
    + r"""
template <class T> __global__ void typed(T* y, T v) { y[blockIdx.x * blockDim.x + threadIdx.x] += v; }
template <class T, int N, bool B> __global__ void sized(T* y, T v) {
    if (B) y[blockIdx.x * N + threadIdx.x] += v;
}
template <int N = 1> __global__ void fixed(float* y) { y[blockIdx.x * blockDim.x + threadIdx.x] += N; }
__global__ void over(float* y, int v) { y[0] = v + 100; }
__global__ void over(float* y, float v) { y[blockIdx.x * blockDim.x + threadIdx.x] += v; }
#define WITH_BOUNDS __global__ __launch_bounds__(64)
#define OTHER(a) (a)
WITH_BOUNDS void by_a_macro(float* y) { y[blockIdx.x * blockDim.x + threadIdx.x] += 1; }
template <int N> void __global__ unused(float* y) {}
static void __global__ void_before(float* y) { y[blockIdx.x * blockDim.x + threadIdx.x] += OTHER(1); }
struct Task { float* y; float v; };
__global__ void maybe(float* y, const float* v) { y[blockIdx.x * blockDim.x + threadIdx.x] = v ? *v : 1; }
__global__ void optional(float* y, float v = 1) { y[blockIdx.x * blockDim.x + threadIdx.x] += v; }
__global__ void structured(Task t) { t.y[blockIdx.x * blockDim.x + threadIdx.x] += t.v; }
struct Pair2 { int a; float b; };
__global__ void boxed(float* y, Pair2 p) { y[blockIdx.x * blockDim.x + threadIdx.x] += p.a; }
__global__ void pointed(float* y, const float* v) { y[blockIdx.x * blockDim.x + threadIdx.x] += v ? *v : 1; }
__launch_bounds__(64) __global__ void bounded(float* y, const int* v) {
    y[blockIdx.x * blockDim.x + threadIdx.x] += v ? 5 : 1;
}
template <int N> __launch_bounds__(64) __global__ void tuned(float* y, float v) {
    y[blockIdx.x * blockDim.x + threadIdx.x] += N * v;
}
__global__ void shared_name(float* y, float v) { y[blockIdx.x * blockDim.x + threadIdx.x] += v; }
int shared_name(const char* text) { return text[0]; }
template <class Kernel> void apply(Kernel plain, float* y) { plain<<<2, 32>>>(y, 1.0f); }
namespace inner {
template <class First, class Second> struct Pair { typedef First A; typedef Second B; };
namespace deeper {
__global__ void also(float* y, float v) { if (y) y[0] = v; }
__global__ void add(float* y, float v) { y[blockIdx.x * blockDim.x + threadIdx.x] += v; }
}  // namespace deeper
template <int N> __global__ void many(float* y) {
    for (int k = 0; k < N; ++k) y[blockIdx.x * blockDim.x + threadIdx.x] += 1.0f / N;
}
}  // namespace inner
struct Choice { struct { void (*kernel)(float*, float); int blocks; } inner; };
template <int B> void call(float* y) { fixed<1><<<2, B>>>(y); }
template <int G> struct Maker { void launch(float* y) { typed<float><<<G, 32>>>(y, 1); } };
#define LAUNCH(kernel, grid, block, ...) kernel<<<grid, block>>>(__VA_ARGS__)
#define ADD_ONE(y) plain<<<2, 32>>>(y, 1)
#define BOTH(y)               \
    do {                      \
        plain<<<1, 32>>>(y, 1); \
        plain<<<1, 32>>>(y + 32, 1); \
    } while (0)
#define CONFIGURATION 2, 32
"""
)


def launcher_text(name: str, body: str) -> str:
    return f"""
torch::Tensor {name}(torch::Tensor x) {{
    float* y = x.data_ptr<float>();
    int n = x.numel();
    {body}
    return x;
}}
"""


@pytest.fixture(scope="module", params=[True, False], ids=["checked", "quick"])
def launches(request):
    text = (
        "#include <ATen/cuda/CUDAContext.h>\n#include <algorithm>\n"
        + BEFORE
        + "".join(launcher_text(*item) for item in LAUNCHES.items())
    )
    return compile_text(text, checked=request.param)


@pytest.mark.parametrize("name", LAUNCHES)
def test_launch(launches, name):
    assert getattr(launches, name)(torch.zeros(64)).tolist() == [1.0] * 64


# Each declares shared memory, and its kernel gives back x through it: thread t of 64 reads what 63 - t wrote.
SHARED = {
    "plain": ("__shared__ float s[64];", "s[{}]"),
    "two_dimensions": ("__shared__ float s[8][8 + 1];", "s[({}) / 8][({}) % 8]"),
    "three_dimensions": ("__shared__ float s[2][4][8];", "s[({}) / 32][({}) / 8 % 4][({}) % 8]"),
    "several_declarators": ("__shared__ float r, s[64], *t[3];", "s[{}]"),
    "const_expressions": ("constexpr int N = 4; __shared__ float s[N * (N > 3 ? 16 : 1)];", "s[{}]"),
    "template_argument": ("__shared__ float s[T * 2];", "s[{}]"),
    "type_from_a_template": ("__shared__ typename Box<float, 8>::Type s[64];", "s[{}]"),
    "struct_elements": ("__shared__ Cell s[64];", "s[{}].value"),
    "struct_itself": ("__shared__ Table s;", "s.value[{}]"),
    "struct_keyword": ("__shared__ struct Table s;", "s.value[{}]"),
    "float4_elements": ("__shared__ float4 s[16];", "(&s[({}) / 4].x)[({}) % 4]"),
    "aligned_before": ("__align__(16) __shared__ float s[64];", "s[{}]"),
    "aligned_after": ("__shared__ __align__(128) float s[64];", "s[{}]"),
    "alignas_before": ("alignas(32) __shared__ float s[64];", "s[{}]"),
    "attribute": ("__shared__ float s[64] __attribute__((aligned(16)));", "s[{}]"),
    "static_keyword": ("static __shared__ float s[64];", "s[{}]"),
    "volatile_keyword": ("volatile __shared__ float s[64];", "s[{}]"),
    "type_first": ("float __shared__ s[64];", "s[{}]"),
    "several_lines": (
        "__shared__\n    float  // the tile\n    s[8]   /* rows */\n     [8];",
        "s[({}) / 8][({}) % 8]",
    ),
    "unsigned_type": ("__shared__ unsigned long long int s[64];", "s[{}]"),
    "in_a_nested_scope": (
        "__shared__ float s[2]; { __shared__ float s[64]; s[i] = 5; }\n__shared__ float r[64];",
        "r[{}]",
    ),
    "after_a_directive": ("#define SIZE 64\n__shared__ float s[SIZE];", "s[{}]"),
    "in_an_if_block": ("if (n < 0) { __shared__ float t[1]; t[0] = 1; }\n__shared__ float s[64];", "s[{}]"),
    "using_alias": ("using Row = float[8]; __shared__ Row s[8];", "s[({}) / 8][({}) % 8]"),
    "pointer_to_it": ("__shared__ float t[64]; float* s = t;", "s[{}]"),
    "reference_to_rows": ("__shared__ float t[8][8]; float (*s)[8] = t;", "s[({}) / 8][({}) % 8]"),
    "dynamic": ("extern __shared__ float d1[];", "d1[{}]"),
    "dynamic_in_two_dimensions": ("extern __shared__ float d2[][8];", "d2[({}) / 8][({}) % 8]"),
    "dynamic_aligned": ("extern __shared__ __align__(16) float d3[];", "d3[{}]"),
    "dynamic_bytes": (
        "extern __shared__ unsigned char d4[]; float* s = reinterpret_cast<float*>(d4);",
        "s[{}]",
    ),
    "dynamic_in_parts": ("extern __shared__ float d5[]; float* t = d5 + 64; t[i] = 0;", "d5[{}]"),
    "dynamic_of_a_type": ("extern __shared__ float4 d6[];", "(&d6[({}) / 4].x)[({}) % 4]"),
}
SHARED_BEFORE = """
template <class T, int N> struct Box { typedef T Type; };
struct Cell { int tag; float value; };
struct Table { float value[64]; };
"""


def shared_text(name: str, declaration: str, element: str) -> str:
    def at(index):
        return element.replace("{}", index)

    return f"""
template <int T> __global__ void {name}_kernel(const float* x, float* y, int n) {{
    const int i = threadIdx.x;
    {declaration}
    {at("i")} = x[i];
    __syncthreads();
    y[i] = {at("63 - i")};
}}
torch::Tensor {name}(torch::Tensor x) {{
    auto y = torch::empty_like(x);
    {name}_kernel<32><<<1, 64, 512>>>(x.data_ptr<float>(), y.data_ptr<float>(), (int)x.numel());
    return y;
}}
"""


@pytest.fixture(scope="module", params=[True, False], ids=["checked", "quick"])
def shared(request):
    text = SHARED_BEFORE + "".join(shared_text(name, *forms) for name, forms in SHARED.items())
    return compile_text(text, checked=request.param)


@pytest.mark.parametrize("name", SHARED)
def test_shared_memory(shared, name):
    x = torch.arange(64.0)
    assert getattr(shared, name)(x).tolist() == x.flip(0).tolist()


POINTERS = """
#include <torch/extension.h>
template <int N> __global__ void twice(float* y) { y[threadIdx.x] *= 2 * N; }
__global__ void other(float* y) { y[threadIdx.x] = 0; }
void one_kernel(torch::Tensor x, int64_t n) {
    auto k = n > 3 ? twice<4> : twice<1>;
    if (n == 2) k = twice<2>;
    k<<<1, 32>>>(x.data_ptr<float>());
    (*k)<<<1, 32>>>(x.data_ptr<float>());
}
void two_kernels(torch::Tensor x, int64_t n) {
    void (*either)(float*) = n > 3 ? twice<4> : other;
    either<<<1, 32>>>(x.data_ptr<float>());
}
"""
TABLE = """#include <torch/extension.h>
template <int K> __global__ void twice(float* y) { y[threadIdx.x] *= 2; }
template <int K> __global__ void other(float* y) { y[threadIdx.x] *= 3; }
struct Tile { decltype(&twice<0>) kernel; int threads; };
constexpr Tile tiles[] = {{twice<1>, 32}, {twice<2>, 16}};
void tile(torch::Tensor x, int64_t n) {
    other<(2 > 1)><<<1, 32>>>(x.data_ptr<float>());
    const auto kernel = tiles[n].kernel;
    kernel<<<1, tiles[n].threads>>>(x.data_ptr<float>());
    tiles[n].kernel<<<1, tiles[n].threads>>>(x.data_ptr<float>());
}
"""


def test_a_launch_through_a_variable_is_named_after_its_kernel():
    module = compile_text(POINTERS)
    assert [launch.name for launch in profile(module.one_kernel, torch.ones(32), 2)] == ["twice", "twice"]
    assert [launch.name for launch in profile(module.two_kernels, torch.ones(32), 5)] == ["either"]


def test_a_launch_through_a_table_is_named_after_the_kernel_of_the_table():
    launches = profile(compile_text(TABLE).tile, torch.ones(32), 1)
    assert [launch.name for launch in launches] == ["other", "twice", "twice"]


def test_lines_stay_where_they_are():
    text = BEFORE + "".join(launcher_text(*item) for item in LAUNCHES.items())
    text += SHARED_BEFORE + "".join(shared_text(name, *forms) for name, forms in SHARED.items())
    rewritten = rewrite(text)
    assert rewritten.count("\n") == text.count("\n")
    before, after = text.split("\n"), rewritten.split("\n")
    moved = [
        k for k, line in enumerate(before) if line.startswith(("torch::", "struct")) and after[k] != line
    ]
    assert moved == []


@pytest.mark.parametrize("text", [
    'const char* s = "k<<<1, 2>>>(x)";',
    "// k<<<1, 2>>>(x); __shared__ float s[3];",
    "/* k<<<1, 2>>>(x);\n __shared__ float s[3]; */",
    '#include "a<<<b>>>.h"\nint a = 1 << 2 >> 3;',
    'auto s = R"x(k<<<1, 2>>>(x); )" __shared__ )x";',
    "std::vector<std::vector<std::vector<int>>> v;",
    "char c = '<'; int digits = 1'000'000;",
])  # fmt: skip
def test_what_is_no_launch_stays_as_it_is(text):
    assert rewrite(text) == text


BROKEN = {
    "no closing": ("plain<<<2, 32(y, 1);", "<<<"),
    "no block": ("plain<<<2>>>(y, 1);", "plain<<<2>>>"),
    "no arguments": ("plain<<<2, 32>>>;", "plain<<<2, 32>>>;"),
    "two angles": ("plain<<2, 32>>(y, 1);", "plain<<2, 32>>"),
    "unknown kernel": ("plaine<<<2, 32>>>(y, 1);", "plaine<<<2, 32>>>"),
    "too few arguments": ("plain<<<2, 32>>>(y);", "plain<<<2, 32>>>(y)"),
    "wrong argument": ("plain<<<2, 32>>>(x, 1);", "plain<<<2, 32>>>(x, 1)"),
    "no kernel": ("<<<2, 32>>>(y, 1);", "<<<2, 32>>>"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_launch_is_named_by_its_line(case):
    body, words = BROKEN[case]
    with pytest.raises(CompileError) as caught:
        compile_text(PLAIN + launcher_text("go", body))
    assert caught.value.line == 7 and words in str(caught.value)
    assert "SIM_" not in str(caught.value) and "sim::" not in str(caught.value)


REFUSED = {
    "cluster_dimensions": ("__cluster_dims__(2, 1, 1) int x;", "Thread-block clusters"),
    "cluster_group": ("auto c = cooperative_groups::this_cluster();", "Thread-block clusters"),
    "cooperative_launch": ("cudaLaunchCooperativeKernel(0, 1, 1, 0);", "split the kernel in two"),
    "inline PTX": (
        'asm volatile("wgmma.fence.sync.aligned;");',
        'Inline PTX, asm("wgmma.fence.sync.aligned;"',
    ),
    "__asm__": ('int a; __asm__("mov.u32 %0, %laneid;" : "=r"(a));', "mov.u32 %0, %laneid;"),
    "shared memory in a macro": (
        "#define TILE(T, name, size) __shared__ T name[size]",
        "`__shared__` in a macro's definition is not supported by the simulator",
    ),
    "cudaLaunchKernel": (
        "cudaLaunchKernel((void*)k, 1, 1, nullptr, 0, 0);",
        "Write kernel<<<blocks, threads>>>(...) instead",
    ),
    "textures": ("cudaTextureObject_t image;", "The simulator has no textures"),
    "raw asm": ('asm(R"(bar.sync 0;)");', "bar.sync 0;"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_by_name_and_line(case):
    body, words = REFUSED[case]
    with pytest.raises(KernelError) as caught:
        compile_text(
            f"// asm in a comment\n__global__ void k() {{\n    {body}\n}}\nvoid go() {{ k<<<1, 1>>>(); }}"
        )
    error = caught.value
    assert (error.kind, error.line, error.source) == ("unsupported", 4, body)
    assert words in str(error)


HEADERS = {
    "<curand_kernel.h>": "torch.rand",
    "<cub/cub.cuh>": "__shfl_down_sync",
    "<thrust/device_vector.h>": "Write it as a kernel",
    "<cuda/atomic>": "atomicAdd",
    '"cuda/std/atomic"': "atomicAdd",
    "<cuda/semaphore>": "backend='cuda'",
    "<cooperative_groups/details/partitioning.h>": "backend='cuda'",
}


@pytest.mark.parametrize("header", HEADERS)
def test_headers_that_the_simulator_lacks(header):
    with pytest.raises(KernelError, match="is not supported by the simulator") as caught:
        compile_text(f"\n#include {header}\nvoid go() {{}}")
    assert (caught.value.kind, caught.value.line) == ("unsupported", 3)
    assert caught.value.source == f"#include {header}"
    assert header.strip('<>"') in str(caught.value) and HEADERS[header] in str(caught.value)


def test_a_refusal_shows_its_line_alone():
    for text in "__shared__ float s[3];", "#define TILE(n) __shared__ float n[32]", "#include <cublas_v2.h>":
        with pytest.raises(KernelError, match="is not supported by the simulator") as caught:
            compile_text(f"{text}\nvoid go() {{}}")
        assert (caught.value.line, caught.value.source) == (2, text)


@pytest.mark.parametrize("declaration", [
    "\n__shared__ float tile[32];\n",
    "namespace a::b {\nextern __shared__ float tile[];\n}\nusing a::b::tile;\n",
    'extern "C" {\n__shared__ float tile[32];\n}\n',
])  # fmt: skip
def test_shared_memory_outside_a_kernel(declaration):
    with pytest.raises(KernelError, match="`__shared__` outside a kernel is not supported") as caught:
        compile_text(declaration + "__global__ void k() { tile[0] = 1; }\nvoid go() { k<<<1, 1>>>(); }")
    assert (caught.value.kind, caught.value.line) == ("unsupported", 3)
    assert "Declare the array in the kernel" in str(caught.value)
