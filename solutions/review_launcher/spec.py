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

# Stands before the learner's source: a machine of several GPUs, GPU 0 the current one, each with a current
# stream other than the default one. It notes the stream and the current GPU of the launch, and lets CUDA
# report an error after each launch.
PROBE = r"""
#include <torch/extension.h>
#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAException.h>

namespace probe {
inline cudaStream_t stream = nullptr;
inline int device = 0, device_of_launch = -1;
inline bool launched = false, failing = false;
struct Configuration : sim::Configuration {
    template <class G, class B>
    Configuration(G grid, B block, size_t shared = 0, cudaStream_t given = nullptr)
        : sim::Configuration(grid, block, shared) {
        stream = given;
        device_of_launch = device;
        launched = true;
    }
};
inline cudaError_t last_error() {
    return failing && launched ? cudaErrorInvalidConfiguration : cudaSuccess;
}
inline cudaError_t set_device(int number) { return device = number, cudaSuccess; }
inline cudaError_t get_device(int* number) { return *number = device, cudaSuccess; }
}  // namespace probe

namespace c10 {
namespace cuda {
class ProbeGuard {
  public:
    explicit ProbeGuard(std::optional<Device> device) { set(device ? int(device->index()) : before_); }
    explicit ProbeGuard(Device device) { set(device.index()); }
    explicit ProbeGuard(int number) { set(number); }
    ProbeGuard(const ProbeGuard&) = delete;
    ~ProbeGuard() { probe::device = before_; }

  private:
    void set(int number) { probe::device = number < 0 ? before_ : number; }
    int before_ = probe::device;
};
inline CUDAStream probe_stream_of(int number = -1) {
    const int64_t stream = 0x5EED0 + (number < 0 ? probe::device : number);
    return CUDAStream(reinterpret_cast<cudaStream_t>(stream));
}
}  // namespace cuda
}  // namespace c10

int64_t probe_stream() { return reinterpret_cast<int64_t>(probe::stream); }
int64_t probe_device_of_launch() { return probe::device_of_launch; }
int64_t probe_device() { return probe::device; }
int64_t probe_failing(int64_t on) {
    probe::failing = on != 0;
    probe::launched = false;
    return on;
}

#undef SIM_LAUNCH_NAMED
#undef SIM_LAUNCH_TYPED
#define SIM_LAUNCH_NAMED(name, line, configuration, ...)                      \
    sim::launcher(name, line, probe::Configuration(SIM_UNWRAP configuration), \
                  [&](auto... sim_arguments) SIM_RAW { __VA_ARGS__(sim_arguments...); })
#define SIM_LAUNCH_TYPED(line, configuration, ...)                                                        \
    sim::typed_launcher<&__VA_ARGS__>(#__VA_ARGS__, line, probe::Configuration(SIM_UNWRAP configuration), \
                                      &__VA_ARGS__)
#define cudaGetLastError ::probe::last_error
#define cudaPeekAtLastError ::probe::last_error
#define cudaSetDevice ::probe::set_device
#define cudaGetDevice ::probe::get_device
#define CUDAGuard ProbeGuard
#define OptionalCUDAGuard ProbeGuard
#define DeviceGuard cuda::ProbeGuard
#define OptionalDeviceGuard cuda::ProbeGuard
#define getCurrentCUDAStream probe_stream_of
"""
STREAM = 0x5EED0  # of GPU 0; that of GPU 1 has the next number


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
    refused(
        conv2d,
        "a weight of 5 dimensions",
        "the last one is ignored",
        x,
        weight[..., None].repeat(1, 1, 1, 1, 2),
    )


def shapes(cell):
    x, weight = tensors()
    conv2d = simulated(cell).conv2d
    why = "the sum runs over 3 channels, and the weight's rows are elsewhere"
    refused(conv2d, "3 channels of input with a weight of 6", why, x, torch.cat([weight, weight], 1))
    refused(conv2d, "3 channels of input with a weight of 2", why, x, weight[:, :2].contiguous())


def strides(cell):
    conv2d = simulated(cell).conv2d
    for stride in (-8, -1, 0):
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
    module.conv2d(*tensors())
    assert module.probe_stream() == STREAM, (
        "the kernel was launched on the default stream; PyTorch's current one was another. It would not wait"
        " for the work that makes its input"
    )


def gpu_of_input(cell):
    """Both tensors on GPU 1, and GPU 0 is the current one."""
    module = simulated(cell, PROBE)
    with places(input=(True, 1), weight=(True, 1)):
        module.conv2d(*tensors())
    given = module.probe_device_of_launch()
    assert given == 1, (
        f"input and weight are on GPU 1, and the kernel was launched on GPU {given}, which was the current"
        " one: a CUDAGuard makes the input's GPU current for as long as the guard's variable lives"
    )
    assert module.probe_stream() == STREAM + 1, (
        "the kernel was launched on GPU 1 with a stream of GPU 0. Each GPU has a current stream of its own:"
        " ask for it behind the guard"
    )
    assert module.probe_device() == 0, (
        "GPU 0 was current before the call, and GPU 1 is behind it: a CUDAGuard puts back what was"
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
        " 0. Before the launch, const c10::cuda::CUDAGuard guard(input.device()); makes the input's GPU the"
        " current one. conv2d_naive has all of it.",
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
        ("the input's GPU", gpu_of_input),
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
        Wrong(
            "any stride but 0", replace={"stride >= 1": "stride != 0"}, because="it takes a stride of -8"
        ),
        Wrong(
            "dimensions of the input alone",
            replace={"TORCH_CHECK(tensor.dim() == 4": "TORCH_CHECK(input.dim() == 4"},
            because="it takes a weight of 5 dimensions",
        ),
        Wrong(
            "no guard",
            replace={GUARD + " guard(input.device());\n": ""},
            because="the input's GPU: input and weight are on GPU 1, and the kernel was launched on GPU 0",
        ),
        Wrong(
            "a guard without a name, gone at once",
            replace={"const c10::cuda::CUDAGuard guard(input.device());":
                "c10::cuda::CUDAGuard{input.device()};"},
            because="the kernel was launched on GPU 0",
        ),
        Wrong(
            "the stream asked for before the guard",
            replace={
                GUARD: "    const auto stream = at::cuda::getCurrentCUDAStream();\n" + GUARD,
                ON_STREAM: ", 256, 0, stream>>>",
            },
            because="with a stream of GPU 0",
        ),
        Wrong(
            "the GPU set and never put back",
            replace={GUARD + " guard(input.device());": "    cudaSetDevice(input.device().index());"},
            because="GPU 1 is behind it",
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
