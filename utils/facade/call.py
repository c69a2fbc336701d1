"""Calling a launcher of a compiled library with torch tensors."""

from __future__ import annotations

import ctypes
import itertools
import warnings
from typing import Any

import torch

from utils.errors import KernelError, TorchCheckError
from utils.facade import abi
from utils.facade.signature import Signature

_ERROR_CLASSES = (TorchCheckError, ValueError, TypeError, IndexError, NotImplementedError)


class Host:
    """Where a launcher's tensors live: the base keeps them where PyTorch has them.

    Attributes:
        is_cuda: whether tensors passed in present themselves to the launcher as CUDA tensors.
        stream: the address of the CUDA stream that `getCurrentCUDAStream()` gives, 0 for the default one.
        device_index: the device made current for the call, -1 to leave it.
    """

    is_cuda = True
    stream = 0
    device_index = -1

    def empty(
        self, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device | None, fill: str
    ) -> torch.Tensor:
        """A new contiguous tensor for `torch::empty` and its like; `fill` is "empty", "zeros" or "ones".

        `device` is the device that the launcher asked for, as it sees devices; None when it named none, which
        in PyTorch means the CPU.
        """
        make = {"empty": torch.empty, "zeros": torch.zeros, "ones": torch.ones}[fill]
        return make(shape, dtype=dtype, device=device)

    def contiguous(self, tensor: torch.Tensor) -> torch.Tensor:
        """A contiguous copy of a tensor."""
        return tensor.clone(memory_format=torch.contiguous_format)

    def failed(self) -> BaseException | None:
        """The exception for a launcher that `throw facade::HostFailed()` unwound outside any callback."""
        return None

    def place(self, tensor: torch.Tensor) -> tuple[bool, int]:
        """(is_cuda, device index) of a tensor passed in, as the launcher is to see it."""
        return self.is_cuda, max(tensor.get_device(), 0)


class _Running:
    """One call in progress: the tensors it may speak of, by handle, and the exception that ended it."""

    __slots__ = ("host", "tensors", "places", "exception")

    def __init__(self, host: Host):
        self.host = host
        self.tensors: list[torch.Tensor] = []
        self.places: list[tuple[bool, int]] = []
        self.exception: BaseException | None = None

    def pack(self, tensor: torch.Tensor, place: tuple[bool, int]) -> tuple:
        """The fields of a `facade::Value`; the tensor is kept alive until the call ends."""
        number = abi.NUMBER_OF_DTYPE.get(tensor.dtype)
        if number is None:
            raise TypeError(f"tensors of {tensor.dtype} are not in the course's torch header")
        if tensor.layout is not torch.strided:
            raise TypeError(f"a launcher takes dense tensors, not {tensor.layout}")
        if tensor.device.type == "meta":
            raise TypeError("a launcher takes tensors with memory, not meta tensors")
        dim = tensor.dim()
        if dim > abi.MAX_DIMENSIONS:
            raise ValueError(
                f"the course's torch header knows tensors of at most {abi.MAX_DIMENSIONS} "
                f"dimensions, not {dim}; "
                "build with backend='torch'"
            )
        handle = len(self.tensors)
        self.tensors.append(tensor)
        self.places.append(place)
        rest = (0,) * (abi.MAX_DIMENSIONS - dim)
        return (
            abi.TENSOR, handle, 0.0, tensor.data_ptr(), dim, number, place[0], place[1],
            *tensor.shape, *rest, *tensor.stride(), *rest,
        )  # fmt: skip


_running: dict[int, _Running] = {}
_tokens = itertools.count(1)


def _guarded(function):
    """A callback that leaves its exception with the call and returns 1, for C++ to unwind the launcher."""

    def callback(token: int, *arguments) -> int:
        running = _running[token]
        try:
            function(running, *arguments)
        except BaseException as error:
            running.exception = error
            return 1
        return 0

    return callback


