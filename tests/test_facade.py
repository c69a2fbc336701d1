"""The façade header against PyTorch's own meaning, and the call from Python through it."""

import ctypes
import subprocess
import threading
from pathlib import Path

import pytest
import torch

from utils.compiling import find_cxx
from utils.errors import KernelError
from utils.facade import INCLUDE, Host, invoke, make_source, synchronize
from utils.facade.abi import NUMBER_OF_DTYPE

SOURCE = r"""
#include <torch/extension.h>
#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDAGuard.h>

#include <string>
#include <tuple>
#include <vector>

using Shape = std::vector<int64_t>;  // a type that only the compiler can read

std::vector<int64_t> describe(const torch::Tensor& x) {
    std::vector<int64_t> facts = {x.dim(),
                                  x.numel(),
                                  x.is_contiguous(),
                                  x.is_contiguous(at::MemoryFormat::ChannelsLast),
                                  x.element_size(),
                                  x.itemsize(),
                                  (int64_t)x.nbytes(),
                                  x.is_cuda(),
                                  x.get_device(),
                                  (int64_t)x.scalar_type(),
                                  x.is_floating_point(),
                                  x.defined()};
    for (int64_t size : x.sizes()) facts.push_back(size);
    for (int64_t stride : x.strides()) facts.push_back(stride);
    return facts;
}
int64_t address(torch::Tensor x) { return reinterpret_cast<int64_t>(x.data_ptr()); }
int64_t size(torch::Tensor x, int64_t d) { return x.size(d); }
int64_t stride_of(torch::Tensor x, int64_t d) { return x.stride(d); }
torch::Tensor same(torch::Tensor x) { return x; }
torch::Tensor contiguous(torch::Tensor x) { return x.contiguous(); }
torch::Tensor cloned(torch::Tensor x) { return x.clone(); }
torch::Tensor channels_last(torch::Tensor x) { return x.contiguous(at::MemoryFormat::ChannelsLast); }
torch::Tensor empty_as(torch::Tensor x, Shape sizes) { return torch::empty(sizes, x.options()); }
torch::Tensor empty_ref(torch::Tensor x, at::IntArrayRef sizes) {
    return torch::empty(sizes, x.options().dtype(torch::kInt32));
}
torch::Tensor like(torch::Tensor x, int64_t which) {
    if (which == 0) return torch::empty_like(x);
    if (which == 1) return torch::zeros_like(x);
    if (which == 2) return torch::ones_like(x);
    return torch::full_like(x, 2.5);
}
std::vector<torch::Tensor> make(torch::Tensor x) {
    auto options = torch::TensorOptions().dtype(torch::kFloat64).device(x.device());
    return {torch::zeros({2, 3}, options),
            torch::ones({x.size(0)}, torch::dtype(torch::kHalf).device(torch::kCUDA, 0)),
            torch::full({2}, 7, options.dtype(torch::kBFloat16)), torch::empty({}, torch::kBool),
            torch::empty({1, 2, 3, 4}, x.options().memory_format(at::MemoryFormat::ChannelsLast))};
}
torch::Tensor on_cpu() { return torch::zeros({3}); }
bool cpu_is_cuda() { return torch::zeros({3}).is_cuda(); }
bool allocated_is_cuda(torch::Tensor x) {
    return torch::empty({3}, x.options()).is_cuda() && torch::empty_like(x).device() == x.device();
}
std::tuple<torch::Tensor, int64_t, double, bool> everything(torch::Tensor x, int a, float b, double c, bool d,
                                                            int64_t e) {
    return {x, a + e, b + c, !d};
}
std::tuple<int64_t, double> optionals(std::optional<torch::Tensor> x, c10::optional<int64_t> n = c10::nullopt,
                                      std::optional<double> r = {}) {
    return {x.has_value() ? x->numel() : -1, (n ? *n : 0) + r.value_or(0.5)};
}
int64_t length(const std::string& text, std::vector<torch::Tensor> tensors) {
    return text.size() + 100 * tensors.size();
}
void nothing(torch::Tensor& x) { x.data_ptr<float>()[0] += 1; }
torch::Tensor undefined() { return torch::Tensor(); }
int64_t use_undefined() { return torch::Tensor().size(0); }
void check(torch::Tensor x, int64_t n) {
    TORCH_CHECK(n == 1, "n is ", n, ", x is ", x.sizes(), ' ', x.scalar_type(), " on ", x.device(), " ",
                x.dtype(), " ", 1.5f, " ", true, " ", std::string("text"), " ", std::vector<int64_t>{1, 2});
}
void check_bare(int64_t n) { TORCH_CHECK(n == 1); }
void check_eq(int64_t n) { TORCH_CHECK_EQ(n, 1); }
void check_value(int64_t n) { TORCH_CHECK_VALUE(n == 1, "a value"); }
void throws() { throw std::runtime_error("thrown"); }
void read_double(torch::Tensor x) { x.data_ptr<double>(); }
double read(torch::Tensor x) {
    double sum = 0;
    AT_DISPATCH_FLOATING_TYPES_AND_HALF(x.scalar_type(), "read", [&] {
        const scalar_t* data = x.const_data_ptr<scalar_t>();
        for (int64_t i = 0; i < x.numel(); ++i) sum += static_cast<double>(data[i]);
    });
    return sum;
}
double halves(double value, bool bf16) {
    return bf16 ? float(at::BFloat16(float(value))) : float(at::Half(float(value)));
}
int64_t stream() { return reinterpret_cast<int64_t>(at::cuda::getCurrentCUDAStream().stream()); }
void launch_fails(bool check) {
    stub_error = cudaErrorInvalidConfiguration;
    if (check) C10_CUDA_KERNEL_LAUNCH_CHECK();
}
int64_t devices() {
    const c10::cuda::CUDAGuard guard(torch::Device(torch::kCUDA, 3));
    const at::cuda::OptionalCUDAGuard none(device_of(torch::Tensor()));
    return stub_device;
}
int64_t device_now() { return stub_device; }
void unwinds() { throw facade::HostFailed(); }
void warns(int64_t n) { TORCH_WARN("n is ", n); }
void nine(torch::Tensor x) { torch::empty({1, 1, 1, 1, 1, 1, 1, 1, 1}, x.options()); }
int64_t tiny(int16_t x) { return x; }
"""


