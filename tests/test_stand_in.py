"""The stand-in GPU keeps the order of a real one, and pictures about measuring say what they show."""

import io

import pytest
from IPython.display import Image
from PIL import Image as Picture

from utils.plots import roofline
from utils.plots.errors import error_chart
from utils.plots.queue import queue_timeline
from utils.stand_in import FLUSH, QUEUE_CALL, StandInGpu


def sample(gpu, flush=True):
    if flush:
        gpu.flush_l2()
    start = gpu.record()
    gpu.call()
    end = gpu.record()
    gpu.synchronize()
    return gpu.elapsed(start, end)


def test_a_call_returns_before_the_work_is_done():
    gpu = StandInGpu(0.2)
    begin = gpu.clock()
    gpu.call()
    assert gpu.clock() - begin == pytest.approx(QUEUE_CALL)
    gpu.synchronize()
    assert gpu.clock() - begin == pytest.approx(QUEUE_CALL + 0.2)


def test_elapsed_wants_the_gpu_to_be_there():
    gpu = StandInGpu(0.2)
    start = gpu.record()
    gpu.call()
    end = gpu.record()
    with pytest.raises(RuntimeError, match="Both events must be completed"):
        gpu.elapsed(start, end)
    gpu.synchronize()
    assert gpu.elapsed(start, end) == pytest.approx(0.2 + QUEUE_CALL)  # an idle GPU waits for the CPU


def test_a_busy_gpu_shows_the_kernel_alone():
    assert sample(StandInGpu(0.02)) == pytest.approx(0.02)
    assert QUEUE_CALL < FLUSH


def test_the_first_call_and_a_warm_cache():
    gpu = StandInGpu(0.2, warm=0.5, first_ms=40.0)
    assert sample(gpu) == pytest.approx(40.2)
    assert sample(gpu) == pytest.approx(0.2)
    assert sample(gpu, flush=False) == pytest.approx(0.1 + QUEUE_CALL)


def test_noise_comes_from_the_seed_and_leaves_the_median():
    def samples(seed):
        gpu = StandInGpu(0.2, noise=0.15, seed=seed)
        return [sample(gpu) for _ in range(101)]

    assert samples(1) == samples(1) != samples(2)
    times = sorted(samples(1))
    assert times[50] == pytest.approx(0.2, rel=0.02)
    assert times[0] < 0.18 and times[-1] > 0.3


def timeline():
    gpu = StandInGpu(0.2)
    sample(gpu)
    start, end = gpu.events
    return queue_timeline(gpu, "A sample", {"between the events": (start.time, end.time)})


def test_narrow_boxes_are_labelled_above_their_lane():
    wide = StandInGpu(0.01)
    wide.call()
    wide.synchronize()
    plain, labelled = (Picture.open(io.BytesIO(image.data)) for image in (queue_timeline(wide), timeline()))
    assert labelled.height > plain.height + 100


def errors():
    return error_chart([1, 10, 100], {"float32": [1e-7] * 3, "TF32": [1e-3, 5e-4, 1e-4]}, [1e-7, 1e-6, 1e-5])


def layers():
    points = [
        {"name": name, "group": group, "intensity": intensity, "tflops": tflops}
        for name, intensity, tflops in (("deep", 140.0, 30.0), ("flat", 2.0, 3.0))
        for group in ("mine", "cuDNN")
    ]
    return roofline(points, {"memory": 4300, "compute": {"fp32": 51.0}}, "somewhere")


@pytest.mark.parametrize(
    "draw, words",
    [
        (timeline, "between the events: 0.20 ms"),
        (errors, "TF32: 1e-03 at 1 terms, 1e-04 at 100"),
        (layers, "mine, deep at 140 operations per byte: 30 TFLOP/s"),
    ],
)
def test_pictures_with_words_the_same_every_time(draw, words):
    image = draw()
    assert isinstance(image, Image) and words in image.alt
    assert image.data == draw().data
    assert len(image.data) < 120_000
    picture = Picture.open(io.BytesIO(image.data)).convert("RGB")
    width, height = picture.size
    edge = {picture.getpixel((x, y)) for x in range(width) for y in (0, height - 1)}
    edge |= {picture.getpixel((x, y)) for y in range(height) for x in (0, width - 1)}
    assert edge == {(255, 255, 255)}  # nothing is cut off


def test_nothing_to_draw():
    with pytest.raises(ValueError, match="done nothing"):
        queue_timeline(StandInGpu())
