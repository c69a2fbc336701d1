"""What a kernel asked of memory, under Nsight Compute's names, by launch and by source line."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass, field

FEW_LANES = 24  # below so many active lanes a request, of 32, the report says so
# In the order of the tables; the first word is the memory, the second what was done to it.
SPACES = ("global_load", "global_store", "global_atomic", "shared_load", "shared_store", "local")


@dataclass
class Counts:
    """One kind of access of one launch, or of one line of it.

    Attributes:
        requests: warp-level instructions that touched memory (at least one lane active).
        sectors: 32-byte sectors that those requests touched (global memory).
        wavefronts: passes through the banks (shared memory).
        bank_conflicts: wavefronts beyond those that the width of the access needs.
        bytes_requested: bytes that the active lanes asked for, lane by lane.
        lanes: active lanes of all requests together.
        ideal: sectors if the different bytes of every request lay side by side from the start of a sector;
            wavefronts if no two lanes met in a bank.
        by_line: the same by line of the source, largest first; empty in an entry of `by_line` itself.
    """

    requests: int = 0
    sectors: int = 0
    wavefronts: int = 0
    bank_conflicts: int = 0
    bytes_requested: int = 0
    ideal: int = 0
    lanes: int = 0
    by_line: dict[int | None, Counts] = field(default_factory=dict, repr=False)

    @property
    def sectors_per_request(self) -> float:
        """32-byte sectors a request: 4 when 32 lanes read neighbouring floats, 32 when each is elsewhere."""
        return self.sectors / self.requests if self.requests else 0.0

    @property
    def active_lanes(self) -> float:
        """Active lanes a request, 32 at most: fewer where lanes have left or wait behind a branch."""
        return self.lanes / self.requests if self.requests else 0.0

    @property
    def efficiency(self) -> float:
        """Ideal over actual sectors or wavefronts: 1 when nothing is moved in vain."""
        return self.ideal / self.actual if self.actual else 0.0

    @property
    def actual(self) -> int:
        """Sectors or wavefronts, whichever this kind of memory is counted in."""
        return self.sectors or self.wavefronts

    @property
    def unit(self) -> str:
        return "wavefronts" if self.wavefronts else "sectors"

    def add(self, requests, sectors, wavefronts, conflicts, nbytes, ideal, lanes):
        self.requests += requests
        self.sectors += sectors
        self.wavefronts += wavefronts
        self.bank_conflicts += conflicts
        self.bytes_requested += nbytes
        self.ideal += ideal
        self.lanes += lanes


@dataclass
class Launch:
    """One kernel launch: its name, grid and block (x, y, z), and `Counts` for each kind of access.

    Attributes:
        static_shared: bytes of `__shared__` variables of a block, as far as its threads have come by them.
        dynamic_shared: bytes of shared memory that the launch asked for a block.
    """

    name: str
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    static_shared: int
    dynamic_shared: int
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

    @property
    def warps(self) -> int:
        """Warps of the whole grid; a block's last one may have fewer than 32 threads."""
        gx, gy, gz = self.grid
        bx, by, bz = self.block
        return gx * gy * gz * -(-bx * by * bz // 32)

    @property
    def shared_bytes(self) -> int:
        """Bytes of shared memory of a block, static and dynamic."""
        return self.static_shared + self.dynamic_shared

    @property
    def active_lanes(self) -> float:
        """Active lanes a memory request of any kind: 32 when no lane ever waits behind a branch."""
        counts = [c for _, c in self.rows()]
        return sum(c.lanes for c in counts) / sum(c.requests for c in counts) if counts else 0.0

    def rows(self) -> list[tuple[str, Counts]]:
        """The kinds of access that occurred."""
        return [
            (kind.replace("_", " "), getattr(self, kind)) for kind in SPACES if getattr(self, kind).requests
        ]

    def worst_line(self) -> tuple[int, str, Counts] | None:
        """(line, kind, counts) of the line that moves most beyond the ideal, or None if nothing is wasted."""
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

    def _title(self) -> str:
        title = f"{self.name}: grid {_dims(self.grid)}, block {_dims(self.block)}, {self.threads:,} threads"
        if self.shared_bytes:
            title += f", {self.shared_bytes:,} bytes of shared memory a block"
        if self.static_shared and self.dynamic_shared:
            title += f" ({self.dynamic_shared:,} of them dynamic)"
        return title if self.rows() else title + ", no access to memory"

    def _table(self) -> list[tuple[str, ...]]:
        """The report's cells, heading first."""
        table = [("", "requests", "moved", "ideally", "per request", "bytes asked for")]
        for kind, c in self.rows():
            moved, each = f"{c.actual:,} {c.unit}", f"{c.actual / c.requests:.2f}"
            table.append((kind, f"{c.requests:,}", moved, f"{c.ideal:,}", each, f"{c.bytes_requested:,}"))
        return table

    def _worst(self) -> tuple[str, str] | None:
        """A sentence about the line that moves most beyond the ideal, and its source."""
        worst = self.worst_line()
        if worst is None:
            return None
        line, kind, c = worst
        sentence = f"most beyond the ideal: line {line}, {kind}, {c.actual:,} {c.unit}, ideally {c.ideal:,}"
        return sentence, f"{line} | {self.source.line(line).strip()}"

    def _idle(self) -> str:
        """A sentence about lanes that take no part, where they are many; else nothing."""
        if not self.rows() or self.active_lanes >= FEW_LANES:
            return ""
        return f"active lanes: {self.active_lanes:.1f} of 32 a request"

    def __str__(self) -> str:
        lines = [self._title()]
        if self.rows():
            table = self._table()
            widths = [max(map(len, column)) for column in zip(*table, strict=True)]
            for kind, *cells in table:
                padded = (f"{cell:>{width}}" for cell, width in zip(cells, widths[1:], strict=True))
                lines.append("  ".join(["", f"{kind:<{widths[0]}}", *padded]).rstrip())
        if self._idle():
            lines.append(f"  {self._idle()}")
        worst = self._worst()
        if worst:
            lines += [f"  {worst[0]}", f"    {worst[1]}"]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        heading, *body = self._table()
        rows = "<tr>" + "".join(f"<th>{cell}</th>" for cell in heading) + "</tr>"
        for kind, *cells in body:
            rows += f"<tr><th style='text-align:left'>{kind}</th>"
            rows += "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
        worst = self._worst()
        note = f"<p>{html.escape(worst[0])}<br><code>{html.escape(worst[1])}</code></p>" if worst else ""
        table = f"<table>{rows}</table>" if body else ""
        note = (f"<p>{self._idle()}</p>" if self._idle() else "") + note
        return f"<p><b>{html.escape(self._title())}</b></p>{table}{note}"


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
