"""What every stored notebook must be like; that its cells run and give the stored outputs is nbval's part."""

from __future__ import annotations

import re
import symtable
import warnings
from collections.abc import Iterator
from pathlib import Path

import nbformat
import nbformat.reader
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MOST_WORDS = 120
EPHEMERAL = {"execution", "ExecuteTime", "collapsed", "scrolled", "trusted"}
AUTHOR_PATH = re.compile(
    "|".join([re.escape(str(ROOT)), re.escape(str(Path.home())) + "/", r"/(?:home|Users)/\w+", r"/tmp/\w+"])
)


def problems(notebook: nbformat.NotebookNode) -> Iterator[str]:
    """One line for everything that must not be stored."""
    ids = [cell.get("id") for cell in notebook.cells]
    if None in ids or len(set(ids)) < len(ids):
        yield "a cell has no id, or two have the same"
    else:  # nbformat would give them new ones and be content
        try:
            nbformat.validate(notebook)
        except nbformat.ValidationError as error:
            yield f"not a valid notebook: {str(error).splitlines()[0]}"
    if notebook.metadata.get("kernelspec", {}).get("name") != "python3":
        yield "the kernelspec is not python3"

    counts = [cell.execution_count for cell in notebook.cells if _is_run(cell)]
    if counts != list(range(1, len(counts) + 1)):
        yield f"not executed once from top to bottom: {counts}"
    for number, cell in enumerate(notebook.cells):
        for problem in _problems_of(cell):
            yield f"cell {number} ({cell.cell_type}, {cell.source[:40]!r}): {problem}"


def _is_run(cell) -> bool:
    return cell.cell_type == "code" and bool(cell.source.strip()) and "nbval-skip" not in _tags(cell)


def _tags(cell) -> list[str]:
    return cell.metadata.get("tags", [])


def _problems_of(cell) -> Iterator[str]:
    if found := EPHEMERAL & cell.metadata.keys():
        yield f"metadata of one run: {', '.join(sorted(found))}"
    if cell.cell_type == "markdown":
        yield from _pictures_without_text(cell.source)
    if cell.cell_type != "code":
        return
    if not cell.source.startswith("%%") and re.search(r"^\s*!", cell.source, re.MULTILINE):
        yield "a failing !command goes unnoticed: call a Python function that raises"
    for output in cell.outputs:
        if output.output_type == "error" and "raises-exception" not in _tags(cell):
            yield f"a stored error: {output.ename}: {output.evalue}"
        for kind, data in output.get("data", {}).items():
            if kind in ("text/html", "image/svg+xml"):
                yield from _pictures_without_text(data)
            elif kind.startswith("image/") and not output.metadata.get(kind, {}).get("alt"):
                yield f"{kind} without alt text"
        text = str(output.get("text", "")) + str(output.get("traceback", ""))
        text += "".join(str(v) for k, v in output.get("data", {}).items() if not k.startswith("image/"))
        if match := AUTHOR_PATH.search(text):
            yield f"a path of the author's machine: {match.group()}"


def _pictures_without_text(text: str) -> Iterator[str]:
    for picture in re.findall(r"!\[\s*\]\(.*?\)|<img\b[^>]*>|<svg\b[^>]*>(?:\s*<title>[^<]*)?", text):
        if not re.search(r"""\b(alt|aria-label)\s*=\s*["'][^"']|<title>\s*\S""", picture):
            yield f"a picture without alt text: {picture[:60]}"


def words(markdown: str) -> int:
    """Words that a reader reads: code blocks, formulas and links' addresses do not count."""
    markdown = re.sub(r"(?s)```.*?```|\$\$.*?\$\$|\$[^$\n]*\$|<[^>]*>|\]\([^)]*\)", " ", markdown)
    return len(re.findall(r"\w[\w'’.,-]*", markdown))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_stored_notebook(path):
    notebook = nbformat.reader.reads(path.read_text("utf-8"))  # as it is: nbformat.read would repair it
    assert list(problems(notebook)) == []
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown" and words(cell.source) > MOST_WORDS:
            warnings.warn(f"{path.name}, cell {number}: {words(cell.source)} words", stacklevel=1)


def good() -> nbformat.NotebookNode:
    image = new_output("display_data", data={"image/png": "aGk="}, metadata={"image/png": {"alt": "a chart"}})
    return new_notebook(
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
        cells=[
            new_markdown_cell("# A lesson\n\n![a warp](warp.png)"),
            new_code_cell("print(1)", execution_count=1, outputs=[new_output("stream", text="1\n")]),
            new_code_cell("%%cuda\n!flag;", execution_count=2, outputs=[image]),
            new_code_cell("no", execution_count=None, metadata={"tags": ["nbval-skip"]}),
        ],
    )


def test_a_good_notebook_has_no_problems():
    assert list(problems(good())) == []


