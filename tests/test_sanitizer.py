"""Planted bugs: each is named by kind, line, thread and block, and its correct twin stays silent."""

import re

import pytest
import torch
from planted_bugs import BUGS, CORRECT
from simulated import Kernel, compile_kernels, compile_text, line_of, read_kernels

from utils.errors import KernelError

PLANTED = read_kernels(BUGS, fill="empty")
SILENT = read_kernels(CORRECT, fill="empty")
_FIX = re.compile(r"^( *)(.*?) *// -> (.*)$", re.MULTILINE)


def twin(kernel: Kernel) -> Kernel:
    return Kernel(kernel.name, _FIX.sub(r"\1\3", kernel.body), kernel.launch, kernel.before, fill="empty")


def sixty_four() -> torch.Tensor:
    return torch.arange(64.0).view(8, 8)


@pytest.fixture(scope="module")
def buggy():
    return compile_kernels(PLANTED)


@pytest.fixture(scope="module")
def correct():
    return compile_kernels([*map(twin, PLANTED), *SILENT])


def expectations(kernel: Kernel) -> tuple[dict, str]:
    kind, *places = kernel.notes.split(", ")
    expected = {"kind": kind, "kernel": f"{kernel.name}_kernel"}
    for place in places:
        what, *numbers = place.split()
        expected[what] = tuple(map(int, numbers))
    return expected, re.search(r"^//: (.*)$", kernel.before + kernel.body, re.MULTILINE)[1]


@pytest.mark.parametrize("kernel", PLANTED, ids=lambda kernel: kernel.name)
def test_planted_bug_is_named(buggy, kernel):
    launcher = getattr(buggy, kernel.name)
    expected, words = expectations(kernel)
    if kernel.before:
        function = kernel.before.strip().split("\n")[-1]
        expected["line"] = 1 + launcher.source.parts[-1][1].split("\n").index(function)
    else:
        expected["line"] = line_of(launcher, "// <- here" if "// <- here" in kernel.body else "// ->")
    with pytest.raises(KernelError) as caught:
        launcher(sixty_four())
    error = caught.value
    assert {name: getattr(error, name) for name in expected} == expected, str(error)
    assert error.source == launcher.source.line(error.line).strip() and error.source in str(error)
    assert words in str(error)
    if "// <- other" in kernel.body:
        assert re.search(rf"line {line_of(launcher, '// <- other')}\b", str(error))


@pytest.mark.parametrize("kernel", [*PLANTED, *SILENT], ids=lambda kernel: kernel.name)
def test_correct_twin_is_silent(correct, kernel):
    getattr(correct, kernel.name)(sixty_four())


LAUNCH = """
__global__ void empty_kernel(float* y) {
    extern __shared__ float s[];
    if (y == nullptr) s[0] = 0;
}
__global__ void greedy_kernel(float* y) {
    __shared__ float a[10000], b[3000];
    a[0] = b[0] = y[0];
}
torch::Tensor launch(torch::Tensor x, std::vector<int64_t> g, std::vector<int64_t> b, int64_t bytes = 0) {
    empty_kernel<<<dim3(g[0], g[1], g[2]), dim3(b[0], b[1], b[2]), bytes>>>(x.data_ptr<float>());
    return x;
}
torch::Tensor launch_1d(torch::Tensor x, int64_t grid, int64_t block) {
    empty_kernel<<<grid, block>>>(x.data_ptr<float>());
    return x;
}
torch::Tensor greedy(torch::Tensor x) {
    greedy_kernel<<<1, 32>>>(x.data_ptr<float>());
    return x;
}
"""


@pytest.fixture(scope="module")
def launching():
    return compile_text(LAUNCH)


IMPOSSIBLE = {
    "2048 threads": (((1, 1, 1), (2048, 1, 1)), "a block of 2048 x 1 x 1 = 2048 threads: at most 1,024"),
    "64 x 32 threads": (((1, 1, 1), (64, 32, 1)), "a block of 64 x 32 x 1 = 2048 threads"),
    "z of a block": (((1, 1, 1), (1, 1, 128)), "z up to 64"),
    "no threads": (((1, 1, 1), (0, 1, 1)), "a block of 0 x 1 x 1 threads"),
    "no blocks": (((4, 0, 1), (32, 1, 1)), "a grid of 4 x 0 x 1 blocks: every dimension must be at least 1"),
    "grid y": (((1, 65536, 1), (32, 1, 1)), "y and z at most 65,535"),
    "grid z": (((1, 1, 70000), (32, 1, 1)), "y and z at most 65,535"),
    "shared memory": (
        ((1, 1, 1), (32, 1, 1), 49153),
        "49153 bytes of dynamic shared memory: more than 49,152 (48 KB)",
    ),
}


