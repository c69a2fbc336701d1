"""Memory requests, sectors and wavefronts, against Nsight Compute's figures and against counts by hand."""

import re

import pytest
import torch
from counted_by_hand import TEXT
from simulated import compile_kernels, compile_text, line_of, read_kernels

import kernels
from utils.simulator import Access, Profile, profile, trace

# Nsight Compute on one H200, 2026-11-20: N=2 C=8 H=W=64 K=8, 3x3, padding 1, block 32x8.
NSIGHT = {
    "conv2d_naive": {"global_load": (291_840, 778_240), "global_store": (2_048, 8_192)},
    "conv2d_uncoalesced": {"global_load": (291_840, 4_766_720), "global_store": (2_048, 65_536)},
}
BY_HAND = read_kernels(TEXT)


def counts(launch) -> dict:
    """{kind: (requests, sectors or wavefronts)} of what occurred."""
    return {name.replace(" ", "_"): (c.requests, c.sectors + c.wavefronts) for name, c in launch.rows()}


@pytest.mark.parametrize("name", NSIGHT)
def test_convolutions_as_nsight_compute_counts_them(name):
    conv2d = kernels.load(name, backend="simulator")
    (launch,) = profile(conv2d, torch.randn(2, 8, 64, 64), torch.randn(8, 8, 3, 3), None, 1, 1, 1)
    assert counts(launch) == NSIGHT[name]


@pytest.fixture(scope="module")
def module():
    return compile_kernels(BY_HAND)


@pytest.mark.parametrize("kernel", BY_HAND, ids=lambda kernel: kernel.name)
def test_counts_by_hand(module, kernel):
    (launch,) = profile(getattr(module, kernel.name), torch.arange(16384.0))
    counted = counts(launch)
    for kind, requests, amount in re.findall(r"(\w+) (\d+) (\d+)", kernel.notes):
        assert (kind, counted.get(kind, (0, 0))) == (kind, (int(requests), int(amount)))


@pytest.mark.parametrize(
    "name", ["triangle", "nested", "switched", "called_together", "long_loop_apart", "by_row"]
)
def test_counts_do_not_depend_on_the_order_of_the_threads(module, name):
    launcher, x = getattr(module, name), torch.arange(16384.0)
    forward, reverse, shuffled = (
        str(profile(launcher, x, order=order, seed=7)) for order in ("forward", "reverse", "random")
    )
    assert forward == reverse == shuffled


def test_by_line(module):
    launcher = module.nested
    (launch,) = profile(launcher, torch.arange(16384.0))
    assert {line: (c.requests, c.sectors) for line, c in launch.global_load.by_line.items()} == {
        line_of(launcher, "s = x[i];"): (1, 1),
        line_of(launcher, "s = x[i + 32];"): (1, 1),
        line_of(launcher, "s += x[i + 64];"): (1, 2),
        line_of(launcher, "s = x[i + 96];"): (1, 2),
        line_of(launcher, "x[i + 128]"): (1, 4),
    }
    assert [c.sectors for c in launch.global_load.by_line.values()] == [4, 2, 2, 1, 1]


def test_derived_figures(module):
    (launch,) = profile(module.stride_8, torch.arange(16384.0))
    load = launch.global_load
    assert (load.bytes_requested, load.sectors_per_request, load.efficiency) == (128, 32.0, 0.125)
    assert profile(module.broadcast, torch.arange(16384.0))[0].global_load.efficiency == 1.0
    (launch,) = profile(module.by_column, torch.arange(16384.0))
    assert launch.shared_load.bank_conflicts == 16_384 - 512
    assert launch.shared_bytes == 4096
    assert launch.local.requests == 0 and launch.local.efficiency == 0.0


def test_threads_warps_lanes_and_shared_memory():
    module = compile_text("""
__global__ void some(const float* x, float* y) {
    __shared__ float tile[8];
    extern __shared__ float more[];
    const int i = threadIdx.y == 0 ? threadIdx.x : 99;
    if (i < 8) tile[i] = x[i];
    if (i < 4) more[i] = x[i];
    __syncthreads();
    if (i < 8 && blockIdx.y == 0) y[i] = tile[i] + (i < 4 ? more[i] : 0);
}
torch::Tensor both(torch::Tensor x) {
    auto y = torch::zeros_like(x);
    some<<<dim3(1, 3), dim3(11, 3), 64>>>(x.data_ptr<float>(), y.data_ptr<float>());
    return y;
}
""")
    (launch,) = profile(module.both, torch.arange(8.0))
    assert (launch.threads, launch.warps) == (99, 6)  # 33 threads a block: the second warp has one
    assert (launch.static_shared, launch.dynamic_shared, launch.shared_bytes) == (32, 64, 96)
    assert (launch.global_load.lanes, launch.global_load.active_lanes) == (3 * (8 + 4), 6.0)
    assert (launch.global_store.requests, launch.global_store.active_lanes) == (1, 8.0)
    # Loads from shared memory: in block 0 eight lanes read tile, four of them also more.
    assert (launch.shared_load.lanes, launch.shared_store.lanes) == (12, 36)
    requests = 6 + 1 + 2 + 6
    assert launch.active_lanes == (36 + 8 + 12 + 36) / requests
    assert "96 bytes of shared memory a block (64 of them dynamic)\n" in str(launch)
    assert f"\n  active lanes: {launch.active_lanes:.1f} of 32 a request" in str(launch)
    assert "active lanes: 6.1 of 32" in launch._repr_html_()


