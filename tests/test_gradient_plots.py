"""Pictures of gradients: their sums are PyTorch's, what they say in words, and what they refuse."""

import itertools

import pytest
import torch

from utils.plots.gradients import contributions, gradient_map, pairs, touch_map
from utils.plots.training import filter_rows, loss_curves

OPTIONS = list(itertools.product((1, 2, 3, 4), (0, 1, 2), (1, 2, 3)))


@pytest.mark.parametrize(("stride", "padding", "dilation"), OPTIONS)
def test_the_pairs_make_up_both_gradients(stride, padding, dilation):
    options = {"stride": stride, "padding": padding, "dilation": dilation}
    x, w = torch.randn(1, 1, 11, dtype=torch.float64), torch.randn(1, 1, 3, dtype=torch.float64)
    x.requires_grad_(), w.requires_grad_()
    y = torch.nn.functional.conv1d(x, w, **options)
    dy = torch.randn_like(y)
    y.backward(dy)
    given, inputs, weights = (tensor.detach().flatten().tolist() for tensor in (dy, x, w))
    found = [
        sum(given[q] * weights[s] for q, s in contributions(place, 11, 3, **options)) for place in range(11)
    ]
    assert found == pytest.approx(x.grad.flatten().tolist())
    found = [sum(given[q] * inputs[place] for q, place in pairs(s, 11, 3, **options)) for s in range(3)]
    assert found == pytest.approx(w.grad.flatten().tolist())


def test_gradient_map_says_its_sums():
    words = gradient_map(9, 3, stride=2, padding=1, inputs=(4, 5), tap=0, title="Columns").alt
    assert words.startswith("Columns: 5 windows of 3 taps over 9 inputs, stride 2, padding 1, dilation 1.")
    assert "dx[4] = w[1] dy[2]." in words
    assert "dx[5] = w[0] dy[3] + w[2] dy[2]." in words
    assert "dw[0] = dy[1] x[1] + dy[2] x[3] + dy[3] x[5] + dy[4] x[7]." in words


def test_an_input_that_no_output_reads():
    assert "dx[5] = 0, as no output reads it" in gradient_map(12, 3, 2, 2, 2, inputs=(5,)).alt


def test_a_tap_in_the_padding_alone():
    assert "dw[0] = 0, as it meets padding alone" in gradient_map(1, 3, padding=1, tap=0).alt


def test_the_same_data_give_the_same_bytes():
    assert gradient_map(9, 3, tap=1).data == gradient_map(9, 3, tap=1).data


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"size": 2, "taps": 3}, "no window to draw"),
        ({"size": 41, "taps": 3}, "at most 40"),
        ({"size": 9, "taps": 3, "inputs": (9,)}, "inputs 0 to 8"),
        ({"size": 9, "taps": 3, "tap": 3}, "taps 0 to 2"),
    ],
)
def test_gradient_map_refuses(call, message):
    with pytest.raises(ValueError, match=message):
        gradient_map(**call)


def test_touch_map_names_output_and_tap():
    words = touch_map((8, 8), (3, 3), [(2, 2), (2, 5)], stride=2, padding=1, title="Two").alt
    assert words.startswith(
        "Two: pixel (2, 2) is read by output (1, 1) by tap (1,1); pixel (2, 5) is read by"
    )
    assert "output (1, 3) by tap (1,0), output (1, 2) by tap (1,2)." in words
    assert "no output" in touch_map((8, 8), (1, 1), [(1, 1)], stride=2).alt


@pytest.mark.parametrize(
    ("size", "pixels", "message"),
    [
        ((2, 8), [(0, 0)], "no window to draw"),
        ((8, 8), [], "1 to 4 pixels"),
        ((8, 8), [(8, 0)], "1 to 4 pixels"),
        ((8, 40), [(0, 0)] * 4, "too wide"),
    ],
)
def test_touch_map_refuses(size, pixels, message):
    with pytest.raises(ValueError, match=message):
        touch_map(size, (3, 3), pixels)


def test_loss_curves_say_their_ends():
    words = loss_curves({"PyTorch": [2.3, 1.0], "ours": [2.3, 1.01]}, "a caption").alt
    assert "PyTorch: 2.30 at the first of 2 steps, 1.00 at the last; ours: 2.30" in words
    assert words.endswith("a caption")
    for curves in ({}, {"empty": []}, dict.fromkeys("abcd", [1.0])):
        with pytest.raises(ValueError, match="1 to 3 curves"):
            loss_curves(curves)


def test_filter_rows_say_their_range():
    weights = torch.tensor([[[-0.5, 0.25]]], requires_grad=True)
    assert filter_rows({"before": weights}, "Filters").alt == (
        "Filters: before: 1 filters of 1 x 2, weights from -0.50 to 0.25."
    )
    assert filter_rows({"zeros": torch.zeros(2, 3, 3)}).alt
    for rows in ({}, {"x": torch.zeros(3, 3)}, {"x": torch.zeros(17, 3, 3)}):
        with pytest.raises(ValueError, match="at most 16"):
            filter_rows(rows)
