"""%%cuda, %%exercise, hints, solution and progress, as a notebook meets them."""

from __future__ import annotations

import json
import textwrap
import time
from pathlib import Path

import nbformat
import psutil
import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell
from jupyter_client.manager import start_new_kernel
from nbclient import NotebookClient

from utils.exercise import UnknownExercise, hint, progress, register, solution, spec
from utils.exercise.lessons import Lesson
from utils.exercise.views import Progress

ROOT = Path(__file__).resolve().parents[1]
KERNEL = (ROOT / "kernels" / "moving_average.cu").read_text("utf-8")


@pytest.fixture
def shell(monkeypatch, tmp_path):
    monkeypatch.setenv("CONV_PROGRESS", str(tmp_path / "progress.json"))
    monkeypatch.setenv("CONV_BACKEND", "simulator")
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance(colors="nocolor")
    register(shell)
    yield shell
    InteractiveShell.clear_instance()


def run(shell, capsys, text):
    """Run one cell: (whether it succeeded, what it printed)."""
    capsys.readouterr()
    result = shell.run_cell(text)
    captured = capsys.readouterr()
    return result.success, captured.out + captured.err


def test_cuda_compiles_and_binds_the_launcher(shell, capsys):
    success, text = run(shell, capsys, "%%cuda\n" + KERNEL)
    assert success
    assert text == "moving_average(input) → ready\n"
    assert torch.equal(shell.user_ns["moving_average"](torch.arange(5.0)), torch.tensor([1.0, 2.0, 3.0]))


def test_a_syntax_error_is_short_and_has_the_line_of_the_cell(shell, capsys):
    broken = KERNEL.replace("if (i < outputs) y[i] =", "if (i < outputs) y[i] ==@")
    line = 1 + next(n for n, text in enumerate(broken.splitlines(), start=1) if "==@" in text)
    success, text = run(shell, capsys, "%%cuda --name mine\n" + broken)
    assert not success
    assert "CompileError" in text and str(line) in text
    assert "Traceback" not in text and "\x1b" not in text
    assert len(text.splitlines()) < 15
    assert "moving_average" not in shell.user_ns


def test_a_kernel_error_is_short_and_says_which_call_led_to_it(shell, capsys):
    broken = KERNEL.replace("if (i < outputs) ", "")
    assert run(shell, capsys, "%%cuda\n" + broken)[0]
    success, text = run(shell, capsys, "import torch\ny = moving_average(torch.arange(5.0))")
    assert not success
    assert text.startswith("KernelError: ") and "out-of-bounds" in text
    assert "called in line 2 of the cell: y = moving_average(torch.arange(5.0))" in text
    assert "Traceback" not in text and "\x1b" not in text
    assert run(shell, capsys, "1 + 1")[0]


def test_a_cell_without_launcher_says_what_is_missing(shell, capsys):
    success, text = run(shell, capsys, "%%cuda\n__global__ void nothing() {}")
    assert not success
    assert "launcher" in text


def test_an_unknown_option_or_exercise_is_an_error(shell, capsys):
    assert not run(shell, capsys, "%%cuda --fast\n" + KERNEL)[0]
    success, text = run(shell, capsys, "%%exercise weighted_avrage\n1")
    assert not success
    assert text == "UnknownExercise: there is no exercise 'weighted_avrage'. Did you mean weighted_average?\n"


def test_an_untouched_starter_is_friendly_and_does_not_fail(shell, capsys):
    exercise = spec.load("weighted_average")
    cell = "%%exercise weighted_average\n" + exercise.texts.starter
    first, second = run(shell, capsys, cell), run(shell, capsys, cell.rstrip("\n") + "  \n\n")
    assert first == second
    success, text = first
    assert success
    assert text == textwrap.dedent(
        """\
        ○ weighted_average: not solved yet, the gap is still as it was.
          Goal: y[i] = weight[0] x[i] + weight[1] x[i+1] + weight[2] x[i+2]
          It will be checked for:
           · the first weight alone
           · three different weights
           · lengths around the size of a block
          Stuck? hint("weighted_average")
        """
    )
    assert "untouched" in repr(progress())
    assert "weighted_average" not in shell.user_ns


