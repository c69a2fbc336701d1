"""The pictures of a pipeline: the order of a real trace, and a model with times that one can work out."""

import pytest
import torch

import kernels
from utils.plots import Overlap, overlap_chart, stage_timeline
from utils.simulator import trace

X, WEIGHT = torch.zeros(1, 4, 10, 12), torch.zeros(64, 4, 4, 4)  # 64 taps: four steps of 16


def order(name, pixels, **options):
    found = trace(kernels.load(name, backend="simulator"), X, WEIGHT, padding=1, warp=0, **options)
    return stage_timeline(found, "inputs", stage_bytes=16 * pixels * 4, title="a title").alt


def test_one_buffer_is_filled_and_multiplied_in_turn():
    assert order("conv2d_gemm", 128) == (
        "a title: Order of one warp's work in conv2d_gemm: load tile 0 and store it into buffer 0; barrier;"
        " multiply tile 0 of buffer 0; barrier; load tile 1 and store it into buffer 0; barrier; multiply"
        " tile 1 of buffer 0; barrier; load tile 2 and store it into buffer 0; barrier; multiply tile 2 of"
        " buffer 0; barrier; load tile 3 and store it into buffer 0; barrier; multiply tile 3 of buffer 0."
    )


def test_two_buffers_through_registers():
    alt = order("conv2d_gemm_double", 128)
    assert (
        "load tile 1 into registers, multiply tile 0 of buffer 0, store tile 1 into buffer 1; barrier" in alt
    )
    assert alt.count("barrier") == 4


def test_three_stages_of_copies():
    alt = order("conv2d_gemm_async", 64, tile=0)
    assert "start to copy tile 0 into buffer 0, start to copy tile 1 into buffer 1; barrier" in alt
    assert "start to copy tile 3 into buffer 0, multiply tile 1 of buffer 1; barrier" in alt
    assert alt.endswith("multiply tile 2 of buffer 2; barrier; multiply tile 3 of buffer 0.")


def test_an_array_that_nobody_reads():
    found = trace(kernels.load("conv2d_gemm", backend="simulator"), X, WEIGHT, padding=1, warp=0)
    with pytest.raises(ValueError, match="no warp of the trace reads 'tile'"):
        stage_timeline(found, "tile", stage_bytes=64)


@pytest.mark.parametrize(
    "model, total",
    [
        (Overlap(800, 400, stages=1), 4 * 1200),
        (Overlap(800, 400, stages=2), 800 + 3 * 800 + 400),
        (Overlap(800, 400, stages=3), 800 + 4 * 400),
        (Overlap(800, 400, stages=2, late=True), 4 * 1200),
        (Overlap(800, 400, stages=3, late=True), 1200 + 800 + 2 * 400),
        (Overlap(800, 400, stages=1, blocks=3), 800 + 12 * 400),
        (Overlap(300, 400, stages=2), 300 + 4 * 400),
    ],
)
def test_the_model(model, total):
    assert model.total == total
    assert model.busy == pytest.approx(model.blocks * 1600 / total)


def test_the_model_says_that_it_is_one():
    alt = overlap_chart({"one buffer": Overlap(800, 400)}, title="Four steps").alt
    assert alt == "Modelled, not measured. Four steps: one buffer: 4,800 cycles, 33% of them multiplied."
