"""Timing of gradients without a GPU: who is called how often and with what, what is rejected and shown."""

import json

import pytest
import torch
import torch.nn.functional as F
from test_timing import MACHINE, RUN, Clock

import kernels
from kernels import GRADIENTS, Workload
from utils import benchmark as bench_command
from utils import ladder, readme, recordings, timing, timing_gradients
from utils.check import CheckError
from utils.recordings import GRADIENT_KEYS, Timings, recorded
from utils.timing_gradients import PASSES, bench_gradients, show_gradient_timings, torch_gradient

TINY = Workload("tiny", 3, 2, 9, 11, 4, 3, 3, stride=2, padding=1)
LINE = Workload("line", 5, 2, 1, 40, 4, 1, 3, stride=3, dilation=4, operator="conv1d")
NAIVE = ("conv2d_dgrad_naive", "conv2d_wgrad_naive", "bgrad_naive")


class Gpu(Clock):
    """A clock with PyTorch's gradients in the kernels' place."""

    def gradient(self, name, change=lambda y: y):
        fn = torch_gradient(kernels.operator(name))

        def run(*given):
            result = change(fn(*given))
            self.now = name
            return result

        return run

    def gradients(self, *names):
        return {name: self.gradient(name) for name in names}


@pytest.fixture
def gpu():
    return Gpu({"conv2d_dgrad_naive": 2.0, "conv2d_dgrad_mine": 1.0})


def test_rows_of_every_pass(gpu):
    forward = ("conv2d_window", F.conv2d)
    rows = bench_gradients(TINY, gpu.gradients(*NAIVE), forward, timer=gpu, budget=0.2)
    assert all(tuple(row) == GRADIENT_KEYS for row in rows)
    together = "conv2d_window + dgrad_naive + wgrad_naive + bgrad_naive"
    kernels_of = {which: [row["kernel"] for row in rows if row["pass"] == which] for which in PASSES}
    assert kernels_of == {
        **{which: ["cudnn", name] for which, name in zip(PASSES, NAIVE, strict=False)},
        "training": ["cudnn", together],
    }
    cudnn, dgrad = rows[:2]
    assert cudnn["ratio"] == 1 and cudnn["cudnn_layout"] in ("NCHW", "channels_last")
    assert dgrad["ms"] == pytest.approx(2.0, rel=0.05) and dgrad["cudnn_ms"] == cudnn["ms"]
    assert dgrad["ratio"] == pytest.approx(dgrad["cudnn_ms"] / dgrad["ms"], rel=1e-2)
    assert dgrad["tflops"] == pytest.approx(TINY.flops / dgrad["ms"] / 1e9, rel=1e-3)
    bias = TINY.N * TINY.K * TINY.P * TINY.Q
    assert rows[-1]["tflops"] == pytest.approx((3 * TINY.flops + bias) / rows[-1]["ms"] / 1e9, rel=1e-3)
    assert all(row["deterministic"] is True and 0 <= row["max_rel_err"] < 1e-6 for row in rows)


def test_one_dimension(gpu):
    names = ["conv1d_dgrad_naive", "conv1d_wgrad_naive", "bgrad_naive"]
    rows = bench_gradients(LINE, gpu.gradients(*names), ("conv1d_window", F.conv1d), timer=gpu, budget=0)
    assert [row["pass"] for row in rows] == [which for which in PASSES for _ in range(2)]
    assert {row["cudnn_layout"] for row in rows} == {"NCW"}


def test_samples_are_interleaved_and_slow_kernels_called_less(gpu):
    said = []

    def called(ms, budget=0.0):
        gpu.order.clear()
        gpu.durations["conv2d_dgrad_mine"] = ms
        fns = gpu.gradients("conv2d_dgrad_naive", "conv2d_dgrad_mine")
        rows = bench_gradients(TINY, fns, passes=["dgrad"], timer=gpu, budget=budget, say=said.append)
        assert gpu.order.count("conv2d_dgrad_naive") > timing.FEWEST
        return gpu.order.count("conv2d_dgrad_mine"), [row["kernel"] for row in rows]

    everybody = ["cudnn", "conv2d_dgrad_naive", "conv2d_dgrad_mine"]
    # To be checked, again for its bits, two rounds of warm-up, the samples.
    count, names = called(1.0, budget=0.1)
    assert count >= 2 + 2 + timing.FEWEST and names == everybody
    assert called(60.0, budget=0.1) == (3, everybody)
    assert called(2100.0, budget=1.0) == (1, everybody[:2])
    assert said == ["  skipped: conv2d_dgrad_mine: one call takes 2.1 s"]


