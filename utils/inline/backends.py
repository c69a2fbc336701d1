"""Which toolchain runs a source: "simulator", "cuda" or "torch"."""

from __future__ import annotations

import functools
import os

import torch

from utils.inline.nvcc import find_nvcc

BACKENDS = ("simulator", "cuda", "torch")


def resolve_backend(name: str = "auto") -> str:
    """The toolchain for a backend's name; "auto" is "cuda" where a GPU and nvcc are there, else "simulator".

    The environment variable CONV_BACKEND takes the place of "auto". An unknown name raises ValueError, and a
    backend that this machine cannot run RuntimeError with what is missing.
    """
    if name == "auto":
        name = os.environ.get("CONV_BACKEND") or "auto"
    if name == "auto":
        return "cuda" if gpu_available() and find_nvcc() is not None else "simulator"
    if name not in BACKENDS:
        raise ValueError(f"unknown backend {name!r}: choose 'auto', 'simulator', 'cuda' or 'torch'")
    if name == "cuda":
        _require_gpu()
    return name


@functools.cache
def gpu_available() -> bool:
    """Whether PyTorch can use an NVIDIA GPU here."""
    return torch.version.cuda is not None and torch.cuda.is_available()


def _require_gpu() -> None:
    if not gpu_available():
        reason = (
            f"this PyTorch ({torch.__version__}) is built without CUDA"
            if torch.version.cuda is None
            else "PyTorch finds no NVIDIA GPU"
        )
        raise RuntimeError(
            f"backend='cuda' needs an NVIDIA GPU, and {reason}. backend='simulator' runs the same "
            "source on the CPU."
        )
    if find_nvcc() is None:
        raise RuntimeError(
            "backend='cuda' needs nvcc, which is neither in CUDA_HOME, nor on the PATH, nor "
            "installed by pip. "
            "'pip install .[gpu]' in the course's folder installs it; backend='simulator' does without."
        )
