"""Signatures: reading them from a source, and binding arguments to them."""

import pytest
import torch

from utils.facade import make_source, parse_signatures
from utils.facade.signature import default_value, plain_type

CONV = """
// torch::Tensor commented(torch::Tensor x);
/* torch::Tensor also_commented(int64_t x); */
#define torch_macro(x) torch::Tensor x(int y) { return {}; }
const char* text = "torch::Tensor quoted(int x) {";
struct Shape { int64_t n; int64_t volume() const { return n; } };
namespace detail { int hidden(int x) { return x; } }
namespace { int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; } }
template <typename T, int N = (1 > 0)> T twice(T x) { return x + x; }
__global__ void __launch_bounds__(256) kernel(const float* __restrict__ x, float* y) { y[1 < 3] = x[0]; }
__device__ __forceinline__ float helper(float x) { return x; }
static torch::Tensor own(torch::Tensor x) { return x; }
constexpr int kBlock = int(256);
dim3 grid(1, 2);
torch::Tensor conv2d(torch::Tensor input, const torch::Tensor& weight,
                     std::optional<torch::Tensor> bias = std::nullopt,  // a comment, with a comma
                     int64_t stride = 1, double scale = 2.5e-1, bool flip = true,
                     std::vector<int64_t> sizes = {1, 2}, const std::string& mode = "zeros") {
    auto g = [&](int a) { return a; };
    return input;
}
std::tuple<torch::Tensor, int64_t> two(at::Tensor x, c10::optional<int64_t> n) { return {x, 1}; }
[[nodiscard]] auto trailing(torch::Tensor x) -> torch::Tensor { return x; }
void nothing() {}
void pointers(float* x) {}
"""


@pytest.fixture(scope="module")
def signatures():
    return parse_signatures(CONV)


def test_finds_functions_at_namespace_scope(signatures):
    assert list(signatures) == [
        "ceil_div", "twice", "kernel", "helper", "own", "conv2d", "two", "trailing", "nothing", "pointers",
    ]  # fmt: skip
    assert signatures["kernel"].on_device and signatures["helper"].on_device
    assert signatures["twice"].template and signatures["own"].static


def test_takes_every_launcher_when_none_is_named():
    names = make_source("conv", cuda_sources=CONV).functions
    assert names == ("ceil_div", "conv2d", "two", "trailing", "nothing")


def test_reads_types_names_and_defaults(signatures):
    conv2d = signatures["conv2d"]
    assert [p.name for p in conv2d.parameters] == [
        "input", "weight", "bias", "stride", "scale", "flip", "sizes", "mode",
    ]  # fmt: skip
    assert [p.plain for p in conv2d.parameters] == [
        "Tensor", "Tensor", "optional<Tensor>", "int64_t", "double", "bool", "vector<int64_t>", "string",
    ]  # fmt: skip
    assert [p.default for p in conv2d.parameters[2:]] == [None, 1, 0.25, True, [1, 2], "zeros"]
    assert signatures["trailing"].returns == "torch::Tensor"
    assert signatures["two"].returns == "std::tuple<torch::Tensor, int64_t>"
    assert signatures["nothing"].parameters == ()
    assert signatures["pointers"].supported is False


def test_str_is_the_cpp_signature(signatures):
    assert str(signatures["conv2d"]).startswith(
        "torch::Tensor conv2d(torch::Tensor input, const torch::Tensor& weight, "
        "std::optional<torch::Tensor> bias = std::nullopt, int64_t stride = 1, "
    )


def test_a_definition_takes_the_defaults_of_its_declaration():
    found = parse_signatures(
        "torch::Tensor f(torch::Tensor, int64_t stride = 3);\n"
        "torch::Tensor f(torch::Tensor x, int64_t stride) { return x; }\n"
        "torch::Tensor f(torch::Tensor, int64_t);"
    )["f"]
    assert found.defined and [p.name for p in found.parameters] == ["x", "stride"]
    assert found.parameters[1].default == 3


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", 1), ("-1", -1), ("0x10", 16), ("1'000L", 1000), ("017", 15), ("1.5f", 1.5), ("-2e3", -2000.0),
     ("true", True), ("c10::nullopt", None), ("{}", None), ("torch::Tensor", "required"),
     ("1 << 4", "required")],
)  # fmt: skip
def test_default_values(text, value):
    from utils.facade.signature import REQUIRED

    wanted = REQUIRED if value == "required" else value
    assert default_value(text) == wanted and type(default_value(text)) is type(wanted)


def test_plain_types():
    assert plain_type("const ::std::optional< at::Tensor > &") == "optional<Tensor>"
    assert plain_type("c10::IntArrayRef") == plain_type("at::IntArrayRef") == "IntArrayRef"
    assert plain_type("constant_t") == "constant_t"


