"""The comparison with numba where there is no numba, which is the usual case."""

import sys

import pytest
import torch

from utils.simulator import versus_numba


@pytest.mark.parametrize("python", ["/no/such/python", "without numba"])
def test_says_how_to_install_numba(python, tmp_path, monkeypatch, capsys):
    if python == "without numba":
        python = str(tmp_path / "python")
        (tmp_path / "python").write_text("#!/bin/sh\necho \"No module named 'numba'\" >&2; exit 1\n")
        (tmp_path / "python").chmod(0o755)
    monkeypatch.setattr(sys, "argv", ["versus_numba", "--numba-python", python])
    monkeypatch.setenv("CONV_THREADS", "1")  # main sets it; this puts it back
    assert versus_numba.main() == 1
    said = capsys.readouterr().err
    assert "pip install numba" in said and "--numba-python /tmp/numba/bin/python\nWhat it said: " in said
    assert "No module named 'numba'" in said or "No such file" in said


def test_different_results_are_not_compared_for_speed():
    x, w = torch.ones(1, 1, 4, 4), torch.ones(1, 1, 3, 3)
    with pytest.raises(AssertionError):
        versus_numba.in_this_simulator(False, x, w, torch.zeros(1, 1, 4, 4))
