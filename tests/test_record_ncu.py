"""The recorder's way from ncu's output to a record, with a stand-in for ncu: nothing here needs a GPU."""

import json
import os
import sys
import time

import ncu_entries
import pytest
import record_ncu
from record_ncu import NcuError, Row, by_entry, kernel_names, parse_csv, profile, summary, write

HEADING = (
    '"ID","Process ID","Process Name","Host Name","Kernel Name","Context","Stream","Block Size","Grid Size",'
    '"Device","CC","Section Name","Metric Name","Metric Unit","Metric Value"'
)
LD = "l1tex__t_requests_pipe_lsu_mem_global_op_ld.sum"


def line(number, kernel, metric, value, grid="(1, 1, 1)"):
    where = f'"{number}","4242","python3.12","127.0.0.1","{kernel}","1","7","(32, 1, 1)","{grid}","0","9.0"'
    return f'{where},"Command line profiler metrics","{metric}","request","{value}"'


TABLE = "\n".join(
    [
        "==PROF== Connected to process 4242 (/usr/bin/python3.12)",
        '==PROF== Profiling "coalesced_kernel" - 0: 0%....50%....100% - 3 passes',
        "drove 5 entries",
        "==PROF== Disconnected from process 4242",
        HEADING,
        line(0, "coalesced_kernel", LD, "16"),
        line(0, "coalesced_kernel", "smsp__thread_inst_executed_per_inst_executed.ratio", "31.50"),
        line(1, "void at::native::elementwise_kernel<4>(int, float *)", LD, "7"),
        line(2, "entry_marker", LD, "0", "(2, 1, 1)"),
        line(3, "conv2d_naive(const float *, int)", LD, "4,766,720"),
        line(3, "conv2d_naive(const float *, int)", "smsp__unknown.sum", "n/a"),
        line(10, "entry_marker", LD, "0", "(3, 1, 1)"),
        line(11, "void inner::conv2d_naive<4, (int)3>(const float *)", LD, "1"),
        line(12, "conv2d_naive", LD, "2"),
        "",
    ]
)


def test_a_table_becomes_launches():
    rows = parse_csv(TABLE)
    assert [row.kernel for row in rows] == [
        "coalesced_kernel",
        "elementwise_kernel",
        "entry_marker",
        "conv2d_naive",
        "entry_marker",
        "conv2d_naive",
        "conv2d_naive",
    ]
    assert rows[0].values == {LD: 16, "smsp__thread_inst_executed_per_inst_executed.ratio": 31.5}
    assert rows[3].values == {LD: 4_766_720}
    assert rows[2].blocks == 2


def test_launches_find_their_entries():
    found = by_entry(parse_csv(TABLE), ["coalesced", "conv2d_naive.a", "conv2d_naive.b"])
    assert {name: [row.values[LD] for row in rows] for name, rows in found.items()} == {
        "coalesced": [16],
        "conv2d_naive.a": [4_766_720],
        "conv2d_naive.b": [1, 2],
    }


def test_no_table_shows_what_ncu_said():
    with pytest.raises(NcuError, match="no table(.|\n)*No kernels were profiled"):
        parse_csv("==PROF== Connected\n==WARNING== No kernels were profiled.\n")


def test_every_kernel_has_a_name_of_its_own():
    names = kernel_names()
    assert "entry_marker" in names and "conv2d_naive" in names
    entries = ncu_entries.entries()
    assert all(f"{e.name}_kernel" in names for e in entries if ncu_entries.is_corpus(e.name))
    assert len({entry.name for entry in entries}) == len(entries)


ROW = '"0","1","p","h","coalesced_kernel","1","7","(1)","(1)","0","9.0","s","%s","","1,024"'
NCU = """#!/bin/sh
''':'
exec '{python}' "$0" "$@"
'''
import sys, time
arguments = sys.argv[1:]
metrics = arguments[arguments.index("--metrics") + 1].split(",")
if "{unknown}" in metrics:
    print("==ERROR== Failed to find metric {unknown}")
    sys.exit(1)
time.sleep({seconds})
with open(arguments[arguments.index("--log-file") + 1], "w") as log:
    print("==PROF== Connected", '{heading}', sep="\\n", file=log)
    for metric in metrics:
        print('{row}' % metric, file=log)
"""


@pytest.fixture
def ncu(tmp_path):
    def make(unknown="smsp__nothing.sum", seconds=0.0):
        path = tmp_path / "ncu"
        path.write_text(
            NCU.format(python=sys.executable, heading=HEADING, row=ROW, unknown=unknown, seconds=seconds)
        )
        path.chmod(0o755)
        return str(path)

    return make


def test_an_unknown_metric_does_not_sink_the_rest(ncu, tmp_path, capsys):
    rows = profile(ncu(unknown="smsp__odd.sum"), ["smsp__odd.sum", LD], tmp_path / "log", 20)
    assert rows == [Row("coalesced_kernel", 1, {LD: 1024})]
    assert "ncu does not know smsp__odd.sum" in capsys.readouterr().out
    assert "==PROF== Connected" in (tmp_path / "log").read_text()


def test_a_hanging_ncu_is_ended(ncu, tmp_path):
    start = time.monotonic()
    with pytest.raises(NcuError, match="took over 1 s"):
        profile(ncu(seconds=60), [LD], tmp_path / "log", 1)
    assert time.monotonic() - start < 20


def test_a_whole_recording(ncu, tmp_path, monkeypatch):
    monkeypatch.setattr(record_ncu, "drive", lambda: None)
    monkeypatch.setattr(record_ncu, "machine", lambda ncu: {"gpu": "NVIDIA H200", "date": "2026-11-21"})
    monkeypatch.setattr(record_ncu, "known_metrics", lambda ncu: None)
    made = record_ncu.record(ncu(unknown=record_ncu.OPTIONAL[1]), tmp_path)
    path = tmp_path / "records" / "gpu.json"
    write(made, path)
    assert json.loads(path.read_text()) == made and os.listdir(path.parent) == ["gpu.json"]
    assert set(record_ncu.REQUIRED) | set(record_ncu.PATCHED) < set(made["metrics"])
    assert record_ncu.OPTIONAL[1] not in made["metrics"]
    (launch,) = made["entries"]["coalesced"]["launches"]
    assert launch == {"kernel": "coalesced_kernel", "values": [1024] * len(made["metrics"])}
    assert made["entries"]["coalesced"]["digest"] == ncu_entries.entries()[0].digest
    assert "coalesced" in summary(made)
