"""The content cache, compilers and their errors."""

import os
import pickle
import stat
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from utils.compiling import build, cache_directory, compiler_version, content_key, find_cxx, run_compiler
from utils.errors import CompileError
from utils.facade import make_source


@pytest.fixture
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache with spaces"
    monkeypatch.setenv("CONV_CACHE", str(folder))
    return folder


def test_cache_directory_follows_the_environment(cache, monkeypatch, tmp_path):
    assert cache_directory() == cache
    monkeypatch.delenv("CONV_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    if sys.platform != "darwin":
        assert cache_directory() == tmp_path / "conv-course"


def test_key_knows_the_borders_of_its_parts():
    assert content_key(["ab", "c"]) != content_key(["a", "bc"])
    assert content_key(["a", b"b"]) == content_key(["a", "b"])


def test_builds_once(cache):
    made = []

    def make(path):
        made.append(path)
        path.write_text("content")

    first = build(["key"], ".txt", make)
    second = build(["key"], ".txt", make)
    assert first == second and first.read_text() == "content" and len(made) == 1
    assert [entry.name for entry in cache.iterdir()] == [first.name]


def test_nothing_is_left_of_a_failed_build(cache):
    def make(path):
        path.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(["key"], ".txt", make)
    assert list(cache.iterdir()) == []


def test_what_a_killed_build_left_is_swept(cache):
    cache.mkdir()
    old, new = cache / ".building-old", cache / ".building-new"
    old.mkdir()
    new.mkdir()
    os.utime(old, (time.time() - 7200,) * 2)
    build(["key"], ".txt", lambda path: path.write_text(""))
    assert not old.exists() and new.exists()


def test_two_builders_of_one_key_both_succeed(cache):
    barrier = threading.Barrier(4)
    found = []

    def work():
        def make(path):
            barrier.wait(timeout=10)  # all four are inside at once
            path.write_text("content")

        found.append(build(["key"], ".txt", make).read_text())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["content"] * 4
    assert len(list(cache.iterdir())) == 1


def test_a_folder_that_cannot_be_written(tmp_path):
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    with pytest.raises(CompileError, match="Nothing was compiled.*CONV_CACHE"):
        build(["key"], ".so", lambda path: None, directory=in_the_way / "inside")


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder(tmp_path):
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        with pytest.raises(CompileError, match="cannot be written to.*build_directory.*CONV_CACHE"):
            build(["key"], ".so", lambda path: None, directory=tmp_path)
    finally:
        tmp_path.chmod(stat.S_IRWXU)


@pytest.mark.parametrize(
    ("number", "words"), [("ENOSPC", "the disk is full"), ("EROFS", "cannot be written to")]
)
def test_a_full_or_read_only_disk(tmp_path, number, words):
    import errno

    def make(path):
        path.write_text("half")
        raise OSError(getattr(errno, number), "no")

    with pytest.raises(CompileError, match=words):
        build(["key"], ".so", make, directory=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_compiler_says_that_the_disk_is_full(tmp_path):
    command = [sys.executable, "-c", "print('as: x.o: No space left on device'); raise SystemExit(1)"]
    with pytest.raises(CompileError, match="the disk is full"):
        run_compiler(command, what="conv")


def test_no_compiler(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(CompileError, match="No C\\+\\+ compiler.*apt install g\\+\\+"):
        find_cxx()
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(CompileError, match="no-such-compiler"):
        find_cxx()
    with pytest.raises(CompileError, match="cannot be started"):
        run_compiler([str(tmp_path / "gone")], what="conv")


def test_version_is_asked_once(cache, tmp_path):
    compiler = tmp_path / "cxx"
    counter = tmp_path / "count"
    compiler.write_text(f"#!/bin/sh\necho x >> '{counter}'\necho version 1\n")
    compiler.chmod(0o755)
    assert compiler_version(str(compiler)) == compiler_version(str(compiler)) == "version 1"
    code = f"from utils.compiling import compiler_version; print(compiler_version({str(compiler)!r}))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "version 1"
    assert counter.read_text() == "x\n"


def compile_with_errors(text, cpp=""):
    source = make_source("conv", cpp_sources=cpp, cuda_sources=text, functions=[])
    unit = "\n".join(line for line in source.text.split("\n") if not line.startswith(("#include", "FACADE")))
    command = [find_cxx(), "-fsyntax-only", "-x", "c++", "-"]
    process = subprocess.run(
        command, input=unit, text=True, capture_output=True, env={**os.environ, "LC_ALL": "C"}
    )
    replay = [sys.executable, "-c", f"import sys; print({process.stderr!r}); sys.exit(1)"]
    with pytest.raises(CompileError) as caught:
        run_compiler(replay, source=source, what="conv")
    return caught.value


def test_an_error_shows_the_learners_own_line():
    error = compile_with_errors("\nvoid f() {\n    int x = 1\n    x = 2;\n}\n", cpp="void g();\n\n\n")
    assert error.line in (3, 4)
    assert f"conv.cu, line {error.line}: expected" in str(error)
    assert "    x = 2;" in str(error) or "int x = 1" in str(error)
    assert len(str(error).splitlines()) <= 3
    assert str(error) in str(pickle.loads(pickle.dumps(error)))


def test_only_the_first_errors_are_shown():
    error = compile_with_errors("\n".join(f"void f{i}() {{ a{i} = 1; }}" for i in range(10)))
    assert str(error).count("conv.cu, line") == 3
    assert "and 7 more" in str(error) and error.log.count("error:") >= 10


NVCC_LOG = textwrap.dedent(
    """\
    conv.cu(3): error: namespace "torch" has no member "relu"
          return torch::relu(x);
                        ^

    conv.cu(5): error: class "at::Tensor" has no member "transpose"

    2 errors detected in the compilation of "/tmp/conv.cu".
    """
)


def test_nvcc_errors():
    source = make_source(
        "conv", cuda_sources="\n\nreturn torch::relu(x);\n\nx.transpose(0, 1);", functions=[]
    )
    with pytest.raises(CompileError) as caught:
        run_compiler([sys.executable, "-c", f"print('''{NVCC_LOG}'''); exit(2)"], source=source, what="conv")
    assert caught.value.line == 3
    assert str(caught.value).splitlines() == [
        "conv was not compiled.",
        "conv.cu, line 3: torch::relu is not in the course's torch header; build with backend='torch'",
        "    return torch::relu(x);",
        "conv.cu, line 5: torch::Tensor::transpose is not in the course's torch header; "
        "build with backend='torch'",
        "    x.transpose(0, 1);",
    ]


def test_an_interrupt_ends_the_compiler(tmp_path):
    code = textwrap.dedent(
        """
        import os, signal, threading
        from utils.compiling import run_compiler
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            run_compiler(["sh", "-c", "sleep 37.25; true"])
        except KeyboardInterrupt:
            print("interrupted")
        """
    )
    done = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, timeout=30)
    assert done.stdout.strip() == "interrupted", done.stderr
    listed = subprocess.run(["ps", "-eo", "args"], text=True, capture_output=True).stdout
    assert "sleep 37.25" not in listed