def _create(running: _Running, request_pointer, out: int) -> None:
    request = request_pointer.contents
    shape = tuple(request.sizes[: request.dim])
    if any(size < 0 for size in shape):
        raise RuntimeError(
            f"Trying to create tensor with negative dimension {min(shape)}: [{', '.join(map(str, shape))}]"
        )
    dtype = torch.get_default_dtype() if request.dtype < 0 else abi.DTYPE_OF_NUMBER[request.dtype]
    on_cuda = request.device_type == 1
    index = int(request.device_index)
    if on_cuda and index < 0:
        index = max(running.host.device_index, 0)
    device = torch.device("cuda", index) if on_cuda else torch.device("cpu")
    like = running.tensors[request.like] if request.like >= 0 else None
    order = _memory_order(abi.MEMORY_FORMATS[request.memory_format], request.dim, like)
    fill = abi.FILLS[request.fill]
    start = "zeros" if fill == "full" else fill
    if order is None:
        tensor = running.host.empty(shape, dtype, device, start)
    else:
        stored = running.host.empty(tuple(shape[d] for d in order), dtype, device, start)
        tensor = stored.permute([order.index(d) for d in range(len(order))])
    if fill == "full":
        tensor.fill_(request.value)
    _write(out, running.pack(tensor, (on_cuda, index)))


def _memory_order(
    memory_format: torch.memory_format, dim: int, like: torch.Tensor | None
) -> list[int] | None:
    """The dimensions from slowest to fastest for a new tensor, or None for the usual order."""
    _check_rank(memory_format, dim)
    if memory_format is torch.preserve_format and like is not None:
        if like.is_contiguous():
            return None
        wanted = torch.empty_like(like, device="meta").stride()
        if wanted == torch.empty(like.shape, device="meta").stride():
            return None
        return sorted(range(dim), key=lambda d: (-wanted[d], like.shape[d] == 1, d))
    if memory_format is torch.channels_last:
        return [0, 2, 3, 1]
    if memory_format is torch.channels_last_3d:
        return [0, 2, 3, 4, 1]
    return None


def _check_rank(memory_format: torch.memory_format, dim: int) -> None:
    for wanted, rank, name in (
        (torch.channels_last, 4, "channels_last"),
        (torch.channels_last_3d, 5, "channels_last_3d"),
    ):
        if memory_format is wanted and dim != rank:
            raise RuntimeError(f"required rank {rank} tensor to use {name} format")


def _copy(running: _Running, handle: int, memory_format: int, out: int) -> None:
    tensor, place = running.tensors[handle], running.places[handle]
    dim = tensor.dim()
    order = _memory_order(abi.MEMORY_FORMATS[memory_format], dim, tensor) or list(range(dim))
    copy = running.host.contiguous(tensor.permute(order)).permute([order.index(d) for d in range(dim)])
    _write(out, running.pack(copy, place))


def _warn(running: _Running, message: bytes) -> None:
    warnings.warn(message.decode("utf-8", "replace"), stacklevel=2)


def _write(address: int, fields: tuple) -> None:
    ctypes.memmove(address, abi.VALUE.pack(*fields), abi.VALUE.size)


# Made once: a ctypes callback is executable memory.
_TABLE = abi.HostTable(abi.CREATE(_guarded(_create)), abi.COPY(_guarded(_copy)), abi.WARN(_guarded(_warn)))
_TABLE_POINTER = ctypes.pointer(_TABLE)


def invoke(library: ctypes.CDLL, signature: Signature, values: list, host: Host) -> Any:
    """Call the launcher with a full list of values (`signature.bind` makes it) and return what it returns.

    A tensor that the launcher returns as it was given is the same Python object. A failed TORCH_CHECK raises
    TorchCheckError with its text, a failed launch `KernelError` of kind "launch", and one of the host
    (out of memory, say) goes through the launcher to the caller. May be called from any thread.
    """
    entry = getattr(library, f"facade_call_{signature.name}")
    running = _Running(host)
    keep: list[Any] = []  # memory that the arguments point to
    packed = b"".join([_pack(running, signature, i, value, keep) for i, value in enumerate(values)])
    token = next(_tokens)
    call = abi.Call(
        host=_TABLE_POINTER,
        token=token,
        arguments=ctypes.cast(packed, ctypes.c_void_p),
        argument_count=len(values),
        stream=host.stream,
        device_index=host.device_index,
    )
    _running[token] = running
    try:
        status = entry(ctypes.byref(call))
    finally:
        del _running[token]
    if status != abi.RETURNED:
        raise _failure(status, call, running, signature, values)
    return _unpack(call, running)


