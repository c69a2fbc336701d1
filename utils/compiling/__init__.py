"""Builds cached by content, and compilers whose errors read well. Imports nothing above `utils.errors`."""

from utils.compiling.cache import build, cache_directory, content_key
from utils.compiling.compilers import compiler_identity, compiler_version, fills_variables, find_cxx, is_gcc
from utils.compiling.includes import folder_state
from utils.compiling.runner import run_compiler

__all__ = [
    "build",
    "cache_directory",
    "compiler_identity",
    "compiler_version",
    "content_key",
    "fills_variables",
    "find_cxx",
    "folder_state",
    "is_gcc",
    "run_compiler",
]
