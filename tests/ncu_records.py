"""What Nsight Compute recorded, beside the simulator's counts: `python tests/ncu_records.py` prints both."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

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
            f"{machine['gpu']} (compute capability {machine['compute_capability']}), {machine['date']}:"
            f" Nsight Compute {machine['ncu']}, driver {machine['driver']}, nvcc {machine['cuda']}"
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
    """The simulator's kinds and counts from one launch's metrics; kinds that did not occur are left out.

    An asynchronous copy (LDGSTS) is among the global loads already, and is a shared store besides. A load of
    matrices (ldmatrix, LDSM) is counted apart as an instruction, and among the loads as wavefronts. A bank
    conflict of a compare-and-swap, which passes the banks twice, is two wavefronts but one conflict for ncu.

    Of stores to shared memory the plain counters of wavefronts and conflicts also count when one has to wait
    because a global load's data come in at the same time; the difference to the counter that looks at the
    addresses alone is taken off. (Of float2 and float4 loads that counter does not know what a GPU joins.)
    """

    def first(*metrics: str) -> int:
        return next((values[f"{m}.sum"] for m in metrics if values.get(f"{m}.sum") is not None), 0)

    conflicts = "l1tex__data_bank_conflicts_pipe_lsu_mem_shared_op"
    wavefronts = "l1tex__data_pipe_lsu_wavefronts_mem_shared_op"

    def of_global(*ops: str) -> dict[str, int]:
        where = "pipe_lsu_mem_global_op"
        return {
            what: sum(first(f"l1tex__t_{what}_{where}_{op}") for op in ops)
            for what in ("requests", "sectors")
        }

    def of_shared(*ops: str) -> dict[str, int]:
        executed = "inst_executed_op_shared"
        return {
            "requests": sum(
                first(
                    f"smsp__sass_{executed}_{op}",
                    f"smsp__{executed}_{op}_pred_on_any",
                    f"smsp__{executed}_{op}",
                )
                for op in ops
            ),
            "wavefronts": sum(first(f"{wavefronts}_{op}") for op in ops),
            "bank_conflicts": sum(first(f"{conflicts}_{op}") for op in ops),
        }

    kinds = {
        "global_load": of_global("ld"),
        "global_store": of_global("st"),
        "global_atomic": of_global("atom", "red"),
        "shared_load": of_shared("ld"),
        "shared_store": of_shared("st", "atom"),
    }
    stores = f"{wavefronts}_st"
    waits = first(stores) - first(f"smsp__sass_{stores.replace('l1tex__', 'l1tex_')}", stores)
    for what in ("wavefronts", "bank_conflicts"):
        kinds["shared_store"][what] -= waits
    if first("smsp__inst_executed_op_shared_atom_dot_cas"):
        kinds["shared_store"]["bank_conflicts"] += first(f"{conflicts}_atom")
    kinds["shared_store"]["requests"] += first("smsp__sass_inst_executed_op_ldgsts")
    kinds["shared_load"]["requests"] += first(
        "smsp__sass_inst_executed_op_ldsm", "smsp__inst_executed_op_ldsm"
    )
    for what, name in (("wavefronts", "pipe_lsu_wavefronts"), ("bank_conflicts", "bank_conflicts_pipe_lsu")):
        kinds["shared_store"][what] += first(f"smsp__sass_l1tex_data_{name}_mem_shared_op_ldgsts")
    return {kind: counts for kind, counts in kinds.items() if counts["requests"]}


def simulated(entry: Entry) -> list[tuple[str, dict[str, dict[str, int]]]]:
    """(kernel, counts) of every launch of an entry in the simulator."""
    launcher, arguments = entry.bind("simulator", "cpu")
    return [
        (
            launch.name,
            {
                kind: {what: getattr(counts, what) for what in COUNTED[kind]}
                for kind in COUNTED
                if (counts := getattr(launch, kind)).requests
            },
        )
        for launch in profile(launcher, *arguments)
    ]


_GLOBAL, _SHARED = ("requests", "sectors"), ("requests", "wavefronts", "bank_conflicts")
COUNTED = {
    "global_load": _GLOBAL,
    "global_store": _GLOBAL,
    "global_atomic": _GLOBAL,
    "shared_load": _SHARED,
    "shared_store": _SHARED,
}


def differences(ours: dict, theirs: dict) -> dict[tuple[str, str], tuple[int, int]]:
    """{(kind, what): (simulator, ncu)} of one launch's counts that are not equal."""
    pairs = {
        (kind, what): (ours.get(kind, {}).get(what, 0), theirs.get(kind, {}).get(what, 0))
        for kind, counted in COUNTED.items()
        for what in counted
    }
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}


def table(record: Record) -> str:
    """Every entry's counts, the simulator's beside ncu's: requests, then sectors or wavefronts."""
    lines = [
        record.origin,
        "simulator / ncu: requests, then sectors (global) or wavefronts and bank conflicts (shared)",
    ]
    verdicts = []
    for entry in ncu_entries.entries():
        if entry.name not in record.entries:
            lines.append(f"{entry.name}: not recorded")
            continue
        found, cells = {}, []
        for (_, ours), (_, theirs) in zip(simulated(entry), record.launches(entry.name), strict=True):
            found |= differences(ours, theirs)
            for kind in (kind for kind in COUNTED if kind in ours or kind in theirs):
                pairs = [
                    f"{ours.get(kind, {}).get(what, 0):,} / {theirs.get(kind, {}).get(what, 0):,}"
                    for what in COUNTED[kind]
                ]
                cells.append(f"{kind.replace('_', ' '):<14}" + "".join(f"{pair:>22}" for pair in pairs))
        reason = ncu_entries.known_difference(entry.name)
        verdicts.append("known" if reason else "different" if found else "equal")
        verdict = f"known: {reason}" if reason else verdicts[-1]
        lines += [f"{entry.name:<44}{cells[0] if cells else 'no access':<82}{verdict}"]
        lines += [f"{'':<44}{cell}" for cell in cells[1:]]
    equal, known, different = (verdicts.count(word) for word in ("equal", "known", "different"))
    lines.append(f"{equal} kernels equal, {different} different, {known} where nvcc is known to do otherwise")
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
