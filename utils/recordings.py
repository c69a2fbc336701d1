"""Timings measured on some GPU: one JSON file per GPU in kernels/results/, and tables made of them."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from kernels import WORKLOADS

RESULTS = Path(__file__).resolve().parents[1] / "kernels" / "results"
MACHINE_KEYS = ("gpu", "driver", "cuda", "torch", "cudnn", "date")
ROW_KEYS = (
    "workload",
    "precision",
    "kernel",
    "ms",
    "ms_spread",
    "cudnn_ms",
    "cudnn_layout",
    "cudnn_nchw_ms",
    "ratio",
    "tflops",
    "gbps",
    "max_rel_err",
    "tile",
    "roof",
)
GRADIENT_KEYS = (
    "workload",
    "pass",
    "kernel",
    "ms",
    "ms_spread",
    "cudnn_ms",
    "cudnn_layout",
    "ratio",
    "tflops",
    "max_rel_err",
    "deterministic",
)


@dataclass(frozen=True)
class Timings:
    """Rows of one run on one GPU. In a notebook it shows itself as a table.

    Attributes:
        machine: gpu, driver, cuda, torch, cudnn (versions) and date (ISO) of the run.
        rows: dictionaries with the keys `ROW_KEYS`. ms is a median over samples, ms_spread their
            interquartile range; cudnn_ms is cuDNN's best layout in the same run and precision,
            cudnn_nchw_ms that with the channels outermost, ratio = cudnn_ms / ms; tflops and gbps follow
            from the definition's operations and the least traffic; max_rel_err is the largest error against
            float64 over the largest exact value, on the first and the last image of the batch; tile is the
            number of the tile that was tuned for the layer, or None; roof is the time that the ceilings
            allow over ms, or None.
        live: measured now on this machine, not recorded.
        ceilings: what the same run measured of the GPU itself: a copy's GB/s, and the TFLOP/s of a large
            product of matrices in each precision that the GPU has: copy_gbps, fp32_tflops and so on.
        gradients: dictionaries with the keys `GRADIENT_KEYS`, for the passes of utils/timing_gradients.py in
            float32. cudnn_ms is of PyTorch's own pass, in the faster layout; deterministic says whether two
            calls gave the same bits; the kernel "cudnn" is PyTorch.
    """

    machine: dict[str, str]
    rows: list[dict] = field(default_factory=list)
    live: bool = False
    ceilings: dict[str, float] = field(default_factory=dict)
    gradients: list[dict] = field(default_factory=list)

    def select(self, workloads: Iterable[str] | None = None, kernels: Iterable[str] | None = None) -> Timings:
        """The rows of some workloads and kernels; cuDNN's in fp32, TF32 and the kernels' own precisions."""
        wanted = None if workloads is None else set(workloads)
        rows = [row for row in self.rows if wanted is None or row["workload"] in wanted]
        if kernels is not None:
            chosen = set(kernels)
            precisions = {"fp32", "tf32"} | {row["precision"] for row in rows if row["kernel"] in chosen}
            rows = [
                row
                for row in rows
                if row["kernel"] in chosen or (row["kernel"] == "cudnn" and row["precision"] in precisions)
            ]
        return Timings(self.machine, rows, self.live, self.ceilings)

    def select_gradients(self, workloads: Iterable[str] | None = None) -> Timings:
        """The gradients' rows of some workloads, and no others."""
        wanted = None if workloads is None else set(workloads)
        rows = [row for row in self.gradients if wanted is None or row["workload"] in wanted]
        return Timings(self.machine, live=self.live, gradients=rows)

    @property
    def origin(self) -> str:
        """Where and when this was measured, in one line."""
        machine = self.machine
        if not machine:
            return "No GPU run is recorded in kernels/results; `make bench` records one on a GPU."
        where = "Measured on this machine's" if self.live else "Recorded, not on this machine, on an"
        return (
            f"{where} {machine['gpu']}, {machine['date']}"
            f" (driver {machine['driver']}, CUDA {machine['cuda']}, PyTorch {machine['torch']},"
            f" cuDNN {machine['cudnn']})"
        )

    def __str__(self) -> str:
        lines = [self.origin]
        for table, its in ((_text_table, self.rows), (_gradient_table, self.gradients)):
            for name in dict.fromkeys(row["workload"] for row in its):
                workload = WORKLOADS.get(name)
                rows = [row for row in its if row["workload"] == name]
                lines += ["", f"{name}: {workload.describe()}" if workload else name, *table(rows)]
        if self.machine and not self.rows and not self.gradients:
            lines.append("no rows for what was asked")
        return "\n".join(lines)

    __repr__ = __str__


