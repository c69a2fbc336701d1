"""`load_inline`: CUDA C++ in a string becomes Python functions, through one of three toolchains."""

from utils.inline.backends import resolve_backend
from utils.inline.launcher import Launcher, Module
from utils.inline.load import load_inline
from utils.inline.nvcc import compile_cuda, find_nvcc
from utils.inline.ptxas import Resources, resources

__all__ = [
    "Launcher",
    "Module",
    "Resources",
    "compile_cuda",
    "find_nvcc",
    "load_inline",
    "resolve_backend",
    "resources",
]
