"""Keep the notebooks' code cells equal to the files that they show.

    python -m utils.sync                    write kernels/ and solutions/ into the notebooks' cells
    python -m utils.sync --check            change nothing; one line a problem, exit code 1 if there is any
    python -m utils.sync --from-notebooks   write kernel cells that were edited in JupyterLab back to kernels/
    python -m utils.sync --force            like the first, also over cells that were edited

A cell says in its metadata what it shows: `"course": {"kernel": NAME}` is kernels/NAME.cu below a `%%cuda`
line, `{"starter": NAME}` the starter of solutions/NAME below `%%exercise NAME`, `{"excerpt": NAME,
"function": F}` is a text cell with one function or struct of kernels/NAME.cu, and `{"lesson": "why"}` marks
a code cell that lives in the notebook alone. Options on the magic's line are the notebook's own and are kept.
`"synced"` is a digest of the text when both sides were last equal: it tells which side was edited since, so
that no edit is ever lost.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from utils.excerpt import function_text
from utils.exercise.gap import split

ROOT = Path(__file__).resolve().parents[1]
_MAGIC = re.compile(r"^%%(cuda|exercise)\b[^\n]*")


@dataclass
class Cell:
    """A cell of a notebook that shows, or should show, a file."""

    notebook: Path
    number: int  # counted from 1
    raw: dict  # the cell in the notebook's JSON, to be changed in place

    @property
    def source(self) -> str:
        return "".join(self.raw["source"])

    @property
    def owner(self) -> dict:
        return self.raw.get("metadata", {}).get("course") or {}

    @property
    def magic(self) -> str:
        """The first line, where it is one of our magics; else ""."""
        match = _MAGIC.match(self.source)
        return match[0] if match else ""

    @property
    def body(self) -> str:
        """The text below the magic line, without line breaks at its end."""
        text = self.source.partition("\n")[2] if self.magic else self.source
        return text.rstrip("\n")

    @property
    def place(self) -> str:
        return f"{self.notebook.name} cell {self.number}"

    def write(self, text: str) -> None:
        """Put `text` below the magic line, as one string or as a list of lines, whichever was there."""
        name = self.owner.get("starter")
        magic = self.magic or (f"%%exercise {name}" if name else "%%cuda")
        source = text if "excerpt" in self.owner else f"{magic}\n{text}"
        as_list = isinstance(self.raw["source"], list)
        self.raw["source"] = source.splitlines(keepends=True) if as_list else source
        self.owner["synced"] = digest(text)


class Course:
    """The notebooks, kernels and solutions of one repository."""

    def __init__(self, root: Path = ROOT):
        self.root = root
        self.problems: list[str] = []
        self.changed: list[str] = []
        self._texts: dict[Path, str] = {}
        self._notebooks: dict[Path, dict] = {}
        self.cells: list[Cell] = []
        for path in sorted((root / "notebooks").glob("*.ipynb")):
            self._read(path)

    def _read(self, path: Path) -> None:
        try:
            text = path.read_text("utf-8")
            notebook = json.loads(text)
            cells = [Cell(path, number, raw) for number, raw in enumerate(notebook["cells"], start=1)]
            self.cells += [
                cell
                for cell in cells
                if (cell.raw["cell_type"] == "code" and cell.source is not None) or "excerpt" in cell.owner
            ]
        except (ValueError, KeyError, TypeError) as error:
            self.problems.append(f"{path.name}: no readable notebook ({error})")
            return
        self._texts[path], self._notebooks[path] = text, notebook

    # ---- the files' side

    def file_of(self, cell: Cell) -> Path | None:
        """The file that a cell shows; None for a cell that shows none."""
        kernel = cell.owner.get("kernel") or cell.owner.get("excerpt")
        if kernel:
            return self.root / "kernels" / f"{kernel}.cu"
        if "starter" in cell.owner:
            home = self.root / "solutions" / str(cell.owner["starter"])
            return next(
                (file for file in (home / "solution.cu", home / "solution.py") if file.exists()), home
            )
        return None

    def text_for(self, cell: Cell) -> str | None:
        """What the cell should hold below its magic; where its file gives nothing, None and a problem."""
        file = self.file_of(cell)
        try:
            text = file.read_text("utf-8")
            if "excerpt" in cell.owner:
                return f"```cpp\n{function_text(text, cell.owner.get('function', ''))}\n```"
            return (split(text).starter if "starter" in cell.owner else text).rstrip("\n")
        except OSError:
            self.problems.append(f"{cell.place}: its owner does not exist: {file.relative_to(self.root)}")
        except ValueError as error:  # a GapError too
            self.problems.append(f"{file.relative_to(self.root)}: {error}")
        return None

    # ---- the three commands

    def to_notebooks(self, force: bool = False) -> None:
        """Write the files' text into the cells; a cell edited since the last time is reported, not lost."""
        for cell in self._owned():
            text = self.text_for(cell)
            if text is None:
                continue
            if cell.body == text:
                if cell.owner.get("synced") != digest(text):
                    cell.owner["synced"] = digest(text)
            elif force or not cell.body.strip() or _edited(cell, text) == "file":
                cell.write(text)
                self.changed.append(f"{cell.place} ← {self._name(cell)}")
            else:
                self.problems.append(self._difference(cell, text))
        self._save()

    def to_files(self) -> None:
        """Write edited kernel cells back to kernels/."""
        wanted: dict[Path, dict[str, Cell]] = {}
        for cell in self._owned():
            text = self.text_for(cell)
            if text is None or cell.body == text:
                continue
            if "starter" in cell.owner:
                self._made_from("a starter", cell)
            elif "excerpt" in cell.owner:
                self._made_from("an excerpt", cell)
            elif _edited(cell, text) == "cell" and cell.body.strip():
                wanted.setdefault(self.file_of(cell), {}).setdefault(cell.body, cell)
            elif _edited(cell, text) != "file":
                self.problems.append(self._difference(cell, text))
        for file, versions in wanted.items():
            if len(versions) > 1:
                places = ", ".join(cell.place for cell in versions.values())
                self.problems.append(
                    f"kernels/{file.name}: edited differently in {places}; nothing was written"
                )
                continue
            ((body, cell),) = versions.items()
            write_atomically(file, body + "\n")
            cell.owner["synced"] = digest(body)
            self.changed.append(f"kernels/{file.name} ← {cell.place}")
        self._save()

    def _made_from(self, what: str, cell: Cell) -> None:
        advice = "edit that file, then run python -m utils.sync"
        self.problems.append(f"{cell.place}: {what} is made from {self._name(cell)}; {advice}")

    def check(self) -> None:
        """Find every difference, every unused file and every cell without owner."""
        for cell in self._owned():
            text = self.text_for(cell)
            if text is not None and cell.body != text:
                self.problems.append(self._difference(cell, text))
        self._unused()

    # ---- helpers

    def _owned(self) -> list[Cell]:
        owned = []
        for cell in self.cells:
            kinds = [kind for kind in ("kernel", "starter", "excerpt", "lesson") if kind in cell.owner]
            if len(kinds) > 1:
                self.problems.append(f"{cell.place}: it has more than one owner: {', '.join(kinds)}")
            elif not kinds and cell.magic:
                self.problems.append(f"{cell.place}: nothing owns it ({cell.magic})")
            elif kinds and kinds != ["lesson"]:
                owned.append(cell)
                wanted = f"%%exercise {cell.owner['starter']}" if kinds == ["starter"] else "%%cuda"
                if cell.magic and cell.magic.split()[: len(wanted.split())] != wanted.split():
                    self.problems.append(
                        f"{cell.place}: it should begin with {wanted}, not with {cell.magic}"
                    )
                    owned.pop()
        return owned

    def _unused(self) -> None:
        shown = {self.file_of(cell) for cell in self.cells}
        code = "\n".join(cell.source for cell in self.cells)
        for file in sorted((self.root / "kernels").glob("*.cu")):
            loaded = f'"{file.stem}"' in code or f"'{file.stem}'" in code  # kernels.load("conv2d_naive")
            if file not in shown and not loaded:
                self.problems.append(f"kernels/{file.name}: no notebook uses it")
        starters = {cell.owner.get("starter") for cell in self.cells}
        for home in sorted((self.root / "solutions").glob("*")):
            if home.is_dir() and not home.name.startswith(("_", ".")) and home.name not in starters:
                self.problems.append(f"solutions/{home.name}: no notebook uses it")

    def _difference(self, cell: Cell, text: str) -> str:
        name = self._name(cell)
        edited = _edited(cell, text)
        if edited == "file" or not cell.body.strip():
            return f"{cell.place}: {name} was changed; run python -m utils.sync"
        if "kernel" not in cell.owner:
            what = "starter" if "starter" in cell.owner else "excerpt"
            advice = f"edit {name} instead, then run python -m utils.sync --force"
            return f"{cell.place}: the {what} was edited; {advice}"
        if edited == "cell":
            advice = f"run python -m utils.sync --from-notebooks to change {name}"
            return f"{cell.place}: the cell was edited; {advice}"
        return (
            f"{cell.place}: both the cell and {name} were changed; merge them by hand,"
            " then run python -m utils.sync --force"
        )

    def _name(self, cell: Cell) -> str:
        return str(self.file_of(cell).relative_to(self.root))

    def _save(self) -> None:
        for path, notebook in self._notebooks.items():
            text = _like(self._texts[path], notebook)
            if json.loads(self._texts[path]) != notebook:
                write_atomically(path, text)


