"""Which of a kernel's tiles is the fastest for a shape? Tried once, and remembered per GPU.

A kernel with a choice of tiles has a launcher whose last parameter is `tile`, and a function `tiles()` that
says how many there are. The first call for a shape times them all; the winner is written to a file of the
user's cache directory and found there the next time. A kernel whose source or headers have changed is tried
again.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from utils.check import CheckError
from utils.clock import CudaTimer
from utils.compiling import folder_state
from utils.compiling.cache import cache_directory, content_key
from utils.errors import KernelError
from utils.recordings import file_name

SAMPLES = 5
DIFFERENT = 2e-2  # of the largest output: no rounding does that, a wrong tile does


@dataclass(frozen=True)
class Tuned:
    """The tile that was fastest.

    Attributes:
        tile: its number; -1, the launcher's own rule, where nothing can be timed.
        ms: its median time, and None where nothing was timed.
        tried: the time of every tile that could run, by number.
        refused: why the others could not, by number.
        from_cache: found in the file, not timed now.
    """

    tile: int
    ms: float | None
    tried: dict[int, float]
    refused: dict[int, str]
    from_cache: bool = False

    def __str__(self) -> str:
        if self.ms is None:
            return "tile -1: the launcher's own rule, for without a GPU nothing can be timed"
        origin = "remembered" if self.from_cache else "timed now"
        others = ", ".join(f"{tile}: {ms:.4f} ms" for tile, ms in sorted(self.tried.items()))
        return f"tile {self.tile}: {self.ms:.4f} ms, {origin}; of {others}"


def best_tile(
    launcher: Callable,
    input: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    *,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
    precision: str = "",
    timer: Any = None,
    cache: Path | None = None,
) -> Tuned:
    """The fastest tile of a launcher with a choice of them, for tensors like these on this GPU.

    Args:
        launcher: from `kernels.load`; its attribute `tiles` says how many there are.
        input, weight, bias, stride, padding, dilation: of the call to tune. Only shapes, types and memory
            layouts matter, not the numbers.
        precision: only a part of the name under which the winner is kept.
        timer: in place of a `CudaTimer`, for tests.
        cache: the file to remember winners in; one per GPU in the user's cache directory, if None.

    Every tile's result is compared with the first one's: raises CheckError where they differ, and
    RuntimeError, with each tile's reason, where none can run. A cache that is damaged, or another GPU's, is
    told, ignored and written anew.
    """
    count = getattr(launcher, "tiles", 0)
    if not count:
        raise ValueError(f"{launcher!r} has no choice of tiles: its source has no function tiles()")
    if timer is None and not (torch.cuda.is_available() and input.is_cuda):
        return Tuned(-1, None, {}, {})
    timer = timer or CudaTimer()
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    file = cache or cache_directory() / "tuned" / file_name(gpu)
    options = {"stride": stride, "padding": padding, "dilation": dilation}
    key = _key(launcher, input, weight, bias, options, precision)
    found = _read(file, gpu).get(key)
    if found is not None and 0 <= found["tile"] < count:
        numbers = ({int(tile): value for tile, value in found[name].items()} for name in ("tried", "refused"))
        return Tuned(found["tile"], found["ms"], *numbers, from_cache=True)
    tuned = _try_all(launcher, count, (input, weight, bias, *options.values()), timer)
    _write(file, gpu, key, tuned)
    return tuned


def _key(launcher, input, weight, bias, options: dict[str, int], precision: str) -> str:
    tensors = [f"{tuple(t.shape)} {t.stride()} {t.dtype}" for t in (input, weight)]
    folders = (launcher.options or {}).get("extra_include_paths") or []
    options_text = json.dumps(launcher.options, default=str)
    source = content_key([launcher.source.text, options_text, folder_state(folders)])
    sizes = " ".join(f"{name} {value}" for name, value in options.items())
    return (
        f"{launcher.source.name} {source[:12]}: {', '.join(tensors)}, {sizes}, {bias is not None} {precision}"
    )


def _try_all(launcher: Callable, count: int, arguments: tuple, timer: Any) -> Tuned:
    tried: dict[int, float] = {}
    refused: dict[int, str] = {}
    first = None
    with torch.inference_mode():
        for tile in tqdm(range(count), unit="tile", leave=False, file=sys.stdout, desc=launcher.source.name):
            try:
                output = launcher(*arguments, tile)
            except KernelError:
                raise
            except RuntimeError as error:  # the launcher's TORCH_CHECK: too much shared memory, for instance
                refused[tile] = str(error).splitlines()[0]
                continue
            first = output if first is None else first
            largest = float(first.abs().max()) if first.numel() else 0.0
            if first.numel() and not float((output - first).abs().max()) <= DIFFERENT * largest:
                raise CheckError(f"tile {tile} of {launcher.source.name} gives another result than the first")
            tried[tile] = statistics.median(
                timer.sample(lambda t=tile: launcher.nowait(*arguments, t)) for _ in range(SAMPLES)
            )
    if not tried:
        reasons = "; ".join(f"{tile}: {reason}" for tile, reason in refused.items())
        raise RuntimeError(f"no tile of {launcher.source.name} can run this shape here: {reasons}")
    best = min(tried, key=tried.__getitem__)
    return Tuned(best, tried[best], tried, refused)


def _read(file: Path, gpu: str) -> dict[str, dict]:
    """What is remembered; nothing, with a warning, where the file is not what was written here."""
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        if data["gpu"] != gpu:
            raise ValueError(f"it is of {data['gpu']}, and this is {gpu}")
        fields = set(Tuned.__dataclass_fields__) - {"from_cache"}
        if not all(
            set(entry) == fields and isinstance(entry["tile"], int) for entry in data["tuned"].values()
        ):
            raise ValueError("an entry lacks something")
        return data["tuned"]
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        warnings.warn(f"ignoring {file}, tiles are tried again: {error}", stacklevel=3)
        return {}


def _write(file: Path, gpu: str, key: str, tuned: Tuned) -> None:
    """Add a winner. The file is replaced whole; where it cannot be written, the next call tries again."""
    entry = asdict(tuned)
    del entry["from_cache"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a damaged file was told when it was read
        known = _read(file, gpu)
    text = json.dumps({"gpu": gpu, "tuned": {**known, key: entry}}, indent=1)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=file.parent, suffix=".part", delete=False) as part:
            part.write(text)
        os.replace(part.name, file)
    except OSError as error:
        warnings.warn(f"the fastest tile is not remembered: {error}", stacklevel=4)
