"""Judge functions that say they are conv1d: some are, some only look like it."""

import contextlib
import io

import torch

from utils.exercise.spec import Exercise, Wrong


def convolution(read=None, weight=None, order=None, after=None, padded=None):
    """A function fn(x, w, stride, padding, dilation), right unless something is put in.

    read(x, S, stride, padding, dilation) -> x, stride, padding, dilation to read with; weight(w) -> w;
    order(taps) -> taps in the order to add; after(y, x) -> y; padded(x, padding) -> x with its padding.
    """

    def fn(x, w, stride, padding, dilation):
        places = x.shape[2] + 2 * padding - dilation * (w.shape[2] - 1)
        Q = (places - 1) // stride + 1
        if weight:
            w = weight(w)
        source, step, distance = x, stride, dilation
        if read:
            source, step, distance = read(x, stride, dilation)
        source = padded(source, padding) if padded else torch.nn.functional.pad(source, (padding, padding))
        taps = [(c, s) for c in range(x.shape[1]) for s in range(w.shape[2])]
        y = torch.zeros(x.shape[0], w.shape[0], Q)
        for c, s in order(taps) if order else taps:
            places = (torch.arange(Q) * step + s * distance).clamp(max=source.shape[2] - 1)
            y = y + source[:, None, c, places] * w[None, :, c, s, None]
        return after(y, x) if after else y

    return fn


def double(x, w, options):
    """The exact result and n u times the convolution of the absolute values."""
    stride, padding, dilation = options
    x, w = x.double(), w.double()
    exact = torch.nn.functional.conv1d(x, w, None, stride, padding, dilation)
    size = torch.nn.functional.conv1d(x.abs(), w.abs(), None, stride, padding, dilation)
    return exact, w.shape[1] * w.shape[2] * 2.0**-24 * size


def as_far_as_allowed(x, w, *options):
    """Every error 0.98 of its bound, up and down in turn: what roundings can do when all go the same way."""
    exact, bound = double(x, w, options)
    turns = torch.ones(exact.numel(), dtype=torch.float64).reshape(exact.shape)
    turns.view(-1)[1::2] = -1.0
    y = (exact + 0.98 * turns * bound).float()
    for _ in range(2):  # float32 has no number there: take the neighbour that is nearer
        y = torch.where((y - exact).abs() <= 0.98 * bound, y, torch.nextafter(y, exact.float()))
    return y