def test_the_fastest_kernels_that_give_the_same_bits_train(gpu):
    calls = []

    def other_bits(y):
        calls.append(1)
        return y * (1 + 2**-23 * (len(calls) % 2))

    gpu.durations["conv2d_wgrad_mine"] = 0.5
    fns = gpu.gradients(*NAIVE, "conv2d_dgrad_mine")
    fns["conv2d_wgrad_mine"] = gpu.gradient("conv2d_wgrad_mine", other_bits)
    rows = bench_gradients(TINY, fns, ("conv2d_window", F.conv2d), timer=gpu, budget=0)
    same = {row["kernel"]: row["deterministic"] for row in rows}
    assert same["conv2d_dgrad_mine"] is True and same["conv2d_wgrad_mine"] is False
    # Its own name is not shortened away: what trains is told.
    assert rows[-1]["kernel"] == "conv2d_window + dgrad_mine + wgrad_naive + bgrad_naive"
    fns = {"conv2d_wgrad_naive": gpu.gradient("conv2d_wgrad_naive", other_bits)}
    with pytest.raises(CheckError, match="conv2d_wgrad_naive is not deterministic on tiny"):
        bench_gradients(TINY, fns, timer=gpu, budget=0)


def test_training_needs_a_kernel_of_each(gpu):
    said = []
    settings = {"timer": gpu, "budget": 0, "say": said.append}
    rows = bench_gradients(TINY, gpu.gradients(*NAIVE), **settings)
    assert "training" not in {row["pass"] for row in rows}
    bench_gradients(TINY, gpu.gradients("bgrad_naive"), ("conv2d_window", F.conv2d), **settings)

    def refuses(*given):
        raise RuntimeError("it needs a GPU of compute capability 8.0")

    bench_gradients(TINY, gpu.gradients(*NAIVE), ("conv2d_window", refuses), **settings)
    assert said == [
        "  skipped: training, without a kernel for the forward pass",
        "  skipped: training, without a kernel for dgrad, wgrad",
        "  skipped: training: conv2d_window refuses tiny: it needs a GPU of compute capability 8.0",
    ]


@pytest.mark.parametrize(
    "name, change, words",
    [
        ("conv2d_dgrad_naive", lambda y: y * 1.001, "before timing: dgrad has a relative error of 1.0e-03"),
        ("conv2d_dgrad_naive", lambda y: torch.empty_like(y), "dgrad has elements that are NaN"),
        ("conv2d_dgrad_naive", lambda y: y[1:], r"dgrad has shape \(2, 2, 9, 11\), not \(3, 2, 9, 11\)"),
        ("conv2d_wgrad_naive", lambda y: y.transpose(0, 1), "wgrad has shape"),
        ("bgrad_naive", lambda y: y + 0.01, "bgrad has a relative error"),
    ],
)
def test_wrong_kernels_are_not_timed(gpu, name, change, words):
    with pytest.raises(CheckError, match=f"{name} is wrong on tiny, {words}|{name} is wrong .*{words}"):
        bench_gradients(TINY, {name: gpu.gradient(name, change)}, timer=gpu, budget=0)


def test_an_image_too_few_and_a_kernel_that_tires_are_found(gpu):
    wgrad = torch_gradient("conv2d_wgrad")

    def without_one(grad_output, input, *given):
        return wgrad(grad_output[1:], input[1:], *given)

    with pytest.raises(CheckError, match="before timing: wgrad has a relative error"):
        bench_gradients(TINY, {"conv2d_wgrad_naive": without_one}, timer=gpu, budget=0)
    calls = []

    def gets_worse(y):
        calls.append(1)
        return y if len(calls) < 4 else 1.001 * y

    fns = {"bgrad_naive": gpu.gradient("bgrad_naive", gets_worse)}
    with pytest.raises(CheckError, match="bgrad_naive is wrong on tiny, after timing"):
        bench_gradients(TINY, fns, timer=gpu, budget=0)


