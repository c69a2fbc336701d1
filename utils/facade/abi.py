"""The C structs of include/facade/abi.h for ctypes: the same fields in the same order."""

from __future__ import annotations

import ctypes
import struct

import torch

MAX_DIMENSIONS = 8
MAX_RESULTS = 64
MESSAGE_SIZE = 4096

NONE, TENSOR, INTEGER, REAL, BOOL, INTEGERS, TEXT, TENSORS = range(8)  # Kind
RETURNED, FAILED, HOST_FAILED, CUDA_FAILED, WRONG_TYPE = range(5)  # Status
NOTHING, SINGLE, LIST, TUPLE = range(4)  # Shape
FILLS = ("empty", "zeros", "ones", "full")  # Fill
MEMORY_FORMATS = (torch.contiguous_format, torch.preserve_format, torch.channels_last, torch.channels_last_3d)

NUMBER_OF_DTYPE = {
    torch.uint8: 0,
    torch.int8: 1,
    torch.int16: 2,
    torch.int32: 3,
    torch.int64: 4,
    torch.float16: 5,
    torch.float32: 6,
    torch.float64: 7,
    torch.bool: 11,
    torch.bfloat16: 15,
}
DTYPE_OF_NUMBER = {number: dtype for dtype, number in NUMBER_OF_DTYPE.items()}

VALUE = struct.Struct(
    "<qqdQ4i8q8q"
)  # faster to fill than a ctypes structure; a launcher's call takes microseconds


class Result(ctypes.Structure):
    _fields_ = [("kind", ctypes.c_int64), ("integer", ctypes.c_int64), ("real", ctypes.c_double)]


class Request(ctypes.Structure):
    _fields_ = [
        ("fill", ctypes.c_int64),
        ("value", ctypes.c_double),
        ("like", ctypes.c_int64),
        ("dtype", ctypes.c_int64),
        ("device_type", ctypes.c_int64),
        ("device_index", ctypes.c_int64),
        ("memory_format", ctypes.c_int64),
        ("dim", ctypes.c_int64),
        ("sizes", ctypes.c_int64 * MAX_DIMENSIONS),
    ]


CREATE = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_int64, ctypes.POINTER(Request), ctypes.c_void_p)
COPY = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p)
WARN = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_int64, ctypes.c_char_p)


class HostTable(ctypes.Structure):
    _fields_ = [("create", CREATE), ("copy", COPY), ("warn", WARN)]


class Call(ctypes.Structure):
    _fields_ = [
        ("host", ctypes.POINTER(HostTable)),
        ("token", ctypes.c_int64),
        ("arguments", ctypes.c_void_p),
        ("argument_count", ctypes.c_int64),
        ("stream", ctypes.c_void_p),
        ("device_index", ctypes.c_int64),
        ("shape", ctypes.c_int64),
        ("result_count", ctypes.c_int64),
        ("cuda_error", ctypes.c_int64),
        ("wrong_argument", ctypes.c_int64),
        ("error_class", ctypes.c_int64),
        ("results", Result * MAX_RESULTS),
        ("cuda_name", ctypes.c_char * 64),
        ("message", ctypes.c_char * MESSAGE_SIZE),
    ]
