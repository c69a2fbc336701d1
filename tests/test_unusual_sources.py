"""What C++ and CUDA allow and tutorials seldom show: it runs as on a GPU, or is refused in words."""

import pytest
import torch
from simulated import compile_text

from utils.errors import CompileError, KernelError

# y = name(x): adds 1 to each of 64 elements.
WORKS = {
    "recursion": """
__device__ int depth(int n) { return n == 0 ? 1 : depth(n - 1); }
__global__ void recursion_kernel(float* y) { y[threadIdx.x] += depth(threadIdx.x % 20); }
#launch recursion_kernel<<<1, 64>>>(y);""",
    "function_pointers": """
typedef float (*Step)(float);
__device__ float by_one(float v) { return v + 1; }
__device__ float by_none(float v) { return v; }
__global__ void function_pointers_kernel(float* y) {
    Step steps[2] = {by_none, by_one};
    y[threadIdx.x] = steps[1](steps[threadIdx.x % 1](y[threadIdx.x]));
}
#launch function_pointers_kernel<<<1, 64>>>(y);""",
    "struct_by_value": """
struct Problem { float* y; int sizes[3]; float step; };
__global__ void struct_by_value_kernel(const Problem p) { if (p.sizes[2] == 3) p.y[threadIdx.x] += p.step; }
#launch Problem p = {y, {1, 2, 3}, 1}; struct_by_value_kernel<<<1, 64>>>(p);""",
    "device_globals": """
__device__ int calls, table[4] = {0, 1, 2, 3};
__device__ float* kept;
__global__ void remember(float* y) { if (threadIdx.x == 0) kept = y, calls = 1; }
__global__ void recall() { kept[threadIdx.x] += table[calls]; }
#launch remember<<<1, 64>>>(y); recall<<<1, 64>>>();""",
    "symbols": """
__device__ int counter;
__global__ void count() { atomicAdd(&counter, 1); }
__global__ void symbols_kernel(float* y, int v) { y[threadIdx.x] += v; }
#launch int zero = 0, counted = 5;
    cudaMemcpyToSymbol(counter, &zero, sizeof(int));
    count<<<2, 32>>>();
    cudaMemcpyFromSymbol(&counted, counter, sizeof(int));
    symbols_kernel<<<1, 64>>>(y, counted / 64);""",
    "dynamic_of_two_types": """
__global__ void in_floats(float* y) {
    extern __shared__ float pool_of_floats[];
    pool_of_floats[threadIdx.x] = y[threadIdx.x];
    y[threadIdx.x] = pool_of_floats[threadIdx.x] + 0.5f;
}
__global__ void in_doubles(float* y) {
    extern __shared__ double pool_of_doubles[];
    pool_of_doubles[threadIdx.x] = y[threadIdx.x];
    y[threadIdx.x] = pool_of_doubles[threadIdx.x] + 0.5;
}
#launch in_floats<<<1, 64, 64 * 4>>>(y); in_doubles<<<1, 64, 64 * 8>>>(y);""",
    "templated_shared_size": """
template <class T, int N, int PAD> __global__ void templated_kernel(T* y) {
    __shared__ T tile[N][N + PAD];
    tile[threadIdx.y][threadIdx.x] = y[threadIdx.y * N + threadIdx.x];
    __syncthreads();
    const bool right = sizeof(tile) == sizeof(T) * N * (N + PAD);
    y[threadIdx.y * N + threadIdx.x] = tile[threadIdx.y][threadIdx.x] + right;
}
#launch templated_kernel<float, 8, 1><<<1, dim3(8, 8)>>>(y);""",
    "lambda_in_a_kernel": """
__global__ void lambda_in_a_kernel_kernel(float* y) {
    const int i = threadIdx.x;
    auto add = [&](float v) { y[i] += v; };
    auto twice = [=](auto f) { f(0.25f); f(0.25f); };
    twice(add);
    twice(add);
}
#launch lambda_in_a_kernel_kernel<<<1, 64>>>(y);""",
    "kernel_as_template_argument": """
__global__ void one_more(float* y) { y[threadIdx.x] += 1; }
template <void (*Kernel)(float*)> void launch_it(float* y) { Kernel<<<1, 64>>>(y); }
#launch launch_it<one_more>(y);""",
    "default_arguments": """
__global__ void default_arguments_kernel(float* y, float a = 0.5f, int b = 2) { y[threadIdx.x] += a * b; }
#launch default_arguments_kernel<<<1, 64>>>(y);""",
    "overloaded": """
namespace first { __global__ void add(float* y, int v) { y[threadIdx.x] += v; } }
namespace second { using first::add; __global__ void add(float* y, float v) { y[threadIdx.x] += v + 5; } }
#launch second::add<<<1, 64>>>(y, 1);""",
    "host_helper": """
__global__ void host_helper_kernel(float* y, int n) {
    const int i = blockIdx.x * 16 + threadIdx.x;
    if (i < n) y[i] += 1;
}
static dim3 blocks_for(int n, int block) { return dim3((n + block - 1) / block); }
static void launch_for(float* y, int n) { host_helper_kernel<<<blocks_for(n, 16), 16>>>(y, n); }
#launch launch_for(y, 64);""",
    "launch_in_a_loop": """
__global__ void quarter(float* y) { y[threadIdx.x] += 0.25f; }
#launch for (int k = 0; k < 4; ++k) quarter<<<1, 64>>>(y);""",
    "variables_named_like_built_ins": """
__global__ void named_kernel(float* y) { y[blockDim.x * blockIdx.x + threadIdx.x] += gridDim.x == 4; }
void launch_with(dim3 gridDim, const dim3& blockDim, float* y) { named_kernel<<<gridDim, blockDim>>>(y); }
__global__ void after_it(float* y) { y[threadIdx.x] += blockDim.x - 64; }
#launch dim3 blockDim(16), gridDim((64 + blockDim.x - 1) / blockDim.x);
    if (gridDim.x == 4) { dim3 blockIdx = blockDim; launch_with(gridDim, blockIdx, y); }
    after_it<<<1, 64>>>(y);""",
    "much_dynamic_memory": """
__global__ void much(float* y) {
    extern __shared__ float all_of_it[];
    all_of_it[51199 - threadIdx.x] = y[threadIdx.x];
    __syncthreads();
    y[threadIdx.x] = all_of_it[51199 - threadIdx.x] + 1;
}
#launch cudaFuncSetAttribute(much, cudaFuncAttributeMaxDynamicSharedMemorySize, 204800);
    much<<<1, 64, 204800>>>(y);""",
    "many_blocks_in_x": """
__global__ void many_blocks_in_x_kernel(float* y) { if (blockIdx.x >= 69936) y[blockIdx.x - 69936] += 1; }
#launch many_blocks_in_x_kernel<<<70000, 1>>>(y);""",
    "words_like_a_launch": """
// k<<<1, 1>>>(y); "
/* k<<<1, 1>>>(y); */
#define SHIFTED(a) ((a) << 1 >> 1)
const char* text = "k<<<grid, block>>>(y) // not a comment";
__global__ void words_like_a_launch_kernel(float* y) { y[threadIdx.x] += SHIFTED(1); }
#launch if (text[0] == 'k' && '<' != '"') words_like_a_launch_kernel<<<1, 1 << 6>>>(y);""",
    "a_class_with_operators": """
struct Complex {
    float re, im;
    __host__ __device__ Complex(float re = 0, float im = 0) : re(re), im(im) {}
    __host__ __device__ Complex operator*(const Complex& o) const {
        return {re * o.re - im * o.im, re * o.im + im * o.re};
    }
    __host__ __device__ float& operator[](int i) { return i ? im : re; }
};
__global__ void a_class_with_operators_kernel(float* y) {
    __shared__ int count;
    if (threadIdx.x == 0) count = 0;
    Complex i(0, 1), square = i * i;
    y[threadIdx.x] -= square[0];
}
#launch a_class_with_operators_kernel<<<1, 64>>>(y);""",
    "goto_and_do": """
__global__ void goto_and_do_kernel(float* y) {
    int k = 0;
again:
    do { y[threadIdx.x] += 0.25f; } while (++k % 2);
    if (k < 4) goto again;
}
#launch goto_and_do_kernel<<<1, 64>>>(y);""",
}


