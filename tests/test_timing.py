"""Timing without a GPU: statistics, control flow on a false clock, recordings, and tables made of them."""

import json

import pytest
import torch
import torch.nn.functional as F

import kernels
from kernels import LADDERS, WORKLOADS, Workload
from utils import benchmark as bench_command
from utils import ladder, readme, recordings, timing
from utils.check import CheckError
from utils.recordings import Timings, recorded
from utils.timing import bench, compare_with_cudnn, interquartile_range, show_timings

TINY = Workload("tiny", 3, 2, 9, 11, 4, 3, 3, stride=2, padding=1)


class Clock:
    """Every function has its own duration; what was called in which order is kept."""

    device = "cpu"

    def __init__(self, durations, memory=1 << 30):
        self.durations, self.memory = durations, memory
        self.order = []

    def sample(self, call):
        self.now = None
        call()
        self.order.append(self.now)
        return self.durations.get(self.now, 4.0) * (1 + 0.01 * (len(self.order) % 3))

    def free_bytes(self):
        return self.memory

    def fn(self, name, change=lambda y: y):
        def run(input, weight, bias=None, stride=1, padding=0, dilation=1):
            self.now = name
            return change(F.conv2d(input, weight, bias, stride, padding, dilation))

        return run


@pytest.fixture
def clock():
    return Clock({"fast": 1.0, "slow": 20.0})


def row(workload="alexnet_conv1", kernel="conv2d_naive", precision="fp32", ms=17.2, cudnn_ms=2.2):
    return {
        "workload": workload,
        "precision": precision,
        "kernel": kernel,
        "ms": ms,
        "ms_spread": 0.02,
        "cudnn_ms": cudnn_ms,
        "cudnn_layout": "NCHW",
        "cudnn_nchw_ms": cudnn_ms,
        "ratio": cudnn_ms / ms,
        "tflops": 53.97 / ms,
        "gbps": 452 / ms,
        "max_rel_err": 1.2e-06,
        "tile": None,
        "roof": None,
    }


MACHINE = {
    "gpu": "NVIDIA H200",
    "driver": "580.1",
    "cuda": "13.0",
    "torch": "2.13.0",
    "cudnn": "9.19.0",
    "date": "2026-11-20",
}
RUN = Timings(
    MACHINE,
    [
        row(kernel="cudnn", ms=2.2),
        row(kernel="cudnn", precision="tf32", ms=1.3, cudnn_ms=1.3),
        row(kernel="conv2d_uncoalesced", ms=60.0),
        row(),
        row("blur", "cudnn", ms=0.559, cudnn_ms=0.559),
        row("blur", ms=0.511, cudnn_ms=0.559),
    ],
)  # fmt: skip


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.setattr(recordings, "RESULTS", tmp_path)
    return tmp_path


def test_interquartile_range():
    assert interquartile_range([1, 2, 3, 4, 5]) == 2
    assert interquartile_range([7.0]) == 0
    assert interquartile_range([1, 1, 1, 1, 1, 1, 1, 1, 100]) == 0


def test_bench_gives_rows_for_kernels_and_cudnn(clock):
    rows = bench({"fast": clock.fn("fast"), "slow": clock.fn("slow")}, TINY, timer=clock, budget=0.2)
    assert [(r["kernel"], r["precision"]) for r in rows] == [
        ("cudnn", "fp32"),
        ("cudnn", "tf32"),
        ("fast", "fp32"),
        ("slow", "fp32"),
    ]
    assert all(set(r) == set(recordings.ROW_KEYS) for r in rows)
    fast, slow = rows[2:]
    assert fast["ms"] == pytest.approx(1.0, rel=0.05) and slow["ms"] == pytest.approx(20.0, rel=0.05)
    assert fast["ratio"] == pytest.approx(fast["cudnn_ms"] / fast["ms"], rel=1e-2)
    assert fast["tflops"] == pytest.approx(TINY.flops / fast["ms"] / 1e9, rel=1e-3)
    assert fast["gbps"] == pytest.approx(TINY.min_bytes / fast["ms"] / 1e6, rel=1e-3)
    assert 0 <= fast["max_rel_err"] < 1e-6
    assert fast["cudnn_layout"] in ("NCHW", "channels_last") and fast["cudnn_nchw_ms"] >= fast["cudnn_ms"]


def test_samples_are_interleaved_and_bounded(clock):
    bench({"fast": clock.fn("fast"), "slow": clock.fn("slow")}, TINY, timer=clock, budget=0)
    assert clock.order.count("fast") == clock.order.count("slow") == timing.FEWEST + 2
    assert clock.order[:2] == ["fast", "slow"]
    starts = [clock.order[i] for i in range(12, len(clock.order), 6)]
    assert starts[:2] == ["fast", "slow"] and None in starts  # another one first in every round
    clock.order.clear()
    bench({"fast": clock.fn("fast")}, TINY, timer=clock, budget=1e6)
    assert clock.order.count("fast") == timing.MOST + 2


