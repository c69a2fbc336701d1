"""A one-line change of the first kernel, which turns an average into a convolution."""

import torch

from utils.exercise.helpers import call, same
from utils.exercise.spec import Exercise, Wrong

X = torch.tensor([5.0, 1.0, 4.0, 2.0, 3.0])


def compare(cell, weight):
    """The average of X with these weights, and a word about mistakes that can be recognised."""
    weight, windows = torch.tensor(weight), X.unfold(0, 3, 1)
    actual, expected = call(cell.weighted_average, X, weight), windows @ weight
    what = f"weighted_average([5, 1, 4, 2, 3], {[int(w) for w in weight]})"
    for mistake, result in (
        ("it is a third of that: the division by 3 belongs to the average", expected / 3),
        ("these are the weights from right to left: weight[0] belongs to x[i]", windows @ weight.flip(0)),
        ("this is still the average: no weight is used", windows.mean(dim=1)),
    ):
        wrong = actual.shape == expected.shape and not torch.allclose(actual, expected)
        if wrong and torch.allclose(actual, result):
            what = f"{what}: {mistake}"
    same(actual, expected, what, 1e-3)


def first_weight_alone(cell):
    compare(cell, [1.0, 0.0, 0.0])


def three_different_weights(cell):
    compare(cell, [1.0, 10.0, 100.0])


def lengths_around_a_block(cell):
    generator = torch.Generator().manual_seed(1)
    for length in (3, 4, 257, 258, 259, 700):
        x, w = torch.randn(length, generator=generator), torch.randn(3, generator=generator)
        expected = torch.nn.functional.conv1d(x[None, None].double(), w[None, None].double())[0, 0]
        same(call(cell.weighted_average, x, w), expected, f"weighted_average of {length} random numbers")


exercise = Exercise(
    title="From an average to a convolution",
    goal="y[i] = weight[0] x[i] + weight[1] x[i+1] + weight[2] x[i+2]",
    hints=[
        "The kernel has three neighbours already. What is each of them multiplied with now?",
        "The average is the case weight = (1/3, 1/3, 1/3): the division by three goes into the weights.",
        "Every thread uses the same three weights: their index does not depend on i.",
    ],
    checks=[
        ("the first weight alone", first_weight_alone),
        ("three different weights", three_different_weights),
        ("lengths around the size of a block", lengths_around_a_block),
    ],
    starter_fails="element [0] is 3.33333, expected 5",
    wrong=[
        Wrong(
            "weights in reverse order",
            replace={"= weight[0] *": "= weight[2] *", "+ weight[2] *": "+ weight[0] *"},
            because="from right to left",
        ),
        Wrong(
            "one weight for all",
            replace={"weight[1] *": "weight[0] *", "weight[2] *": "weight[0] *"},
            because="element [0] is 10, expected 5",
        ),
        Wrong(
            "still divides by three",
            replace={"= weight[0] * x[i]": "= (weight[0] * x[i]", "x[i + 2];": "x[i + 2]) / 3.0f;"},
            because="the division by 3 belongs to the average",
        ),
        Wrong(
            "a weight for each output",
            replace={"weight[0]": "weight[i]", "weight[1]": "weight[i + 1]", "weight[2]": "weight[i + 2]"},
            because="out-of-bounds",
        ),
        Wrong("no bound", replace={"if (i < outputs) y": "y"}, because="out-of-bounds"),
    ],
)  # fmt: skip