class StubHost(Host):
    """Presents CPU tensors as CUDA ones, as the simulator does."""

    def __init__(self):
        self.asked = []

    def empty(self, shape, dtype, device, fill):
        self.asked.append((shape, dtype, device, fill))
        return super().empty(shape, dtype, None, fill)


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    folder = tmp_path_factory.mktemp("facade")
    source = make_source("facade", cuda_sources=SOURCE, functions=None)
    names = {s for s in source.signatures if source.signatures[s].defined}
    source = make_source("facade", cuda_sources=SOURCE, functions=sorted(names))
    (folder / "facade.cpp").write_text(source.text)
    command = [find_cxx(), "-std=c++17", "-O1", "-Wall", "-Wno-unused", "-fPIC", "-shared", f"-I{INCLUDE}"]
    command += [
        f"-I{Path(__file__).parent / 'stub_cuda'}",
        str(folder / "facade.cpp"),
        "-o",
        str(folder / "f.so"),
    ]
    done = subprocess.run(command, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr, done.stderr
    return ctypes.CDLL(str(folder / "f.so")), source.signatures


@pytest.fixture
def host():
    return StubHost()


@pytest.fixture
def call(library, host):
    loaded, signatures = library

    def run(name, *args, **kwargs):
        signature = signatures[name]
        return invoke(loaded, signature, signature.bind(args, kwargs), host)

    return run


def tensors():
    base = torch.arange(120.0).reshape(2, 3, 4, 5)
    yield from (base, base[:, :, 1:3], base.transpose(1, 2), base.permute(0, 2, 3, 1), base[:, :1], base[1])
    yield from (base.contiguous(memory_format=torch.channels_last), base.expand(2, 3, 4, 5), base[0, 0, 0, 0])
    yield from (
        torch.empty(0),
        torch.empty(3, 0, 2),
        torch.empty(2, 3, 4, 0).transpose(0, 1),
        torch.ones(1, 3, 1, 5),
    )
    yield from (torch.ones(4, 1, 2, 2).expand(4, 3, 2, 2), torch.ones(1, 8, 1, 1), torch.ones(5)[::2])
    yield from (
        torch.ones(1, 3, 4, 5).to(memory_format=torch.channels_last)[:, :, ::2],
        torch.ones(2, 1, 4, 4),
    )
    yield torch.ones(2, 2, 2, 2, 2, 2, 2, 2)
    for dtype in NUMBER_OF_DTYPE:
        yield torch.ones(3, dtype=dtype)
    generator = torch.Generator().manual_seed(1)
    for _ in range(100):
        sizes = torch.randint(0, 4, (4,), generator=generator).tolist()
        x = torch.zeros([size + 2 for size in sizes])
        x = x.permute(torch.randperm(4, generator=generator).tolist())
        yield x[tuple(slice(0, size, 1 + size % 2) for size in sizes)]


def test_shapes_and_strides_are_pytorchs(call):
    for x in tensors():
        last = x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last)
        wanted = [
            x.dim(),
            x.numel(),
            x.is_contiguous(),
            last,
            x.element_size(),
            x.itemsize,
            x.nbytes,
            True,
            0,
        ]
        facts = call("describe", x)
        assert facts[:9] == wanted, (x.shape, x.stride())
        assert facts[10:12] == [x.is_floating_point(), True]
        assert facts[12:] == [*x.shape, *x.stride()]
        assert call("address", x) == x.data_ptr()
        for d in range(-x.dim(), x.dim()):
            assert (call("size", x, d), call("stride_of", x, d)) == (x.size(d), x.stride(d))