REPORT = """\
stride_8_kernel: grid 1, block 32, 32 threads
                requests       moved  ideally  per request  bytes asked for
  global load          1  32 sectors        4        32.00              128
  global store         1   4 sectors        4         4.00              128
  most beyond the ideal: line {line}, global load, 32 sectors, ideally 4
    {line} | y[i] = x[8 * i];"""


def test_the_report_is_text_that_never_changes(module):
    report = profile(module.stride_8, torch.arange(16384.0))
    assert str(report) == REPORT.format(line=line_of(module.stride_8, "x[8 * i]"))
    assert str(report) == repr(report)
    html = report._repr_html_()
    assert "32 sectors" in html and "stride_8_kernel" in html and "x[8 * i]" in html


def test_a_profile_is_a_sequence_of_launches():
    module = compile_text("""
__global__ void fill(float* y) { y[threadIdx.x] = 3; }
namespace inner { template <int N> __global__ void add(float* y) { y[threadIdx.x] += N; } }
torch::Tensor both(torch::Tensor x, int64_t times) {
    auto y = torch::empty_like(x);
    fill<<<1, 32>>>(y.data_ptr<float>());
    for (int k = 0; k < times; ++k) inner::add<2><<<dim3(1, 1), 16>>>(y.data_ptr<float>());
    return y;
}
torch::Tensor none(torch::Tensor x) { return x; }
""")
    x = torch.ones(32)
    report = profile(module.both, x, times=2)
    assert isinstance(report, Profile) and len(report) == 3
    assert [launch.name for launch in report] == ["fill", "add", "add"]
    assert [launch.block for launch in report[1:]] == [(16, 1, 1)] * 2
    assert report[-1].global_load.requests == 1 and report[0].rows()[0][0] == "global store"
    assert report.result.tolist() == [7.0] * 16 + [3.0] * 16
    report = profile(module.none, x)
    assert len(report) == 0 and report.result is x and str(report) == "no kernel was launched"


def test_profile_takes_launchers_alone():
    with pytest.raises(TypeError, match="take a launcher made by load_inline .*, not a builtin_function"):
        profile(abs, 3)


def test_trace_says_what_each_lane_touches(module):
    requests = trace(module.nested, torch.arange(16384.0))
    assert [request.kind for request in requests] == ["global_load"] * 5 + ["global_store"]
    first, second, third, fourth, *_, store = requests
    assert first.lanes == tuple(Access("x", 4 * k, 4) if k < 8 else None for k in range(32))
    assert second.lanes[8:16] == tuple(Access("x", 4 * (k + 32), 4) for k in range(8, 16))
    assert [lane is not None for lane in third.lanes] == [True] * 16 + [False] * 16
    assert [lane is not None for lane in fourth.lanes] == [False] * 16 + [True] * 16
    assert store.lanes == tuple(Access("output", 4 * k, 4) for k in range(32))
    assert (first.sectors, first.line, first.source) == (1, line_of(module.nested, "s = x[i];"), "s = x[i];")
    assert str(first) == f"line {first.line}: global_load by 8 lanes, 1 sector"


def test_trace_of_another_block_and_warp(module):
    (load, store) = trace(module.coalesced, torch.arange(16384.0), block=(1, 0, 0), warp=1)
    assert load.lanes[0] == Access("x", 4 * 96, 4) and load.launch == 0
    with pytest.raises(ValueError, match=r"there is no warp 0 of block \(5, 0, 0\)"):
        trace(module.coalesced, torch.arange(16384.0), block=(5, 0, 0))
    row = trace(module.by_padded_column, torch.arange(16384.0), warp=2)
    load = next(request for request in row if request.kind == "shared_load")
    assert load.lanes[3].offset == 4 * (3 * 33 + 2) and load.wavefronts == 1
