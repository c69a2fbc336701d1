"""Theoretical occupancy against counts by hand, NVIDIA's own calculator and a GPU; resources against nvcc."""

import itertools
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from simulated import compile_text

import utils
from utils.compiling import find_cxx
from utils.errors import CompileError
from utils.gpus import GPUS, _limits, occupancy
from utils.inline import backends, find_nvcc, load_inline, ptxas, resources
from utils.simulator import profile

needs_nvcc = pytest.mark.skipif(find_nvcc() is None, reason="nvcc is not here")
needs_gpu = pytest.mark.skipif(not (backends.gpu_available() and find_nvcc()), reason="needs a GPU and nvcc")


def launch(threads, shared=0, name="kernel", dynamic=0):
    block = (threads, 1, 1) if isinstance(threads, int) else threads
    return SimpleNamespace(
        name=name, block=block, static_shared=shared, dynamic_shared=dynamic, shared_bytes=shared + dynamic
    )


@pytest.mark.parametrize(
    "gpu, threads, registers, shared, blocks, percent, limited_by",
    [
        # 64 x 32 = 2,048 registers a warp; a partition of 16,384 has room for 8 warps, the four for 32.
        ("H200", 256, 64, 0, 4, 50, "registers"),
        ("H100", 256, 64, 0, 4, 50, "registers"),
        ("A100", 256, 64, 0, 4, 50, "registers"),
        ("T4", 256, 64, 0, 4, 100, "warps registers"),
        ("H200", 256, 32, 0, 8, 100, "warps registers"),
        # 33 x 32 = 1,056, rounded up to 1,280: 12 warps a partition, 48 in all, and one block of 32 warps.
        ("H200", 1024, 33, 0, 1, 50, "registers"),
        # 40 x 32 = 1,280 as well: 48 warps are six blocks of 8.
        ("H200", (32, 8, 1), 40, 0, 6, 75, "registers"),
        # 65 x 32 = 2,080, rounded up to 2,304; 32 such warps are over 65,536: the launch fails.
        ("H200", 1024, 65, 0, 0, 0, "registers"),
        # 255 x 32 rounds up to 8,192: two warps a partition. Three warps count as four when a block starts.
        ("H200", 96, 255, 0, 2, 9, "registers"),
        # A block of one warp: 32 blocks fill half the slots for warps of an H200, 16 half of a T4's.
        ("H200", 32, 16, 0, 32, 50, "blocks"),
        ("T4", 32, 16, 0, 16, 50, "blocks"),
        ("T4", 1024, 32, 0, 1, 100, "warps"),
        # 33 threads are two warps.
        ("H200", 33, 16, 0, 32, 100, "warps blocks"),
        # 32 KB and CUDA's own 1 KB: 164 / 33 is 4.97, where 164 / 32 would be 5.
        ("A100", 128, 32, 32 * 1024, 4, 25, "shared memory"),
        ("H200", 128, 32, 48 * 1024, 4, 25, "shared memory"),
        ("T4", 128, 32, 32 * 1024, 2, 25, "shared memory"),
        ("H200", 128, 32, 227 * 1024, 1, 6, "shared memory"),
        ("H200", 128, 32, 227 * 1024 + 1, 0, 0, "shared memory"),
        ("T4", 128, 32, 65 * 1024, 0, 0, "shared memory"),
    ],
)
def test_counted_by_hand(gpu, threads, registers, shared, blocks, percent, limited_by):
    found = occupancy(launch(threads, shared), gpu, registers)
    assert (found.blocks, round(100 * found.fraction)) == (blocks, percent)
    assert set(found.limited_by) == ({"shared memory"} if "shared" in limited_by else set(limited_by.split()))


def test_what_it_says():
    assert str(occupancy(launch(256), "H200", 64)) == (
        "kernel on H200: 4 blocks a multiprocessor, 32 of 64 warps (50%), limited by registers"
    )
    assert str(occupancy(launch(256), "T4")) == (
        "kernel on T4: at most 4 blocks a multiprocessor, 32 of 32 warps (100%), limited by warps; its "
        "registers are not known"
    )
    assert repr(occupancy(launch(1024), "H200", 65)) == (
        "kernel on H200: not one block fits, for want of registers"
    )
    assert "1 block a multiprocessor" in str(occupancy(launch(1024), "H200", 64))
    assert utils.occupancy is occupancy and utils.resources is resources


