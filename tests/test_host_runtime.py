"""The part of the CUDA runtime that launchers call: memory, copies, streams, events, properties, errors."""

import re

import pytest
import torch
from simulated import compile_text

from utils.errors import KernelError

SOURCE = r"""
#include <vector>
__global__ void add(float* y, float v, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] += v;
}
#define CHECK(call)                                                             \
    do {                                                                        \
        cudaError_t error = (call);                                             \
        TORCH_CHECK(error == cudaSuccess, "CUDA: ", cudaGetErrorString(error)); \
    } while (0)

torch::Tensor streams_and_events(torch::Tensor x) {
    cudaStream_t streams[2];
    for (auto& s : streams) CHECK(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
    cudaEvent_t start, stop, quiet;
    CHECK(cudaEventCreate(&start));
    CHECK(cudaEventCreate(&stop));
    CHECK(cudaEventCreateWithFlags(&quiet, cudaEventDisableTiming));
    CHECK(cudaEventRecord(start, streams[0]));
    add<<<1, 64, 0, streams[0]>>>(x.data_ptr<float>(), 1, 64);
    CHECK(cudaEventRecord(quiet, streams[0]));
    CHECK(cudaStreamWaitEvent(streams[1], quiet, 0));
    add<<<1, 64, 0, streams[1]>>>(x.data_ptr<float>(), 2, 64);
    CHECK(cudaEventRecord(stop, streams[1]));
    CHECK(cudaEventSynchronize(stop));
    float milliseconds = -1;
    CHECK(cudaEventElapsedTime(&milliseconds, start, stop));
    TORCH_CHECK(milliseconds > 0, "no time has passed");
    for (auto s : streams) {
        CHECK(cudaStreamSynchronize(s));
        CHECK(cudaStreamDestroy(s));
    }
    for (auto e : {start, stop, quiet}) CHECK(cudaEventDestroy(e));
    return x;
}

std::vector<int64_t> properties() {
    int count, device, value, blocks, grid, block;
    CHECK(cudaGetDeviceCount(&count));
    CHECK(cudaGetDevice(&device));
    cudaDeviceProp p;
    CHECK(cudaGetDeviceProperties(&p, device));
    CHECK(cudaDeviceGetAttribute(&value, cudaDevAttrMultiProcessorCount, device));
    TORCH_CHECK(value == p.multiProcessorCount && p.name[0] != 0);
    CHECK(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, add, 256, 0));
    CHECK(cudaOccupancyMaxPotentialBlockSize(&grid, &block, add, 0, 0));
    return {count, p.major, p.warpSize, (int64_t)p.sharedMemPerBlock, blocks, grid, block};
}
int64_t occupancy(int64_t threads, int64_t bytes) {
    int blocks;
    CHECK(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, add, threads, bytes));
    return blocks;
}

torch::Tensor pitched(torch::Tensor x) {
    const size_t width = x.size(1) * sizeof(float), height = x.size(0);
    float* p;
    size_t pitch;
    CHECK(cudaMallocPitch(&p, &pitch, width, height));
    CHECK(cudaMemcpy2D(p, pitch, x.data_ptr<float>(), width, width, height, cudaMemcpyDeviceToDevice));
    for (size_t row = 0; row < height; ++row) add<<<1, 32>>>(p + row * pitch / sizeof(float), row, x.size(1));
    auto y = torch::empty_like(x);
    CHECK(cudaMemcpy2D(y.data_ptr<float>(), width, p, pitch, width, height, cudaMemcpyDeviceToDevice));
    CHECK(cudaFree(p));
    return y;
}

torch::Tensor pinned(torch::Tensor x) {
    float *host, *device;
    CHECK(cudaMallocHost((void**)&host, 256));
    CHECK(cudaMallocAsync(&device, 256, nullptr));
    for (int k = 0; k < 64; ++k) host[k] = k;
    CHECK(cudaMemcpyAsync(device, host, 256, cudaMemcpyHostToDevice, 0));
    add<<<1, 64>>>(device, 1, 64);
    CHECK(cudaMemcpy(x.data_ptr<float>(), device, 256, cudaMemcpyDeviceToDevice));
    CHECK(cudaFreeAsync(device, nullptr));
    CHECK(cudaFreeHost(host));
    return x;
}

void wrong(int64_t which, torch::Tensor x) {
    float* p = x.data_ptr<float>();
    float* q = nullptr;
    CHECK(cudaMalloc(&q, 64));
    switch (which) {
        case 0: CHECK(cudaMemcpy(p, q, 68, cudaMemcpyDeviceToDevice)); break;
        case 1: CHECK(cudaMemcpy(q + 15, p, 8, cudaMemcpyDeviceToDevice)); break;
        case 2: CHECK(cudaMemset(p, 0, x.numel() * 4 + 1)); break;
        case 3: CHECK(cudaFree(q)); CHECK(cudaFree(q)); break;
        case 4: CHECK(cudaFree(q)); CHECK(cudaMemcpy(p, q, 4, cudaMemcpyDeviceToDevice)); break;
        case 5: CHECK(cudaSetDevice(1)); break;
        case 6: CHECK(cudaFuncSetAttribute(add, cudaFuncAttributeMaxDynamicSharedMemorySize, 300000)); break;
    }
}
int64_t asked(torch::Tensor x) {
    cudaSetDevice(7);
    const bool kept = cudaPeekAtLastError() == cudaErrorInvalidDevice;
    const bool once = cudaGetLastError() == cudaErrorInvalidDevice && cudaGetLastError() == cudaSuccess;
    return kept && once;
}
int64_t nobody_asked(torch::Tensor x) { return cudaSetDevice(7); }

int64_t hungry(int64_t gigabytes, bool in_torch, torch::Tensor x) {
    if (in_torch) return torch::empty({gigabytes << 30}, x.options().dtype(torch::kUInt8)).numel();
    void* p;
    return cudaMalloc(&p, gigabytes << 30);
}
int64_t bit_by_bit(int64_t megabytes, torch::Tensor x) {
    std::vector<torch::Tensor> kept;
    const auto bytes = x.options().dtype(torch::kUInt8);
    for (int k = 0; k < megabytes; ++k) kept.push_back(torch::empty({1 << 20}, bytes));
    return kept.size();
}
int64_t free_memory() {
    size_t free, total;
    CHECK(cudaMemGetInfo(&free, &total));
    TORCH_CHECK(free <= total);
    return free;
}
torch::Tensor touch(torch::Tensor x) {
    add<<<1, 64>>>(x.data_ptr<float>(), 1, 64);
    return x;
}
"""