def test_a_wrong_cell_says_what_passed_and_what_failed_first(shell, capsys):
    exercise = spec.load("weighted_average")
    wrong = exercise.texts.solution.replace("weight[2] * x[i + 2]", "weight[1] * x[i + 2]")
    success, text = run(shell, capsys, "%%exercise weighted_average\n" + wrong)
    assert success  # Run All goes on
    assert text == textwrap.dedent(
        """\
        ✓ compiles
        ✓ the first weight alone
        ✗ three different weights: weighted_average([5, 1, 4, 2, 3], [1, 10, 100]): element [0] is 55, expected 415; 3 of 3 are wrong
        ○ weighted_average: 1 of 3 checks passed. Stuck? hint("weighted_average")
        """  # noqa: E501
    )
    assert "(tried)" in repr(progress())
    assert "weight[1] * x[i + 2]" in repr(solution("weighted_average"))


def test_the_solved_cell_s_launchers_are_bound(shell, capsys):
    exercise = spec.load("weighted_average")
    success, text = run(shell, capsys, "%%exercise weighted_average\n" + exercise.texts.solution)
    assert success
    assert text.endswith(
        "● weighted_average: solved, all 3 checks passed. weighted_average can be called now.\n"
    )
    assert callable(shell.user_ns["weighted_average"])
    run(shell, capsys, "%%exercise weighted_average\n" + exercise.texts.solution + "!")
    assert "(solved)" in repr(progress())  # what was solved once stays solved


def test_an_answer_is_explained(shell, capsys):
    cell = "%%exercise first_prediction\nblocks = 3\nthreads = 768\nidle = 0\n"
    success, text = run(shell, capsys, cell)
    assert success
    assert "✗ blocks: blocks = 3: three blocks have 768 threads" in text
    right = "%%exercise first_prediction\n" + spec.load("first_prediction").texts.solution
    assert "● first_prediction: solved" in run(shell, capsys, right)[1]
    assert "blocks" not in shell.user_ns


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("blocks = (", "✗ runs: SyntaxError"),
        (
            "blocks = 4\nblocks = 1 // 0",
            "✗ runs: ZeroDivisionError: integer division or modulo by zero (line 3:",
        ),
        ("import os\nos._exit(7)", "✗ runs: it left the program with exit code 7"),
        ("import ctypes\nctypes.string_at(0)", "✗ runs: it crashed"),
        ("raise SystemExit", "✗ runs: it left the program (exit)"),
    ],
)
def test_whatever_a_cell_does_the_notebook_goes_on(shell, capsys, text, said):
    success, shown = run(shell, capsys, f"%%exercise first_prediction\n{text}")
    assert success
    assert said in shown
    assert run(shell, capsys, "print('still here')") == (True, "still here\n")


def test_host_code_that_crashes_costs_nothing(shell, capsys):
    text = spec.load("weighted_average").texts.solution
    for code, said in (("abort();", "abort()"), ("exit(3);", "exit"), ("volatile int* p = 0; *p = 1;", "✗")):
        cell = text.replace("int outputs = input.numel() - 2;", f"int outputs = input.numel() - 2; {code}")
        success, shown = run(shell, capsys, "%%exercise weighted_average\n#include <cstdlib>\n" + cell)
        assert success
        assert "✗ the first weight alone: " in shown
        assert said in shown


def test_hints_come_one_by_one_and_begin_again(shell, capsys):
    count = len(spec.load("which_thread").hints)
    for _ in range(count):
        hint("which_thread")
    text = capsys.readouterr().out
    assert [line.split(":")[0] for line in text.splitlines()[:count]] == [
        f"Hint {number} of {count}" for number in range(1, count + 1)
    ]
    assert text.splitlines()[-1].startswith("That was the last hint.")
    hint("which_thread")
    assert capsys.readouterr().out.startswith(f"Hint 1 of {count}: ")
    with pytest.raises(UnknownExercise, match="Did you mean which_thread"):
        hint("which_tread")


def test_the_solution_is_shown_beside_the_attempt(shell):
    shown = solution("weighted_average")
    assert "you have not tried it yet" in repr(shown)
    assert "weight[0]" in repr(shown) and ">>> gap" not in repr(shown)
    assert "display:flex" in shown._repr_html_()


def test_progress_is_a_picture_with_a_description(shell):
    shown = progress()
    bundle, _ = shown._repr_mimebundle_()
    assert bundle["text/plain"].startswith(f"0 of {len(spec.names())} exercises solved\n")
    assert 'role="img"' in bundle["image/svg+xml"] and "<title>0 of" in bundle["image/svg+xml"]


