"""Exercises in a notebook: %%cuda, %%exercise, hints, solutions, progress."""

from utils.exercise.spec import UnknownExercise
from utils.exercise.views import hint, progress, solution


def register(ipython) -> None:
    """Add %%cuda and %%exercise to a running IPython."""
    from utils.exercise.magics import register as register_magics  # IPython is not needed by the worker

    register_magics(ipython)


__all__ = ["UnknownExercise", "hint", "progress", "register", "solution"]