def test_bad_input():
    with pytest.raises(
        ValueError, match="the limits of 'B300' are not known here; choose T4, A100, H100, H200"
    ):
        occupancy(launch(32), "B300")
    for registers in (0, 256):
        with pytest.raises(ValueError, match=f"has 1 to 255 registers, not {registers}"):
            occupancy(launch(32), "H200", registers)
    with pytest.raises(ValueError, match="the profile has 2 launches: choose one"):
        occupancy([launch(32), launch(32)])
    assert occupancy([launch(32)], "T4").blocks == 16


# NVIDIA's calculator comes as a C++ header with every CUDA toolkit and needs no GPU.
CALCULATOR = """
#include <climits>
#include <cstdio>
#include <cuda_occupancy.h>
int main() {
    int major, minor, threads, registers;
    size_t shared, per_sm, per_block, reserved;
    int slots;
    while (scanf("%d %d %d %zu %zu %zu %d %d %zu", &major, &minor, &slots, &per_sm, &per_block, &reserved,
                 &threads, &registers, &shared) == 9) {
        cudaOccDeviceProp p;
        p.computeMajor = major, p.computeMinor = minor, p.maxThreadsPerBlock = 1024;
        p.maxThreadsPerMultiprocessor = 32 * slots, p.regsPerBlock = p.regsPerMultiprocessor = 65536;
        p.warpSize = 32, p.sharedMemPerBlock = 49152, p.sharedMemPerMultiprocessor = per_sm, p.numSms = 1;
        p.sharedMemPerBlockOptin = per_block, p.reservedSharedMemPerBlock = reserved;
        cudaOccFuncAttributes a;
        a.maxThreadsPerBlock = 1024, a.numRegs = registers, a.shmemLimitConfig = FUNC_SHMEM_LIMIT_OPTIN;
        a.maxDynamicSharedSizeBytes = shared, a.numBlockBarriers = 1;
        cudaOccDeviceState state;
        cudaOccResult result;
        if (cudaOccMaxActiveBlocksPerMultiprocessor(&result, &p, &a, &state, threads, shared)) return 1;
        printf("%d\\n", result.activeBlocksPerMultiprocessor);
    }
}
"""
THREADS = (1, 32, 33, 64, 96, 128, 160, 192, 224, 256, 320, 384, 512, 544, 768, 992, 1024)
REGISTERS = range(1, 256)
SHARED = (
    0,
    1,
    128,
    1000,
    4096,
    4224,
    10_000,
    16_384,
    30_000,
    49_152,
    65_536,
    65_537,
    166_912,
    166_913,
    232_448,
)


def calculator_header() -> Path | None:
    toolkit = find_nvcc()
    places = sorted(toolkit.root.rglob("cuda_occupancy.h")) if toolkit else []
    return places[0] if places else None


@pytest.mark.skipif(calculator_header() is None, reason="cuda_occupancy.h is not here")
def test_as_nvidias_calculator(tmp_path):
    source, program = tmp_path / "calculator.cpp", tmp_path / "calculator"
    source.write_text(CALCULATOR)
    subprocess.run([find_cxx(), "-O1", f"-I{calculator_header().parent}", source, "-o", program], check=True)
    cases = list(itertools.product(("T4", "A100", "H200"), THREADS, REGISTERS, SHARED))
    lines = []
    for name, threads, registers, shared in cases:
        gpu = GPUS[name]
        major, minor = gpu.arch[3:]
        limits = gpu.warps, gpu.shared, gpu.shared_block, gpu.shared_reserved
        lines.append(" ".join(map(str, (major, minor, *limits, threads, registers, shared))))
    answer = subprocess.run([program], input="\n".join(lines), capture_output=True, text=True, check=True)
    expected = list(map(int, answer.stdout.split()))
    assert len(expected) == len(cases) > 150_000
    wrong = [
        (case, blocks)
        for case, blocks in zip(cases, expected, strict=True)
        if min(_limits(GPUS[case[0]], *case[1:2], case[3], case[2]).values()) != blocks
    ]
    assert wrong == []


