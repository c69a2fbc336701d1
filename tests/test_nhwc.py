"""conv2d_nhwc: right in the simulator, in the layout that it is for, with the accesses that it promises."""

import pytest
import torch
import torch.nn.functional as F

import kernels
from utils.check import check_conv2d
from utils.simulator import profile


@pytest.fixture(scope="module")
def nhwc():
    return kernels.load("conv2d_nhwc", backend="simulator")


def channels_last(*shape):
    generator = torch.Generator().manual_seed(len(shape))
    return torch.randn(shape, generator=generator).to(memory_format=torch.channels_last)


def test_right_and_refuses_nchw(nhwc, capsys):
    check_conv2d(nhwc, channels_last=True)
    assert "refuses what it cannot do   7 cases right" in capsys.readouterr().out


@pytest.mark.parametrize("number, name", [(0, "input"), (1, "weight")])
def test_nchw_is_refused_with_advice(nhwc, number, name):
    tensors = [channels_last(2, 3, 5, 6), channels_last(4, 3, 3, 3)]
    tensors[number] = tensors[number].contiguous()
    with pytest.raises(RuntimeError, match=f"{name} must be channels_last: pass {name}.contiguous.memory"):
        nhwc(*tensors)


def test_what_is_both_layouts_is_taken(nhwc):
    x, w = torch.randn(2, 1, 5, 6), torch.randn(40, 1, 3, 2)  # one channel
    torch.testing.assert_close(nhwc(x, w), F.conv2d(x, w))
    x, w = torch.randn(2, 7, 1, 1), torch.randn(3, 7, 1, 1)  # one pixel
    torch.testing.assert_close(nhwc(x, w), F.conv2d(x, w))


def test_the_output_is_channels_last(nhwc):
    x, w = channels_last(2, 3, 9, 8), channels_last(5, 3, 3, 3)
    output = nhwc(x, w, stride=2)
    assert output.stride() == F.conv2d(x, w, stride=2).stride()
    assert nhwc(x[:0], w).shape == (0, 5, 7, 6)


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_sectors_do_not_depend_on_the_stride(nhwc, stride):
    pack, conv = profile(nhwc, channels_last(1, 8, 20, 20), channels_last(64, 8, 3, 3), stride=stride)
    assert (pack.name, conv.name) == ("filters_innermost", "conv2d_nhwc")
    assert pack.global_store.sectors_per_request == conv.global_store.sectors_per_request == 4
    assert sorted(line.sectors_per_request for line in conv.global_load.by_line.values()) == [1, 4]
