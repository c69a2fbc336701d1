"""Notebooks and files in step: both ways, every kind of difference, no edit ever lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from utils import sync
from utils.excerpt import function_text
from utils.exercise.gap import GapError, same_code, split

KERNEL = "// a kernel\n__global__ void k() {}\n"
SOLUTION = "int f() {\n    // >>> gap (1 line): return one\n    return 1;\n    // <<< gap\n}\n"
STARTER = "int f() {\n    // TODO (1 line): return one\n}\n"


def cell(source: str, course: dict | None = None, **more) -> dict:
    metadata = {"course": course} if course is not None else {}
    as_lines = source.splitlines(keepends=True)
    return {
        "cell_type": "code",
        "execution_count": 3,
        "id": f"id-{len(source)}",
        "metadata": metadata,
        "outputs": [{"name": "stdout", "output_type": "stream", "text": ["kept\n"]}],
        "source": as_lines,
        **more,
    }


@pytest.fixture
def course(tmp_path):
    """A repository with one kernel, one exercise, and a notebook whose two cells are still empty."""
    for folder in ("notebooks", "kernels", "solutions/ex"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "kernels" / "one.cu").write_text(KERNEL)
    (tmp_path / "solutions" / "ex" / "solution.cu").write_text(SOLUTION)
    cells = [
        {"cell_type": "markdown", "id": "md", "metadata": {}, "source": ["# Lesson é\n"]},
        cell("%%cuda", {"kernel": "one"}),
        cell("%%exercise ex --quick\n", {"starter": "ex"}),
        cell("1 + 1"),
    ]
    write(tmp_path, cells)
    return tmp_path


def write(root: Path, cells: list[dict], name: str = "01-a.ipynb") -> None:
    notebook = {"cells": cells, "metadata": {"kernelspec": {}}, "nbformat": 4, "nbformat_minor": 5}
    (root / "notebooks" / name).write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")


def read(root: Path, name: str = "01-a.ipynb") -> list[dict]:
    return json.loads((root / "notebooks" / name).read_text())["cells"]


def edit(root: Path, number: int, old: str, new: str, name: str = "01-a.ipynb") -> None:
    path = root / "notebooks" / name
    notebook = json.loads(path.read_text())
    source = "".join(notebook["cells"][number]["source"])
    assert old in source
    notebook["cells"][number]["source"] = source.replace(old, new).splitlines(keepends=True)
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")


def run(root: Path, capsys, *arguments: str) -> tuple[int, str]:
    capsys.readouterr()
    code = sync.main(list(arguments), root)
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def test_files_are_written_into_cells_and_nothing_else_changes(course, capsys):
    before = read(course)
    assert run(course, capsys, "--check")[0] == 1
    assert run(course, capsys)[0] == 0
    after = read(course)
    assert "".join(after[1]["source"]) == "%%cuda\n" + KERNEL.rstrip("\n")
    assert "".join(after[2]["source"]) == "%%exercise ex --quick\n" + STARTER.rstrip("\n")
    assert after[0] == before[0] and after[3] == before[3]
    for old, new in zip(before, after, strict=True):
        assert {k: v for k, v in old.items() if k not in ("source", "metadata")} == {
            k: v for k, v in new.items() if k not in ("source", "metadata")
        }
    assert run(course, capsys, "--check") == (0, "")


def test_a_second_run_writes_nothing(course, capsys):
    run(course, capsys)
    path = course / "notebooks" / "01-a.ipynb"
    text, stamp = path.read_bytes(), path.stat().st_mtime_ns
    assert run(course, capsys) == (0, "")
    assert (path.read_bytes(), path.stat().st_mtime_ns) == (text, stamp)


def test_other_indentation_and_letters_are_kept(course, capsys):
    path = course / "notebooks" / "01-a.ipynb"
    path.write_text(json.dumps(json.loads(path.read_text()), indent=2, ensure_ascii=False))
    run(course, capsys)
    text = path.read_text()
    assert text.startswith('{\n  "cells"') and text.endswith("}") and "é" in text


def test_a_changed_file_reaches_the_cell(course, capsys):
    run(course, capsys)
    (course / "kernels" / "one.cu").write_text(KERNEL + "// more\n")
    code, text = run(course, capsys, "--check")
    assert (code, text) == (1, "01-a.ipynb cell 2: kernels/one.cu was changed; run python -m utils.sync\n")
    assert run(course, capsys)[0] == 0
    assert "// more" in "".join(read(course)[1]["source"])


def test_an_edited_cell_is_never_overwritten_and_goes_back_to_its_file(course, capsys):
    run(course, capsys)
    edit(course, 1, "// a kernel", "// a better kernel")
    code, text = run(course, capsys, "--check")
    assert code == 1 and "the cell was edited" in text and "--from-notebooks" in text
    code, text = run(course, capsys)
    assert code == 1 and "the cell was edited" in text
    assert "a better kernel" in "".join(read(course)[1]["source"])
    assert run(course, capsys, "--from-notebooks") == (0, "kernels/one.cu ← 01-a.ipynb cell 2\n")
    assert (course / "kernels" / "one.cu").read_text() == KERNEL.replace("a kernel", "a better kernel")
    assert run(course, capsys, "--check") == (0, "")


def test_edits_on_both_sides_are_a_conflict_and_neither_is_lost(course, capsys):
    run(course, capsys)
    edit(course, 1, "// a kernel", "// the cell's")
    (course / "kernels" / "one.cu").write_text(KERNEL.replace("a kernel", "the file's"))
    for arguments in ([], ["--from-notebooks"], ["--check"]):
        code, text = run(course, capsys, *arguments)
        assert code == 1 and "both the cell and kernels/one.cu were changed" in text
    assert "the cell's" in "".join(read(course)[1]["source"])
    assert "the file's" in (course / "kernels" / "one.cu").read_text()
    assert run(course, capsys, "--force")[0] == 0
    assert "the file's" in "".join(read(course)[1]["source"])


def test_an_edited_starter_is_not_written_back(course, capsys):
    run(course, capsys)
    edit(course, 2, "// TODO (1 line): return one", "return 1;")
    for arguments in ([], ["--from-notebooks"], ["--check"]):
        code, text = run(course, capsys, *arguments)
        assert code == 1 and "starter" in text and "solutions/ex/solution.cu" in text
    assert (course / "solutions" / "ex" / "solution.cu").read_text() == SOLUTION
    assert "return 1;" in "".join(read(course)[2]["source"])


def test_a_kernel_edited_differently_in_two_notebooks_is_not_written(course, capsys):
    write(course, [cell("%%cuda\n", {"kernel": "one"})], "02-b.ipynb")
    run(course, capsys)
    edit(course, 1, "// a kernel", "// the first")
    edit(course, 0, "// a kernel", "// the second", "02-b.ipynb")
    code, text = run(course, capsys, "--from-notebooks")
    assert code == 1 and "edited differently in 01-a.ipynb cell 2, 02-b.ipynb cell 1" in text
    assert (course / "kernels" / "one.cu").read_text() == KERNEL


def test_what_is_not_owned_not_used_or_not_there_is_found(course, capsys):
    run(course, capsys)
    (course / "kernels" / "lonely.cu").write_text(KERNEL)
    (course / "kernels" / "loaded.cu").write_text(KERNEL)
    (course / "solutions" / "unused").mkdir()
    write(
        course,
        [
            cell("%%cuda\n// nobody's"),
            cell("%%cuda\n// the lesson's own", {"lesson": "an error on purpose"}),
            cell("%%cuda\n", {"kernel": "gone"}),
            cell("%%exercise other\n", {"starter": "ex"}),
            cell("%%cuda\n", {"kernel": "one", "starter": "ex"}),
            cell('kernels.load("loaded")'),
        ],
        "02-b.ipynb",
    )
    code, text = run(course, capsys, "--check")
    assert code == 1
    assert text.splitlines() == [
        "02-b.ipynb cell 1: nothing owns it (%%cuda)",
        "02-b.ipynb cell 4: it should begin with %%exercise ex, not with %%exercise other",
        "02-b.ipynb cell 5: it has more than one owner: kernel, starter",
        "02-b.ipynb cell 3: its owner does not exist: kernels/gone.cu",
        "kernels/lonely.cu: no notebook uses it",
        "solutions/unused: no notebook uses it",
    ]


def test_a_damaged_notebook_is_named_and_the_others_are_synced(course, capsys):
    (course / "notebooks" / "00-broken.ipynb").write_text("{")
    code, text = run(course, capsys)
    assert code == 1 and "00-broken.ipynb: no readable notebook" in text
    assert "__global__" in "".join(read(course)[1]["source"])
    assert (course / "notebooks" / "00-broken.ipynb").read_text() == "{"


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    file = tmp_path / "f"
    file.write_text("old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sync.os, "replace", full)
    with pytest.raises(OSError):
        sync.write_atomically(file, "new")
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_gaps():
    texts = split(SOLUTION)
    assert texts.starter == STARTER
    assert texts.solution == "int f() {\n    return 1;\n}\n"
    assert texts.gaps == ((1, ("    return 1;",)),)
    python = "# >>> gap (2 lines): add\na = 1\nb = 2\n# === starter\na = ...\n# <<< gap\n"
    assert split(python).starter == "# TODO (2 lines): add\na = ...\n"
    assert same_code("a  \n\n", "\na\n") and not same_code("a\nb", "a\n\nb")


@pytest.mark.parametrize(
    "text",
    [
        "no gap\n",
        "// >>> gap (1 line): x\n",
        "// <<< gap\n",
        "// === starter\n",
        "// >>> gap (1 line): x\n// >>> gap (1 line): y\n// <<< gap\n",
        "// >>> gap: no size\n// <<< gap\n",
    ],
)
def test_markers_that_do_not_pair_up_are_refused(text):
    with pytest.raises(GapError):
        split(text)


def test_the_course_s_own_notebooks_are_in_step():
    course = sync.Course()
    course.check()
    assert course.problems == []


EXCERPTED = """// A file.
#include "conv.h"

