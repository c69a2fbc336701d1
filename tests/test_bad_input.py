"""Whatever a learner's cell does: one clear message, and the session goes on."""

import _thread
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
import torch
from simulated import compile_text

from utils.errors import CompileError, KernelError

ROOT = Path(__file__).resolve().parent.parent

CRASHES = """
#include <stdlib.h>
#include <stdexcept>
#include <vector>

__global__ void good(float* y) { y[threadIdx.x] += 1; }
torch::Tensor add_one(torch::Tensor x) {
    good<<<1, 4>>>(x.data_ptr<float>());
    return x;
}

__global__ void reads_past(const float* x, float* y) { y[threadIdx.x] = x[threadIdx.x + 1]; }
void read_past(torch::Tensor x) {
    auto y = torch::empty({4}, x.options());
    reads_past<<<1, 4>>>(x.data_ptr<float>(), y.data_ptr<float>());
}

__global__ void touches(float* p) { *p = 1; }
void wild_pointer(torch::Tensor x) { touches<<<1, 1>>>((float*)16); }

__global__ void loops(volatile float* y) { while (y[0] < 1e9f) {} }
void loop(torch::Tensor x) { loops<<<2, 40>>>(x.data_ptr<float>()); }

__global__ void spins(int n) { for (volatile int k = 0; k < n;) {} }
void loop_without_memory(torch::Tensor x) { spins<<<1, 1>>>(1); }

__global__ void meets() { while (true) __syncthreads(); }
void loop_with_barrier(torch::Tensor x) { meets<<<1, 64>>>(); }

__global__ void shuffles() { while (true) __shfl_sync(0xffffffff, 1, 0); }
void loop_with_shuffle(torch::Tensor x) { shuffles<<<1, 64>>>(); }

__global__ void prints() { while (true) printf("again\\n"); }
void loop_with_printf(torch::Tensor x) { prints<<<1, 1>>>(); }

__global__ void waits(int* flag) { while (atomicAdd(flag, 0) == 0) {} }
void loop_with_atomic(torch::Tensor x) { waits<<<1, 3>>>((int*)x.data_ptr<float>()); }

void host_loop(torch::Tensor x) { for (volatile int k = 0; k < 1;) {} }

__global__ void divides(int* y, int n) { y[0] = 5 / n; }
void divide(torch::Tensor x) { divides<<<1, 1>>>((int*)x.data_ptr<float>(), x.numel() - 4); }
__global__ void remainders(int* y, int n) { y[0] = 5 % n; }
void remainder_of_zero(torch::Tensor x) { remainders<<<1, 1>>>((int*)x.data_ptr<float>(), x.numel() - 4); }
int64_t host_divide(torch::Tensor x) { return 5 / (x.numel() - 4); }

__device__ int deeper(int n) {
    volatile int room[64];
    room[n % 64] = n;
    return n < 0 ? 0 : deeper(n + 1) + room[3];
}
__global__ void recurses(int* y) { y[0] = deeper(threadIdx.x); }
void overflow(torch::Tensor x) { recurses<<<1, 2>>>((int*)x.data_ptr<float>()); }
int host_deeper(int n) {
    volatile int room[64];
    room[n % 64] = n;
    return n < 0 ? 0 : host_deeper(n + 1) + room[3];
}
int64_t host_overflow(torch::Tensor x) { return host_deeper(x.numel()); }

__global__ void exits() { exit(3); }
void call_exit(torch::Tensor x) { exits<<<1, 1>>>(); }
__global__ void aborts() { abort(); }
void call_abort(torch::Tensor x) { aborts<<<1, 1>>>(); }
void host_exit(torch::Tensor x) { exit(4); }
void host_abort(torch::Tensor x) { abort(); }

__global__ void asserts() { assert(threadIdx.x < 3); }
void fail_assert(torch::Tensor x) { asserts<<<1, 8>>>(); }
__global__ void traps() { if (threadIdx.x == 1) __trap(); }
void trap(torch::Tensor x) { traps<<<1, 8>>>(); }

void host_segfault(torch::Tensor x) { *(volatile int*)8 = 1; }
void host_throw(torch::Tensor x) { throw std::runtime_error("my own words"); }
void host_vector(torch::Tensor x) { std::vector<int>().at(7); }
void no_memory(torch::Tensor x) { torch::empty({1ll << 50}, x.options()); }

__global__ void nests() { good<<<1, 1>>>(nullptr); }
void launch_in_kernel(torch::Tensor x) { nests<<<1, 1>>>(); }

__global__ void throws() { throw std::runtime_error("my own words"); }
void throw_in_kernel(torch::Tensor x) { throws<<<1, 2>>>(); }
"""


@pytest.fixture(scope="module")
def checked():
    return compile_text(CRASHES)


@pytest.fixture(scope="module")
def quick():
    return compile_text(CRASHES, checked=False)


@pytest.fixture(params=["checked", "quick"])
def module(request):
    """Whatever a test does with it, a correct call works afterwards."""
    module = request.getfixturevalue(request.param)
    yield module
    assert module.add_one(torch.zeros(4)).tolist() == [1, 1, 1, 1]


