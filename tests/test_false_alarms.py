"""No kernel and no solution of the course raises an alarm, in whatever order its threads take their turns."""

import pytest
import torch

import kernels
from utils.exercise import checking, spec
from utils.ladder import check_rung, variants
from utils.simulator.run import Simulation

# Forward is the order of all other tests: kernels and solutions are checked in it there.
ORDERS = [("reverse", 0), ("random", 1)]
CALLS = {"moving_average": lambda launcher: [launcher(torch.randn(length)) for length in (3, 258, 259, 1000)]}
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
    yield ORDERS.index(request.param)
    assert set(seen) == {(order, seed)}


@pytest.mark.parametrize("name", [name for name in kernels.names() if kernels.rung(name).simulated])
def test_kernel(name, every_call_in_order, capsys):
    launcher, rung = kernels.load(name, backend="simulator"), kernels.rung(name)
    if name not in CALLS:
        every = list(variants(rung, launcher))
        if len(every) > len(ORDERS):  # many tiles share the orders: each is in one of them
            every = every[every_call_in_order :: len(ORDERS)]
        check_rung(rung, launcher, every)
    else:
        CALLS[name](launcher)


@pytest.mark.parametrize("name", CUDA_EXERCISES)
def test_solution(name, every_call_in_order, capsys):
    exercise = spec.load(name)
    cell = checking.build(exercise.texts.solution, name=name, backend="simulator")
    for _, check in exercise.steps:
        check(cell)