def launcher_text(name: str, text: str) -> str:
    before, launch = text.split("#launch ")
    return f"""{before}
torch::Tensor {name}(torch::Tensor x) {{
    float* y = x.data_ptr<float>();
    {launch}
    return x;
}}
"""


@pytest.fixture(scope="module", params=[True, False], ids=["checked", "quick"])
def works(request):
    return compile_text("".join(launcher_text(*item) for item in WORKS.items()), checked=request.param)


@pytest.mark.parametrize("name", WORKS)
def test_it_runs_as_on_a_gpu(works, name):
    assert getattr(works, name)(torch.zeros(64)).tolist() == [1.0] * 64


REFUSED = {
    "200 KB without the attribute": (
        "__global__ void k(float* y) {}\n#launch k<<<1, 64, 204800>>>(y);",
        "launch",
        "204800 bytes of dynamic shared memory: more than 49,152 .48 KB. need cudaFuncSetAttribute",
    ),
    "a kernel that launches": (
        "__global__ void k(float* y) {}\n__global__ void outer(float* y) { k<<<1, 1>>>(y); }\n"
        "#launch outer<<<1, 1>>>(y);",
        "unsupported",
        "dynamic parallelism",
    ),
    "endless recursion": (
        "__device__ int deeper(int n) { volatile int v = n; return deeper(n + 1) + v; }\n"
        "__global__ void k(float* y) { y[0] = deeper(0); }\n#launch k<<<1, 1>>>(y);",
        "out-of-bounds",
        "endless recursion",
    ),
    "a null function pointer": (
        "__global__ void k(float* y) { float (*volatile f)(float) = nullptr; y[0] = f(1); }\n"
        "#launch k<<<1, 1>>>(y);",
        "out-of-bounds",
        "calls a function at address 0x0",
    ),
    "a jump into nowhere": (
        "typedef float (*Function)(float);\n"
        "__global__ void k(float* y) { volatile Function f = (Function)0x1234; y[0] = f(1); }\n"
        "#launch k<<<1, 1>>>(y);",
        "out-of-bounds",
        "calls a function at address 0x1234",
    ),
    "a copy from nowhere": (
        "__global__ void k(float* y) { memcpy(y, (const void*)(64 + threadIdx.x), 4000); }\n"
        "#launch k<<<1, 1>>>(y);",
        "out-of-bounds",
        r"line 2: .*touched address 0x[0-9a-f]+, which is nobody's memory",
    ),
    "a copy of the launcher from nowhere": (
        "#launch volatile size_t n = 4000; memcpy(y, (const void*)(n / 50), n);",
        "out-of-bounds",
        r"line 5: .*the launcher \(host code, not a kernel\) touched address 0x",
    ),
    "a call of the launcher into nowhere": (
        "#launch volatile auto f = (void (*)())0x77; f();",
        "out-of-bounds",
        r"line 5: .*the launcher \(host code, not a kernel\) calls a function at address 0x77",
    ),
    "a copy past the end": (
        "#launch cudaMemset(y, 0, x.numel() * 4 + 4);",
        "launch",
        "cudaErrorInvalidValue",
    ),
    "an unknown device": ("#launch cudaSetDevice(3);", "launch", "cudaErrorInvalidDevice"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("checked", [True, False])
def test_it_is_refused_in_words(case, checked):
    text, kind, words = REFUSED[case]
    module = compile_text(launcher_text("go", text), checked=checked)
    with pytest.raises(KernelError, match=words) as caught:
        module.go(torch.zeros(64))
    assert caught.value.kind == kind
    assert caught.value.kernel is None or "line" in str(caught.value)


NOT_CUDA = {
    "a kernel in a class": (
        "struct Adder {\n    static __global__ void run(float* y) { y[0] = 1; }\n};",
        3,
        "a __global__ function cannot be a member of a class",
    ),
    "dynamic memory of two types": (
        "__global__ void a(float* y) { extern __shared__ float s[]; y[0] = s[0]; }\n"
        "__global__ void b(float* y) { extern __shared__ double s[]; y[0] = s[0]; }",
        3,
        "s is declared as double here and as float before",
    ),
    "a kernel with a result": ("__global__ int k(float* y) { return 1; }", 2, "must return void"),
}


@pytest.mark.parametrize("case", NOT_CUDA)
def test_what_nvcc_refuses_is_refused(case):
    text, line, words = NOT_CUDA[case]
    with pytest.raises(CompileError, match=words) as caught:
        compile_text(f"{text}\nvoid go() {{}}")
    assert caught.value.line == line


FORMATS = r"""
__global__ void say() {
    int y;
    const char* word = "word";
    printf("%d|%i|%u|%o|%x|%X|%c|%s|%%\n", -1, 2, 3u, 8, 255, 255, 'c', word);
    printf("%5d|%-5d|%05d|%+d|% d|%#x|%*d|%.3s|%8s|%-8s|\n", 42, 42, 42, 42, 42, 42, 6, 42, word,
           word, word);
    printf("%f|%e|%E|%g|%G|%.2f|%8.3f|%-8.1f|%+.1e\n", 1.5f, 1.5, 1.5, 1e-10, 1e10, 2.345,
           2.345, 2.345, 12345.0);
    printf("%ld|%lu|%lld|%llu|%hd|%hhd|%zu\n", -5L, 5UL, 1LL << 40, ~0ULL, (short)7, (char)8, sizeof y);
    printf("%s %d %s %d\n", "thread", threadIdx.x, "of", blockDim.x);
    printf("no newline ");
    printf("\n");
}
void go() { say<<<1, 1>>>(); }
"""
PRINTED = """-1|2|3|10|ff|FF|c|word|%
   42|42   |00042|+42| 42|0x2a|    42|wor|    word|word    |
1.500000|1.500000e+00|1.500000E+00|1e-10|1E+10|2.35|   2.345|2.3     |+1.2e+04
-5|5|1099511627776|18446744073709551615|7|8|4
thread 0 of 1
no newline \n"""


@pytest.mark.parametrize("checked", [True, False])
def test_printf_knows_every_format(checked, capsys):
    compile_text(FORMATS, checked=checked).go()
    assert capsys.readouterr().out.splitlines() == PRINTED.splitlines()


def test_parameters_may_have_pythons_keywords_as_names():
    text = launcher_text("go", "#launch ;").replace("torch::Tensor x", "torch::Tensor in, int64_t lambda = 3")
    module = compile_text(text.replace("x.data_ptr", "in.data_ptr").replace("return x", "return in"))
    assert module.go(torch.ones(2), **{"lambda": 4}).tolist() == [1, 1]


def test_the_clock_goes_on():
    module = compile_text("""
#include <time.h>
__global__ void k(long long* y) {
    const clock_t before = clock();
    const long long start = clock64();
    __nanosleep(10);
    y[0] = clock64() - start, y[1] = clock() - before;
}
torch::Tensor go(torch::Tensor x) { k<<<1, 1>>>((long long*)x.data_ptr<int64_t>()); return x; }
""")
    ticks = module.go(torch.zeros(2, dtype=torch.int64)).tolist()
    assert ticks[0] > 0 and ticks[1] >= 0
