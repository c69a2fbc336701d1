"""What a kernel asked of memory, under Nsight Compute's names, by launch and by source line."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass, field

# In the order of the tables; the first word is the memory, the second what was done to it.
SPACES = ("global_load", "global_store", "global_atomic", "shared_load", "shared_store", "local")


@dataclass
class Counts:
    """One kind of access of one launch, or of one line of it.

    Attributes:
        requests: warp-level instructions that touched memory (at least one lane active).
        sectors: 32-byte sectors that those requests touched (global memory).
        ideal_sectors: the sectors that hold the bytes asked for if none is fetched in vain and lanes share.
        wavefronts: passes through the banks (shared memory).
        bank_conflicts: wavefronts beyond those that the width of the access needs.
        bytes_requested: bytes that the active lanes asked for.
        by_line: the same by line of the source, largest first; empty in an entry of `by_line` itself.
    """

    requests: int = 0
    sectors: int = 0
    wavefronts: int = 0
    bank_conflicts: int = 0
    bytes_requested: int = 0
    by_line: dict[int | None, Counts] = field(default_factory=dict, repr=False)

    @property
    def sectors_per_request(self) -> float:
        """32-byte sectors a request: 4 when 32 lanes read 32 neighbouring floats, 32 when each is elsewhere."""
        return self.sectors / self.requests if self.requests else 0.0

    @property
    def efficiency(self) -> float:
        """Bytes asked for over bytes moved in sectors; above 1 where lanes share what they read (a broadcast)."""
        return self.bytes_requested / (32 * self.sectors) if self.sectors else 0.0

    def add(self, requests, sectors, wavefronts, conflicts, nbytes):
        self.requests += requests
        self.sectors += sectors
        self.wavefronts += wavefronts
        self.bank_conflicts += conflicts
        self.bytes_requested += nbytes

    @property
    def actual(self) -> int:
        """Sectors or wavefronts, whichever this kind of memory is counted in."""
        return self.sectors or self.wavefronts

    @property
    def ideal(self) -> int:
        """The same if the lanes' bytes lay side by side (global) or in different banks (shared)."""
        if self.wavefronts:
            return self.wavefronts - self.bank_conflicts
        return min(self.sectors, max(self.requests, -(-self.bytes_requested // 32)))


@dataclass
class Launch:
    """One kernel launch: its name, grid and block (x, y, z), and `Counts` for each kind of access."""

    name: str
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    shared_bytes: int
    source: object = field(repr=False)
    global_load: Counts = field(default_factory=Counts)
    global_store: Counts = field(default_factory=Counts)
    global_atomic: Counts = field(default_factory=Counts)
    shared_load: Counts = field(default_factory=Counts)
    shared_store: Counts = field(default_factory=Counts)
    local: Counts = field(default_factory=Counts)

    @property
    def threads(self) -> int:
        gx, gy, gz = self.grid
        bx, by, bz = self.block
        return gx * gy * gz * bx * by * bz

    def rows(self) -> list[tuple[str, Counts]]:
        """The kinds of access that occurred."""
        return [
            (kind.replace("_", " "), getattr(self, kind)) for kind in SPACES if getattr(self, kind).requests
        ]

    def worst_line(self) -> tuple[int, str, Counts] | None:
        """(line, kind, counts) of the line that moves most beyond the ideal, or None when nothing is wasted."""
        waste = [
            (counts.actual - counts.ideal, -(line or 0), kind, counts)
            for kind, all_counts in self.rows()
            for line, counts in all_counts.by_line.items()
            if line
        ]
        if not waste:
            return None
        most, line, kind, counts = max(waste, key=lambda w: w[:2])
        return (-line, kind, counts) if most > 0 else None

    def __str__(self) -> str:
        title = f"{self.name}: grid {_dims(self.grid)}, block {_dims(self.block)}, {self.threads:,} threads"
        if self.shared_bytes:
            title += f", {self.shared_bytes:,} bytes of shared memory a block"
        if not self.rows():
            return title + "\n  no access to memory"
        lines = [title, "  " + _HEADER]
        for kind, counts in self.rows():
            lines.append("  " + _row(kind, counts))
        worst = self.worst_line()
        if worst:
            line, kind, counts = worst
            unit = "sectors" if counts.sectors else "wavefronts"
            lines.append(
                f"  worst line: {line}, {kind}, {counts.actual:,} {unit} where {counts.ideal:,} would do"
            )
            lines.append(f"    {line} | {self.source.line(line).strip()}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        head = "".join(
            f"<th>{h}</th>"
            for h in ("", "requests", "sectors or wavefronts", "ideal", "a request", "bytes asked for")
        )
        body = ""
        for kind, c in self.rows():
            unit = "sectors" if c.sectors else "wavefronts"
            cells = (
                f"{c.requests:,}",
                f"{c.actual:,} {unit}",
                f"{c.ideal:,}",
                f"{c.actual / c.requests:.2f}",
                f"{c.bytes_requested:,}",
            )
            body += (
                f"<tr><th style='text-align:left'>{kind}</th>"
                + "".join(f"<td>{x}</td>" for x in cells)
                + "</tr>"
            )
        text = str(self).split("\n")
        worst = [line for line in text if line.startswith(("  worst", "    "))]
        note = "<br>".join(
            f"<code>{html.escape(line.strip())}</code>" if "|" in line else html.escape(line.strip())
            for line in worst
        )
        return f"<p><b>{html.escape(text[0])}</b></p><table><tr>{head}</tr>{body}</table><p>{note}</p>"


_HEADER = f"{'':<14}{'requests':>12}{'sectors':>14}{'wavefronts':>12}{'ideal':>14}{'a request':>11}"


def _row(kind: str, c: Counts) -> str:
    sectors = f"{c.sectors:,}" if c.sectors else "-"
    wavefronts = f"{c.wavefronts:,}" if c.wavefronts else "-"
    return f"{kind:<14}{c.requests:>12,}{sectors:>14}{wavefronts:>12}{c.ideal:>14,}{c.actual / c.requests:>11.2f}"


def _dims(d: tuple[int, int, int]) -> str:
    last = 3 if d[2] > 1 else 2 if d[1] > 1 else 1
    return " x ".join(f"{n:,}" for n in d[:last])


class Profile(Sequence):
    """The launches of one call, in order; `result` is what the launcher returned."""

    def __init__(self, launches: list[Launch], result):
        self._launches = launches
        self.result = result

    def __getitem__(self, index):
        return self._launches[index]

    def __len__(self):
        return len(self._launches)

    def __str__(self) -> str:
        return "\n\n".join(map(str, self._launches)) or "no kernel was launched"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return "".join(launch._repr_html_() for launch in self._launches) or "<p>no kernel was launched</p>"
