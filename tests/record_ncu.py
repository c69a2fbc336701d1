"""Record the corpus and the course's kernels with Nsight Compute: `python tests/record_ncu.py`.

Needs an NVIDIA GPU, nvcc, ncu, and the right to read the GPU's counters (as root, or with the driver's option
NVreg_RestrictProfilingToAdminUsers=0). Writes tests/ncu/<gpu>.json, to which tests/test_ncu.py holds the
simulator.

The script runs itself as ncu's target: that process launches every entry once. Which rows of ncu's table are
an entry's, a kernel of the corpus says by its name; a kernel of the course, which is recorded on several
layers, follows a marker kernel whose grid has as many blocks as the entry's number.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import ncu_corpus  # noqa: E402
import ncu_entries  # noqa: E402
import torch  # noqa: E402

import kernels  # noqa: E402
from utils.inline import load_inline  # noqa: E402
from utils.inline.nvcc import find_nvcc  # noqa: E402
from utils.recordings import file_name  # noqa: E402

RECORDS = HERE / "ncu"
MARKER = """#include <torch/extension.h>
__global__ void entry_marker() {}
void mark(int64_t number) { entry_marker<<<number, 32>>>(); }
"""

# Without these there is no record.
REQUIRED = (
    *(
        f"l1tex__t_{what}_pipe_lsu_mem_global_op_{op}.sum"
        for what in ("requests", "sectors")
        for op in ("ld", "st")
    ),
    *(f"smsp__inst_executed_op_shared_{op}.sum" for op in ("ld", "st")),
    *(f"l1tex__data_pipe_lsu_wavefronts_mem_shared_op_{op}.sum" for op in ("ld", "st")),
    *(f"l1tex__data_bank_conflicts_pipe_lsu_mem_shared_op_{op}.sum" for op in ("ld", "st")),
)
# Not every architecture and version of ncu has these: whatever it does not know is left out.
OPTIONAL = (
    "launch__registers_per_thread",
    # Without instructions that all lanes skip: the compiler skips short branches by predicates.
    *(f"smsp__inst_executed_op_shared_{op}_pred_on_any.sum" for op in ("ld", "st", "atom")),
    *(
        f"l1tex__t_{what}_pipe_lsu_mem_{memory}_op_{op}.sum"
        for what in ("requests", "sectors")
        for memory, op in (("global", "atom"), ("global", "red"), ("local", "ld"), ("local", "st"))
    ),
    *(
        f"smsp__inst_executed_op_{op}.sum"
        for op in ("shared_atom_dot_alu", "shared_atom_dot_cas", "ldgsts", "ldsm")
    ),
    *(f"l1tex__data_pipe_lsu_wavefronts_mem_shared{op}.sum" for op in ("", "_op_atom", "_op_misc")),
    "l1tex__data_bank_conflicts_pipe_lsu_mem_shared_op_atom.sum",
    "smsp__thread_inst_executed_per_inst_executed.ratio",
)
# Counted by patching the kernel's instructions: a run of its own, which may fail.
PATCHED = (
    *(f"smsp__sass_branch_targets_threads_{kind}.sum" for kind in ("uniform", "divergent")),
    "smsp__sass_average_branch_targets_threads_uniform.pct",
    *(f"smsp__sass_inst_executed_op_shared_{op}.sum" for op in ("ld", "st", "atom")),
    # What the addresses alone ask for: the plain counters of wavefronts and conflicts also count when a
    # store has to wait because a global load's data come in at the same time.
    *(
        f"smsp__sass_l1tex_data_{what}_mem_shared_op_{op}.sum"
        for what in ("bank_conflicts_pipe_lsu", "pipe_lsu_wavefronts")
        for op in ("ld", "st", "ldsm")
    ),
    *(f"smsp__sass_inst_executed_op_{op}.sum" for op in ("ldgsts", "ldsm")),
    *(f"smsp__sass_l1tex_t_{what}_pipe_lsu_mem_global_op_ldgsts.sum" for what in ("requests", "sectors")),
    "smsp__sass_l1tex_data_pipe_lsu_wavefronts_mem_shared_op_ldgsts.sum",
    "smsp__sass_l1tex_data_bank_conflicts_pipe_lsu_mem_shared_op_ldgsts.sum",
)


@dataclass
class Row:
    """One profiled launch: the kernel's plain name, its blocks, and its values by metric."""

    kernel: str
    blocks: int
    values: dict[str, float] = field(default_factory=dict)