SOURCE = """
namespace ns {
template <typename T, int N> __global__ void pick(const T* x, T* y, int n) {
    T s[N];
    for (int i = 0; i < N; ++i) s[i] = x[i * n];
    y[threadIdx.x] = s[n % N];
}
}
namespace { __global__ void hidden(float* y) { y[0] = 1; } }
__global__ void tiled(const float* x, float* y) {
    __shared__ float tile[100];
    tile[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    y[threadIdx.x] = tile[99 - threadIdx.x];
}
__device__ __noinline__ float kept(const float* x, int n) {
    float a[20];
    for (int i = 0; i < 20; ++i) a[i] = x[i];
    return a[n];
}
__global__ void __launch_bounds__(1024, 2) crowded(float* y, int n) {
    float s[64], t = 0;
    for (int i = 0; i < 64; ++i) s[i] = y[i * n];
    __syncthreads();
    for (int i = 0; i < 64; ++i)
        for (int j = 0; j < 64; ++j) t += s[i] * s[j] / (s[i] + i);
    for (int i = 0; i < 64; ++i) y[i + 3] = s[i] * t;
    y[0] = kept(y, n);
}
torch::Tensor run(torch::Tensor x) {
    auto y = torch::zeros_like(x);
    ns::pick<float, 8><<<1, 32>>>(x.data_ptr<float>(), y.data_ptr<float>(), 1);
    ns::pick<double, 4><<<1, 32>>>((double*)x.data_ptr<float>(), (double*)y.data_ptr<float>(), 1);
    hidden<<<1, 1>>>(y.data_ptr<float>());
    tiled<<<1, 100, 64>>>(x.data_ptr<float>(), y.data_ptr<float>());
    crowded<<<1, 1>>>(y.data_ptr<float>(), 1);
    return y;
}
"""


@pytest.fixture(scope="module")
def module():
    return compile_text(SOURCE, "several")


@needs_nvcc
def test_resources_are_those_of_nvcc(module, tmp_path):
    found = resources(module, "H200")
    assert list(found) == ["crowded", "hidden", "ns::pick<double, 4>", "ns::pick<float, 8>", "tiled"]
    assert found["tiled"].shared == 400 and found["hidden"].stack == 0
    assert found["crowded"].registers == 32, "two blocks of 1,024 threads leave 32 registers a thread"
    assert found["crowded"].spill_stores > 0 and found["crowded"].spill_loads > 0
    assert found["ns::pick<double, 4>"].stack == 32 and found["ns::pick<double, 4>"].kernel == "pick"
    assert "crowded: 32 registers" in str(found) and "bytes of spill stores" in str(found)
    # cuobjdump reads the same from the compiled kernels.
    dump = find_nvcc().root / "bin" / "cuobjdump"
    if dump.is_file():
        cubin = tmp_path / "several.cubin"
        source = tmp_path / "several.cu"
        source.write_text(module.run.source.text)
        include = ["-I", str(Path(utils.__file__).parent / "facade" / "include")]
        nvcc = [find_nvcc().nvcc, "-O3", "-std=c++17", "-arch=sm_90", "-cubin", *include, source, "-o", cubin]
        subprocess.run(nvcc, check=True)
        text = subprocess.run([dump, "-res-usage", cubin], capture_output=True, text=True, check=True).stdout
        crowded = text[text.index("crowded") :]
        assert f"REG:{found['crowded'].registers} STACK:{found['crowded'].stack} " in crowded


@needs_nvcc
def test_resources_reach_the_occupancy(module):
    report = profile(module.run, torch.zeros(256))
    taken = resources(module.run, "H200")
    by_name = {entry.name: occupancy(entry, "H200", taken) for entry in report}
    assert by_name["crowded"].registers == 32 and by_name["crowded"].blocks == 32
    most = max(entry.registers for entry in taken.values() if entry.kernel == "pick")
    assert by_name["pick"].registers == most, "which instance was launched is not known"
    # 100 threads are 4 warps: 16 blocks of them fill the slots for warps, 31 KB of shared memory suffice.
    assert by_name["tiled"].limits["shared memory"] == 233_472 // 1_536 and by_name["tiled"].blocks == 16
    with pytest.raises(ValueError, match="these are the resources of .*tiled, not of other"):
        occupancy(launch(32, name="other"), "H200", taken)
    with pytest.raises(KeyError, match="no kernel is called 'pick'; there are crowded"):
        taken["pick"]