def test_a_dimension_out_of_range_speaks_as_pytorch_does(call):
    for x, d in ((torch.ones(2, 3), 2), (torch.ones(2, 3), -3)):
        with pytest.raises(IndexError) as ours:
            call("size", x, d)
        with pytest.raises(IndexError) as theirs:
            x.size(d)
        assert str(ours.value) == str(theirs.value)


def test_the_same_tensor_comes_back_as_the_same_object(call):
    x = torch.ones(3, requires_grad=True)
    assert call("same", x) is x
    assert call("contiguous", x) is x
    assert call("everything", x, 1, 2.0, 3.0, False, 4) == (x, 5, 5.0, True)


def test_contiguous_copies(call):
    x = torch.arange(12.0).reshape(3, 4).t()
    y = call("contiguous", x)
    assert y.is_contiguous() and torch.equal(x, y)
    x = torch.randn(2, 3, 4, 5)
    y = call("channels_last", x)
    assert y.is_contiguous(memory_format=torch.channels_last) and torch.equal(x, y)
    with pytest.raises(RuntimeError):
        call("channels_last", torch.ones(3))


@pytest.mark.parametrize(
    "x",
    [
        torch.arange(12.0).reshape(3, 4),
        torch.arange(12.0).reshape(3, 4).t(),
        torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last),
        torch.tensor(7.0),
    ],
    ids=["contiguous", "transposed", "channels_last", "scalar"],
)
def test_clone_is_a_copy_laid_out_alike(call, x):
    y = call("cloned", x)
    assert torch.equal(x, y) and y.stride() == x.clone().stride()
    assert y.untyped_storage().data_ptr() != x.untyped_storage().data_ptr()


