"""Pictures of the lesson *ship it*: which layers of PyTorch a call passes, and what an operator can do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from IPython.display import Image
from matplotlib.patches import Rectangle

from utils.plots.canvas import INK, KERNEL, PAPER, SOFT, UNTOUCHED, image, page

LAYERS = ("vmap", "autocast", "autograd", "CPU kernel", "fake kernel")
_LEFT, _WIDE, _HIGH = 2.6, 1.15, 0.34  # inches


def layers_passed() -> dict[str, list[str]]:
    """The layers that calls of one operator passed, in order: situation -> names of `LAYERS`.

    Measured: an operator is defined here whose every layer writes down that it was asked, and calls the next.
    """
    passed: list[str] = []
    library = torch.library.Library("conv_course_probe", "DEF")
    library.define("probe(Tensor x) -> Tensor")

    def layer(name, key, below=None):
        def asked(x):
            passed.append(name)
            if below is None:  # the last one
                return torch.empty_like(x)
            with below():
                return torch.ops.conv_course_probe.probe(x)

        library.impl("probe", asked, key)

    autocasting = torch._C.DispatchKeySet(torch._C.DispatchKey.AutocastCPU)
    layer("autocast", "AutocastCPU", lambda: torch._C._ExcludeDispatchKeyGuard(autocasting))
    layer("autograd", "Autograd", torch._C._AutoDispatchBelowAutograd)
    layer("CPU kernel", "CPU")
    layer("fake kernel", "Meta")

    def many(info, in_dims, x):
        passed.append("vmap")
        return torch.ops.conv_course_probe.probe(x), in_dims[0]

    torch.library.register_vmap("conv_course_probe::probe", many, lib=library)
    probe, found = torch.ops.conv_course_probe.probe, {}

    def situation(name, call):
        passed.clear()
        call()
        found[name] = list(passed)

    plain, learning = torch.ones(2), torch.ones(2, requires_grad=True)

    def autocast():
        with torch.autocast("cpu"):
            probe(learning)

    def without_grad():
        with torch.inference_mode():
            probe(torch.ones(2))

    situation("x", lambda: probe(plain))
    situation("in inference_mode", without_grad)
    situation("in autocast", autocast)
    situation("in vmap", lambda: torch.vmap(probe)(torch.ones(3, 2)))
    situation("x without data", lambda: probe(torch.ones(2, device="meta")))
    library._destroy()
    return found


def layer_map(passed: Mapping[str, Sequence[str]], title: str) -> Image:
    """A row for each situation, a column for each of `LAYERS`, numbered in the order of their turns."""
    rows = {
        name: [str(layers.index(layer) + 1) if layer in layers else "" for layer in LAYERS]
        for name, layers in passed.items()
    }
    said = "; ".join(f"{name}: {', then '.join(layers)}" for name, layers in passed.items())
    return _grid(title, LAYERS, rows, f"{title}: {said}.")


def scoreboard(rows: Mapping[str, Mapping[str, bool]], title: str) -> Image:
    """A row for each operator, a column for each use: dark with "yes" where it works, light with "no"."""
    columns = list(next(iter(rows.values())))
    cells = {name: ["yes" if works[use] else "no" for use in columns] for name, works in rows.items()}
    said = "; ".join(
        f"{name}: {', '.join(use for use in columns if works[use]) or 'nothing'}"
        for name, works in rows.items()
    )
    return _grid(title, columns, cells, f"{title}. What works: {said}.")


def _grid(title: str, columns: Sequence[str], rows: Mapping[str, Sequence[str]], alt: str) -> Image:
    height = 0.75 + _HIGH * len(rows)
    figure, axes = page(_LEFT + _WIDE * len(columns) + 0.15, height, downwards=True)
    axes.text(0.12, 0.1, title, fontsize=10, fontweight="bold", color=INK, va="top")
    for i, name in enumerate(columns):
        axes.text(_LEFT + (i + 0.5) * _WIDE, 0.6, name, fontsize=8, color=SOFT, ha="center", va="bottom")
    for j, (name, cells) in enumerate(rows.items()):
        top = 0.65 + j * _HIGH
        axes.text(_LEFT - 0.12, top + _HIGH / 2, name, fontsize=8.5, color=INK, ha="right", va="center")
        for i, cell in enumerate(cells):
            dark = cell not in ("", "no")
            left = _LEFT + i * _WIDE
            face = KERNEL if dark else UNTOUCHED
            axes.add_patch(Rectangle((left, top), _WIDE * 0.95, _HIGH * 0.88, facecolor=face))
            middle = (left + _WIDE * 0.475, top + _HIGH * 0.44)
            axes.text(*middle, cell, fontsize=8, color=PAPER if dark else SOFT, ha="center", va="center")
    return image(figure, alt)