CRASH = {
    "wild_pointer": ("out-of-bounds", "touches", "0x10"),
    "divide": ("unsupported", "divides", "divides an integer by zero"),
    "remainder_of_zero": ("unsupported", "remainders", "divides an integer by zero"),
    "overflow": ("out-of-bounds", "recurses", "thread (0, 0, 0) of block (0, 0, 0) overflowed its stack"),
    "call_exit": ("unsupported", "exits", "exit() was called: it would end the whole notebook"),
    "call_abort": ("unsupported", "aborts", "abort() was called"),
    "fail_assert": ("launch", "asserts", "thread (3, 0, 0) of block (0, 0, 0): assertion failed: threadIdx"),
    "trap": ("launch", "traps", "thread (1, 0, 0)"),
    "launch_in_kernel": ("unsupported", "nests", "A launch from inside a kernel (dynamic parallelism)"),
    "throw_in_kernel": ("unsupported", "throws", "A C++ exception inside a kernel (my own words)"),
    "host_divide": ("unsupported", None, "the launcher divides an integer by zero"),
    "host_segfault": ("out-of-bounds", None, "the launcher (host code, not a kernel) touched address 0x8"),
    "host_overflow": ("out-of-bounds", None, "the launcher"),
    "host_exit": ("unsupported", None, "exit() was called"),
    "host_abort": ("unsupported", None, "abort() was called"),
}  # fmt: skip


@pytest.mark.parametrize("name", CRASH)
def test_a_crash_is_one_message(module, name):
    kind, kernel, words = CRASH[name]
    with pytest.raises(KernelError) as caught:
        getattr(module, name)(torch.zeros(4))
    error = caught.value
    assert (error.kind, error.kernel) == (kind, kernel)
    assert words in str(error) and len(str(error)) < 500
    assert name == "throw_in_kernel" or error.source in str(error)


def test_reading_past_a_tensor(checked, quick):
    with pytest.raises(KernelError, match=r"reads x\[4\], 1 past the last"):
        checked.read_past(torch.zeros(4))
    quick.read_past(torch.zeros(8)[:4])  # not checked, not seen
    assert checked.add_one(torch.zeros(4)).tolist() == [1, 1, 1, 1]


LOOPS = [
    "loop",
    "loop_without_memory",
    "loop_with_barrier",
    "loop_with_shuffle",
    "loop_with_printf",
    "loop_with_atomic",
    "host_loop",
]


@pytest.mark.parametrize("name", LOOPS)
def test_an_endless_loop_is_stopped(module, name, monkeypatch, capsys):
    monkeypatch.setenv("CONV_TIMEOUT", "0.2")
    before = time.monotonic()
    with pytest.raises(KernelError, match="still running when the time was up") as caught:
        getattr(module, name)(torch.zeros(4))
    assert caught.value.kind == "timeout" and time.monotonic() - before < 3
    assert (caught.value.kernel is None) == (name == "host_loop")
    assert len(capsys.readouterr().out) < 1_100_000


@pytest.mark.parametrize("name", ["loop", "loop_without_memory", "loop_with_barrier", "host_loop"])
def test_an_interrupt_stops_the_kernel(module, name):
    pressed = []

    def press():
        pressed.append(time.monotonic())
        _thread.interrupt_main()

    threading.Timer(0.3, press).start()
    with pytest.raises(KeyboardInterrupt):
        getattr(module, name)(torch.zeros(4))
    assert time.monotonic() - pressed[0] < 1


@pytest.mark.parametrize("name, words", [
    ("host_throw", "^my own words$"),
    ("host_vector", "vector"),
    ("no_memory", "(?i)memory|alloc"),
])  # fmt: skip
def test_an_exception_of_the_launcher_is_a_runtime_error(module, name, words):
    with pytest.raises(RuntimeError, match=words) as caught:
        getattr(module, name)(torch.zeros(4))
    assert not isinstance(caught.value, KernelError)