constexpr int ONE = 1;

// What it does,
// in two lines.
template <int N>
__device__ float twice(const float* x,
                       int i) {
    if (i) {
        return 2 * x[i];
    }
    return twice<N>(x, 1);
}
inline int small(int a) { return a; }

// Three of them.
struct Sizes {
    int height, width;
};

torch::Tensor conv2d(torch::Tensor x) {
    // twice(x) is called here
    return x;
}
"""


@pytest.fixture
def excerpt(course):
    (course / "kernels" / "one.cu").write_text(EXCERPTED)
    cell = {"cell_type": "markdown", "id": "e", "metadata": {}, "source": [""]}
    cell["metadata"] = {"course": {"excerpt": "one", "function": "twice"}}
    write(course, [*read(course), cell])
    assert sync.main([], root=course) == 0
    return course


def test_an_excerpt_is_one_function_and_stays_in_step(excerpt, capsys):
    shown = "".join(read(excerpt)[-1]["source"])
    assert shown.startswith(
        "```cpp\n// What it does,\n// in two lines.\ntemplate <int N>\n__device__ float twice("
    )
    assert shown.endswith("    return twice<N>(x, 1);\n}\n```")
    assert sync.main(["--check"], root=excerpt) == 0
    path = excerpt / "kernels" / "one.cu"
    path.write_text(EXCERPTED.replace("2 * x[i]", "3 * x[i]"))
    assert sync.main(["--check"], root=excerpt) == 1
    assert "kernels/one.cu was changed; run python -m utils.sync" in capsys.readouterr().err
    assert sync.main([], root=excerpt) == 0 and "3 * x[i]" in "".join(read(excerpt)[-1]["source"])


def test_an_edited_excerpt_is_not_lost_and_not_written_back(excerpt, capsys):
    edit(excerpt, 4, "2 * x[i]", "5 * x[i]")
    assert sync.main(["--check"], root=excerpt) == 1
    assert "the excerpt was edited; edit kernels/one.cu instead" in capsys.readouterr().err
    assert sync.main([], root=excerpt) == 1
    assert sync.main(["--from-notebooks"], root=excerpt) == 1
    assert "an excerpt is made from kernels/one.cu" in capsys.readouterr().err
    assert "2 * x[i]" in (excerpt / "kernels" / "one.cu").read_text()
    assert sync.main(["--force"], root=excerpt) == 0 and sync.main(["--check"], root=excerpt) == 0


@pytest.mark.parametrize(
    ("name", "message"),
    [("thrice", "no definition of a function or struct thrice"), ("twice", "2 definitions")],
)
def test_an_excerpt_of_nothing_or_of_two_is_a_problem(excerpt, capsys, name, message):
    path = excerpt / "kernels" / "one.cu"
    path.write_text(
        EXCERPTED.replace("float twice", f"float {name[::-1]}") if name == "thrice" else 2 * EXCERPTED
    )
    cells = read(excerpt)
    cells[-1]["metadata"]["course"]["function"] = name
    write(excerpt, cells)
    assert sync.main(["--check"], root=excerpt) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(("name", "lines"), [("small", 1), ("conv2d", 4)])
def test_functions_of_any_length(name, lines):
    text = function_text(EXCERPTED, name)
    assert len(text.splitlines()) == lines and name in text.splitlines()[0]


def test_a_struct_has_its_comment_and_its_end():
    lines = function_text(EXCERPTED, "Sizes").splitlines()
    assert lines == ["// Three of them.", "struct Sizes {", "    int height, width;", "};"]