class NcuError(Exception):
    """ncu gave no usable table; the message says what to do."""


# -------------------------------------------------------------------------------------------- ncu's own table


def parse_csv(text: str) -> list[Row]:
    """The launches of `ncu --csv --page details --print-details all`: one line a metric, in order of launch.

    Lines before the heading and lines that start with "==" are ncu's messages.

    Raises:
        NcuError: there is no table.
    """
    lines = [line for line in text.splitlines() if line.startswith('"')]
    start = next((k for k, line in enumerate(lines) if line.startswith('"ID","Process ID"')), None)
    if start is None:
        raise NcuError(
            "ncu printed no table. The end of what it printed:\n" + "\n".join(text.splitlines()[-15:])
        )
    rows: dict[str, Row] = {}
    for cells in csv.DictReader(lines[start:]):
        if cells["ID"] == "ID":
            continue  # a second table's heading
        row = rows.setdefault(cells["ID"], Row(_plain(cells["Kernel Name"]), _product(cells["Grid Size"])))
        value = _number(cells["Metric Value"] or "")
        if value is not None:
            row.values[cells["Metric Name"]] = value
    return list(rows.values())


def _plain(kernel: str) -> str:
    """`void inner::copy<4>(const float *)` is copy."""
    return re.split(r"[<(]", kernel)[0].split("::")[-1].split()[-1]


def _product(grid: str) -> int:
    """`(17, 2, 1)` has 34 blocks."""
    return math.prod(map(int, re.findall(r"\d+", grid)))


def _number(text: str) -> float | None:
    try:
        value = float(text.replace(",", ""))
    except ValueError:
        return None
    return int(value) if value == int(value) else value


def by_entry(rows: Iterable[Row], names: list[str]) -> dict[str, list[Row]]:
    """The launches of each entry; `names` are the entries' in order."""
    found: dict[str, list[Row]] = {}
    current, ours = None, set(kernel_names())
    for row in rows:
        if row.kernel not in ours:
            continue  # PyTorch fills tensors with kernels of its own
        name = row.kernel.removesuffix("_kernel")
        if row.kernel == "entry_marker":
            current = names[row.blocks - 1]
        elif name != row.kernel and name in ncu_corpus.KERNELS:  # the course has a conv2d_tiled of its own
            found.setdefault(name, []).append(row)
        elif current is not None:
            found.setdefault(current, []).append(row)
    return found


# ------------------------------------------------------------------------------------------------- running it


def drive() -> None:
    """Launch every entry once, on the GPU. This is what runs under ncu."""
    mark = load_inline("marker", cuda_sources=MARKER, backend="cuda").mark
    for number, entry in enumerate(ncu_entries.entries(), start=1):
        if not ncu_entries.is_corpus(entry.name):
            mark(number)
        try:
            entry.call("cuda", "cuda")
        except RuntimeError as error:
            print(f"{entry.name} was not run: {error}", flush=True)
        torch.cuda.synchronize()
    print(f"drove {number} entries", flush=True)


def kernel_names() -> list[str]:
    """Every kernel that ncu is to profile, and no other: PyTorch launches some of its own to fill tensors."""
    headers = [path.read_text(encoding="utf-8") for path in sorted(kernels.INCLUDE.glob("*.h"))]
    sources = [ncu_corpus.SOURCE, MARKER, *headers, *map(kernels.source, kernels.names())]
    pattern = r"__global__[\w\s()]*?\bvoid\s+(?:__launch_bounds__\s*\([^()]*\)\s*)?(\w+)\s*\("
    return sorted({name for source in sources for name in re.findall(pattern, source)})


def profile(
    ncu: str, metrics: Iterable[str], log: Path, seconds: float, *, filtered: bool = True
) -> list[Row]:
    """The launches under ncu with these metrics. What ncu says it does not know is dropped, with a warning.

    `filtered` has ncu pass over kernels that are not ours, which saves time.
    """
    wanted = list(metrics)
    while True:
        text, status = _run_ncu(ncu, wanted, log, seconds, filtered)
        complaints = "\n".join(
            line for line in text.splitlines() if line.startswith(("==ERROR==", "==WARNING=="))
        )
        unknown = [m for m in wanted if re.search(rf"\b{m.split('.')[0]}\b", complaints)]
        if status == 0 or not unknown or len(unknown) == len(wanted):
            break
        print(f"ncu does not know {', '.join(unknown)}: left out", flush=True)
        wanted = [m for m in wanted if m not in unknown]
    rows = parse_csv(text)
    if not any(row.values for row in rows):
        raise NcuError(f"ncu measured nothing; {log} holds what it printed")
    return rows