def one_element(x, w, *options):
    """The middle output has ten times the error that it may have."""
    exact, bound = double(x, w, options)
    y = exact.clone()
    y.view(-1)[y.numel() // 2] += 10 * bound.view(-1)[y.numel() // 2]
    return y.float()


def smallest_element(x, w, *options):
    """The output with the least bound has nearly as much error as the one with the largest bound may have."""
    exact, bound = double(x, w, options)
    y, least = exact.clone(), bound.view(-1).argmin()
    if bound.max() > 2.5 * bound.min():
        y.view(-1)[least] += 0.9 * bound.max()
    return y.float()


def channels_for_filters(w):
    """Filter k begins at element k K S of the weight, in place of k C S."""
    K, C, S = w.shape
    k, c, s = torch.meshgrid(*map(torch.arange, (K, C, S)), indexing="ij")
    return w.reshape(-1)[((k * K + c) * S + s) % w.numel()]


def exact_then_rounded(x, w, stride, padding, dilation):
    return torch.nn.functional.conv1d(x.double(), w.double(), None, stride, padding, dilation).float()


def to_tf32(t):
    """10 bits of mantissa, rounded to nearest."""
    return ((t.contiguous().view(torch.int32) + 0x1000) & ~0x1FFF).view(torch.float32)


def tail(y, x):
    """The outputs beyond the last whole 32 are never written: fresh memory is NaN."""
    y = y.clone()
    y[..., y.shape[2] // 32 * 32 :] = float("nan")
    return y


def first_image(y, x):
    return y[:1].expand_as(y).clone()


def short(y, x):
    """Threads beyond the input leave before they have loaded what the others need."""
    return torch.full_like(y, float("nan")) if x.shape[2] < 32 else y


def far(y, x):
    """Only the first block, 256 threads, finds its own outputs."""
    y = y.clone()
    y[..., 256:] = y[..., :1]
    return y


def zero_beyond_32s(x, stride, dilation):
    x = x.clone()
    x[..., x.shape[2] // 32 * 32 :] = 0.0
    return x, stride, dilation


def edges(x, padding):
    return torch.nn.functional.pad(x, (padding, padding), mode="replicate")


RIGHT = {
    "that adds tap after tap": convolution(),
    "that adds in another order": convolution(order=lambda taps: taps[::-1]),
    "that rounds once, at the end": exact_then_rounded,
}
WRONG = {
    "nan": {
        "that leaves the outputs after the last whole 32 unwritten (nan)": convolution(after=tail),
        "that writes nothing (all nan)": convolution(after=lambda y, x: y * float("nan")),
    },
    "values": {
        "that ignores dilation": convolution(read=lambda x, stride, dilation: (x, stride, 1)),
        "that ignores the stride": convolution(read=lambda x, stride, dilation: (x, 1, dilation)),
        "that turns the filter round": convolution(weight=lambda w: w.flip(-1)),
        "whose padding repeats the edge instead of adding zeros": convolution(padded=edges),
        "that uses the first filter for every output channel": convolution(
            weight=lambda w: w[:1].expand_as(w)
        ),
        "whose every output is one place late": convolution(after=lambda y, x: y.roll(1, -1)),
    },
    "shapes": {
        "that is wrong only for L not a multiple of 32": convolution(read=zero_beyond_32s),
        "that is wrong only for a batch of more than one": convolution(after=first_image),
        "that is wrong only for L below 32": convolution(after=short),
        "that is wrong only from output 256 on": convolution(after=far),
        "that is wrong only for more than one input channel": convolution(
            read=lambda x, stride, dilation: (x[:, :1].expand_as(x), stride, dilation)
        ),
        "that is wrong only where K and C differ": convolution(weight=channels_for_filters),
        "that is wrong only for an even number of taps": convolution(
            weight=lambda w: w if w.shape[2] % 2 else torch.cat([w[..., :-1], 0 * w[..., -1:]], -1)
        ),
    },
    "rounding": {
        "that rounds its inputs to TF32": convolution(
            read=lambda x, stride, dilation: (to_tf32(x), stride, dilation), weight=to_tf32
        ),
        "that rounds its weights to TF32": convolution(weight=to_tf32),
        "that keeps its sum in bfloat16": convolution(after=lambda y, x: y.bfloat16().float()),
    },
    "elements": {
        "that rounds its results to multiples of 2^-15": convolution(
            after=lambda y, x: (y * 2.0**15).round() / 2.0**15
        ),
        "that is off by ten times the bound in one output": one_element,
        "that is off in its smallest output, by as much as only the largest may be": smallest_element,
    },
}
TRIES = 3


class BadCall(AssertionError):
    """is_right has called the function under test with what no conv1d takes."""


def want(condition, message):
    if not condition:
        raise BadCall(message)


def verdict(cell, fn):
    """What is_right says, the same in every run; a function under test must not know who asks."""
    is_right = cell.get("is_right")
    assert callable(is_right), "there is no function is_right"

    def kernel(x, w, stride, padding, dilation):
        for name, value in (("stride", stride), ("dilation", dilation)):
            want(isinstance(value, int) and value >= 1, f"your call has {name} {value!r}: it starts at 1")
        want(isinstance(padding, int) and padding >= 0, f"your call has padding {padding!r}")
        want(x.dtype == w.dtype == torch.float32, "the functions take float32: convert only the reference")
        want(
            x.dim() == 3 and w.dim() == 3 and x.shape[1] == w.shape[1],
            f"x is N x C x L and w is K x C x S, not {tuple(x.shape)} and {tuple(w.shape)}",
        )
        fits = x.shape[2] + 2 * padding > dilation * (w.shape[2] - 1)
        want(fits, "the filter is larger than the input")
        return fn(x, w, stride, padding, dilation)

    said = set()
    for seed in range(TRIES):
        torch.manual_seed(seed)
        with contextlib.redirect_stdout(io.StringIO()):
            try:
                answer = is_right(kernel)
            except BadCall:
                raise
            except AssertionError as error:  # assert, or torch.testing.assert_close
                raise AssertionError(
                    "is_right raised an AssertionError: return False instead of raising"
                ).with_traceback(error.__traceback__) from None
        if hasattr(answer, "item"):
            answer = answer.item()
        assert isinstance(answer, bool), f"is_right returned {answer!r}: return True or False"
        said.add(answer)
    return said


def accepts_right_ones(cell):
    for what, fn in RIGHT.items():
        assert verdict(cell, fn) == {True}, (
            f"is_right rejects a function {what}. It is right: every float32 sum is a little off."
            " How far may it be, and compared with what?"
        )


def accepts_all_that_is_allowed(cell):
    assert verdict(cell, as_far_as_allowed) == {True}, (
        "is_right rejects a function whose roundings all go the same way. Its errors from the float64 result"
        " are 0.98 of n u times the sum of |x| |w|, so it is right. A float32 reference has errors of its"
        " own: compute it, and the bound, in float64. And allow n u, not less."
    )


ADVICE = {
    "nan": "nan compares false with everything: ask for `not (error <= allowed).all()`.",
    "values": "Which inputs and options would show it? All ones, or defaults for all options, hide it.",
    "shapes": "One shape is not enough. L: below 32, above 32, and more than 256 outputs, as kernels work in"
    " blocks of up to 256. N, C and K: above 1, and all different. S: odd and even.",
    "rounding": "Its error is about 1e-3 of a product. Derive the tolerance from the length of the sum, and"
    " keep the sum short.",
    "elements": "Hold every element to its own bound, n u times its own sum of |x| |w|, no factor on top;"
    " one tolerance for all, a norm or the largest error of all hides it. Short sums, dozens of outputs.",
}


def rejects(group):
    def check(cell):
        for what, fn in WRONG[group].items():
            said = verdict(cell, fn)
            assert True not in said, (
                f"is_right accepts a function {what}"
                f"{' (for some random inputs)' if False in said else ''}. {ADVICE[group]}"
            )

    return check


GOOD = """
    for N, C, L, K, S, *options in [
        (1, 1, 7, 1, 3, 1, 0, 1),
        (2, 3, 37, 5, 4, 2, 3, 2),
        (3, 2, 300, 4, 3, 1, 1, 3),
    ]:
"""

EXACT = "exact = conv1d(x.double(), w.double(), None, *options)"
COMPARISON = "not ((y - exact).abs() <= allowed).all()"

exercise = Exercise(
    title="Check a kernel",
    goal="is_right(fn) says True of every right conv1d and False of every wrong one",
    kind="python",
    run_starter=True,
    hints=[
        "Begin with one shape: random x and w, and torch's conv1d in float64 as the exact result.",
        "What is allowed is n u times the same convolution of the absolute values; n is C S, u is 2**-24.",
        "nan is neither below nor above anything. `not (error <= allowed).all()` counts it as wrong.",
        "Loop over shapes: L below 32, L of no round number, more than 256 outputs (kernels work in blocks of"
        " up to 256); N, C and K above 1 and different; odd and even S; stride, padding and dilation above 1"
        " in one of them at least.",
        "TF32 hides in long sums: keep C S below 30 or so. Return False at the first shape that is wrong.",
    ],
    checks=[
        ("accepts what is right, whatever the order of its sum", accepts_right_ones),
        ("rejects outputs that nobody wrote", rejects("nan")),
        ("rejects wrong values", rejects("values")),
        ("rejects what is wrong for some shapes only", rejects("shapes")),
        ("rejects fewer digits than float32 has", rejects("rounding")),
        ("rejects single elements beyond their bound", rejects("elements")),
        ("accepts all that the bound allows", accepts_all_that_is_allowed),
    ],
    starter_fails="rejects wrong values: is_right accepts a function that ignores dilation",
    wrong=[
        Wrong(
            "absolute tolerance of 1e-2",
            replace={
                "C * S * 2.0**-24 * conv1d(x.double().abs(), w.double().abs(), None, *options)": "1e-2",
            },
            because="accepts a function that rounds its inputs to TF32",
        ),
        Wrong(
            "ones everywhere",
            replace={
                "torch.randn(N, C, L), torch.randn(K, C, S)": "torch.ones(N, C, L), torch.ones(K, C, S)",
            },
            because="accepts a function that",
        ),
        Wrong(
            "equal to a float32 reference",
            replace={
                "conv1d(x.double(), w.double(), None, *options)": "conv1d(x, w, None, *options)",
                "not ((y - exact).abs() <= allowed).all()": "not torch.equal(y, exact)",
            },
            because="rejects a function that adds",
        ),
        Wrong(
            "allclose as it comes",
            replace={
                "conv1d(x.double(), w.double(), None, *options)": "conv1d(x, w, None, *options)",
                "not ((y - exact).abs() <= allowed).all()": "not torch.allclose(y, exact)",
            },
            because="rejects a function that",
        ),
        Wrong(
            "one shape",
            replace={"        (1, 1, 7, 1, 3, 1, 0, 1),\n": "", "        (3, 2, 300, 4, 3, 1, 1, 3),\n": ""},
            because="wrong only for L below 32",
        ),
        Wrong(
            "nan is not greater",
            replace={"not ((y - exact).abs() <= allowed).all()": "((y - exact).abs() > allowed).any()"},
            because="unwritten (nan)",
        ),
        Wrong(
            "long sums only",
            replace={
                GOOD: GOOD.replace("(1, 1, 7,", "(1, 999, 7,")
                .replace("(2, 3, 37,", "(2, 700, 37,")
                .replace("(3, 2, 300,", "(3, 999, 300,")
            },
            because="TF32",
        ),
        Wrong(
            "no options",
            replace={"2, 3, 2),": "1, 0, 1),", "1, 1, 3),": "1, 0, 1),"},
            because="accepts a function that ignores dilation",
        ),
        Wrong(
            "a batch of one",
            replace={"(2, 3, 37,": "(1, 3, 37,", "(3, 2, 300,": "(1, 2, 300,"},
            because="a batch of more than one",
        ),
        Wrong(
            "the bound without the length of the sum",
            replace={"C * S * 2.0**-24 *": "2.0**-24 *"},
            because="rejects a function that adds",
        ),
        *[
            Wrong(
                f"one tolerance, {tolerance}",
                replace={
                    EXACT: "exact = conv1d(x, w, None, *options)",
                    COMPARISON: f"not torch.allclose(y, exact, {tolerance})",
                },
                because=because,
            )
            for tolerance, because in {
                "atol=2e-3": "accepts a function that rounds its",
                "atol=1e-3": "accepts a function that rounds its",
                "atol=1e-3, rtol=1e-3": "accepts a function that rounds its",
                "atol=1e-4, rtol=1e-6": "rounds its results to multiples of 2^-15",
            }.items()
        ],
        Wrong(
            "assert_close",
            replace={
                EXACT: "exact = conv1d(x, w, None, *options)",
                f"{COMPARISON}:\n            return False": "True:\n"
                "            torch.testing.assert_close(y, exact, atol=1e-5, rtol=1e-5)",
            },
            because="return False instead of raising",
        ),
        Wrong(
            "the bound of 2^-16",
            replace={"2.0**-24": "2.0**-16"},
            because="accepts a function that rounds its results",
        ),
        Wrong(
            "the bound of 2^-20", replace={"2.0**-24": "2.0**-20"}, because="ten times the bound in one"
        ),
        Wrong(
            "float32 throughout",
            replace={
                EXACT: "exact = conv1d(x, w, None, *options)",
                "conv1d(x.double().abs(), w.double().abs(), None, *options)":
                "conv1d(x.abs(), w.abs(), None, *options)",
            },
            because="A float32 reference has errors of its own",
        ),
        Wrong(
            "the largest error against the largest bound",
            replace={"((y - exact).abs() <= allowed).all()": "(y - exact).abs().max() <= allowed.max()"},
            because="off in its smallest output",
        ),
        Wrong(
            "norms",
            replace={"((y - exact).abs() <= allowed).all()": "(y - exact).norm() <= 1e-6 * exact.norm()"},
            because="rejects single elements beyond their bound: is_right accepts",
        ),
        Wrong(
            "one channel", replace={"(2, 3, 37,": "(2, 1, 37,", "(3, 2, 300,": "(3, 1, 300,"},
            because="wrong only for more than one input channel",
        ),
        Wrong(
            "as many filters as channels",
            replace={"(2, 3, 37, 5,": "(2, 3, 37, 3,", "(3, 2, 300, 4,": "(3, 2, 300, 2,"},
            because="wrong only where K and C differ",
        ),
        Wrong("few outputs", replace={"(3, 2, 300,": "(3, 2, 200,"}, because="wrong only from output 256 on"),
    ],
)  # fmt: skip