def _text_table(rows: list[dict]) -> list[str]:
    width = max(len("kernel"), *(len(row["kernel"]) for row in rows))
    roof = any(row["roof"] is not None for row in rows)
    head = f"  {'kernel':<{width}}  precision        ms     +-   TFLOP/s    GB/s"
    lines = [head + ("   roof" if roof else "") + "  cuDNN's time / its time"]
    for row in rows:
        ratio = row["cudnn_layout"] if row["kernel"] == "cudnn" else f"{row['ratio']:.2f}"
        lines.append(
            f"  {row['kernel']:<{width}}  {row['precision']:<9}{row['ms']:>10.3f}{row['ms_spread']:>7.3f}"
            f"{row['tflops']:>10.2f}{row['gbps']:>8.0f}"
            + (f"{row['roof']:>7.0%}" if roof else "")
            + f"  {ratio}"
        )
    return lines


def _gradient_table(rows: list[dict]) -> list[str]:
    width = max(len("kernel"), *(len(row["kernel"]) for row in rows))
    lines = [
        f"  {'pass':<9}{'kernel':<{width}}        ms     +-   TFLOP/s  same bits  PyTorch's time / its time"
    ]
    for row in rows:
        ratio = row["cudnn_layout"] if row["kernel"] == "cudnn" else f"{row['ratio']:.2f}"
        lines.append(
            f"  {row['pass']:<9}{row['kernel']:<{width}}{row['ms']:>10.3f}{row['ms_spread']:>7.3f}"
            f"{row['tflops']:>10.2f}{'yes' if row['deterministic'] else 'no':>11}  {ratio}"
        )
    return lines


def recorded(gpu: str | None = None, directory: Path | None = None) -> list[Timings]:
    """The recorded runs, one per GPU, by name; `gpu` keeps those whose name contains it."""
    runs = [read(path) for path in sorted((directory or RESULTS).glob("*.json"))]
    return [run for run in runs if gpu is None or gpu.lower() in run.machine["gpu"].lower()]


def read(path: Path) -> Timings:
    """One recorded run. Raises ValueError, with the path, where the file is not one."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not JSON: {error}") from None
    if not isinstance(data, dict) or set(data) - {"gradients"} != {*MACHINE_KEYS, "ceilings", "rows"}:
        raise ValueError(
            f"{path} must have exactly the keys {', '.join(MACHINE_KEYS)}, ceilings and rows, and may have"
            " gradients"
        )
    gradients = data.get("gradients", [])
    for row, keys in [(row, ROW_KEYS) for row in data["rows"]] + [(row, GRADIENT_KEYS) for row in gradients]:
        if set(row) != set(keys):
            raise ValueError(
                f"{path}: every row must have exactly the keys {', '.join(keys)}, not {sorted(row)}"
            )
    machine = {key: data[key] for key in MACHINE_KEYS}
    return Timings(machine, data["rows"], ceilings=data["ceilings"], gradients=gradients)


def write(timings: Timings, path: Path) -> None:
    """Record a run; the file is replaced whole or not at all."""
    parts = [_json_rows("rows", timings.rows, ROW_KEYS)]
    if timings.gradients:
        parts.append(_json_rows("gradients", timings.gradients, GRADIENT_KEYS))
    head = "".join(f"  {json.dumps(key)}: {json.dumps(timings.machine[key])},\n" for key in MACHINE_KEYS)
    head += f'  "ceilings": {json.dumps(timings.ceilings)},\n'
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write("{\n" + head + ",\n".join(parts) + "\n}\n")
        os.chmod(temporary, 0o644)  # mkstemp's files are private
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _json_rows(name: str, rows: list[dict], keys: tuple[str, ...]) -> str:
    lines = ",\n".join("    " + json.dumps({key: row[key] for key in keys}) for row in rows)
    return f'  "{name}": [\n{lines}\n  ]'


def file_name(gpu: str) -> str:
    """The results file of a GPU: "NVIDIA H200" is nvidia_h200.json."""
    return re.sub(r"[^a-z0-9]+", "_", gpu.lower()).strip("_") + ".json"
