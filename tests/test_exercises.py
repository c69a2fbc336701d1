"""Every exercise: its starter fails for the right reason, its solution passes, wrong ones are rejected."""

from __future__ import annotations

import pytest

from utils.exercise import checking, spec

EXERCISES = spec.names()


def wrongs():
    return [(name, wrong.name) for name in EXERCISES for wrong in spec.load(name).wrong]


def failure_of(name: str, text: str) -> checking.Failure | None:
    return checking.check(spec.load(name), text, backend="simulator").failure


@pytest.mark.parametrize("name", EXERCISES)
def test_the_starter_fails_for_the_right_reason(name):
    exercise = spec.load(name)
    failure = failure_of(name, exercise.texts.starter)
    assert failure is not None, "the starter passes"
    assert exercise.starter_fails in f"{failure.label}: {failure.message}"
    assert (failure.label != "compiles") == exercise.starter_compiles, (
        "a starter has to compile, unless that is its one mistake: a learner begins with one, not with two"
    )


@pytest.mark.parametrize("name", EXERCISES)
def test_the_solution_passes(name):
    exercise = spec.load(name)
    result = checking.check(exercise, exercise.texts.solution, backend="simulator")
    assert result.solved, result.text
    assert len(result.passed) == 1 + len(exercise.steps)


@pytest.mark.parametrize(("name", "wrong_name"), wrongs())
def test_a_wrong_solution_is_rejected_with_its_reason(name, wrong_name):
    exercise = spec.load(name)
    (wrong,) = (wrong for wrong in exercise.wrong if wrong.name == wrong_name)
    assert wrong.because.strip()
    failure = failure_of(name, wrong.source(exercise.texts.solution))
    assert failure is not None, "it passes"
    assert wrong.because in f"{failure.label}: {failure.message}"


@pytest.mark.parametrize("name", EXERCISES)
def test_an_exercise_is_complete(name):
    exercise = spec.load(name)
    assert exercise.title and exercise.goal
    assert len(exercise.hints) >= 2
    assert len(exercise.wrong) >= 3
    assert len({wrong.name for wrong in exercise.wrong}) == len(exercise.wrong)
    labels = [label for label, _ in exercise.steps]
    assert len(set(labels)) == len(labels)


@pytest.mark.parametrize("name", EXERCISES)
def test_the_gap_has_the_size_that_the_starter_states(name):
    for stated, lines in spec.load(name).texts.gaps:
        assert stated == len([line for line in lines if line.strip()])


@pytest.mark.parametrize("name", EXERCISES)
def test_no_hint_gives_the_whole_solution_away(name):
    exercise = spec.load(name)
    lines = {line.strip() for _, gap in exercise.texts.gaps for line in gap if len(line.strip()) > 3}
    said = " ".join(exercise.hints)
    given_away = {line for line in lines if line in said}
    assert not given_away or len(given_away) < len(lines)


def test_what_fails_on_a_gpu_is_explained_by_the_simulator(monkeypatch):
    """With the worker replaced: which run's text is shown."""
    failed = checking.Result(["compiles"], checking.Failure("a", "CUDA error"), ["✗ a: CUDA error"], "cuda")
    diagnosis = checking.Result(["compiles"], checking.Failure("a", "line 3"), ["✗ a: line 3"], "simulator")
    fine = checking.Result(["compiles", "a"], None, ["✓ a"], "simulator")
    broken = checking.Result([], checking.Failure("compiles", "no", "compile"), ["✗ compiles: no"], "cuda")
    exercise = spec.load("conv1d_naive")

    def shown(first, second):
        runs = iter([first, second])
        monkeypatch.setattr(checking, "_check_once", lambda *_: next(runs))
        return checking.check(exercise, "", backend="cuda").text

    assert shown(failed, diagnosis) == "✗ a: line 3\n"
    assert shown(failed, fine).startswith("✗ a: CUDA error\n  (only the GPU shows this")
    assert shown(broken, None) == "✗ compiles: no\n"


def test_the_simulator_is_compiled_within_the_time_for_building(monkeypatch):
    """Also of a cell that runs on a GPU, whose checks may profile it: with the machine's cache empty."""
    from utils import simulator

    happened = []
    monkeypatch.setattr(checking, "resolve_backend", lambda backend: "cuda")
    monkeypatch.setattr(checking, "build", lambda *_, **__: happened.append("built"))
    monkeypatch.setattr(simulator, "prepare", lambda: happened.append("prepared"))

    def send(event, seconds=None):
        happened.append((event[0], seconds))

    checking.run_checks(send, "conv1d_naive", None, "", "cuda", False)
    assert happened[:4] == [("backend", checking.BUILD_SECONDS), "built", "prepared", ("passed", None)]
