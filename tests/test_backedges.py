"""The instrumentation that is left out changes no count."""

import pytest
from counted_by_hand import TEXT
from simulated import compile_kernels, read_kernels

from utils.simulator import compile as compiling
from utils.simulator import profile
from utils.simulator.backedges import thin_out

BLOCK = "\tcall\t__sanitizer_cov_trace_pc@PLT"
ACCESS = "\tcall\t__tsan_read4@PLT"


def kept(*lines: str) -> list[int]:
    """Which of the blocks' calls are left."""
    thinned = thin_out("\n".join(lines)).split("\n")
    assert len(thinned) == len(lines)
    return [i for i, line in enumerate(thinned) if line == BLOCK]


def test_a_block_that_runs_on_need_not_tell():
    assert kept(BLOCK, "\tjne\t.L1", BLOCK, ACCESS, ".L1:", BLOCK, "\tret") == []


def test_a_block_that_jumps_back_tells():
    assert kept(".L1:", BLOCK, ACCESS, BLOCK, "\taddl\t$1, %eax", "\tjne\t.L1", BLOCK, "\tret") == [3]


def test_an_access_before_the_jump_back_has_told():
    assert kept(".L1:", BLOCK, ACCESS, "\tjne\t.L1", BLOCK, "\tret") == []


@pytest.mark.parametrize("jump", ["jmp\t*%rax", "notrack jmp\t*.L9(,%rax,8)", "jmp\tsomewhere"])
def test_a_jump_to_an_unknown_place_may_be_one_back(jump):
    assert kept(BLOCK, "\t" + jump, BLOCK, "\tret") == [0]


def test_a_jump_on_to_a_jump_back():
    assert kept(".L1:", BLOCK, "\tje\t.L2", BLOCK, ACCESS, ".L2:", "\tjmp\t.L1") == [1]


def test_a_look_at_an_arrays_bounds_is_no_jump_back():
    aside = (".L2:", "\tcall\t__ubsan_handle_out_of_bounds@PLT", "\tjmp\t.L3")
    assert kept(BLOCK, "\tja\t.L2", ".L3:", ACCESS, "\tret", *aside) == []


def test_a_check_between_a_block_and_its_access():
    check = ("\tjbe\t.L2", "\tcall\t__ubsan_handle_out_of_bounds@PLT", ".L2:", "\tjbe\t.L3", ".L3:")
    assert kept(BLOCK, *check, ACCESS, "\tret") == []
    assert kept(".L1:", BLOCK, *check, "\tjmp\t.L1") == [1]


def test_the_last_block_before_a_function_is_left():
    assert kept(BLOCK, "\tcall\t__tsan_func_exit@PLT", "\tret") == [0]


def test_counts_are_those_of_all_instrumentation(monkeypatch, tmp_path):
    import torch

    kernels = [kernel for kernel in read_kernels(TEXT) if "for" in kernel.text or "while" in kernel.text]
    assert len(kernels) > 5
    thinned = compile_kernels(kernels)
    monkeypatch.setattr(compiling, "thin_out", lambda assembly: assembly)
    monkeypatch.setattr(compiling, "_REWRITING", b"all instrumentation")
    whole = compile_kernels(kernels)
    x = torch.arange(4096.0)
    for kernel in kernels:
        counts = [str(profile(getattr(module, kernel.name), x)) for module in (thinned, whole)]
        assert counts[0] == counts[1], kernel.name
