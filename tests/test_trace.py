"""The trace of a whole block: which warp, between which barriers, and the names of shared variables."""

import pytest
import torch
from simulated import compile_text

from utils.simulator import trace

TEXT = """
__global__ void halves(const float* x, float* y) {
    __shared__ float left[64], right[64];
    extern __shared__ float spare[];
    const int i = threadIdx.x;
    left[i] = x[i];
    __syncthreads();                    // the first
    if (i < 32) right[i] = left[63 - i];
    __syncthreads();                    // the second
    if (i == 0) spare[5] = 1;
    y[64 * blockIdx.x + i] = i < 32 ? right[i] : left[i];
}
__global__ void many(const float* x, float* y) {
    float sum = 0;
    for (int k = 0; k < 2000; ++k) sum += x[(threadIdx.x + k) % 64];
    y[threadIdx.x] = sum;
}
torch::Tensor twice(torch::Tensor x) {
    auto y = torch::empty({128}, x.options());
    halves<<<2, 64, 64>>>(x.data_ptr<float>(), y.data_ptr<float>());
    halves<<<1, 64, 64>>>(x.data_ptr<float>(), y.data_ptr<float>());
    return y;
}
torch::Tensor long_one(torch::Tensor x) {
    auto y = torch::empty_like(x);
    many<<<1, 64>>>(x.data_ptr<float>(), y.data_ptr<float>());
    return y;
}
"""


@pytest.fixture(scope="module")
def module():
    return compile_text(TEXT)


def line_with(text):
    return 2 + TEXT[: TEXT.index(text)].count("\n")  # compile_text puts a line before


def test_a_whole_block(module):
    found = trace(module.twice, torch.arange(64.0), block=1, warp=None)
    assert found.block == (1, 0, 0) and [launch.name for launch in found.launches] == ["halves", "halves"]
    assert [(r.epoch, r.warp, r.kind, r.lanes[0] and r.lanes[0].tensor) for r in found] == [
        (0, 0, "global_load", "x"),
        (0, 0, "shared_store", "left"),
        (0, 1, "global_load", "x"),
        (0, 1, "shared_store", "left"),
        (1, 0, "shared_load", "left"),
        (1, 0, "shared_store", "right"),
        (2, 0, "shared_store", "spare"),
        (2, 0, "shared_load", "right"),
        (2, 0, "global_store", "output"),
        (2, 1, "shared_load", "left"),
        (2, 1, "global_store", "output"),
    ]
    assert {r.launch for r in found} == {0}  # the second launch has no block 1
    barriers = [(b.launch, b.epoch, b.line, b.source) for b in found.barriers]
    first, second = line_with("__syncthreads();                    // the f"), line_with("// the second")
    assert barriers == [
        (0, 0, first, "__syncthreads();                    // the first"),
        (0, 1, second, "__syncthreads();                    // the second"),
    ]
    assert found[5].lanes[31].offset == 4 * 31 and found[4].lanes[31].offset == 4 * 32


def test_every_launch_of_a_block_and_one_warp_of_it(module):
    every = trace(module.twice, torch.arange(64.0), warp=None)
    assert [b.launch for b in every.barriers] == [0, 0, 1, 1]
    one = trace(module.twice, torch.arange(64.0), warp=1)
    assert list(one) == [r for r in every if r.warp == 1] and one.barriers == every.barriers


def test_a_block_that_is_not_there(module):
    with pytest.raises(ValueError, match=r"there is no block \(2, 0, 0\): halves has \(2, 1, 1\) blocks"):
        trace(module.twice, torch.arange(64.0), block=2, warp=None)
    for warp in (2, -1):
        with pytest.raises(ValueError, match=f"there is no warp {warp} of block"):
            trace(module.twice, torch.arange(64.0), warp=warp)


def test_a_long_trace_is_complete(module):
    assert len(trace(module.long_one, torch.arange(64.0), warp=None)) == 2 * 2001


def test_a_trace_too_long_to_keep():
    module = compile_text(TEXT.replace("2000", "60000"))
    with pytest.warns(UserWarning, match="ends after its first 100,000 requests: trace a smaller shape"):
        assert len(trace(module.long_one, torch.arange(64.0), warp=None)) == 100_000