def _spoil(notebook, how):
    _, first, second, _ = notebook.cells
    if how == "kernelspec":
        notebook.metadata.kernelspec.name = "my-venv"
    elif how == "no id":
        del first["id"]
    elif how == "same id":
        first["id"] = second["id"]
    elif how == "out of order":
        first.execution_count, second.execution_count = 2, 1
    elif how == "not run":
        second.execution_count = None
    elif how == "error":
        second.outputs.append(new_output("error", ename="KernelError", evalue="race", traceback=[]))
    elif how == "image":
        second.outputs[0].metadata = {}
    elif how == "markdown image":
        notebook.cells[0].source = "![](warp.png)"
    elif how == "html":
        second.outputs[0] = new_output("display_data", data={"text/html": "<svg width='1'></svg>"})
    elif how == "path":
        first.outputs[0].text = f"built {ROOT}/x.so"
    elif how == "home":
        first.outputs[0].text = "built /home/ada/x.so"
    elif how == "timing":
        first.metadata["execution"] = {"iopub.execute_input": "2026-11-20T12:00:00Z"}
    elif how == "command":
        first.source = "!nvcc --version"
    elif how == "invalid":
        first["outputs"] = "text"


@pytest.mark.parametrize(
    "how, complaint",
    [
        ("kernelspec", "kernelspec"),
        ("no id", "has no id"),
        ("same id", "has no id, or two have the same"),
        ("out of order", "top to bottom"),
        ("not run", "top to bottom"),
        ("error", "a stored error: KernelError: race"),
        ("image", "image/png without alt text"),
        ("markdown image", "a picture without alt text"),
        ("html", "a picture without alt text"),
        ("path", "a path of the author's machine"),
        ("home", "a path of the author's machine"),
        ("timing", "metadata of one run: execution"),
        ("command", "!command"),
        ("invalid", "not a valid notebook"),
    ],
)
def test_a_spoiled_notebook_is_found(how, complaint):
    notebook = good()
    _spoil(notebook, how)
    try:
        found = list(problems(notebook))
    except AttributeError:  # an invalid notebook cannot be looked through to the end
        found = [next(problems(notebook))]
    assert any(complaint in problem for problem in found), found


def test_words_are_those_a_reader_reads():
    assert words("**One** two [three](https://example.org/four) `five`\n```c\nint six;\n```\n$x = 7$") == 4


LESSONS = [path for path in NOTEBOOKS if path.name < "9"]  # the appendices are 90 and on


def global_names(code: str) -> tuple[set[str], set[str]]:
    """The names that a cell gives a value at its top level, and the global ones that it reads."""
    top = symtable.symtable(code, "cell", "exec")
    given = {symbol.get_name() for symbol in top.get_symbols() if symbol.is_assigned()}

    def read(table):
        for symbol in table.get_symbols():
            if symbol.is_referenced() and (table is top or symbol.is_global()):
                yield symbol.get_name()
        for child in table.get_children():
            yield from read(child)

    return given, set(read(top))


def overwritten(cells) -> Iterator[str]:
    """Names of the lesson's that a solved exercise gives another value, and that the lesson reads below."""
    lesson: set[str] = set()  # the names as the lesson left them
    taken: dict[str, str] = {}  # name -> the exercise that overwrote it
    for cell in cells:
        if cell.cell_type != "code":
            continue
        magic, _, body = cell.source.partition("\n")
        if magic.startswith("%%exercise"):
            try:
                given, _ = global_names(body)
            except SyntaxError:  # a kernel
                continue
            taken |= {name: magic.split()[1] for name in given & lesson}
        elif not magic.startswith("%%"):
            given, read = global_names(cell.source)
            for name in sorted(taken.keys() & (read - given)):
                yield f"{taken[name]} overwrites {name}, which is read in {cell.source[:40]!r}"
            lesson |= given
            for name in given:
                taken.pop(name, None)


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_solved_exercise_leaves_the_lesson_s_names_alone(path):
    assert list(overwritten(nbformat.read(path, 4).cells)) == []


def test_a_name_that_an_exercise_overwrites_is_found():
    cells = [
        new_code_cell("def load(name):\n    return name\n\n\nlauncher, x = load('a'), 1"),
        new_code_cell("%%exercise one\nlauncher = 2\nx = 3\ny = 4"),
        new_code_cell("def f(x):\n    return x\n\n\ny = f(2)"),
        new_code_cell("print(lambda: launcher)"),
        new_code_cell("x = 5"),
        new_code_cell("print(x, y)"),
    ]
    assert list(overwritten(cells)) == ["one overwrites launcher, which is read in 'print(lambda: launcher)'"]


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_has_all_its_parts(path):
    cells = nbformat.read(path, 4).cells
    texts = [cell.source for cell in cells if cell.cell_type == "markdown"]
    for part in ("**Time:**", "**Needs:**", "\n## What you learned", "\n## Read more"):
        assert any(part in f"\n{text}" for text in texts), f"there is no {part.strip()}"
    assert len(set(texts)) == len(texts), "a text stands there twice"
    starters = {cell.metadata.get("course", {}).get("starter") for cell in cells} - {None}
    assert len(starters) >= 3, "too few exercises"
    assert any("image/png" in output.get("data", {}) for cell in cells for output in cell.get("outputs", []))