def test_inputs_rotate_as_far_as_memory_goes():
    def sets_seen(memory):
        clock = Clock({}, memory)
        seen = set()

        def fn(input, weight, **options):
            seen.add(input.data_ptr())
            return F.conv2d(input, weight, **options)

        bench({"fn": fn}, TINY, timer=clock, budget=0)
        return len(seen)

    assert sets_seen(1 << 30) == 3
    assert sets_seen(2 * TINY.min_bytes * 2) < 3
    with pytest.raises(MemoryError, match="tiny needs about .* GB of GPU memory"):
        sets_seen(1000)


def test_a_kernel_gets_its_layout_and_a_depthwise_one_its_groups(clock):
    seen = {}

    def fn(name):
        def run(input, weight, bias=None, groups=1, **options):
            clock.now = name
            last = input.is_contiguous(memory_format=torch.channels_last)
            seen[name] = (last, weight.is_contiguous(memory_format=torch.channels_last), groups)
            return F.conv2d(input, weight, bias, groups=groups, **options)

        return run

    bench({name: fn(name) for name in ("conv2d_nhwc", "conv2d_naive")}, TINY, timer=clock, budget=0)
    assert seen == {"conv2d_nhwc": (True, True, 1), "conv2d_naive": (False, False, 1)}
    grouped = Workload("grouped", 1, 4, 9, 9, 4, 3, 3, padding=1, groups=4)
    bench({"conv2d_depthwise": fn("conv2d_depthwise")}, grouped, timer=clock, budget=0)
    assert seen["conv2d_depthwise"] == (False, True, 4)  # with one channel, a filter is in both layouts


def test_wrong_kernels_are_not_timed(clock):
    with pytest.raises(CheckError, match="off is wrong on tiny, before timing: relative error"):
        bench({"off": clock.fn("off", lambda y: y + 0.01)}, TINY, timer=clock)
    with pytest.raises(CheckError, match="holes is wrong on tiny, before timing: some elements are NaN"):
        bench({"holes": clock.fn("holes", lambda y: torch.empty_like(y))}, TINY, timer=clock)
    with pytest.raises(CheckError, match="the output's shape is"):
        bench({"small": clock.fn("small", lambda y: y[1:])}, TINY, timer=clock)
    calls = []

    def gets_worse(y):
        calls.append(1)
        return y if len(calls) < 4 else y * 1.001

    with pytest.raises(CheckError, match="tired is wrong on tiny, after timing"):
        bench({"tired": clock.fn("tired", gets_worse)}, TINY, timer=clock, budget=0)


def test_tf32_kernels_are_held_to_tf32(clock):
    rounded = clock.fn("fast", lambda y: y * (1 + 2**-12))
    rows = bench({"fast": rounded}, TINY, "tf32", timer=clock, budget=0)
    assert [(r["kernel"], r["precision"]) for r in rows] == [("cudnn", "tf32"), ("fast", "tf32")]
    with pytest.raises(CheckError):
        bench({"fast": rounded}, TINY, timer=clock, budget=0)
    with pytest.raises(ValueError, match="precision must be one of fp32, tf32"):
        bench({}, TINY, "fp8", timer=clock)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_bench_refuses(monkeypatch):
    with pytest.raises(RuntimeError, match="bench needs an NVIDIA GPU.*show_timings"):
        bench({}, "alexnet_conv1")
    with pytest.raises(ValueError, match="no workload is called 'lenet'; there are alexnet_conv1"):
        bench({}, "lenet")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(ValueError, match="built for the simulator, whose speed says nothing"):
        bench({"mine": kernels.load("conv2d_naive", backend="simulator")}, "alexnet_conv1")


def test_launchers_are_called_by_their_signature(clock):
    from utils.inline import load_inline

    source = """
    #include <torch/extension.h>
    torch::Tensor conv2d(torch::Tensor input, torch::Tensor weight, int64_t padding, int64_t stride) {
        return torch::full({padding, stride}, 1.0, input.options());
    }
    """
    fn = load_inline("conv2d_short", cuda_sources=source, backend="simulator").conv2d
    with pytest.raises(CheckError, match=r"the output's shape is \(1, 2\)"):  # padding 1, stride 2
        bench({"short": fn}, TINY, timer=clock)
    dilated = Workload("dilated", 1, 1, 9, 9, 1, 3, 3, dilation=2)
    with pytest.raises(ValueError, match="short has no dilation, and dilated needs dilation 2"):
        bench({"short": fn}, dilated, timer=clock)
    with pytest.raises(ValueError, match="short has no groups; grouped has 2"):
        bench({"short": fn}, Workload("grouped", 1, 2, 9, 9, 2, 3, 3, groups=2), timer=clock)


