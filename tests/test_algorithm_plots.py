"""The pictures of algorithms beside each other: their words, and what they refuse."""

import pytest

from utils.plots.algorithms import layers_chart, work_chart


def row(workload, kernel, ms, precision="fp32", cudnn_ms=2.0):
    return {
        "workload": workload,
        "kernel": kernel,
        "ms": ms,
        "precision": precision,
        "cudnn_ms": cudnn_ms,
    }


ROWS = [
    row("blur", "cudnn", 2.0),
    row("blur", "conv2d_rows", 0.25),
    row("blur", "conv2d_vector", 0.5),
    row("blur", "conv2d_gemm", 4.0),
    row("resnet", "conv2d_gemm", 4.0),
    row("resnet", "conv2d_mma", 1.0, "tf32"),
    row("other", "conv2d_unknown", 1.0),
]
ALGORITHMS = {"direct": ["conv2d_rows", "conv2d_vector"], "product": ["conv2d_gemm"], "Winograd": ["none"]}


def alt(picture):
    return picture.alt


def test_work_chart_says_its_points():
    points = [
        {"name": "direct", "work": 9, "error": 2e-7},
        {"name": "F(4x4)", "work": 2.25, "error": 2e-6, "chosen": True},
    ]
    words = alt(work_chart(points, "C = 128"))
    assert "direct: 9 multiplications, error 2e-07" in words
    assert words.endswith("C = 128")
    assert work_chart(points).data == work_chart(points).data
    with pytest.raises(ValueError, match="at least one"):
        work_chart([])


def test_layers_chart_takes_the_fastest_of_an_algorithm():
    words = alt(layers_chart(ROWS, ALGORITHMS, caption="an H200"))
    assert "blur: direct 8, product 0.5; resnet: product 0.5." in words
    assert "other" not in words
    assert words.endswith("an H200")
    assert "Winograd" not in words


def test_layers_chart_of_another_precision():
    words = alt(layers_chart(ROWS, {"tensor cores": ["conv2d_mma"]}, precision="tf32"))
    assert "resnet: tensor cores 2." in words


def test_layers_chart_refuses_to_draw_nothing():
    with pytest.raises(ValueError, match="no row of bf16"):
        layers_chart(ROWS, ALGORITHMS, precision="bf16")
