"""Headers of the learner's own include folders, which may hold what must be rewritten as a source does."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from utils.errors import CompileError, KernelError
from utils.simulator.rewriting.tokens import Token, line_around


class Headers:
    """Rewritten copies of headers in the folder `copies`; `rewrite(text, place)` rewrites one.

    Args:
        folders: where included headers are looked for. Those found elsewhere, in the simulator's own folders
            or the compiler's, stay as they are.
    """

    def __init__(self, folders: Iterable[str | Path], copies: Path, rewrite: Callable[[str, Path], str]):
        self.folders = [Path(folder) for folder in folders]
        self.copies, self.rewrite = copies, rewrite
        self._made: dict[Path, Path] = {}

    def redirect(self, tokens: list[Token], place: Path | None) -> None:
        """Lets the `#include`s of a source (of a header that lies in `place`) name the copies."""
        solid = [t for t in tokens if t.solid]
        for i, token in enumerate(solid[:-2]):
            if token.text != "#" or solid[i + 1].text != "include":
                continue
            quoted = solid[i + 2].kind == "string"
            named = [t for t in solid[i + 2 :] if t.line == token.line]
            if not quoted:
                closing = next((k for k, t in enumerate(named) if t.text == ">"), None)
                if named[0].text != "<" or closing is None:
                    continue  # the name of a macro
                named = named[: closing + 1]
            else:
                named = named[:1]
            name = "".join(t.text for t in named)[1:-1]
            found = self._find(name, place if quoted else None)
            if found is None:
                continue
            try:
                copy = self._copy(found)
            except KernelError as error:
                source = line_around(tokens, tokens.index(token))
                text = f"in {name}: {error}"
                raise KernelError(text, kind=error.kind, line=token.line, source=source) from error
            except CompileError as error:
                raise CompileError(f"line {token.line}: in {name}: {error}", line=token.line) from error
            named[0].text = f'"{copy}"'
            for rest in named[1:]:
                rest.text = ""

    def _find(self, name: str, place: Path | None) -> Path | None:
        for folder in [*([place] if place else []), *self.folders]:
            if (folder / name).is_file():
                return (folder / name).resolve()
        return None

    def _copy(self, header: Path) -> Path:
        if header not in self._made:
            copy = self.copies / f"{len(self._made)}_{header.name}"
            self._made[header] = copy  # first: headers may include each other in a circle
            text = self.rewrite(header.read_text(encoding="utf-8", errors="surrogateescape"), header.parent)
            self.copies.mkdir(parents=True, exist_ok=True)
            copy.write_text(f'#line 1 "{header}"\n{text}', encoding="utf-8", errors="surrogateescape")
        return self._made[header]