@pytest.fixture(scope="module", params=[True, False], ids=["checked", "quick"])
def host(request):
    return compile_text(SOURCE, checked=request.param)


def test_streams_and_events(host):
    assert host.streams_and_events(torch.zeros(64)).tolist() == [3.0] * 64


def test_properties(host):
    assert host.properties() == [1, 9, 32, 49152, 8, 2 * 132, 1024]
    assert [host.occupancy(*case) for case in ((32, 0), (1024, 0), (33, 0), (128, 100_000))] == [32, 2, 32, 2]
    with pytest.raises(RuntimeError, match="invalid argument"):
        host.occupancy(0, 0)


def test_pitched_and_pinned_memory(host):
    x = torch.zeros(3, 5)
    assert host.pitched(x).tolist() == [[row] * 5 for row in range(3)]
    assert host.pinned(torch.zeros(64)).tolist() == [k + 1.0 for k in range(64)]


@pytest.mark.parametrize("which", range(7))
def test_wrong_calls_give_cudas_error_codes(host, which):
    words = "invalid device ordinal" if which == 5 else "invalid argument"
    with pytest.raises(RuntimeError, match=f"CUDA: {words}"):
        host.wrong(which, torch.zeros(64))


def test_an_error_is_kept_until_somebody_asks(host):
    assert host.asked(torch.zeros(1)) == 1
    with pytest.raises(KernelError, match=r"invalid device ordinal \(cudaErrorInvalidDevice\)"):
        host.nobody_asked(torch.zeros(1))
    assert host.asked(torch.zeros(1)) == 1


def test_too_much_memory_is_refused_with_the_numbers(host, monkeypatch):
    monkeypatch.setenv("CONV_MEMORY", "0.5")
    numbers = r"107\.37 GB.*0\.50 GB more on this machine \(CONV_MEMORY"
    with pytest.raises(KernelError, match=f"cudaMalloc asks for {numbers}") as caught:
        host.hungry(100, False, torch.zeros(1))
    assert caught.value.kind == "launch" and caught.value.source == "return cudaMalloc(&p, gigabytes << 30);"
    with pytest.raises(torch.OutOfMemoryError, match=f"A tensor of {numbers}"):
        host.hungry(100, True, torch.zeros(1))
    assert host.bit_by_bit(300, torch.zeros(1)) == 300
    with pytest.raises(torch.OutOfMemoryError, match="A tensor of 0.00 GB is too much memory"):
        host.bit_by_bit(600, torch.zeros(1))
    assert 4e8 < host.free_memory() <= 5e8


def test_without_a_limit_the_machine_sets_it(host, monkeypatch):
    monkeypatch.delenv("CONV_MEMORY", raising=False)
    with pytest.raises(torch.OutOfMemoryError, match="more on this machine"):
        host.hungry(100_000, True, torch.zeros(1))
    assert host.free_memory() > 1e8


@pytest.mark.parametrize("wrong", ["much", "-1", "0"])
def test_a_limit_that_is_none(host, monkeypatch, wrong):
    monkeypatch.setenv("CONV_MEMORY", wrong)
    with pytest.raises(ValueError, match=re.escape(f"not {wrong!r}")):
        host.free_memory()


def test_checks_need_memory_too(monkeypatch):
    monkeypatch.setenv("CONV_MEMORY", "0.01")
    x = torch.zeros(1 << 20)
    with pytest.raises(KernelError, match=r"its checks need up to 0\.03 GB.*checked=False") as caught:
        compile_text(SOURCE).touch(x)
    assert caught.value.kind == "launch" and caught.value.source.startswith("add<<<1, 64>>>")
    assert compile_text(SOURCE, checked=False).touch(x)[0] == 1