def test_new_tensors(call, host):
    x = torch.ones(4, 2)
    zeros, ones, full, scalar, last = call("make", x.reshape(4, 2))
    assert torch.equal(zeros, torch.zeros(2, 3, dtype=torch.float64))
    assert torch.equal(ones, torch.ones(4, dtype=torch.float16))
    assert torch.equal(full, torch.full((2,), 7, dtype=torch.bfloat16))
    assert scalar.shape == () and scalar.dtype == torch.bool
    assert last.stride() == torch.empty(1, 2, 3, 4).to(memory_format=torch.channels_last).stride()
    devices = [device for _, _, device, _ in host.asked]
    assert devices == [torch.device("cuda", 0)] * 3 + [torch.device("cpu"), torch.device("cuda", 0)]
    assert call("empty_as", x, [3, 0]).shape == (3, 0)
    assert call("empty_ref", x, (3,)).dtype == torch.int32
    assert call("on_cpu").tolist() == [0, 0, 0]
    assert call("cpu_is_cuda") is False and call("allocated_is_cuda", x) is True


def test_like_keeps_strides_as_pytorch_does(call):
    for x in tensors():
        if x.dtype == torch.float32:
            ours, theirs = call("like", x, 0), torch.empty_like(x)
            assert ours.shape == theirs.shape, (x.shape, x.stride())
            for size, a, b in zip(x.shape, ours.stride(), theirs.stride(), strict=True):
                assert a == b or size <= 1 or x.numel() == 0, (
                    x.shape,
                    x.stride(),
                    ours.stride(),
                    theirs.stride(),
                )
    x = torch.ones(3, 4).t()
    assert [call("like", x, which).sum().item() for which in (1, 2, 3)] == [0, 12, 30]


def test_arguments_of_every_kind(call):
    assert call("optionals", None) == (-1, 0.5)
    assert call("optionals", torch.ones(7), n=3, r=1) == (7, 4.0)
    assert call("length", "äb", [torch.ones(1), torch.ones(2)]) == 3 + 200
    assert call("length", "", []) == 0
    x = torch.zeros(2)
    assert call("nothing", x) is None and x.tolist() == [1, 0]
    assert call("undefined") is None
    with pytest.raises(RuntimeError, match="undefined"):
        call("use_undefined")


def test_values_that_only_the_compiler_can_refuse(call):
    with pytest.raises(TypeError, match="sizes must be a list of ints, not 3.*empty_as"):
        call("empty_as", torch.ones(1), 3)
    with pytest.raises(ValueError, match="a does not fit|a=2147483648 does not fit int"):
        call("everything", torch.ones(1), 1 << 31, 0.0, 0.0, True, 0)
    with pytest.raises((TypeError, ValueError), match="x"):
        call("tiny", 40_000)


def test_tensors_that_the_facade_cannot_show(call):
    with pytest.raises(ValueError, match="at most 8 dimensions, not 9"):
        call("describe", torch.ones([1] * 9))
    with pytest.raises(RuntimeError, match="at most 8 dimensions, not 9"):
        call("nine", torch.ones(1))
    with pytest.raises(TypeError, match="complex64.*describe"):
        call("describe", torch.ones(2, dtype=torch.complex64))
    with pytest.raises(TypeError, match="sparse"):
        call("describe", torch.ones(2, 2).to_sparse())
    with pytest.raises(TypeError, match="meta"):
        call("describe", torch.ones(2, device="meta"))


def test_failed_checks_say_what_pytorch_says(call):
    with pytest.raises(RuntimeError) as caught:
        call("check", torch.ones(2, 3), 4)
    assert str(caught.value) == "n is 4, x is [2, 3] Float on cuda:0 float 1.5 1 text [1, 2]"
    with pytest.raises(RuntimeError, match="Expected n == 1 to be true, but got false"):
        call("check_bare", 2)
    with pytest.raises(RuntimeError, match=r"Check failed: n == 1 \(2 vs\. 1\)"):
        call("check_eq", 2)
    with pytest.raises(ValueError, match="^a value$"):
        call("check_value", 2)
    with pytest.raises(RuntimeError, match="^thrown$"):
        call("throws")
    with pytest.raises(RuntimeError, match="^expected scalar type Double but found Float$"):
        call("read_double", torch.ones(1))