def test_recording_survives_the_file(tmp_path):
    path = tmp_path / recordings.file_name(MACHINE["gpu"])
    assert path.name == "nvidia_h200.json"
    recordings.write(RUN, path)
    assert [p.name for p in tmp_path.iterdir()] == ["nvidia_h200.json"]
    data = json.loads(path.read_text())
    assert list(data) == ["gpu", "driver", "cuda", "torch", "cudnn", "date", "ceilings", "rows"]
    columns = "workload precision kernel ms ms_spread cudnn_ms cudnn_layout cudnn_nchw_ms ratio tflops gbps"
    columns += " max_rel_err tile roof"
    assert all(list(row) == columns.split() for row in data["rows"])
    (run,) = recorded(directory=tmp_path)
    assert run == RUN
    assert recorded("h200", tmp_path) == [RUN] and recorded("a100", tmp_path) == []


@pytest.mark.parametrize("text", ["{", "[]", '{"gpu": "x"}'])
def test_a_broken_recording_is_named(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(ValueError, match=r"x\.json"):
        recorded(directory=tmp_path)


def test_show_timings_says_where_they_come_from(results):
    assert str(show_timings()).startswith("No GPU run is recorded") and str(show_timings()).count("\n") == 0
    recordings.write(RUN, results / "nvidia_h200.json")
    text = str(show_timings("alexnet_conv1", ["conv2d_naive"]))
    assert text.startswith(
        "Recorded, not on this machine, on an NVIDIA H200, 2026-11-20 (driver 580.1, CUDA 13.0"
    )
    assert "256x3x224x224 -> 96, 11x11, stride 4, padding 2" in text
    assert "conv2d_naive" in text and "tf32" in text and "uncoalesced" not in text and "blur" not in text
    assert "no rows" in str(show_timings("resnet_3x3_7"))
    with pytest.raises(ValueError, match="no workload is called"):
        show_timings("lenet")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_compare_with_cudnn_shows_the_recording_without_a_gpu(results):
    recordings.write(RUN, results / "nvidia_h200.json")
    timings = compare_with_cudnn("alexnet_conv1", kernels=["conv2d_naive"])
    assert not timings.live and {r["kernel"] for r in timings.rows} == {"cudnn", "conv2d_naive"}
    assert compare_with_cudnn("blur", {"mine": None}).rows == [RUN.rows[4]]


def test_a_kernel_that_refuses_the_workload_is_left_out_with_its_reason(clock):
    def refusing(name):
        def run(input, weight, **options):
            raise RuntimeError("75776 blocks along y: a grid has at most 65,535")

        return run if name == "conv2d_tiled" else clock.fn(name)

    rungs = [kernels.rung(name) for name in ("conv2d_naive", "conv2d_tiled")]
    said = []
    rows, failures = bench_command.record(
        [TINY], rungs, refusing, precisions=["fp32"], budget=0, timer=clock, say=said.append
    )
    assert failures == [] and [row["kernel"] for row in rows] == ["cudnn", "conv2d_naive"]
    assert said[-1] == "  skipped: conv2d_tiled refuses tiny: 75776 blocks along y: a grid has at most 65,535"


def test_bench_command_goes_through_the_motions(results, capsys):
    assert bench_command.main(["--dry"]) == 0
    out = capsys.readouterr().out
    for name in WORKLOADS:
        assert f"\n{name}: " in out
    assert "these are no timings" in out
    assert not list(results.iterdir()), "a dry run records nothing"
    target = results / "somewhere.json"
    assert (
        bench_command.main(
            ["--dry", "--workloads", "blur", "--kernels", "conv2d_naive", "--output", str(target)]
        )
        == 0
    )
    (run,) = recorded(directory=results)
    assert [(r["kernel"], r["precision"]) for r in run.rows] == [
        ("cudnn", "fp32"),
        ("conv2d_naive", "fp32"),
        ("cudnn", "tf32"),
    ]
    if not timing.can_measure():
        assert bench_command.main([]) == 1
        assert "needs an NVIDIA GPU" in capsys.readouterr().err


def test_one_bad_kernel_does_not_end_a_recording(clock):
    fns = {"conv2d_naive": clock.fn("naive"), "conv2d_uncoalesced": clock.fn("bad", lambda y: 2 * y)}
    said = []
    rows, failures = bench_command.record(
        [TINY, Workload("large", 64, 64, 500, 500, 64, 3, 3)],
        [rung for rung in LADDERS["conv2d"] if rung.name in fns],
        fns.__getitem__,
        budget=0,
        timer=Clock({}, memory=1 << 20),
        say=said.append,
    )
    assert {r["kernel"] for r in rows} == {"cudnn", "conv2d_naive"} and {r["workload"] for r in rows} == {
        "tiny"
    }
    assert len(failures) == 1 and failures[0].startswith("tiny: conv2d_uncoalesced is wrong")
    assert any("skipped: large needs about" in line for line in said)


def test_readme_tables():
    text = readme.with_tables(f"before\n{readme.BEGIN}\nold\n{readme.END}\nafter\n", [RUN])
    assert text.startswith(f"before\n{readme.BEGIN}\n") and text.endswith(f"{readme.END}\nafter\n")
    assert "old" not in text
    naive = "| `conv2d_naive` | one thread per output, a warp along W | fp32 | 17.200 ± 0.020 | 3.1 | 0.13 |"
    assert naive in text
    assert "| cuDNN | its best algorithm, NCHW | tf32 | 1.300 ± 0.020 | 41.5 |  |" in text
    assert "| blur | fp32 | `conv2d_naive` | 0.511 | 0.559 | 0.559 | 1.09 |  | 1.2e-06 |" in text
    ceilings = {"copy_gbps": 4300.0, "fp32_tflops": 51.0, "tf32_tflops": 350.0}
    roofed = Timings(MACHINE, [{**row, "roof": 0.25} for row in RUN.rows], ceilings=ceilings)
    text_with_roof = readme.ladder_tables([roofed])
    assert "| 1.09 | 25% | 1.2e-06 |" in text_with_roof
    assert (
        "4.30 TB/s in a copy" in text_with_roof
        and "51 TFLOP/s in fp32, 350 TFLOP/s in tf32" in text_with_roof
    )
    assert text.index("conv2d_uncoalesced") < text.index("conv2d_naive")
    assert readme.with_tables(text, [RUN]) == text
    for broken in ("", readme.END + readme.BEGIN, readme.BEGIN):
        with pytest.raises(ValueError, match="ladder:begin"):
            readme.with_tables(broken, [RUN])
    assert "make bench" in readme.ladder_tables([])


@pytest.mark.skipif(not readme.README.exists(), reason="no README yet")
def test_readme_is_in_step_with_the_recordings():
    assert readme.main(["--check"]) == 0


def test_readme_command(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(readme, "README", tmp_path / "README.md")
    monkeypatch.setattr(readme, "recorded", lambda: [RUN])
    readme.README.write_text(f"{readme.BEGIN}\n{readme.END}\n")
    assert readme.main(["--check"]) == 1
    assert readme.main([]) == 0
    assert readme.main(["--check"]) == 0
    assert "python -m utils.readme" in capsys.readouterr().err


@pytest.mark.skipif(timing.can_measure(), reason="there is a GPU")
def test_ladder_command(results, capsys):
    recordings.write(RUN, results / "nvidia_h200.json")
    picture = results / "ladder.png"
    assert ladder.main(["--kernels", "conv2d_naive", "--picture", str(picture)]) == 0
    out = capsys.readouterr().out
    assert "right" in out and "291,840" in out and "778,240" in out and "17.200" in out
    assert "Recorded, not on this machine, on an NVIDIA H200" in out and "counted by the simulator" in out
    assert out.rstrip().endswith(f"picture: {picture}")
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.gpu
@pytest.mark.skipif(not timing.can_measure(), reason="no GPU here")
def test_bench_on_the_gpu():
    small = Workload("small", 4, 8, 64, 64, 8, 3, 3, padding=1)
    rows = bench({"conv2d_naive": kernels.load("conv2d_naive")}, small, budget=0.2)
    assert [r["kernel"] for r in rows] == ["cudnn", "cudnn", "conv2d_naive"]
    assert all(r["ms"] > 0 for r in rows) and rows[2]["max_rel_err"] < 1e-5
    timings = compare_with_cudnn(small, ["conv2d_naive"], budget=0.2)
    assert timings.live and torch.cuda.get_device_name() in str(timings)


def test_what_an_old_gpu_lacks_is_left_out_of_a_comparison(monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(timing, "compute_capability", lambda: 75)
    monkeypatch.setattr(timing, "can_measure", lambda: True)
    monkeypatch.setattr(timing, "machine", lambda: MACHINE)
    monkeypatch.setattr(kernels, "load", lambda name: name)
    monkeypatch.setattr(
        timing, "bench", lambda fns, workload, precision, **_: asked.append((precision, fns)) or []
    )
    compare_with_cudnn("alexnet_conv1", ["conv2d_naive", "conv2d_gemm_async", "conv2d_mma"])
    assert asked == [("fp32", {"conv2d_naive": "conv2d_naive"})]
    said = capsys.readouterr().out
    assert "conv2d_gemm_async is not measured here: it needs compute capability 8.0" in said
    assert "conv2d_mma is not" in said
    asked.clear()
    timing.bench_ladder({"conv2d_mma": "mine"}, "alexnet_conv1")
    assert [precision for precision, _ in asked] == ["fp32"]
