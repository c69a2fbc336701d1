"""A launcher that refuses nothing and asks nobody whether the launch worked; judged by what it does."""

from unittest.mock import patch

import torch

from kernels import INCLUDE
from utils import load_inline
from utils.check import Case, check_conv2d
from utils.errors import KernelError
from utils.exercise.helpers import quietly
from utils.exercise.spec import Exercise, Wrong
from utils.simulator.run import _SimulatedHost

# Stands before the learner's source: hands over another stream than the default one, notes which stream the
# launch got, and lets CUDA report an error after each launch.
PROBE = r"""
#include <torch/extension.h>
#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAException.h>

namespace probe {
inline cudaStream_t stream = nullptr;
inline bool launched = false, failing = false;
struct Configuration : sim::Configuration {
    template <class G, class B>
    Configuration(G grid, B block, size_t shared = 0, cudaStream_t given = nullptr)
        : sim::Configuration(grid, block, shared) {
        stream = given;
        launched = true;
    }
};
inline cudaError_t last_error() {
    return failing && launched ? cudaErrorInvalidConfiguration : cudaSuccess;
}
}  // namespace probe

int64_t probe_stream() { return reinterpret_cast<int64_t>(probe::stream); }
int64_t probe_failing(int64_t on) {
    probe::failing = on != 0;
    probe::launched = false;
    return on;
}

#undef SIM_LAUNCH
#undef SIM_LAUNCH_TYPED
#define SIM_LAUNCH(line, configuration, ...)                                          \
    sim::launcher(#__VA_ARGS__, line, probe::Configuration(SIM_UNWRAP configuration), \
                  [&](auto... sim_arguments) SIM_RAW { __VA_ARGS__(sim_arguments...); })
#define SIM_LAUNCH_TYPED(line, configuration, ...)                                                        \
    sim::typed_launcher<&__VA_ARGS__>(#__VA_ARGS__, line, probe::Configuration(SIM_UNWRAP configuration), \
                                      &__VA_ARGS__)
#define cudaGetLastError ::probe::last_error
#define cudaPeekAtLastError ::probe::last_error
"""
STREAM = 0x5EED0


def simulated(cell, *before):
    """The learner's source for the simulator, whatever the cell was built for."""
    text = cell.conv2d.source.parts[-1][1]
    return load_inline(
        "cell", cuda_sources=[*before, text], extra_include_paths=[INCLUDE], backend="simulator"
    )


def tensors():
    generator = torch.Generator().manual_seed(7)
    return torch.randn(2, 3, 9, 8, generator=generator), torch.randn(4, 3, 3, 2, generator=generator)


def still_right(cell):
    sizes = (((9, 8), (3, 2)), ((20, 19), (5, 5)), ((3, 4), (3, 4)))
    cases = [
        Case("right", 2, 3, size, 4, taps, stride=stride) for size, taps in sizes for stride in (1, 2, 4)
    ]
    quietly(check_conv2d, cell.conv2d, cases, empty_batch=True)


def refused(conv2d, what, why, *arguments, right=None, **keywords):
    """Raise AssertionError unless the launcher itself turns this call down, or the result is `right`."""
    try:
        result = conv2d(*arguments, **keywords)
    except KernelError as error:
        raise AssertionError(f"it takes {what}, and then: {error}") from None
    except RuntimeError:
        return
    if right is None or result.shape != right.shape or not torch.allclose(result, right, atol=1e-4):
        raise AssertionError(f"it takes {what}: {why}")


def places(**placed):
    """Tensors of these names' sizes present themselves as on (is_cuda, device index) in the simulator."""
    sizes = dict(zip(("input", "weight"), (tuple(tensor.shape) for tensor in tensors()), strict=True))

    def place(self, tensor):
        for name, where in placed.items():
            if tuple(tensor.shape) == sizes[name]:
                return where
        return True, 0

    return patch.object(_SimulatedHost, "place", place)


def devices(cell):
    conv2d = simulated(cell).conv2d
    why = "on a GPU its kernel would read an address of the CPU's memory, and the program's GPU work is over"
    with places(weight=(False, 0)):
        refused(conv2d, "a weight on the CPU", why, *tensors())
    with places(input=(False, 0), weight=(False, 0)):
        refused(conv2d, "input and weight on the CPU", why, *tensors())
    with places(weight=(True, 1)):
        why = "the kernel runs on one GPU and reads another one's memory"
        refused(conv2d, "an input on GPU 0 with a weight on GPU 1", why, *tensors())


def types(cell):
    x, weight = tensors()
    why = "the kernel reads floats of 4 bytes"
    refused(simulated(cell).conv2d, "float64 tensors", why, x.double(), weight.double())


def layouts(cell):
    x, weight = tensors()
    conv2d = simulated(cell).conv2d
    why = "the kernel takes the elements in another order: wrong numbers, and nobody told"
    right = torch.nn.functional.conv2d(x, weight)  # a launcher may also work on a contiguous copy
    strided, last = x.transpose(2, 3).contiguous().mT, weight.to(memory_format=torch.channels_last)
    refused(conv2d, "an input that is not contiguous", why, strided, weight, right=right)
    refused(conv2d, "a weight in channels_last", why, x, last, right=right)
    refused(
        conv2d,
        "an input of 5 dimensions",
        "the last one is ignored",
        x[..., None].repeat(1, 1, 1, 1, 2),
        weight,
    )