def test_strange_sources_do_not_confuse_it():
    text = r"""
    auto raw = R"x(torch::Tensor no(int a) {)x";
    char quote = '"'; char brace = '{';
    int big = 1'000'000;
    using F = void (*)(int);
    typedef int (*G)(float);
    enum class E { a, b };
    int table[2] = {1, (2)};
    extern "C" { int64_t c_one(int64_t x) { return x; } }
    extern "C" int64_t c_two(int64_t x) { return x; }
    #define BODY(x) { \
        x; }
    bool operator==(const E& a, int b) { return false; }
    int64_t last(std::vector<std::pair<int, int>> x, int64_t y = (1, 2)) { return y < 3; }
    """
    assert [name for name, s in parse_signatures(text).items() if s.defined] == ["c_one", "c_two", "last"]
    assert parse_signatures("torch::Tensor broken(torch::Tensor x { ((") is not None
    assert parse_signatures("") == {}


@pytest.mark.parametrize(
    ("args", "kwargs", "error", "words"),
    [
        ((), {}, TypeError, "misses the argument 'input'"),
        ((1, "x"), {}, TypeError, "input must be a torch.Tensor, not int 1"),
        ((None, "x"), {}, TypeError, "input must be a torch.Tensor, not None"),
        (("x", "x"), {"stride": 1.5}, TypeError, "stride must be an int, not float 1.5"),
        (("x", "x"), {"stride": True}, TypeError, "stride must be an int, not bool True"),
        (("x", "x"), {"stride": "x"}, TypeError, "stride must be an int, not Tensor of shape"),
        (("x", "x"), {"stride": 1 << 63}, ValueError, "stride=9223372036854775808 does not fit int64_t"),
        (("x", "x"), {"flip": 1}, TypeError, "flip must be a bool, not int 1"),
        (("x", "x"), {"scale": "1"}, TypeError, "scale must be a float, not str '1'"),
        (("x", "x"), {"bias": 3}, TypeError, "bias must be a torch.Tensor, not int 3"),
        (("x", "x"), {"sizes": [1, 2.0]}, TypeError, "sizes must be an int, not float 2.0"),
        (("x", "x"), {"mode": 1}, TypeError, "mode must be a str, not int 1"),
        (("x", "x"), {"paddding": 1}, TypeError, "has no parameter 'paddding'"),
        (("x", "x"), {"input": "x"}, TypeError, "'input' twice"),
        (("x",) * 9, {}, TypeError, "takes 8 arguments, not 9"),
    ],
)
def test_wrong_calls_name_the_signature(signatures, args, kwargs, error, words):
    tensor = torch.zeros(2)
    args = tuple(tensor if each == "x" else each for each in args)
    stand_in = {"stride", "input"}
    kwargs = {k: tensor if v == "x" and k in stand_in else v for k, v in kwargs.items()}
    with pytest.raises(error) as caught:
        signatures["conv2d"].bind(args, kwargs)
    assert words in str(caught.value)
    assert str(signatures["conv2d"]) in str(caught.value)


def test_binds_in_order_with_defaults(signatures):
    x, w = torch.zeros(1), torch.ones(2)
    import numpy

    values = signatures["conv2d"].bind((x,), {"weight": w, "stride": numpy.int64(2), "scale": 3})
    assert values[0] is x and values[1] is w
    assert values[2:] == [None, 2, 3.0, True, [1, 2], "zeros"]


def test_a_default_without_a_python_value_must_be_passed():
    signature = parse_signatures("int64_t f(int64_t x = 1 << 4) { return x; }")["f"]
    with pytest.raises(TypeError, match=r"default of 'x' \(1<<4\) has no Python value"):
        signature.bind((), {})
    assert signature.bind((3,), {}) == [3]


def test_functions_that_cannot_be_bound():
    with pytest.raises(ValueError, match="did you mean 'conv2d'"):
        make_source("conv", cuda_sources=CONV, functions=["conv2"])
    with pytest.raises(ValueError, match="is a kernel"):
        make_source("conv", cuda_sources=CONV, functions="kernel")
    with pytest.raises(ValueError, match="is a template"):
        make_source("conv", cuda_sources=CONV, functions=["twice"])
    with pytest.raises(ValueError, match="nothing to compile"):
        make_source("conv")
    with pytest.raises(ValueError, match="identifier"):
        make_source("my conv", cuda_sources=CONV)


def test_lines_of_the_learners_source():
    source = make_source(
        "conv", cpp_sources="int a;\nint b;", cuda_sources=["// one\r\n// two", "// three\n// four"]
    )
    assert source.source_file == "conv.cu" and source.files == ("conv.cpp", "conv_1.cu", "conv.cu")
    assert source.line(2) == "// four" and source.line(1, "conv_1.cu") == "// one" and source.line(99) == ""
    assert '#line 1 "conv_1.cu"\n// one\n// two\n#line 1 "conv.cu"\n' in source.text
