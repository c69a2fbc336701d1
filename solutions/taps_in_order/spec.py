"""The two index spaces: from a row and a column of the matrix that is never stored to the input."""

from types import SimpleNamespace

from utils.exercise.spec import Exercise, Wrong


def layer(C, H, W, R, S, stride=1, padding=0, dilation=1):
    from kernels.workloads import output_size

    P, Q = output_size(H, R, stride, padding, dilation), output_size(W, S, stride, padding, dilation)
    return SimpleNamespace(**locals())


LAYERS = {
    "3 channels of 7 x 11, filter 2 x 5": layer(3, 7, 11, 2, 5),
    "2 channels of 9 x 8, filter 3 x 2, stride 2": layer(2, 9, 8, 3, 2, stride=2),
    "1 channel of 6 x 13, filter 2 x 3, dilation 3": layer(1, 6, 13, 2, 3, dilation=3),
    "2 channels of 5 x 4, filter 3 x 3, padding 1": layer(2, 5, 4, 3, 3, padding=1),
    "2 channels of 6 x 9, filter 4 x 3, stride 2, padding 2, dilation 2": layer(
        2, 6, 9, 4, 3, stride=2, padding=2, dilation=2
    ),
}
IMAGES = 2


def right_entry(a, tap):
    c, rest = divmod(tap, a.R * a.S)
    r, s = divmod(rest, a.S)
    return (c * a.H + r * a.dilation) * a.W + s * a.dilation, r * a.dilation, s * a.dilation


def right_corner(a, column):
    n, rest = divmod(column, a.P * a.Q)
    p, q = divmod(rest, a.Q)
    h0, w0 = p * a.stride - a.padding, q * a.stride - a.padding
    return n * a.C * a.H * a.W + h0 * a.W + w0, h0, w0


def inside(a, entry, corner):
    return 0 <= corner[1] + entry[1] < a.H and 0 <= corner[2] + entry[2] < a.W


def equal(seen, right, what):
    seen = tuple(seen) if isinstance(seen, list) else seen
    assert seen == right and not isinstance(seen, bool), f"{what} is {seen!r}, expected {right!r}"


def entries(cell):
    for name, a in LAYERS.items():
        for tap in range(a.C * a.R * a.S):
            equal(cell["entry_of"](a, tap), right_entry(a, tap), f"{name}: entry_of tap {tap}")


def corners(cell):
    for name, a in LAYERS.items():
        for column in range(IMAGES * a.P * a.Q):
            what = f"{name}, output {a.P} x {a.Q}: corner_of column {column}"
            equal(cell["corner_of"](a, column), right_corner(a, column), what)


def places(cell, padded):
    for name, a in LAYERS.items():
        for column in range(IMAGES * a.P * a.Q):
            for tap in range(a.C * a.R * a.S):
                entry, corner = right_entry(a, tap), right_corner(a, column)
                if inside(a, entry, corner) == padded:
                    continue
                right = None if padded else entry[0] + corner[0]
                what = f"{name}: index_of tap {tap} and column {column}, entry {entry}, corner {corner},"
                equal(cell["index_of"](a, entry, corner), right, what)


def whole(cell):
    """The matrix that PyTorch's unfold makes of an image whose numbers are their own indices."""
    import torch

    for name, a in LAYERS.items():
        x = torch.arange(1.0, IMAGES * a.C * a.H * a.W + 1).reshape(IMAGES, a.C, a.H, a.W)
        options = {"stride": a.stride, "padding": a.padding, "dilation": a.dilation}
        right = torch.nn.functional.unfold(x, (a.R, a.S), **options)  # N x C R S x P Q; 0 is padding
        for tap in range(a.C * a.R * a.S):
            entry = cell["entry_of"](a, tap)
            for column in range(IMAGES * a.P * a.Q):
                n, pixel = divmod(column, a.P * a.Q)
                seen = cell["index_of"](a, entry, cell["corner_of"](a, column))
                expected = int(right[n, tap, pixel]) - 1
                what = f"{name}: row {tap}, column {column} of the matrix"
                equal(seen, None if expected < 0 else expected, what)


exercise = Exercise(
    title="Taps in order",
    goal="say where each place of the matrix that is never stored finds its number in the input",
    kind="python",
    hints=[
        "A tap counts s first, then r, then c, like digits of a number: s goes up to S - 1, then r moves on."
        " So s is tap % S, and tap // S counts on with r.",
        "A column counts q first, then p, then n. What q runs over is the output's width, not the input's.",
        "Neighbouring taps are dilation apart in the image, neighbouring pixels stride apart; padding moves"
        " every window up and to the left. A row further down is W numbers, a channel H * W, an image"
        " C * H * W.",
        "A place is inside only if its row top + h is in the image and its column left + w, too. An index"
        " within the input is not enough: one column too far to the right is the first one of the next row.",
    ],
    checks=[
        ("each tap's entry", entries),
        ("each column's corner", corners),
        ("places inside of the image", lambda cell: places(cell, padded=False)),
        ("places in the padding", lambda cell: places(cell, padded=True)),
        ("the whole matrix, as PyTorch's unfold stores it", whole),
    ],
    starter_fails="each tap's entry: 3 channels of 7 x 11, filter 2 x 5: entry_of tap 1 is (0, 0, 0)",
    wrong=[
        Wrong(
            "r counted first",
            replace={
                "r = tap // layer.S % layer.R": "r = tap % layer.R",
                "s = tap % layer.S": "s = tap // layer.R % layer.S",
            },
            because="entry_of tap 1 is (11, 1, 0), expected (1, 0, 1)",
        ),
        Wrong(
            "r not taken modulo R",
            replace={"r = tap // layer.S % layer.R": "r = tap // layer.S"},
            because="each tap's entry: ",
        ),
        Wrong(
            "the filter's rows for the image's",
            replace={"(c * layer.H + h) * layer.W": "(c * layer.R + h) * layer.W"},
            because="each tap's entry: ",
        ),
        Wrong(
            "dilation forgotten",
            replace={"h, w = r * layer.dilation, s * layer.dilation": "h, w = r, s"},
            because="dilation 3: entry_of tap 1 is (1, 0, 1), expected (3, 0, 3)",
        ),
        Wrong(
            "a column decoded with the input's width",
            replace={"p = column // layer.Q % layer.P": "p = column // layer.W % layer.P"},
            because="each column's corner: ",
        ),
        Wrong(
            "one image alone",
            replace={"return n * layer.C * layer.H * layer.W + top": "return top"},
            because="each column's corner: ",
        ),
        Wrong(
            "stride forgotten",
            replace={"left = q * layer.stride - ": "left = q - "},
            because="stride 2, output",
        ),
        Wrong(
            "padding forgotten",
            replace={"top = p * layer.stride - layer.padding": "top = p * layer.stride"},
            because="padding 1, output",
        ),
        Wrong(
            "any index within the input will do",
            replace={
                "inside = 0 <= top + h < layer.H and 0 <= left + w < layer.W": (
                    "inside = 0 <= first + offset < 2 * layer.C * layer.H * layer.W"
                )
            },
            because="places in the padding: ",
        ),
        Wrong(
            "upper bounds forgotten",
            replace={
                "0 <= top + h < layer.H and 0 <= left + w < layer.W": "0 <= top + h and 0 <= left + w",
            },
            because="places in the padding: ",
        ),
        Wrong(
            "the corner's place in the image, not the tap's",
            replace={"0 <= top + h < layer.H and 0 <= left + w < layer.W": "top >= 0 and left >= 0"},
            because="places inside of the image: ",
        ),
    ],
)
