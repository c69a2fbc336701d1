"""`python -m utils.readme`: the recorded timings in README.md, as tables between its markers and a picture.

--check writes nothing and fails where README.md and kernels/results/ differ.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from IPython.display import Image

from kernels import LADDERS, WORKLOADS
from utils.plots import ladder_chart
from utils.precision import PRECISIONS
from utils.recordings import Timings, file_name, recorded

README = Path(__file__).resolve().parents[1] / "README.md"
BEGIN, END = "<!-- ladder:begin -->", "<!-- ladder:end -->"
# The layer on which each ladder is shown.
HEADLINE = {"conv2d": "alexnet_conv1", "conv1d": "conv1d_dilated", "depthwise": "depthwise"}


def ladder_tables(runs: list[Timings]) -> str:
    """Markdown: for every GPU the ladders on their headline layers, then the best kernel on every layer."""
    if not runs:
        return "No GPU run is recorded yet: `make bench` records one.\n"
    return "\n".join(_run(run) for run in runs)


def _run(run: Timings) -> str:
    machine = run.machine
    parts = [
        f"**{machine['gpu']}**, {machine['date']}: driver {machine['driver']}, CUDA {machine['cuda']},"
        f" PyTorch {machine['torch']}, cuDNN {machine['cudnn']}."
        " Medians ± interquartile range; cuDNN in the same run, in the same precision.\n"
    ]
    for name, ladder in LADDERS.items():
        rows = {
            (row["kernel"], row["precision"]): row for row in run.rows if row["workload"] == HEADLINE[name]
        }
        if not rows:
            continue
        lines = [
            f"{HEADLINE[name]} ({WORKLOADS[HEADLINE[name]].describe()})\n",
            "| kernel | idea | precision | ms | TFLOP/s | cuDNN's time / its time |",
            "|---|---|---|---|---|---|",
        ]
        for rung in ladder:
            lines += [
                _line(f"`{rung.name}`", rung.idea, row) for key, row in rows.items() if key[0] == rung.name
            ]
        for (kernel, _), row in rows.items():
            if kernel == "cudnn":
                lines.append(_line("cuDNN", f"its best algorithm, {row['cudnn_layout']}", row))
        parts.append("\n".join(lines) + "\n")
        parts.append(f"![{_chart(run, name).alt}](kernels/results/{_picture(run, name).name})\n")
    parts.append(_best_of_each(run))
    parts.append(_gradients(run))
    return "\n".join(part for part in parts if part)


def _chart(run: Timings, name: str) -> Image:
    chosen = run.select([HEADLINE[name]])
    return ladder_chart(chosen.rows, f"{chosen.origin}.")


def _picture(run: Timings, name: str) -> Path:
    folder = README.parent / "kernels" / "results"
    return folder / Path(file_name(run.machine["gpu"])).with_suffix(f".{name}.png").name


def _line(kernel: str, idea: str, row: dict) -> str:
    ratio = "" if row["kernel"] == "cudnn" else f"{row['ratio']:.2f}"
    ms = f"{row['ms']:.3f} ± {row['ms_spread']:.3f}"
    return f"| {kernel} | {idea} | {row['precision']} | {ms} | {row['tflops']:.1f} | {ratio} |"


def _best_of_each(run: Timings) -> str:
    lines = [
        "| layer | precision | best kernel | ms | cuDNN, ms | in NCHW, ms | cuDNN's time / its time"
        " | of the roof | error |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    ours = [row for row in run.rows if row["kernel"] != "cudnn"]
    for name, precision in dict.fromkeys((row["workload"], row["precision"]) for row in ours):
        rows = [row for row in ours if (row["workload"], row["precision"]) == (name, precision)]
        row = min(rows, key=lambda row: row["ms"])
        roof = "" if row["roof"] is None else f"{row['roof']:.0%}"
        cudnn = f"{row['cudnn_ms']:.3f} | {row['cudnn_nchw_ms']:.3f} | {row['ratio']:.2f}"
        start = f"| {name} | {precision} | `{row['kernel']}` | {row['ms']:.3f}"
        lines.append(f"{start} | {cudnn} | {roof} | {row['max_rel_err']:.1e} |")
    return "\n".join([*lines, "", _ceilings(run)]) if len(lines) > 2 else ""


def _ceilings(run: Timings) -> str:
    """What the last columns of the table mean, with the numbers that they are taken from."""
    error = (
        "The error is the largest one against float64 over the largest exact value; cuDNN's are in"
        " [kernels/results](kernels/results)."
    )
    if not run.ceilings:
        return f"{error}\n"
    peaks = ", ".join(
        f"{run.ceilings[f'{name}_tflops']:.0f} TFLOP/s in {name}"
        for name in PRECISIONS
        if f"{name}_tflops" in run.ceilings
    )
    return (
        f"The roof is what this GPU reached in the same run, {run.ceilings['copy_gbps'] / 1000:.2f} TB/s in a"
        f" copy and, in large products of matrices, {peaks}: the time of the layer's operations or of its"
        " least traffic, whichever is longer, over the kernel's. Winograd's algorithm needs fewer operations"
        f" than the definition and can pass it. {error}\n"
    )


def _gradients(run: Timings) -> str:
    """Every kernel of every layer and pass, as a table; "" where none is recorded."""
    if not run.gradients:
        return ""
    lines = [
        "Gradients in float32, TF32 off: of the input (dgrad), the weight (wgrad) and the bias (bgrad), and"
        " training, which is the forward convolution and all three. PyTorch calls cuDNN, in the faster of"
        " two layouts.\n",
        "| layer | pass | kernel | ms | TFLOP/s | PyTorch, ms | PyTorch's time / its time | same bits again"
        " | error |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in run.gradients:
        if row["kernel"] == "cudnn":
            continue
        kernels = " + ".join(f"`{name}`" for name in row["kernel"].split(" + "))
        ms = f"{row['ms']:.3f} ± {row['ms_spread']:.3f} | {row['tflops']:.1f} | {row['cudnn_ms']:.3f}"
        same = "yes" if row["deterministic"] else "no"
        lines.append(
            f"| {row['workload']} | {row['pass']} | {kernels} | {ms} | {row['ratio']:.2f} | {same}"
            f" | {row['max_rel_err']:.1e} |"
        )
    return "\n".join(lines) + "\n"


def with_tables(text: str, runs: list[Timings]) -> str:
    """README's text with the part between the markers replaced. Raises ValueError without the markers."""
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ValueError(f"README.md must contain {BEGIN} and, after it, {END}, once each")
    head, rest = text.split(BEGIN)
    return f"{head}{BEGIN}\n{ladder_tables(runs)}{END}{rest.split(END)[1]}"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m utils.readme", description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args(argv).check
    before = README.read_text(encoding="utf-8")
    after = with_tables(before, recorded())
    if check and after != before:
        print("README.md is not what kernels/results/ says: run python -m utils.readme", file=sys.stderr)
        return 1
    for run in recorded():
        for name in LADDERS:
            if any(row["workload"] == HEADLINE[name] for row in run.rows):
                picture = _picture(run, name)
                picture.parent.mkdir(parents=True, exist_ok=True)
                picture.write_bytes(_chart(run, name).data)
    if after != before:
        README.write_text(after, encoding="utf-8")
        print("README.md: tables written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
