"""The simulator's counts against what Nsight Compute recorded (tests/ncu), one test a kernel."""

from pathlib import Path

import ncu_corpus
import ncu_entries
import pytest
from ncu_records import differences, records, simulated
from simulated import read_kernels

import kernels

ENTRIES = {entry.name: entry for entry in ncu_entries.entries()}
RECORDS = records()
AGAIN = "on a machine with a GPU and Nsight Compute: python tests/record_ncu.py"


def test_there_is_a_record():
    assert RECORDS, f"nothing is recorded in tests/ncu; record it {AGAIN}"
    assert len(ncu_corpus.KERNELS) >= 36
    for record in RECORDS:
        assert set(record.machine) == {"gpu", "compute_capability", "driver", "cuda", "ncu", "date"}
        assert not set(record.entries) - set(ENTRIES), f"{record.path.name} has what no longer exists"


def test_every_kernel_of_the_course_is_an_entry():
    recorded = {name.partition(".")[0] for name in ENTRIES if not ncu_entries.is_corpus(name)}
    assert recorded == {name for name in kernels.names() if kernels.rung(name).simulated}


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.path.stem)
@pytest.mark.parametrize("name", ENTRIES)
def test_counts_are_those_of_nsight_compute(name, record):
    entry = ENTRIES[name]
    if ncu_entries.awaits_recording(name):
        assert name not in record.entries, "it is recorded now: take it out of AWAITING_RECORDING"
        pytest.skip(f"newer than {record.path.name}; record it {AGAIN}")
    assert name in record.entries, f"{name} is not in {record.path.name}; record it {AGAIN}"
    assert record.entries[name]["digest"] == entry.digest, f"{name} has changed; record it again {AGAIN}"
    ours, theirs = simulated(entry), record.launches(name)
    assert [kernel for kernel, _ in ours] == [kernel for kernel, _ in theirs]
    found = [differences(mine, its) for (_, mine), (_, its) in zip(ours, theirs, strict=True)]
    reason = ncu_entries.known_difference(name)
    if reason is None:
        assert not any(found), f"(simulator, ncu): {found}"
    else:
        assert any(found), f"the counts are equal; the heading says that they differ: {reason}"


def test_the_appendix_says_what_was_recorded():
    notebook = Path(__file__).parents[1] / "notebooks" / "90_the_simulator.ipynb"
    text = notebook.read_text(encoding="utf-8")
    machine = RECORDS[0].machine
    for what in ("date", "gpu", "ncu", "driver", "cuda"):
        assert machine[what] in text
    groups = [read_kernels(getattr(ncu_corpus, name)) for name in ("GLOBAL", "CONTROL", "SHARED", "ATOMICS")]
    ptx, alike = (
        [kernel for kernel in read_kernels(source) if not ncu_corpus.known_difference(kernel.name)]
        for source in (ncu_corpus.PTX, ncu_corpus.CHOICE)
    )
    left_out = (*ncu_entries.KNOWN, *filter(ncu_entries.awaits_recording, ENTRIES))
    course = [n for n in ENTRIES if not ncu_entries.is_corpus(n) and n not in left_out]
    for group in (*groups, read_kernels(ncu_corpus.REAL) + alike, ptx, course):
        assert f"| {len(group)} | equal |" in text
