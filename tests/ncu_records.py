"""What Nsight Compute recorded, beside the simulator's counts: `python tests/ncu_records.py` prints the table."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import ncu_corpus  # noqa: E402
import ncu_entries  # noqa: E402
from ncu_entries import Entry  # noqa: E402

from utils.simulator import profile  # noqa: E402

FOLDER = HERE / "ncu"


@dataclass(frozen=True)
class Record:
    """One file of tests/ncu: `machine` says where and when, `entries` what was recorded, by entry."""

    path: Path
    machine: dict[str, str]
    metrics: list[str]
    entries: dict[str, dict]

    def launches(self, name: str) -> list[tuple[str, dict[str, dict[str, int]]]]:
        """(kernel, counts) of every launch of an entry; counts as `as_counts` has them."""
        return [
            (launch["kernel"], as_counts(dict(zip(self.metrics, launch["values"], strict=True))))
            for launch in self.entries[name]["launches"]
        ]

    @property
    def origin(self) -> str:
        machine = self.machine
        return (
            f"{machine['gpu']} (compute capability {machine['compute_capability']}), {machine['date']}: Nsight"
            f" Compute {machine['ncu']}, driver {machine['driver']}, nvcc {machine['cuda']}"
        )


def records() -> list[Record]:
    """Every recording, by GPU."""
    found = []
    for path in sorted(FOLDER.glob("*.json")):
        data = json.loads(path.read_text(encoding="utf-8"))
        metrics, recorded = data.pop("metrics"), data.pop("entries")
        found.append(Record(path, data, metrics, recorded))
    return found


def as_counts(values: dict[str, int | None]) -> dict[str, dict[str, int]]:
    """The simulator's kinds and counts from one launch's metrics; kinds that did not occur are left out."""

    def value(metric: str) -> int:
        return values.get(f"{metric}.sum") or 0

    def of_global(*ops: str) -> dict[str, int]:
        where = "pipe_lsu_mem_global_op"
        return {
            what: sum(value(f"l1tex__t_{what}_{where}_{op}") for op in ops)
            for what in ("requests", "sectors")
        }

    def of_shared(*ops: str) -> dict[str, int]:
        where = "pipe_lsu_wavefronts_mem_shared_op"
        return {
            "requests": sum(value(f"smsp__inst_executed_op_shared_{op}") for op in ops),
            "wavefronts": sum(value(f"l1tex__data_{where}_{op}") for op in ops),
        }

    kinds = {
        "global_load": of_global("ld"),
        "global_store": of_global("st"),
        "global_atomic": of_global("atom", "red"),
        "shared_load": of_shared("ld"),
        "shared_store": of_shared("st", "atom"),
    }
    return {kind: counts for kind, counts in kinds.items() if counts["requests"]}


def simulated(entry: Entry) -> list[tuple[str, dict[str, dict[str, int]]]]:
    """(kernel, counts) of every launch of an entry in the simulator."""
    launcher, arguments = entry.bind("simulator", "cpu")
    return [
        (
            launch.name,
            {
                kind: {what: getattr(counts, what) for what in ("requests", COUNTED[kind])}
                for kind in COUNTED
                if (counts := getattr(launch, kind)).requests
            },
        )
        for launch in profile(launcher, *arguments)
    ]


# What each kind is counted in beside requests.
COUNTED = {
    "global_load": "sectors",
    "global_store": "sectors",
    "global_atomic": "sectors",
    "shared_load": "wavefronts",
    "shared_store": "wavefronts",
}


def differences(ours: dict, theirs: dict) -> dict[tuple[str, str], tuple[int, int]]:
    """{(kind, what): (simulator, ncu)} of one launch's counts that are not equal."""
    found = {}
    for kind, what in ((kind, what) for kind in COUNTED for what in ("requests", COUNTED[kind])):
        pair = (ours.get(kind, {}).get(what, 0), theirs.get(kind, {}).get(what, 0))
        if pair[0] != pair[1]:
            found[kind, what] = pair
    return found


def largest(found: dict[tuple[str, str], tuple[int, int]]) -> float:
    """The largest difference as a fraction of ncu's count."""
    return max(
        (abs(ours - theirs) / theirs if theirs else 1.0 for ours, theirs in found.values()), default=0.0
    )


def table(record: Record) -> str:
    """Every entry's counts, the simulator's beside ncu's: requests, then sectors or wavefronts."""
    lines = [record.origin, "simulator / ncu: requests, sectors (global) or wavefronts (shared)"]
    equal = within = 0
    for entry in ncu_entries.entries():
        if entry.name not in record.entries:
            lines.append(f"{entry.name}: not recorded")
            continue
        worst = 0.0
        cells = []
        for (kernel, ours), (_, theirs) in zip(simulated(entry), record.launches(entry.name), strict=True):
            worst = max(worst, largest(differences(ours, theirs)))
            for kind in (kind for kind in COUNTED if kind in ours or kind in theirs):
                pairs = [
                    f"{ours.get(kind, {}).get(what, 0):,} / {theirs.get(kind, {}).get(what, 0):,}"
                    for what in ("requests", COUNTED[kind])
                ]
                cells.append(f"{kind.replace('_', ' '):<14}{pairs[0]:>20}{pairs[1]:>24}")
        verdict = "equal" if worst == 0 else f"within {100 * worst:.2f}%"
        equal, within = equal + (worst == 0), within + (worst > 0)
        lines += [f"{entry.name:<44}{cells[0] if cells else 'no access':<60}{verdict}"]
        lines += [f"{'':<44}{cell}" for cell in cells[1:]]
    lines.append(f"{equal} kernels equal, {within} not quite")
    return "\n".join(lines)


def main() -> int:
    found = records()
    if not found:
        print(
            f"nothing is recorded in {FOLDER}: python tests/record_ncu.py records on a GPU", file=sys.stderr
        )
        return 1
    for record in found:
        print(table(record))
    return 0


if __name__ == "__main__":
    sys.exit(main())