def shapes(cell):
    x, weight = tensors()
    conv2d = simulated(cell).conv2d
    why = "the sum runs over 3 channels, and the weight's rows are elsewhere"
    refused(conv2d, "3 channels of input with a weight of 6", why, x, torch.cat([weight, weight], 1))
    refused(conv2d, "3 channels of input with a weight of 2", why, x, weight[:, :2].contiguous())


def strides(cell):
    conv2d = simulated(cell).conv2d
    for stride in (-1, 0):
        refused(conv2d, f"a stride of {stride}", "no window moves like that", *tensors(), stride=stride)


def launch_checked(cell):
    module = simulated(cell, PROBE)
    module.probe_failing(1)
    try:
        module.conv2d(*tensors())
    except RuntimeError:
        return
    finally:
        module.probe_failing(0)
    raise AssertionError(
        "the launch failed, as the check arranged it, and conv2d returned a tensor: ask for CUDA's error"
        " behind the launch"
    )


def current_stream(cell):
    module = simulated(cell, PROBE)
    with patch.object(_SimulatedHost, "stream", STREAM):
        module.conv2d(*tensors())
        given = module.probe_stream()
    assert given == STREAM, (
        "the kernel was launched on the default stream; PyTorch's current one was another. It would not wait"
        " for the work that makes its input"
    )


SAME_GPU = '    TORCH_CHECK(weight.device() == input.device(), "input and weight must be on the same GPU");\n'
CHANNELS = (
    '    TORCH_CHECK(weight.size(1) == input.size(1), "weight has another number of channels than input");\n'
)
ON_STREAM, GUARD = ", 256, 0, at::cuda::getCurrentCUDAStream()>>>", "    const c10::cuda::CUDAGuard"

exercise = Exercise(
    title="A launcher that asks no questions",
    goal="refuse what the kernel cannot do, launch on PyTorch's current stream, and ask whether it worked",
    run_starter=True,
    seconds=40.0,
    hints=[
        "TORCH_CHECK(condition, what to say) raises where the condition does not hold. Check both tensors:"
        " for (const torch::Tensor& tensor : {input, weight}) { ... }",
        "tensor.is_cuda(), tensor.scalar_type(), tensor.dim() and tensor.is_contiguous() are about one"
        " tensor; device() and size(1) must be equal for the two.",
        "The fourth entry between <<< and >>> is the stream: at::cuda::getCurrentCUDAStream(). The third is"
        " 0. conv2d_naive has all of it.",
        "C10_CUDA_KERNEL_LAUNCH_CHECK(); belongs directly behind the launch: before it there is no error.",
    ],
    checks=[
        ("right, as it was", still_right),
        ("tensors where the kernel cannot reach them", devices),
        ("float64", types),
        ("not contiguous, or not four dimensions", layouts),
        ("channels that do not match", shapes),
        ("strides that are none", strides),
        ("a launch that fails is told", launch_checked),
        ("PyTorch's current stream", current_stream),
    ],
    starter_fails="tensors where the kernel cannot reach them: it takes a weight on the CPU",
    wrong=[
        Wrong(
            "only the input is looked at",
            replace={": {input, weight}) {": ": {input}) {"},
            because="it takes a weight in channels_last",
        ),
        Wrong(
            "both on a GPU, whichever",
            replace={SAME_GPU: ""},
            because="an input on GPU 0 with a weight on GPU 1",
        ),
        Wrong(
            "the same device, CPU or GPU",
            replace={'        TORCH_CHECK(tensor.is_cuda(), "input and weight must be on the GPU");\n': ""},
            because="input and weight on the CPU",
        ),
        Wrong(
            "no check of contiguity",
            replace={"tensor.is_contiguous(),": "tensor.dim() > 0,"},
            because="an input that is not contiguous",
        ),
        Wrong(
            "channels_last is contiguous enough",
            replace={"tensor.is_contiguous(),":
                "tensor.is_contiguous() || tensor.is_contiguous(at::MemoryFormat::ChannelsLast),"},
            because="a weight in channels_last",
        ),
        Wrong(
            "no check of the channels",
            replace={CHANNELS: ""},
            because="a weight of 6",
        ),
        Wrong(
            "a weight may have more channels",
            replace={"weight.size(1) == input": "weight.size(1) >= input"},
            because="a weight of 6",
        ),
        Wrong("a stride of 0", replace={"stride >= 1": "stride >= 0"}, because="it takes a stride of 0"),
        Wrong(
            "asks for the error before the launch",
            replace={
                "    C10_CUDA_KERNEL_LAUNCH_CHECK();\n": "",
                GUARD: "    C10_CUDA_KERNEL_LAUNCH_CHECK();\n" + GUARD,
            },
            because="the launch failed, as the check arranged it",
        ),
        Wrong(
            "the default stream",
            replace={ON_STREAM: ", 256>>>"},
            because="launched on the default stream",
        ),
        Wrong(
            "asks for the stream and forgets it",
            replace={
                ON_STREAM: ", 256>>>",
                GUARD: "    const auto stream = at::cuda::getCurrentCUDAStream();\n" + GUARD,
            },
            because="launched on the default stream",
        ),
    ],
)  # fmt: skip
