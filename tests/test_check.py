"""The checks must pass what is right, and reject what is wrong in words that lead to the mistake."""

import pytest
import torch
import torch.nn.functional as F

from utils.check import (
    Case,
    CheckError,
    check_conv1d,
    check_conv2d,
    conv1d_cases,
    conv2d_cases,
    error_bound,
    poisoned,
)
from utils.errors import KernelError


def conv2d(change):
    """A convolution whose result `change(input, weight, options)` computes in its own way."""

    def fn(input, weight, bias=None, stride=1, padding=0, dilation=1):
        return change(
            input, weight, {"bias": bias, "stride": stride, "padding": padding, "dilation": dilation}
        )

    return fn


def without_bias(x, w, k):
    return F.conv2d(x, w, **{**k, "bias": None})


def like_stride_1(x, w, k):
    P, Q = F.conv2d(x, w, **k).shape[2:]
    return F.conv2d(x, w, **{**k, "stride": 1})[:, :, :P, :Q]


def only_first_image(x, w, k):
    y = F.conv2d(x, w, **k)
    y[1:] = y[:1]
    return y


def only_first_32_columns(x, w, k):
    y = F.conv2d(x, w, **k)
    y[:, :, :, 32:] = 0.5
    return y


def without_last_thread(x, w, k):
    y = torch.empty_like(F.conv2d(x, w, **k))
    y.view(-1)[:-1] = F.conv2d(x, w, **k).view(-1)[:-1]
    return y


def zeros_at_the_last_columns(x, w, k):
    """As from a launcher that fills its output with zeros, and whose grid ends too early."""
    y = F.conv2d(x, w, **k)
    y.flatten(2)[:, :, 60:] = 0
    return y