def test_inputs_rotate_as_far_as_memory_goes():
    def sets_seen(memory):
        gpu = Gpu({}, memory)
        seen = set()

        def fn(grad_output):
            seen.add(grad_output.data_ptr())
            return torch_gradient("bgrad")(grad_output)

        bench_gradients(TINY, {"bgrad_naive": fn}, passes=["bgrad"], timer=gpu, budget=0)
        return len(seen)

    assert sets_seen(1 << 30) == 3
    assert sets_seen(8 * TINY.min_bytes) == 1
    with pytest.raises(MemoryError, match="tiny needs about .* GB of GPU memory for its gradients"):
        sets_seen(1000)


def test_launchers_are_called_by_their_signature(gpu):
    fns = {name: kernels.load(name, backend="simulator", checked=False) for name in NAIVE}
    rows = bench_gradients(TINY, fns, timer=gpu, budget=0, say=str)
    assert [row["kernel"] for row in rows if row["kernel"] != "cudnn"] == list(NAIVE)


def test_what_cannot_be_benched(monkeypatch):
    with pytest.raises(ValueError, match="depthwise has 256 groups; gradients are those of one"):
        bench_gradients("depthwise", {})
    with pytest.raises(ValueError, match="no workload is called 'lenet'"):
        bench_gradients("lenet", {})
    if not torch.cuda.is_available():
        with pytest.raises(RuntimeError, match="bench_gradients needs an NVIDIA GPU.*show_gradient_timings"):
            bench_gradients("alexnet_conv1", {})
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(ValueError, match="built for the simulator, whose speed says nothing"):
        bench_gradients("alexnet_conv1", {"bgrad_naive": kernels.load("bgrad_naive", backend="simulator")})


def row(workload="alexnet_conv1", which="dgrad", kernel="conv2d_dgrad_naive", ms=271.3, cudnn_ms=1.32):
    values = (
        workload,
        which,
        kernel,
        ms,
        0.02,
        cudnn_ms,
        "NCHW",
        cudnn_ms / ms,
        0.2,
        1.1e-6,
        kernel != "cudnn",
    )
    return dict(zip(GRADIENT_KEYS, values, strict=True))


TRAINED = Timings(
    MACHINE,
    RUN.rows,
    gradients=[
        row(kernel="cudnn", ms=1.32),
        row(),
        row(which="training", kernel="conv2d_window + dgrad_tiled + wgrad_tiled + bgrad_tiled", ms=5.5),
        row("conv1d_dilated", "bgrad", "bgrad_naive", 900.0, 2.5),
    ],
)


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.setattr(recordings, "RESULTS", tmp_path)
    return tmp_path


def test_recording_survives_the_file(results):
    path = results / "nvidia_h200.json"
    recordings.write(TRAINED, path)
    assert recorded() == [TRAINED]
    data = json.loads(path.read_text())
    assert list(data)[-2:] == ["rows", "gradients"]
    data["gradients"][0].pop("pass")
    path.write_text(json.dumps(data))
    with pytest.raises(ValueError, match="every row must have exactly the keys workload, pass, kernel"):
        recorded()
    recordings.write(RUN, path)  # a run without them
    assert recorded() == [RUN] and recorded()[0].gradients == []


@pytest.mark.skipif(timing.can_measure(), reason="there is a GPU")
def test_show_gradient_timings_says_where_they_come_from(results):
    assert str(show_gradient_timings("alexnet_conv1")).startswith("No GPU run is recorded")
    recordings.write(TRAINED, results / "nvidia_h200.json")
    text = str(show_gradient_timings("alexnet_conv1"))
    assert text.startswith("Recorded, not on this machine, on an NVIDIA H200")
    assert "256x3x224x224 -> 96, 11x11, stride 4, padding 2" in text and "conv1d_dilated" not in text
    naive = next(line for line in text.splitlines() if "conv2d_dgrad_naive" in line)
    assert naive.split() == ["dgrad", "conv2d_dgrad_naive", "271.300", "0.020", "0.20", "yes", "0.00"]
    assert "conv2d_uncoalesced" not in text
    assert "bgrad_naive" in str(show_gradient_timings()) and "no rows" in str(show_gradient_timings("blur"))
    assert "dgrad" not in str(timing.show_timings("alexnet_conv1"))


def test_readme_shows_gradients_where_they_are_recorded():
    text = readme.ladder_tables([TRAINED])
    assert "Gradients" not in readme.ladder_tables([RUN])
    naive = "| `conv2d_dgrad_naive` | 271.300 ± 0.020 | 0.2 | 1.320 | 0.00 | yes | 1.1e-06 |"
    assert f"| alexnet_conv1 | dgrad {naive}" in text
    assert "`conv2d_window` + `dgrad_tiled` + `wgrad_tiled` + `bgrad_tiled`" in text
    assert text.count("`cudnn`") == 0