@needs_nvcc
def test_flags_and_gpus_count(module):
    text = (
        ASK.replace("STATIC", "8").partition("int64_t blocks")[0]
        + "void run() { crowd<<<1, 1>>>(nullptr, nullptr, 1); }"
    )
    few, many = (
        resources(
            load_inline(
                "flags", cuda_sources=text, extra_cuda_cflags=[f"-maxrregcount={most}"], backend="simulator"
            )
        )["crowd"]
        for most in (32, 255)
    )
    assert few.registers <= 32 < many.registers and few.spill_loads > many.spill_loads == 0
    assert few.shared == many.shared == 32
    assert resources(text, "T4")["crowd"].registers > 32
    with pytest.raises(CompileError, match="line 3"):
        resources("__global__ void f(float* y) {\n    y[0] = 1;\n    y[1] = z;\n}\n")
    with pytest.raises(TypeError, match="takes a launcher, a module or CUDA C\\+\\+ as text, not a int"):
        resources(3)


def test_without_nvcc_it_says_so(module, monkeypatch):
    monkeypatch.setattr(ptxas, "find_nvcc", lambda: None)
    found = resources(module, "H200")
    assert len(found) == 0 and "only nvcc can tell" in str(found)
    with pytest.raises(KeyError, match="only nvcc can tell"):
        found["tiled"]
    report = profile(module.run, torch.zeros(256))
    answer = occupancy(report[3], "H200", found)
    assert answer.registers is None and str(answer).startswith("tiled on H200: at most 16 blocks")


# -maxrregcount takes registers away from it.
ASK = """
#include <torch/extension.h>
__global__ void crowd(const float* x, float* y, int n) {
    __shared__ float tile[STATIC];
    float s[40], t = 0;
    for (int i = 0; i < 40; ++i) s[i] = x[i * n + threadIdx.x];
    tile[threadIdx.x % STATIC] = s[3];
    __syncthreads();
    for (int i = 0; i < 40; ++i)
        for (int j = 0; j < 40; ++j) t += s[i] * s[j] / (s[i] + n);
    for (int i = 0; i < 40; ++i) y[i * n + threadIdx.x] = s[i] * t + tile[i % STATIC];
}
int64_t blocks(int64_t threads, int64_t dynamic) {
    cudaFuncSetAttribute(crowd, cudaFuncAttributeMaxDynamicSharedMemorySize, int(dynamic));
    int found = -1;
    auto error = cudaOccupancyMaxActiveBlocksPerMultiprocessor(&found, crowd, int(threads), size_t(dynamic));
    TORCH_CHECK(!error, cudaGetErrorString(error));
    return found;
}
int64_t registers() {
    cudaFuncAttributes attributes;
    TORCH_CHECK(!cudaFuncGetAttributes(&attributes, crowd), "attributes");
    return attributes.numRegs;
}
"""


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize("most_registers", [24, 32, 40, 64, 128, 255])
def test_as_cuda_answers_on_the_gpu(most_registers):
    capability = torch.cuda.get_device_capability()
    gpu = next((gpu for gpu in GPUS.values() if gpu.arch == f"sm_{capability[0]}{capability[1]}"), None)
    if gpu is None:
        pytest.skip(f"no limits for compute capability {capability}")
    for static in (1, 1000, 4096):
        flags = [f"-maxrregcount={most_registers}"]
        text = ASK.replace("STATIC", str(static))
        module = load_inline("ask", cuda_sources=text, extra_cuda_cflags=flags, backend="cuda")
        taken = resources(module, gpu.name)["crowd"]
        assert (taken.registers, taken.shared) == (module.registers(), 4 * static)
        for threads, dynamic in itertools.product(
            THREADS, (0, 1000, 8192, 20_000, 48_000, gpu.shared_block - 4 * static)
        ):
            mine = occupancy(launch(threads, 4 * static, dynamic=dynamic), gpu.name, taken.registers)
            assert mine.blocks == module.blocks(threads, dynamic), (threads, dynamic, str(mine))