def break_in_the_padding(x, w, k):
    """A thread whose first column lies in the padding leaves its loop, and stores the sum of nothing."""
    y = F.conv2d(x, w, **k)
    if k["padding"]:
        y[:, :, :, : -(-k["padding"] // k["stride"])] = 0
    return y


def rounded_up(x, w, k):
    y = F.conv2d(F.pad(x, (0, k["stride"] - 1, 0, k["stride"] - 1)), w, **k)
    return y


def changes_input(x, w, k):
    y = F.conv2d(x, w, **k)
    x.zero_()
    return y


def in_float16(x, w, k):
    return without_bias(x.half(), w.half(), k).float()


def bias_per_channel(x, w, k):
    bias = k.pop("bias", None)
    y = F.conv2d(x, w, **k)
    return y if bias is None else y + w.shape[1] * bias[:, None, None]


def padding_not_subtracted(x, w, k):
    y = torch.zeros_like(F.conv2d(x, w, **k))
    inner = F.conv2d(x, w, **{**k, "padding": 0})
    y[:, :, : inner.shape[2], : inner.shape[3]] = inner
    return y


WRONG = {
    "all zero": (lambda x, w, k: torch.zeros_like(F.conv2d(x, w, **k)), "every element is zero"),
    "never written": (lambda x, w, k: torch.empty_like(F.conv2d(x, w, **k)), "never written"),
    "last one not written": (without_last_thread, "no thread wrote them"),
    "grid too short, over zeros": (zeros_at_the_last_columns, "are all zero: no thread wrote them"),
    "break for continue": (break_in_the_padding, "written as zero"),
    "bias forgotten": (without_bias, "without its bias"),
    "bias once per channel": (bias_per_channel, "once for every input channel"),
    "filter flipped": (lambda x, w, k: F.conv2d(x, w.flip((2, 3)), **k), "back to front"),
    "filter transposed": (
        lambda x, w, k: F.conv2d(x, w.mT.contiguous() if w.shape[2] == w.shape[3] else w, **k),
        "rows and columns are exchanged",
    ),
    "added 256 times": (lambda x, w, k: 256 * F.conv2d(x, w, **k), "added up 256 times"),
    "stride ignored": (like_stride_1, "result for stride 1"),
    "dilation ignored in sizes": (
        lambda x, w, k: F.conv2d(x, w, **{**k, "dilation": 1}),
        "dilation is not in the formula",
    ),
    "padding not subtracted": (padding_not_subtracted, "padding is not subtracted"),
    "first channel only": (lambda x, w, k: F.conv2d(x[:, :1], w[:, :1], **k), "only the first input channel"),
    "first image only": (only_first_image, "only the first image is right"),
    "first block only": (only_first_32_columns, "columns 32 and up"),
    "output as large as the input": (
        lambda x, w, k: x[:, :1].expand(-1, w.shape[0], -1, -1).contiguous(),
        "as large as the input",
    ),
    "output rounded up": (rounded_up, "rounded up"),
    "float16": (in_float16, "rounding to fewer bits"),
    "input overwritten": (changes_input, "changed its input"),
    "float64 returned": (lambda x, w, k: F.conv2d(x, w, **k).double(), "returned torch.float64"),
    "nothing returned": (lambda x, w, k: None, "returned NoneType"),
    "batch and channels exchanged": (lambda x, w, k: F.conv2d(x, w, **k).transpose(0, 1), "exchanged"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_kernels_are_rejected_with_the_reason(name):
    change, words = WRONG[name]
    with pytest.raises(CheckError, match=words):
        check_conv2d(conv2d(change))


@pytest.mark.parametrize("check, fn", [(check_conv2d, F.conv2d), (check_conv1d, F.conv1d)])
def test_pytorch_itself_is_right_and_the_output_is_deterministic(check, fn, capsys):
    check(fn)
    first = capsys.readouterr().out
    check(fn)
    assert capsys.readouterr().out == first
    assert "everything together" in first and "empty batch" in first
    assert "refuses what it cannot do   5 cases right" in first


def test_the_message_names_case_index_values_and_bound():
    def fn(input, weight, bias=None, stride=1, padding=0, dilation=1):
        y = F.conv1d(input, weight, bias, stride, padding, dilation)
        if y.shape[-1] > 3:
            y[0, 0, 3] += 1
        return y

    with pytest.raises(CheckError) as caught:
        check_conv1d(fn)
    text = str(caught.value)
    assert "wrong in 1 of 5 elements" in text
    assert "case: input 1x1x7, weight 1x1x3" in text
    assert "output[n=0, k=0, q=3] is " in text and "expected" in text and "allowed error" in text


def test_conv1d_seeds_are_rejected():
    def every_thread_adds(x, w, bias=None, stride=1, padding=0, dilation=1):
        return 256 * F.conv1d(x, w, bias, stride, padding, dilation)

    def length_of_the_input(x, w, bias=None, stride=1, padding=0, dilation=1):
        return torch.zeros(x.shape[0], w.shape[0], x.shape[2])

    with pytest.raises(CheckError, match="added up 256 times"):
        check_conv1d(every_thread_adds)
    with pytest.raises(CheckError, match=r"expected \(N, K, Q\) = \(1, 1, 5\)(.|\n)*as large as the input"):
        check_conv1d(length_of_the_input)


def test_a_shift_by_the_padding_is_told_in_one_dimension():
    def not_subtracted(x, w, bias=None, stride=1, padding=0, dilation=1):
        y = torch.ones_like(F.conv1d(x, w, bias, stride, padding, dilation))
        inner = F.conv1d(x, w, bias, stride, 0, dilation)
        y[:, :, : inner.shape[2]] = inner
        return y

    with pytest.raises(CheckError, match=r"output q holds what q \+ padding should"):
        check_conv1d(not_subtracted)


def test_flags_leave_out_what_a_function_does_not_have(capsys):
    check_conv2d(
        lambda input, weight: F.conv2d(input, weight), bias=False, stride=False, padding=False, dilation=False
    )
    out = capsys.readouterr().out
    assert "block edges" in out and "padding" not in out and "everything" not in out
    with pytest.raises(TypeError, match="no flag 'groups'"):
        check_conv2d(F.conv2d, groups=True)


def test_what_should_be_refused():
    def ignores_strides(x, w, bias=None, stride=1, padding=0, dilation=1):
        if w.shape[1] != x.shape[1] or x.dtype != torch.float32:
            raise RuntimeError("no")
        x = torch.as_strided(
            x, x.shape, torch.empty(x.shape).stride()
        )  # reads a strided tensor as contiguous
        return F.conv2d(x, w, bias, stride, padding, dilation)

    def takes_any_channels(x, w, bias=None, stride=1, padding=0, dilation=1):
        return F.conv2d(x, w[:, : x.shape[1]], bias, stride, padding, dilation)

    def runs_into_an_error(x, w, bias=None, stride=1, padding=0, dilation=1):
        if not x.is_contiguous():
            raise KernelError("out of bounds in line 3", kind="out-of-bounds")
        return F.conv2d(x, w, bias, stride, padding, dilation)

    with pytest.raises(CheckError, match=r"accepted an input that is not contiguous(.|\n)*is_contiguous"):
        check_conv2d(ignores_strides)
    with pytest.raises(CheckError, match="accepted an input of 3 channels with a weight of 6"):
        check_conv2d(takes_any_channels)
    with pytest.raises(CheckError, match="accepted an input that is not contiguous, and then: out of bounds"):
        check_conv2d(runs_into_an_error)
    check_conv2d(takes_any_channels, refusals=False)


def test_channels_last_is_handed_over_and_nchw_has_to_be_refused(capsys):
    def only_channels_last(x, w, bias=None, stride=1, padding=0, dilation=1):
        for tensor in (x, w):
            if not tensor.is_contiguous(memory_format=torch.channels_last):
                raise RuntimeError("channels_last, please")
        return F.conv2d(x, w, bias, stride, padding, dilation)

    check_conv2d(only_channels_last, channels_last=True)
    assert "refuses what it cannot do   7 cases right" in capsys.readouterr().out
    check_conv2d(F.conv2d, channels_last=True)  # takes any layout, and every result is right
    with pytest.raises(RuntimeError, match="channels_last, please"):
        check_conv2d(only_channels_last)
    with pytest.raises(TypeError, match="check_conv1d has no flag 'channels_last'"):
        check_conv1d(F.conv1d, channels_last=True)


@pytest.mark.parametrize("number, name", [(0, "an input"), (1, "a weight")])
def test_nchw_read_as_channels_last_is_found(number, name):
    def takes_any_layout(*tensors, bias=None, **options):
        tensors = list(tensors)
        shape = tensors[number].shape
        wanted = torch.empty(shape).to(memory_format=torch.channels_last).stride()
        if tensors[number].is_contiguous() or tensors[number].dtype != torch.float32:
            tensors[number] = torch.as_strided(tensors[number], shape, wanted)
        return F.conv2d(*tensors, bias, **options)

    words = rf"accepted {name} in NCHW and gave a wrong result(.|\n)*torch::MemoryFormat::ChannelsLast"
    with pytest.raises(CheckError, match=words):
        check_conv2d(takes_any_layout, channels_last=True)


def test_a_kernel_error_passes_and_says_in_which_case():
    def fn(input, weight, **options):
        raise KernelError("thread (3, 0, 0) read past input", kind="out-of-bounds", line=7)

    with pytest.raises(KernelError, match=r"read past input\n.*input 1x1x5x7, weight 1x1x3x3") as caught:
        check_conv2d(fn)
    assert caught.value.kind == "out-of-bounds" and caught.value.line == 7


def test_the_bound_is_met_by_the_worst_order_and_is_tight():
    """Summing one by one in float32 stays inside the bound; one product left out does not."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(1, 40, 9, 9, generator=generator)
    w = torch.randn(4, 40, 9, 9, generator=generator)
    exact = F.conv2d(x.double(), w.double())
    bound = error_bound(F.conv2d, x, w)
    products = (x[0] * w).flatten(1)  # float32
    naive = torch.zeros(4)
    for column in range(products.shape[1]):
        naive += products[:, column]
    assert (naive.double() - exact.flatten()).abs().le(bound.flatten()).all()
    largest = products.abs().max(dim=1).values
    assert (largest > 10 * bound.flatten()).all()


def test_poison_shows_in_fresh_memory_and_goes_away():
    before = torch.are_deterministic_algorithms_enabled()
    with poisoned():
        assert torch.empty(1000).isnan().all()
    assert torch.are_deterministic_algorithms_enabled() == before


def test_cases_cover_what_they_promise():
    for cases, edges in ((conv2d_cases(), (31, 32, 33)), (conv1d_cases(), (31, 32, 33, 255, 256, 257))):
        outputs = [case.size[-1] - case.taps[-1] + 1 for case in cases if not case.needs]
        assert set(edges) <= set(outputs)
        assert any(case.stride > max(case.taps) for case in cases)
        assert any(case.size == case.taps for case in cases)
        assert {case.N for case in cases} >= {1, 2, 3} and {case.C for case in cases} >= {1, 33}
        assert all(len(set(case.size)) == len(case.size) for case in cases if case.group == "block edges")
        work = sum(
            case.N * case.K * case.C * int(torch.tensor([*case.size, *case.taps]).prod()) for case in cases
        )
        assert work < 5_000_000, "the simulator does about ten million products a second"


def test_own_cases(capsys):
    check_conv2d(F.conv2d, [Case("mine", 1, 1, (3, 4), 1, (2, 2))], refusals=False, empty_batch=False)
    assert capsys.readouterr().out.splitlines()[1].split() == ["mine", "1", "case", "right"]