@pytest.mark.parametrize(
    "damage", ["{", "[]", '{"exercises": 3}', '{"exercises": {"x": {"state": "?"}}}', "\x00"]
)
def test_a_damaged_progress_file_is_set_aside(shell, capsys, tmp_path, damage):
    file = tmp_path / "progress.json"
    file.write_text(damage)
    hint("which_thread")
    captured = capsys.readouterr()
    assert captured.out.startswith("Hint 1 of")
    assert "was damaged" in captured.err
    assert (tmp_path / "progress.json.damaged").read_text() == damage
    assert json.loads(file.read_text("utf-8"))["exercises"]["which_thread"]["hints"] == 1


def test_a_progress_file_that_cannot_be_written_costs_only_the_progress(shell, capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("CONV_PROGRESS", str(tmp_path / "a file" / "progress.json"))
    (tmp_path / "a file").write_text("in the way")
    hint("which_thread")
    captured = capsys.readouterr()
    assert captured.out.startswith("Hint 1 of")
    assert "progress" in captured.err


def test_in_a_real_jupyter_kernel(tmp_path, monkeypatch):
    """Worker, binding and short errors where there is no __main__ file and output goes by messages."""
    monkeypatch.setenv("CONV_PROGRESS", str(tmp_path / "progress.json"))
    monkeypatch.setenv("CONV_BACKEND", "simulator")
    texts = spec.load("weighted_average").texts
    cells = [
        f"import sys\nsys.path.insert(0, {str(ROOT)!r})",
        "from utils.exercise import register\nregister(get_ipython())",
        "%%exercise weighted_average\n" + texts.starter,
        "%%exercise weighted_average\n" + texts.solution,
        "import torch\nweighted_average(torch.ones(5), torch.ones(3))",
        "%%cuda\n" + KERNEL.replace("y[i] =", "y[i] ==@"),
        "%%exercise first_prediction\nimport os\nos.abort()",
        "print('still here')",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(
        notebook, timeout=120, allow_errors=True, resources={"metadata": {"path": tmp_path}}
    ).execute()
    outputs = [cell.outputs for cell in notebook.cells]
    printed = ["".join(output.get("text", "") for output in cell.outputs) for cell in notebook.cells]
    assert outputs[:2] == [[], []]
    assert "not solved yet" in printed[2]
    assert "● weighted_average: solved" in printed[3]
    assert outputs[4][0].data["text/plain"] == "tensor([3., 3., 3.])"
    (error,) = outputs[5]
    assert error.ename == "CompileError" and len(error.traceback) <= 2
    assert "✗ runs: it crashed: abort() was called" in printed[6]
    assert printed[7] == "still here\n"


def test_an_interrupt_in_a_real_jupyter_kernel_stops_the_check_and_the_next_cell_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("CONV_PROGRESS", str(tmp_path / "progress.json"))
    manager, client = start_new_kernel(cwd=str(ROOT))
    try:
        client.execute_interactive("from utils.exercise import register\nregister(get_ipython())", timeout=60)
        started = tmp_path / "started"
        client.execute(
            f"%%exercise first_prediction\nimport os\nopen({str(started)!r}, 'w').write(str(os.getpid()))\n"
            "while True: pass"
        )
        deadline = time.monotonic() + 60
        while not (started.exists() and started.read_text()) and time.monotonic() < deadline:
            time.sleep(0.05)
        child = int(started.read_text())
        manager.interrupt_kernel()
        reply = client.get_shell_msg(timeout=15)["content"]
        assert (reply["status"], reply["ename"]) == ("error", "KeyboardInterrupt")
        assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE
        reply = client.execute_interactive("assert 1 + 1 == 2", timeout=15)["content"]
        assert reply["status"] == "ok"
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def test_the_picture_of_progress_has_a_box_for_every_exercise_and_fits_the_page():
    lessons = (Lesson("a", tuple(f"a{i}" for i in range(13))), Lesson("b", ("b0",)))
    picture = Progress(lessons, {"a3": "solved"}).svg()
    assert picture.count("<rect") == 1 + 14
    assert 'width="784" height="160"' in picture, "thirteen exercises take four rows, one takes one"