def _run_ncu(ncu: str, metrics: list[str], log: Path, seconds: float, filtered: bool) -> tuple[str, int]:
    command = [ncu, "--clock-control", "none", "--cache-control", "none", "--metrics", ",".join(metrics)]
    if filtered:
        names = "|".join(kernel_names())
        command += ["--kernel-name-base", "function", "--kernel-name", f"regex:^({names})$"]
    command += ["--csv", "--page", "details", "--print-details", "all"]
    command += ["--print-units", "base", "--print-kernel-base", "function", "--log-file", str(log)]
    command += [sys.executable, str(Path(__file__).resolve()), "--drive"]
    log.unlink(missing_ok=True)
    target, status = _run(command, seconds)
    for line in target.splitlines():
        if "was not run" in line or "Error" in line:
            print(line, flush=True)
    text = (log.read_text(encoding="utf-8") if log.exists() else "") + "\n" + target
    log.write_text(text, encoding="utf-8")
    if "ERR_NVGPUCTRPERM" in text:
        raise NcuError(
            "ncu may not read the GPU's counters: run as root, or see ERR_NVGPUCTRPERM on nvidia.com"
        )
    return text, status


def _run(command: list[str], seconds: float) -> tuple[str, int]:
    """What a command prints, and its status. On time out its children end with it."""
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        cwd=HERE.parent,
    )
    try:
        return process.communicate(timeout=seconds)[0], process.returncode
    except subprocess.TimeoutExpired as expired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise NcuError(f"{command[0]} took over {seconds:.0f} s") from expired


def known_metrics(ncu: str) -> set[str] | None:
    """The metrics that this ncu has for this GPU, without suffix; None where it does not say."""
    try:
        done = subprocess.run([ncu, "--query-metrics"], capture_output=True, text=True, timeout=120)
    except (OSError, subprocess.TimeoutExpired):
        return None
    names = set(re.findall(r"^\s*(\w+__\w+)", done.stdout, re.MULTILINE))
    return names if len(names) > 100 else None


def record(ncu: str, folder: Path) -> dict:
    """Everything as it goes into the file."""
    print("compiling and running every entry once without ncu ...", flush=True)
    drive()
    known = known_metrics(ncu)
    if known is None:
        print("ncu --query-metrics gave no list: all metrics are tried", flush=True)
    optional = [m for m in OPTIONAL if known is None or m.startswith("launch__") or m.split(".")[0] in known]
    left_out = [m for m in OPTIONAL if m not in optional]
    if left_out:
        print(f"this ncu does not have {', '.join(left_out)}", flush=True)
    names = [entry.name for entry in ncu_entries.entries()]
    print(f"{len(REQUIRED) + len(optional)} metrics of {len(names)} entries under ncu ...", flush=True)
    try:
        found = by_entry(profile(ncu, (*REQUIRED, *optional), folder / "ncu.log", 240), names)
    except NcuError as error:
        print(f"{error}\nonce more, with the required metrics alone", flush=True)
        found = by_entry(profile(ncu, REQUIRED, folder / "ncu.log", 150, filtered=False), names)
    try:
        patched = by_entry(profile(ncu, PATCHED, folder / "ncu_patched.log", 150), names)
    except NcuError as error:
        print(f"without the metrics that patch instructions: {error}", flush=True)
        patched = {}
    for name, rows in patched.items():
        if [row.kernel for row in rows] == [row.kernel for row in found.get(name, ())]:
            for row, more in zip(found[name], rows, strict=True):
                row.values = more.values | row.values
    return {**machine(ncu), **_as_json(found)}


def _as_json(found: dict[str, list[Row]]) -> dict:
    measured = {metric for rows in found.values() for row in rows for metric in row.values}
    metrics = [m for m in (*REQUIRED, *OPTIONAL, *PATCHED) if m in measured]
    digests = {entry.name: entry.digest for entry in ncu_entries.entries()}
    return {
        "metrics": metrics,
        "entries": {
            name: {
                "digest": digests[name],
                "launches": [
                    {"kernel": row.kernel, "values": [row.values.get(m) for m in metrics]} for row in rows
                ],
            }
            for name, rows in found.items()
        },
    }


