"""Planted bugs: each is named by kind, line, thread and block, and its correct twin stays silent."""

import re

import pytest
import torch
from sanitizer_table import argument, correct, error_of, expected, planted
from simulated import compile_kernels, compile_text, twin

from utils.errors import KernelError
from utils.simulator import profile

PLANTED, SILENT = planted(), correct()


@pytest.fixture(scope="module")
def buggy():
    return compile_kernels(PLANTED)


@pytest.fixture(scope="module")
def right():
    return compile_kernels([*map(twin, PLANTED), *SILENT])


@pytest.mark.parametrize("kernel", PLANTED, ids=lambda kernel: kernel.name)
def test_planted_bug_is_named(buggy, kernel):
    launcher = getattr(buggy, kernel.name)
    want, error = expected(kernel, launcher), error_of(launcher, argument(kernel))
    assert error is not None, "silent"
    named = (error.kind, error.line, error.thread, error.block)
    assert named == (want.kind, want.line, want.thread, want.block), str(error)
    assert error.kernel == (f"{kernel.name}_kernel" if want.thread else None)
    assert error.source == launcher.source.line(error.line).strip() and error.source in str(error)
    assert want.words in str(error)
    assert want.other_line is None or re.search(rf"line {want.other_line}\b", str(error))


@pytest.mark.parametrize("order, seed", [("reverse", 0), ("random", 1), ("random", 2)])
def test_every_order_names_the_same_kind(buggy, order, seed):
    kinds = {k.name: error_of(getattr(buggy, k.name), argument(k), order, seed) for k in PLANTED}
    different = {
        kernel.name: str(kinds[kernel.name])
        for kernel in PLANTED
        if getattr(kinds[kernel.name], "kind", None) != kernel.notes.split(",")[0]
    }
    assert different == {}


@pytest.mark.parametrize("kernel", [*map(twin, PLANTED), *SILENT], ids=lambda kernel: kernel.name)
def test_correct_twin_is_silent(right, kernel):
    launcher = getattr(right, kernel.name)
    for order, seed in ("forward", 0), ("reverse", 0), ("random", 1), ("random", 2):
        profile(launcher, argument(kernel), order=order, seed=seed)


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


@pytest.mark.parametrize(
    "name, words", [("from_cpu", "which is on the CPU"), ("from_local", "variable of the laun")]
)
def test_memory_of_the_host_is_off_limits(memory, name, words):
    with pytest.raises(KernelError, match=words) as caught:
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


def test_the_same_error_on_any_number_of_cores(buggy, monkeypatch):
    messages = set()
    for threads in "1", "2", "2", "7":
        monkeypatch.setenv("CONV_THREADS", threads)
        with pytest.raises(KernelError) as caught:
            buggy.same_output_from_two_blocks(torch.arange(64.0).view(8, 8))
        messages.add(str(caught.value))
    assert len(messages) == 1


WIDE = """
__global__ void wide_kernel(const float* x, float* y) {
    const float4 v = reinterpret_cast<const float4*>(x)[threadIdx.x];
    y[threadIdx.x] = v.x + v.y + v.z + v.w;
}
torch::Tensor wide(torch::Tensor x) {
    auto y = torch::empty({2}, x.options());
    wide_kernel<<<1, 2>>>(x.data_ptr<float>(), y.data_ptr<float>());
    return y;
}
"""


@pytest.mark.parametrize(
    "first, last, words",
    [
        (0, 7, r"reads 16 bytes from x\[4\] on, up to x\[7\], 1 past the last of the 7 elements of x"),
        (0, 4, r"reads x\[4\], 1 past the last of the 4 elements of x"),
        (
            1,
            9,
            r"16 bytes at byte 0 of x \(.*\), which itself begins 4 bytes behind a multiple of 16: an access",
        ),
    ],
)
def test_a_wide_access_that_ends_outside_or_begins_with_its_tensor(first, last, words):
    wide = compile_text("#include <torch/extension.h>" + WIDE, name="wide").wide
    with pytest.raises(KernelError, match=words):
        wide(torch.arange(9.0)[first:last])


FAR = """
__global__ void far_kernel(const float* x, float* y, int d) {
    __shared__ float tile[32];
    tile[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    y[threadIdx.x] = tile[int(threadIdx.x) + d];
}
torch::Tensor far(torch::Tensor x, int64_t d) {
    auto y = torch::empty_like(x);
    far_kernel<<<1, 32>>>(x.data_ptr<float>(), y.data_ptr<float>(), d);
    return y;
}
"""


@pytest.mark.parametrize("distance", [-1, -2_000, -100_000, 100, 20_000])
def test_an_index_far_outside_a_shared_array_is_said_to_be_its(distance):
    far = compile_text("#include <torch/extension.h>" + FAR, name="far").far
    with pytest.raises(KernelError, match=f"reads element {distance} of tile in shared memory, which has 32"):
        far(torch.zeros(32), distance)