def synchronize(library: ctypes.CDLL) -> tuple[int, str, str] | None:
    """Wait for the GPU; None when all went well, else CUDA's (number, name, text) of the error."""
    call = abi.Call()
    if library.facade_synchronize(ctypes.byref(call)) == abi.RETURNED:
        return None
    return call.cuda_error, call.cuda_name.decode(), call.message.decode("utf-8", "replace")


_NO_TENSOR = (0,) * (4 + 2 * abi.MAX_DIMENSIONS)


def _pack(running: _Running, signature: Signature, index: int, value: Any, keep: list) -> bytes:
    pack = abi.VALUE.pack
    if isinstance(value, torch.Tensor):
        try:
            return pack(*running.pack(value, running.host.place(value)))
        except (TypeError, ValueError) as error:
            name = signature.parameters[index].name
            raise type(error)(f"{signature.name}: {name}: {error}: {signature}") from None
    if value is None:
        return pack(abi.NONE, 0, 0.0, 0, *_NO_TENSOR)
    if isinstance(value, bool):
        return pack(abi.BOOL, value, 0.0, 0, *_NO_TENSOR)
    if isinstance(value, int):
        return pack(abi.INTEGER, value, 0.0, 0, *_NO_TENSOR)
    if isinstance(value, float):
        return pack(abi.REAL, 0, value, 0, *_NO_TENSOR)
    if isinstance(value, torch.dtype):
        return pack(abi.INTEGER, abi.NUMBER_OF_DTYPE.get(value, 127), 0.0, 0, *_NO_TENSOR)
    if isinstance(value, str):
        data = value.encode()
        array = ctypes.create_string_buffer(data)
        keep.append(array)
        return pack(abi.TEXT, len(data), 0.0, ctypes.addressof(array), *_NO_TENSOR)
    if isinstance(value, (list, tuple)) and any(isinstance(each, torch.Tensor) for each in value):
        tensors = b"".join([pack(*running.pack(each, running.host.place(each))) for each in value])
        array = ctypes.create_string_buffer(tensors, len(tensors))
        keep.append(array)
        return pack(abi.TENSORS, len(value), 0.0, ctypes.addressof(array), *_NO_TENSOR)
    if isinstance(value, (list, tuple)):
        plain = signature.parameters[index].plain
        array = (ctypes.c_int64 * max(len(value), 1))(*value)
        keep.append(array)
        kind = abi.TENSORS if plain == "vector<Tensor>" else abi.INTEGERS
        return pack(kind, len(value), 0.0, ctypes.addressof(array), *_NO_TENSOR)
    raise TypeError(
        f"{signature.name}: {signature.parameters[index].name} cannot be a {type(value).__name__}: "
        f"{signature}"
    )


def _failure(
    status: int, call: abi.Call, running: _Running, signature: Signature, values: list
) -> BaseException:
    message = call.message.decode("utf-8", "replace")
    if status == abi.HOST_FAILED:
        return running.exception or running.host.failed() or RuntimeError(f"{signature.name} was stopped")
    if status == abi.CUDA_FAILED:
        return KernelError(
            f"{signature.name}: the launch failed: {message} ({call.cuda_name.decode()})", kind="launch"
        )
    if status == abi.WRONG_TYPE:
        index = call.wrong_argument
        if index < 0:
            return TypeError(f"{signature.name} takes {message} than {len(values)}: {signature}")
        name = signature.parameters[index].name
        return TypeError(f"{signature.name}: {name} must be {message}, not {values[index]!r}: {signature}")
    return _ERROR_CLASSES[call.error_class](message)


def _unpack(call: abi.Call, running: _Running) -> Any:
    if call.shape == abi.NOTHING:
        return None
    results = [_result(call.results[i], running) for i in range(call.result_count)]
    if call.shape == abi.SINGLE:
        return results[0]
    return results if call.shape == abi.LIST else tuple(results)


def _result(result: abi.Result, running: _Running) -> Any:
    if result.kind == abi.TENSOR:
        return running.tensors[result.integer]
    if result.kind == abi.INTEGER:
        return result.integer
    if result.kind == abi.REAL:
        return result.real
    if result.kind == abi.BOOL:
        return bool(result.integer)
    return None