def test_dispatch_by_element_type(call):
    for dtype in (torch.float32, torch.float64, torch.float16):
        assert call("read", torch.tensor([1.5, 2.0, -0.25], dtype=dtype)) == 3.25
    with pytest.raises(NotImplementedError, match="\"read\" not implemented for 'Int'"):
        call("read", torch.ones(1, dtype=torch.int32))


def test_half_and_bfloat16_round_as_pytorch_does(call):
    values = [
        0.0,
        -0.0,
        1.0,
        1 / 3,
        65504.0,
        65519.9,
        65520.0,
        1e30,
        6e-8,
        2.9e-8,
        3.1e-8,
        5.97e-5,
        6.1e-5,
        1e-40,
    ]
    values += [float("inf"), -float("inf"), 2049.0, 2051.0, 0.1, -3.14159e-5, 3.3895e38]
    for value in values:
        for dtype, is_bf16 in ((torch.float16, False), (torch.bfloat16, True)):
            wanted = torch.tensor(value, dtype=torch.float32).to(dtype).item()
            assert call("halves", value, is_bf16) == wanted, (value, dtype)
    assert call("halves", float("nan"), False) != call("halves", float("nan"), False)


def test_stream_and_device(library, host, call):
    host.stream = 0x1234
    assert call("stream") == 0x1234
    assert call("devices") == 3 and call("device_now") == 0
    host.device_index = 2
    assert call("device_now") == 2
    host.device_index = -1
    assert call("device_now") == 0
    assert synchronize(library[0]) is None


def test_a_failed_launch_is_a_kernel_error(call):
    for check in (True, False):
        with pytest.raises(KernelError, match="invalid configuration argument") as caught:
            call("launch_fails", check)
        assert caught.value.kind == "launch"
    assert call("stream") == 0  # the error was taken off


def test_exceptions_of_the_host_go_through_the_launcher(call, host):
    def empty(*arguments):
        raise MemoryError("no room")

    host.empty = empty
    with pytest.raises(MemoryError, match="no room"):
        call("like", torch.ones(2), 0)
    host.failed = lambda: KeyError("mine")
    with pytest.raises(KeyError, match="mine"):
        call("unwinds")
    with pytest.raises(RuntimeError, match="negative dimension"):
        call("empty_as", torch.ones(1), [-1])


def test_warnings_are_pythons(call):
    with pytest.warns(UserWarning, match="n is 3"):
        call("warns", 3)


def test_calls_from_many_threads(call):
    wrong = []

    def work(k):
        x = torch.full((k + 1,), float(k))
        for _ in range(50):
            if not torch.equal(call("like", x, 2), torch.ones(k + 1)) or call("read", x) != k * (k + 1):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_plain_launcher_reads_no_heavy_header(tmp_path):
    """What <string>, <vector> or <iostream> cost in compile time is paid only where they are named."""
    text = "torch::Tensor f(torch::Tensor x, std::optional<torch::Tensor> b, int64_t s) "
    text += "{ TORCH_CHECK(s > 0, s); return x; }"
    source = make_source("plain", cuda_sources="#include <torch/extension.h>\n" + text)
    (tmp_path / "plain.cpp").write_text(source.text)
    command = [find_cxx(), "-std=c++17", "-M", f"-I{INCLUDE}", f"-I{Path(__file__).parent / 'stub_cuda'}"]
    read = subprocess.run(
        [*command, str(tmp_path / "plain.cpp")], text=True, capture_output=True, check=True
    ).stdout
    names = {Path(path).name for path in read.split()}
    assert not names & {
        "string",
        "vector",
        "iostream",
        "sstream",
        "tuple",
        "memory",
        "functional",
        "algorithm",
    }
