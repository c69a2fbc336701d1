"""Tiles tried on a false clock: the winner, what is remembered, and what is done with a bad memory."""

import json
import types

import pytest
import torch
import torch.nn.functional as F

from utils.autotune import best_tile
from utils.check import CheckError

X, W = torch.randn(2, 3, 6, 7), torch.randn(4, 3, 3, 3)


class Clock:
    device = "cpu"

    def __init__(self, durations):
        self.durations, self.calls = durations, []

    def sample(self, call):
        call()
        self.calls.append(self.now)
        return self.durations[self.now]


def launcher(clock, tiles=3, wrong=(), refused=(), text="source"):
    """What kernels.load returns, with PyTorch in place of the kernel."""

    def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, tile=-1):
        clock.now = tile
        if tile in refused:
            raise RuntimeError("tile needs 300000 bytes of shared memory\nmore")
        output = F.conv2d(input, weight, bias, stride, padding, dilation)
        return output.roll(1, -1) if tile in wrong else output

    conv2d.nowait, conv2d.tiles, conv2d.options = conv2d, tiles, {}
    conv2d.source = types.SimpleNamespace(name="conv2d_tuned", text=text)
    return conv2d


@pytest.fixture
def clock():
    return Clock({0: 3.0, 1: 1.0, 2: 2.0})


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "tuned" / "gpu.json"


def test_the_fastest_wins_and_is_remembered_per_shape(clock, cache):
    fn = launcher(clock)
    tuned = best_tile(fn, X, W, timer=clock, cache=cache)
    assert (tuned.tile, tuned.ms, tuned.from_cache) == (1, 1.0, False)
    assert tuned.tried == {0: 3.0, 1: 1.0, 2: 2.0} and "timed now" in str(tuned)
    timed = len(clock.calls)
    again = best_tile(fn, X, W, timer=clock, cache=cache)
    assert len(clock.calls) == timed, "nothing is timed twice"
    assert again.from_cache and (again.tile, again.tried) == (1, tuned.tried) and "remembered" in str(again)
    for change in ({"padding": 1}, {"bias": torch.zeros(4)}, {"precision": "tf32"}):
        assert not best_tile(fn, X, W, timer=clock, cache=cache, **change).from_cache
    assert not best_tile(fn, X[:1], W, timer=clock, cache=cache).from_cache
    last = X.to(memory_format=torch.channels_last)
    assert not best_tile(fn, last, W, timer=clock, cache=cache).from_cache
    assert best_tile(fn, torch.randn_like(X), W, timer=clock, cache=cache).from_cache, "numbers do not matter"
    assert not best_tile(launcher(clock, text="changed"), X, W, timer=clock, cache=cache).from_cache


def test_a_tile_that_cannot_run_is_left_out_with_its_reason(clock, cache):
    tuned = best_tile(launcher(clock, refused=[1]), X, W, timer=clock, cache=cache)
    assert tuned.tile == 2 and tuned.refused == {1: "tile needs 300000 bytes of shared memory"}
    with pytest.raises(RuntimeError, match="no tile of conv2d_tuned can run this shape here: 0: tile needs"):
        best_tile(launcher(clock, refused=[0, 1, 2], text="other"), X, W, timer=clock, cache=cache)


def test_a_wrong_tile_is_no_winner(clock, cache):
    with pytest.raises(CheckError, match="tile 1 of conv2d_tuned gives another result than the first"):
        best_tile(launcher(clock, wrong=[1]), X, W, timer=clock, cache=cache)
    assert not cache.exists()


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"gpu": "NVIDIA T4", "tuned": {}}',
        '{"gpu": "no GPU", "tuned": {"a": {"tile": 1}}}',
        '{"gpu": "no GPU"}',
        "\xff\xfe",
    ],
)
def test_a_damaged_or_foreign_cache_is_told_and_written_anew(clock, cache, text, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    cache.parent.mkdir()
    cache.write_bytes(text.encode("latin-1"))
    with pytest.warns(UserWarning, match="ignoring .*gpu.json, tiles are tried again"):
        assert best_tile(launcher(clock), X, W, timer=clock, cache=cache).tile == 1
    assert json.loads(cache.read_text())["gpu"] == "no GPU"
    assert best_tile(launcher(clock), X, W, timer=clock, cache=cache).from_cache


def test_a_remembered_tile_that_no_longer_exists_is_tried_again(clock, cache):
    best_tile(launcher(clock), X, W, timer=clock, cache=cache)
    data = json.loads(cache.read_text())
    for entry in data["tuned"].values():
        entry["tile"] = 7
    cache.write_text(json.dumps(data))
    assert best_tile(launcher(clock), X, W, timer=clock, cache=cache).tile == 1


def test_a_cache_that_cannot_be_written_costs_only_the_memory(clock, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.warns(UserWarning, match="not remembered"):
        assert best_tile(launcher(clock), X, W, timer=clock, cache=blocked / "gpu.json").tile == 1


def test_without_a_gpu_the_launcher_decides(clock):
    tuned = best_tile(launcher(clock), X, W)
    assert tuned.tile == -1 and "without a GPU" in str(tuned)
    with pytest.raises(ValueError, match="no choice of tiles"):
        best_tile(launcher(clock, tiles=0), X, W)


def test_a_changed_header_is_tried_again(clock, cache, tmp_path):
    header = tmp_path / "include" / "sizes.h"
    header.parent.mkdir()
    fn = launcher(clock)
    fn.options = {"extra_include_paths": [str(header.parent)]}
    header.write_text("constexpr int TILE = 8;\n")
    best_tile(fn, X, W, timer=clock, cache=cache)
    assert best_tile(fn, X, W, timer=clock, cache=cache).from_cache
    header.write_text("constexpr int TILE = 9;\n")
    assert not best_tile(fn, X, W, timer=clock, cache=cache).from_cache