def test_calls_from_several_threads_do_not_mix(checked):
    results = {}

    def work(number):
        try:
            if number % 2:
                checked.read_past(torch.zeros(4 + number))
            results[number] = checked.add_one(torch.full((4,), float(number))).tolist()
        except KernelError as error:
            results[number] = error.kind

    threads = [threading.Thread(target=work, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert results == {n: [n + 1.0] * 4 for n in range(8)}


SYNTAX = {
    "semicolon": ("float v = 1\n    y[0] = v;", 6, "expected ',' or ';' before 'y'"),
    "unknown name": ("y[theradIdx.x] = 1;", 5, "'theradIdx' was not declared"),
    "brace": ("if (y) { y[0] = 1;", 7, "a function-definition is not allowed here"),
    "unknown function": ("y[0] = tahn(1);", 5, "'tahn' was not declared"),
    "string": ('printf("no end);', 5, "expected"),
    "python": ("for k in range(3): y[k] = 1", 5, "expected"),
}


@pytest.mark.parametrize("case", SYNTAX)
def test_a_syntax_error_names_the_line_and_leaves_no_file(case, tmp_path):
    body, line, words = SYNTAX[case]
    text = f"""
__global__ void k(float* y) {{
    // the kernel
    {body}
}}
void go(torch::Tensor x) {{ k<<<1, 1>>>(x.data_ptr<float>()); }}
"""
    with pytest.raises(CompileError) as caught:
        compile_text(text, build_directory=tmp_path)
    assert caught.value.line == line and words in str(caught.value)
    assert len(str(caught.value).split("\n")) < 9 and str(ROOT) not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_two_notebooks_run_the_same_kernel_at_once(tmp_path):
    script = textwrap.dedent(f"""
        import sys
        sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "tests")!r}]
        import torch
        from simulated import Kernel, compile_kernels
        kernel = Kernel("twice", "y[i] = 2 * x[i];")
        print(compile_kernels([kernel], build_directory={str(tmp_path)!r}).twice(torch.ones(32)).sum().item())
    """)
    command = [sys.executable, "-c", script]
    both = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)
    ]
    for process in both:
        out, err = process.communicate(timeout=120)
        assert (process.returncode, out) == (0, "64.0\n"), err
    assert [path.suffix for path in tmp_path.iterdir()] == [".so"]


def test_a_crash_in_quick_mode_names_the_line(quick):
    with pytest.raises(KernelError, match="checked=True") as caught:
        quick.wild_pointer(torch.zeros(4))
    assert caught.value.source.startswith("__global__ void touches") and caught.value.thread == (0, 0, 0)


DECLARATIONS = {
    "initialised": ("__shared__ float s[4] = {0};", "a __shared__ variable cannot be initialised"),
    "initialised in braces": ("__shared__ int s{0};", "a __shared__ variable cannot be initialised"),
    "size known at run time": ("__shared__ float s[n];", "the size of an array must be a constant"),
    "local size known at run time": ("float s[n]; s[0] = 1;", "the size of an array must be a constant"),
}


@pytest.mark.parametrize("case", DECLARATIONS)
def test_declarations_that_cuda_refuses(case):
    declaration, words = DECLARATIONS[case]
    with pytest.raises(CompileError) as caught:
        compile_text(f"__global__ void k(int n) {{\n    {declaration}\n}}\nvoid go() {{ k<<<1, 1>>>(4); }}")
    assert words in str(caught.value) and caught.value.line == 3
    assert declaration in str(caught.value)


@pytest.mark.parametrize("expression", ["x + 1", "x * x", "x - x"])
def test_arithmetic_on_tensors_is_refused_by_name(expression):
    with pytest.raises(CompileError, match="of tensors is not in the course.s torch header"):
        compile_text(f"torch::Tensor go(torch::Tensor x) {{ return {expression}; }}")


MESSAGES = """
__global__ void dynamic_kernel(float* y) { extern __shared__ float s[]; s[0] = 1; y[0] = s[0]; }
void dynamic(torch::Tensor x) { dynamic_kernel<<<1, 1>>>(x.data_ptr<float>()); }
void huge(torch::Tensor x) {
    cudaFuncSetAttribute(dynamic_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, 300000);
    dynamic_kernel<<<1, 1, 300000>>>(x.data_ptr<float>());
}
__global__ void everybody_kernel(float* y) { __shared__ int n; n = 5; __syncthreads(); y[threadIdx.x] = n; }
void everybody(torch::Tensor x) { everybody_kernel<<<1, 32>>>(x.data_ptr<float>()); }
__global__ void bins_kernel(float* y) { y[threadIdx.x % 4] += 1; }
void bins(torch::Tensor x) { bins_kernel<<<1, 64>>>(x.data_ptr<float>()); }
__global__ void spin_kernel(float* y) {
    if (threadIdx.x == 31)
        while (atomicAdd(&y[0], 0.0f) == 0) {
        }
    __syncthreads();
}
void spin(torch::Tensor x) { spin_kernel<<<1, 32>>>(x.data_ptr<float>()); }
"""


@pytest.fixture(scope="module")
def messages():
    return compile_text(MESSAGES)


@pytest.mark.parametrize(
    "name, words",
    [
        ("dynamic", "the launch asks for no dynamic shared memory"),
        ("huge", r"300000 bytes of dynamic shared memory, more than the 232448 \(227 KB\)"),
        ("everybody", "let one thread write the element"),
        ("bins", r"or use an atomic operation such as atomicAdd\(\)"),
    ],
)
def test_what_to_do_is_said(messages, name, words):
    with pytest.raises(KernelError, match=words):
        getattr(messages, name)(torch.zeros(64))


def test_a_timeout_names_who_still_runs(messages, monkeypatch):
    monkeypatch.setenv("CONV_TIMEOUT", "0.5")
    with pytest.raises(KernelError) as caught:
        messages.spin(torch.zeros(64))
    assert (caught.value.kind, caught.value.thread) == ("timeout", (31, 0, 0))
    assert "atomicAdd" in caught.value.source
