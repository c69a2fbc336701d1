"""What the worker's tests run in a child process: each function misbehaves in its own way."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import time


def fine(send, number):
    print("from Python")
    send("first")
    ctypes.CDLL(None).printf(b"from C\n")
    send("second")
    print("at the end")
    return number + 1


def raises(send):
    raise ValueError("no such thing")


def leaves(send):
    sys.exit(3)


def leaves_at_once(send):
    os._exit(3)


def leaves_in_c(send):
    ctypes.CDLL(None).exit(5)


def aborts(send):
    ctypes.CDLL(None).abort()


def segfaults(send):
    ctypes.string_at(0)


def overflows_its_stack(send):
    # qsort whose comparison calls qsort: endless recursion in C
    compare_type = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
    libc = ctypes.CDLL(None)
    numbers = (ctypes.c_int * 2)(2, 1)
    sys.setrecursionlimit(10**8)

    def compare(a, b):
        libc.qsort(numbers, 2, 4, callback)
        return 0

    callback = compare_type(compare)
    compare(0, 0)


def hangs(send):
    send("about to hang")
    while True:
        pass


def hangs_in_c(send):
    ctypes.PyDLL(None).sleep(1000)  # PyDLL keeps the interpreter's lock: no other thread of the child runs


def eats_memory(send):
    kept = []
    while True:
        kept.append(bytearray(os.urandom(1) * 20_000_000))


def prints_without_end(send):
    while True:
        print("again and again")


def starts_a_grandchild(send):
    child = subprocess.Popen(["sleep", "1000"])
    send(child.pid)
    time.sleep(1000)


def sees(send):
    return os.environ.get("WORKER_TEST"), os.getcwd(), sys.modules["__main__"].__name__