def digest(text: str) -> str:
    """A short fingerprint of a cell's text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _edited(cell: Cell, text: str) -> str:
    """Which side changed since both were equal: "cell", "file", or "both" (also where that is not known)."""
    synced = cell.owner.get("synced")
    if synced == digest(cell.body):
        return "file"
    return "cell" if synced == digest(text) else "both"


def _like(old: str, notebook: dict) -> str:
    """The notebook as text, indented and ended as the old text was, so that only what changed differs."""
    second = old.split("\n", 2)[1] if "\n" in old else ""
    indent = len(second) - len(second.lstrip()) or 1
    return json.dumps(notebook, ensure_ascii=False, indent=indent) + ("\n" if old.endswith("\n") else "")


def write_atomically(path: Path, text: str) -> None:
    """Replace a file in one step, so that it is never half-written; its permissions stay."""
    descriptor, temporary = tempfile.mkstemp(prefix=path.name, suffix=".new", dir=path.parent)
    try:
        with open(descriptor, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
        if path.exists():
            shutil.copymode(path, temporary)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """Run one command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m utils.sync", description=__doc__.splitlines()[0])
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--check", action="store_true", help="change nothing; fail on any difference")
    choice.add_argument(
        "--from-notebooks", action="store_true", help="write edited kernel cells back to kernels/"
    )
    choice.add_argument("--force", action="store_true", help="overwrite edited cells too")
    options = parser.parse_args(arguments)
    course = Course(root)
    try:
        if options.check:
            course.check()
        elif options.from_notebooks:
            course.to_files()
        else:
            course.to_notebooks(force=options.force)
    except (
        OSError
    ) as error:  # a full disk, a folder that may not be written: what was not written is as it was
        course.problems.append(str(error))
    for line in course.changed:
        print(line)
    for line in course.problems:
        print(line, file=sys.stderr)
    return 1 if course.problems else 0


if __name__ == "__main__":
    sys.exit(main())