@pytest.mark.parametrize("case", IMPOSSIBLE)
def test_impossible_launches_are_refused(launching, case):
    arguments, words = IMPOSSIBLE[case]
    with pytest.raises(KernelError) as caught:
        launching.launch(torch.ones(3), *arguments)
    error = caught.value
    assert (error.kind, error.kernel, error.thread, error.block) == ("launch", "empty_kernel", None, None)
    assert error.source.startswith("empty_kernel<<<dim3(") and words in str(error)


@pytest.mark.parametrize("grid", [65535, 1])
def test_launches_at_the_limits(launching, grid):
    launching.launch(torch.ones(3), (1, grid, 1), (1, 1, 1), 49152)
    launching.launch(torch.ones(3), (70000, 1, 1), (1, 1, 1))
    launching.launch(torch.ones(3), (1, 1, 1), (16, 1, 64))


@pytest.mark.parametrize("grid", [-1, 1 << 32])
def test_a_grid_that_is_no_32_bit_number(launching, grid):
    with pytest.raises(KernelError, match="a grid of 4294967295 x 1 x 1 blocks") as caught:
        launching.launch_1d(torch.ones(3), grid, 32)
    assert caught.value.kind == "launch"


def test_too_much_static_shared_memory(launching):
    with pytest.raises(KernelError, match="52000 bytes of static __shared__ memory") as caught:
        launching.greedy(torch.ones(3))
    assert caught.value.kind == "launch" and caught.value.source == "__shared__ float a[10000], b[3000];"


MEMORY = """
__global__ void copy_kernel(const float* from, float* to) { to[threadIdx.x] = from[threadIdx.x]; }
torch::Tensor from_cpu(torch::Tensor x) {
    auto y = torch::zeros({4});
    copy_kernel<<<1, 4>>>(y.data_ptr<float>(), x.data_ptr<float>());
    return x;
}
torch::Tensor from_local(torch::Tensor x) {
    float here[4] = {1, 2, 3, 4};
    copy_kernel<<<1, 4>>>(here, x.data_ptr<float>());
    return x;
}
torch::Tensor from_view(torch::Tensor x, torch::Tensor second) {
    copy_kernel<<<1, 4>>>(second.data_ptr<float>(), x.data_ptr<float>());
    return x;
}
torch::Tensor freed(torch::Tensor x) {
    float* p;
    cudaMalloc(&p, 16);
    cudaMemcpy(p, x.data_ptr<float>(), 16, cudaMemcpyDeviceToDevice);
    copy_kernel<<<1, 4>>>(p, x.data_ptr<float>());
    cudaFree(p);
    copy_kernel<<<1, 4>>>(p, x.data_ptr<float>());
    return x;
}
torch::Tensor fresh(torch::Tensor x) {
    float* p;
    cudaMalloc(&p, 16);
    copy_kernel<<<1, 4>>>(p, x.data_ptr<float>());
    return x;
}
"""


@pytest.fixture(scope="module")
def memory():
    return compile_text(MEMORY)


@pytest.mark.parametrize("name", ["from_cpu", "from_local"])
def test_memory_of_the_host_is_nobodys(memory, name):
    with pytest.raises(KernelError, match="from the CPU") as caught:
        getattr(memory, name)(torch.ones(4))
    assert (caught.value.kind, caught.value.thread) == ("out-of-bounds", (0, 0, 0))


def test_the_rest_of_a_tensors_storage_is_out_of_bounds(memory):
    x = torch.arange(8.0)
    assert memory.from_view(torch.ones(4), x[4:]).tolist() == [4, 5, 6, 7]
    with pytest.raises(KernelError, match=r"reads second\[2\], 1 past the last of the 2 elements of second"):
        memory.from_view(torch.ones(4), x[4:6])


def test_cuda_malloc(memory):
    with pytest.raises(
        KernelError, match="byte 0 of memory of a cudaMalloc that cudaFree gave back"
    ) as caught:
        memory.freed(torch.ones(4))
    assert caught.value.kind == "out-of-bounds"
    with pytest.raises(KernelError, match="byte 0 of memory of a cudaMalloc|cudaMalloc") as caught:
        memory.fresh(torch.ones(4))
    assert caught.value.kind == "uninitialized-read"


@pytest.mark.parametrize("order", ["forward", "reverse", "random"])
def test_a_race_is_seen_in_every_order(buggy, correct, order):
    from utils.simulator import profile

    for name in ("no_barrier_after_the_load", "no_barrier_before_the_next_load", "within_a_warp"):
        with pytest.raises(KernelError) as caught:
            profile(getattr(buggy, name), sixty_four(), order=order, seed=3)
        assert caught.value.kind == "race"
        profile(getattr(correct, name), sixty_four(), order=order, seed=3)


def test_the_same_error_on_any_number_of_cores(buggy, monkeypatch):
    messages = set()
    for threads in "1", "2", "2", "7":
        monkeypatch.setenv("CONV_THREADS", threads)
        with pytest.raises(KernelError) as caught:
            buggy.same_output_from_two_blocks(sixty_four())
        messages.add(str(caught.value))
    assert len(messages) == 1