def test_bench_command_times_gradients(results, capsys):
    target = results / "somewhere.json"
    flags = ["--dry", "--workloads", "alexnet_conv1", "blur", "--output", str(target)]
    assert bench_command.main([*flags, "--kernels", "conv2d_dgrad_naive", "bgrad_naive"]) == 0
    (run,) = recorded()
    assert run.rows == [] and {row["workload"] for row in run.gradients} == {"alexnet_conv1"}
    assert {row["kernel"] for row in run.gradients} == {"cudnn", "conv2d_dgrad_naive", "bgrad_naive"}
    assert "skipped: training, without a kernel for wgrad" in capsys.readouterr().out
    assert bench_command.main([*flags, "--kernels", "conv2d_naive"]) == 0
    (run,) = recorded()
    assert run.gradients == [] and run.rows
    assert bench_command.main([*flags, "--precisions", "tf32"]) == 0
    assert recorded()[0].gradients == []


def test_bench_command_has_every_layer_and_pass(results, capsys):
    gradients = [rung.name for ladder in GRADIENTS.values() for rung in ladder]
    assert bench_command.main(["--dry", "--kernels", *gradients, "--output", str(results / "x.json")]) == 0
    (run,) = recorded()
    found = {(row["workload"], row["pass"]) for row in run.gradients if row["kernel"] != "cudnn"}
    assert found == {(layer, which) for layer in timing_gradients.LAYERS for which in PASSES}
    assert {row["kernel"] for row in run.gradients} >= set(gradients)


def test_one_bad_kernel_does_not_end_a_recording(gpu):
    def refuses(*given):
        raise RuntimeError("70000 blocks along y: a grid has at most 65,535")

    fns = {
        "conv2d_window": F.conv2d,
        "conv2d_dgrad_naive": gpu.gradient("conv2d_dgrad_naive", lambda y: 2 * y),
        "conv2d_wgrad_naive": refuses,
        "bgrad_naive": gpu.gradient("bgrad_naive"),
    }
    rungs = [kernels.rung(name) for name in NAIVE]
    layer = Workload("alexnet_conv1", 3, 2, 9, 11, 4, 3, 3)
    said = []
    rows, failures = bench_command.record_gradients(
        [layer, TINY], rungs, fns.__getitem__, budget=0, timer=gpu, say=said.append
    )
    assert {row["kernel"] for row in rows} == {"cudnn", "bgrad_naive"}
    assert len(failures) == 1 and failures[0].startswith("alexnet_conv1: conv2d_dgrad_naive is wrong")
    assert any("skipped: conv2d_wgrad_naive refuses alexnet_conv1: 70000 blocks" in line for line in said)


@pytest.mark.skipif(timing.can_measure(), reason="there is a GPU")
def test_ladder_command(results, capsys):
    recordings.write(TRAINED, results / "nvidia_h200.json")
    assert ladder.main(["--kernels", "conv2d_dgrad_naive", "--picture", str(results / "x.png")]) == 0
    out = capsys.readouterr().out
    assert "right" in out and "271.300" in out and "counted by the simulator" in out
    assert "times: alexnet_conv1" in out and "picture" not in out


@pytest.mark.gpu
@pytest.mark.skipif(not timing.can_measure(), reason="no GPU here")
def test_bench_gradients_on_the_gpu():
    for layer in (
        Workload("small", 4, 8, 64, 64, 8, 3, 3, padding=1),
        Workload("line", 4, 8, 1, 4096, 8, 1, 3, stride=3, dilation=4, operator="conv1d"),
    ):
        fns = {rung.name: kernels.load(rung.name) for rung in timing_gradients.rungs_for(layer)}
        name = timing_gradients.forward_kernel(layer)
        rows = bench_gradients(layer, fns, (name, kernels.load(name)), budget=0.1)
        assert {row["pass"] for row in rows} == set(PASSES)
        # The naive kernels add 16,384 products one by one: 7e-6 of the largest result, with luck.
        bound = 8 * 2**-24 * (layer.N * layer.P * layer.Q) ** 0.5
        assert all(row["ms"] > 0 and row["max_rel_err"] < bound for row in rows)
