"""No kernel and no solution of the course raises an alarm, in whatever order its threads take their turns."""

import pytest
import torch

import kernels
from utils.check import check_conv1d, check_conv2d
from utils.exercise import spec
from utils.inline import load_inline
from utils.simulator.run import Simulation

ORDERS = [("forward", 0), ("reverse", 0), ("random", 1), ("random", 2)]
CHECKS = {"conv2d": check_conv2d, "conv1d": check_conv1d}
CALLS = {"moving_average": lambda launcher: [launcher(torch.randn(length)) for length in (3, 258, 259, 1000)]}
CHANNELS_LAST = {
    rung.name for ladder in kernels.LADDERS.values() for rung in ladder if rung.layout == "channels_last"
}
CUDA_EXERCISES = [name for name in spec.names() if spec.load(name).kind == "cuda"]


@pytest.fixture(params=ORDERS, ids=lambda order: f"{order[0]}-{order[1]}")
def every_call_in_order(request, monkeypatch):
    """Makes every simulated call of a test run in one order."""
    order, seed = request.param
    seen = []
    original = Simulation.__init__

    def in_order(self, *args, **options):
        original(self, *args, **{**options, "order": order, "seed": seed})
        seen.append(tuple(self.order))

    monkeypatch.setattr(Simulation, "__init__", in_order)
    yield
    assert set(seen) == {(order, seed)}


@pytest.mark.parametrize("name", kernels.names())
def test_kernel(name, every_call_in_order, capsys):
    operator = kernels.operator(name)
    assert operator in CHECKS or operator in CALLS, f"CALLS needs an example of {operator}"
    launcher = kernels.load(name, backend="simulator")
    options = {"channels_last": True} if name in CHANNELS_LAST else {}
    CHECKS.get(operator, CALLS.get(operator))(launcher, **options)


@pytest.mark.parametrize("name", CUDA_EXERCISES)
def test_solution(name, every_call_in_order, capsys):
    exercise = spec.load(name)
    cell = load_inline(name, cuda_sources=exercise.texts.solution, backend="simulator")
    for _, check in exercise.steps:
        check(cell)
