"""A test that no kernel with a wrong bias passes. The pull request's own one used a bias of zeros."""

import torch
from torch.nn.functional import conv2d

from utils.exercise.spec import Exercise, Wrong


def verdict(cell, candidate):
    """What the learner's test says of a launcher; every tensor it makes is random, so the seed is set."""
    passes = cell.get("passes")
    assert callable(passes), "there is no function `passes` any more"
    torch.manual_seed(8)
    try:
        said = passes(candidate)
    except Exception:
        if candidate is right:
            raise
        return False  # an error finds the kernel out, too
    assert isinstance(said, bool), f"passes(...) returned {said!r}, expected True or False"
    return said


def right(x, weight, bias, stride, padding):
    """A right kernel. It adds one product after the other, the last one first, and the bias at the end."""
    single = torch.zeros_like(weight)
    total = torch.zeros_like(conv2d(x, weight, None, stride, padding))
    for tap in reversed(range(weight[0].numel())):
        single.zero_().flatten(1)[:, tap] = weight.flatten(1)[:, tap]
        total = total + conv2d(x, single, None, stride, padding)
    return total if bias is None else total + bias.view(-1, 1, 1)


def accepts(cell):
    for _ in range(3):
        assert verdict(cell, right), (
            "it turns down a kernel that is right. Floats that are added in another order differ in the last"
            " digits, and a layer may have no bias at all"
        )


def rejects(what, wrong):
    """A check that the learner's test finds this kernel out."""

    def candidate(x, weight, bias, stride, padding):
        return wrong(x, weight, bias, stride, padding).clone()

    def check(cell):
        assert not verdict(cell, candidate), f"it lets a kernel pass that {what}"

    return check


def never_added(x, weight, bias, *options):
    return conv2d(x, weight, None, *options)


def of_channel_0(x, weight, bias, *options):
    return conv2d(
        x, weight, None if bias is None else bias[:1].expand(weight.shape[0]).contiguous(), *options
    )


def once_a_channel(x, weight, bias, *options):
    return conv2d(x, weight, None if bias is None else bias * weight.shape[1], *options)


def first_image(x, weight, bias, *options):
    out = conv2d(x, weight, bias, *options)
    return out if bias is None else torch.cat([out[:1], out[1:] - bias.view(-1, 1, 1)])


def first_channels(x, weight, bias, *options):
    kept = None if bias is None else torch.where(torch.arange(bias.numel()) < weight.shape[1], bias, 0)
    return conv2d(x, weight, kept, *options)


def garbage_without(x, weight, bias, *options):
    return conv2d(x, weight, torch.full((weight.shape[0],), 1e-2) if bias is None else bias, *options)


exercise = Exercise(
    title="A test that finds a forgotten bias",
    goal="write passes(conv2d) so that no launcher with a wrong bias passes, and a right one does",
    kind="python",
    run_starter=True,
    hints=[
        "Which bias does the pull request's test use? Could any kernel get that one wrong?",
        "Sizes that are equal hide which one was meant. Give images, input and output channels different"
        " numbers, and more than one image.",
        "An optional argument has two cases, given and None. The test should make both calls.",
        "torch.randn(5) is a bias for five output channels. Loop over it and None, return False at the first"
        " difference, and True at the end. The tolerance of 1e-4 is right for sums of 27 products.",
    ],
    checks=[
        ("a right kernel passes", accepts),
        ("never adds its bias", rejects("never adds its bias", never_added)),
        ("adds bias[0] everywhere", rejects("adds the bias of channel 0 to every channel", of_channel_0)),
        ("adds it too often", rejects("adds the bias once for each input channel", once_a_channel)),
        ("adds it to one image", rejects("adds the bias to the first image alone", first_image)),
        ("adds it to some channels", rejects("adds it to as many channels as the input has", first_channels)),
        ("invents one for None", rejects("adds 0.01 to everything when bias is None", garbage_without)),
    ],
    starter_fails="never adds its bias: it lets a kernel pass that never adds its bias",
    wrong=[
        Wrong(
            "a bias of zeros",
            replace={"(torch.randn(5), None)": "(torch.zeros(5), None)"},
            because="never adds its bias",
        ),
        Wrong(
            "a bias of ones",
            replace={"(torch.randn(5), None)": "(torch.ones(5), None)"},
            because="channel 0 to every",
        ),
        Wrong(
            "one input channel",
            replace={"(2, 3, 9, 11), torch.randn(5, 3, 3, 3)": "(2, 1, 9, 11), torch.randn(5, 1, 3, 3)"},
            because="once for each input channel",
        ),
        Wrong(
            "one image", replace={"torch.randn(2, 3": "torch.randn(1, 3"}, because="to the first image alone"
        ),
        Wrong(
            "as many filters as channels",
            replace={
                "torch.randn(5, 3, 3, 3)": "torch.randn(3, 3, 3, 3)",
                "(torch.randn(5), None)": "(torch.randn(3), None)",
            },
            because="as many channels as the input",
        ),
        Wrong(
            "never without a bias",
            replace={"(torch.randn(5), None)": "[torch.randn(5)]"},
            because="when bias is None",
        ),
        Wrong(
            "only without a bias", replace={"(torch.randn(5), None)": "[None]"}, because="never adds its bias"
        ),
        Wrong(
            "equal to the last bit",
            replace={
                "torch.allclose(actual, expected(x, weight, bias, 2, 1), rtol=0, atol=1e-4)":
                "torch.equal(actual, expected(x, weight, bias, 2, 1))"
            },
            because="turns down a kernel that is right",
        ),
        Wrong("a tolerance of 0.1", replace={"atol=1e-4": "atol=0.1"}, because="when bias is None"),
    ],
)  # fmt: skip