def machine(ncu: str) -> dict[str, str]:
    """GPU, compute capability, versions and date."""
    properties = torch.cuda.get_device_properties(0)
    toolkit = find_nvcc()
    return {
        "gpu": properties.name,
        "compute_capability": f"{properties.major}.{properties.minor}",
        "driver": _said(["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"], r"[\d.]+"),
        "cuda": _said([toolkit.nvcc if toolkit else "nvcc", "--version"], r"release ([\d.]+)"),
        "ncu": _said([ncu, "--version"], r"Version ([\d.]+)"),
        "date": datetime.date.today().isoformat(),
    }


def _said(command: list[str], pattern: str) -> str:
    try:
        found = re.search(pattern, subprocess.run(command, capture_output=True, text=True, timeout=60).stdout)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return found[found.re.groups] if found else "unknown"


def write(record: dict, path: Path) -> None:
    """One line an entry, so that a new recording shows in a diff what changed."""
    head = {key: value for key, value in record.items() if key not in ("metrics", "entries")}
    lines = [f"  {json.dumps(key)}: {json.dumps(value)}," for key, value in head.items()]
    metrics = ",\n".join(f"    {json.dumps(metric)}" for metric in record["metrics"])
    entries = ",\n".join(f"    {json.dumps(k)}: {json.dumps(v)}" for k, v in record["entries"].items())
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".part")
    text = "\n".join(lines)
    unfinished.write_text(
        f'{{\n{text}\n  "metrics": [\n{metrics}\n  ],\n  "entries": {{\n{entries}\n  }}\n}}\n'
    )
    os.replace(unfinished, path)


def summary(record: dict) -> str:
    """A few counts of every launch, to see at once whether the recording is sound."""
    columns = {
        "ld": "l1tex__t_requests_pipe_lsu_mem_global_op_ld.sum",
        "sectors": "l1tex__t_sectors_pipe_lsu_mem_global_op_ld.sum",
        "st": "l1tex__t_requests_pipe_lsu_mem_global_op_st.sum",
        "sectors ": "l1tex__t_sectors_pipe_lsu_mem_global_op_st.sum",
        "lds": "smsp__inst_executed_op_shared_ld.sum",
        "waves": "l1tex__data_pipe_lsu_wavefronts_mem_shared_op_ld.sum",
        "sts": "smsp__inst_executed_op_shared_st.sum",
        "waves ": "l1tex__data_pipe_lsu_wavefronts_mem_shared_op_st.sum",
    }
    at = [record["metrics"].index(metric) for metric in columns.values()]
    lines = [f"{'entry':<42}" + "".join(f"{title:>10}" for title in columns)]
    for name, entry in record["entries"].items():
        for launch in entry["launches"]:
            lines.append(f"{name:<42}" + "".join(f"{launch['values'][k] or 0:>10}" for k in at))
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--drive", action="store_true", help="only launch the kernels, as ncu's target does")
    parser.add_argument("--ncu", default=shutil.which("ncu"), help="Nsight Compute's command line")
    parser.add_argument("--output", type=Path, default=RECORDS, help="folder for the record")
    parser.add_argument("--logs", type=Path, help="folder for what ncu prints; a temporary one by default")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print("No NVIDIA GPU here: run this on a machine with one.", file=sys.stderr)
        return 1
    if options.drive:
        drive()
        return 0
    if not options.ncu:
        print("ncu is not on the PATH: install Nsight Compute, or say --ncu PATH.", file=sys.stderr)
        return 1
    logs = options.logs or Path(tempfile.mkdtemp(prefix="ncu-"))
    logs.mkdir(parents=True, exist_ok=True)
    try:
        made = record(options.ncu, logs)
    except NcuError as error:
        print(error, file=sys.stderr)
        return 1
    path = options.output / file_name(made["gpu"])
    write(made, path)
    missing = [entry.name for entry in ncu_entries.entries() if entry.name not in made["entries"]]
    print(summary(made))
    print(
        f"\n{len(made['entries'])} entries, {len(made['metrics'])} metrics: {path}; ncu's own words: {logs}"
    )
    if missing:
        print(f"NOT recorded: {', '.join(missing)}", file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
