"""Running a launcher on the GPU, in a library that nvcc made with the façade."""

from __future__ import annotations

import ctypes
import functools
from typing import Any

import torch

from utils.errors import KernelError
from utils.facade import Host, Signature, Source, invoke, synchronize
from utils.inline.output import native_output

# CUDA's names for what a kernel did wrong; whatever is not here went wrong at the launch.
_KINDS = {
    "cudaErrorIllegalAddress": "out-of-bounds",
    "cudaErrorInvalidAddressSpace": "out-of-bounds",
    "cudaErrorHardwareStackError": "out-of-bounds",
    "cudaErrorInvalidPc": "out-of-bounds",
    "cudaErrorMisalignedAddress": "misaligned",
    "cudaErrorLaunchTimeout": "timeout",
    "cudaErrorIllegalInstruction": "unsupported",
    "cudaErrorNoKernelImageForDevice": "unsupported",
    "cudaErrorInvalidDeviceFunction": "unsupported",
    "cudaErrorUnsupportedPtxVersion": "unsupported",
}
_HARMLESS = ("cudaErrorInvalidConfiguration", "cudaErrorInvalidValue", "cudaErrorLaunchOutOfResources")


class GpuHost(Host):
    """Tensors where PyTorch has them, on its current stream and on the tensors' own device."""

    def __init__(self, device: torch.device):
        self.device_index = device.index if device.index is not None else torch.cuda.current_device()
        self.stream = torch.cuda.current_stream(device).cuda_stream

    def place(self, tensor: torch.Tensor) -> tuple[bool, int]:
        return tensor.is_cuda, max(tensor.get_device(), 0)


def run(library: ctypes.CDLL, source: Source, signature: Signature, values: list, *, wait: bool) -> Any:
    """Call the launcher; with `wait`, wait for the GPU; what its kernels did wrong is a KernelError."""
    host = GpuHost(device_of(signature, values, needs_gpu=has_kernels(source)))
    if not wait:
        return invoke(library, signature, values, host)
    with native_output(prints(source)):
        result = invoke(library, signature, values, host)
        failed = synchronize(library)
    if failed is not None:
        raise kernel_error(signature.name, failed[1], failed[2])
    return result


def device_of(signature: Signature, values: list, *, needs_gpu: bool) -> torch.device:
    """The one GPU that all tensors are on; ValueError for a CPU tensor and for tensors of two GPUs."""
    device = None
    for parameter, value in zip(signature.parameters, values, strict=True):
        for tensor in value if isinstance(value, (list, tuple)) else (value,):
            if not isinstance(tensor, torch.Tensor):
                continue
            if not tensor.is_cuda:
                if not needs_gpu:
                    continue
                raise ValueError(
                    f"{signature.name}: {parameter.name} is on the {tensor.device.type.upper()}, "
                    "and this launcher "
                    f"runs on the GPU; pass {parameter.name}.cuda(), or build with "
                    f"backend='simulator': {signature}"
                )
            if device is not None and tensor.device != device:
                raise ValueError(
                    f"{signature.name}: {parameter.name} is on {tensor.device}, not {device}: {signature}"
                )
            device = tensor.device
    return device if device is not None else torch.device("cuda", torch.cuda.current_device())


def kernel_error(name: str, cuda_name: str, text: str) -> KernelError:
    """The KernelError for CUDA's own name and text of an error."""
    message = (
        f"{name}: CUDA reports {cuda_name}: {text}. Run the same call with backend='simulator': it "
        "says which "
        "thread did what at which line."
    )
    if cuda_name not in _HARMLESS:
        message += " After this error CUDA refuses all further work: restart the notebook's kernel."
    return KernelError(message, kind=_KINDS.get(cuda_name, "launch"))


@functools.lru_cache(maxsize=256)
def has_kernels(source: Source) -> bool:
    """Whether any of the source is CUDA."""
    return source.source_file.endswith(".cu")


@functools.lru_cache(maxsize=256)
def prints(source: Source) -> bool:
    """Whether the source prints, so that its output must be collected."""
    return any("printf" in text or "cout" in text or "puts" in text for _, text in source.parts)
