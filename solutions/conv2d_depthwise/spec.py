"""A filter for each channel: 4 x 4 outputs a thread, whose rows are loaded by float4."""

import torch

from utils.check import error_bound
from utils.exercise.helpers import call, device_of, same
from utils.exercise.spec import Exercise, Wrong
from utils.simulator import profile

conv2d = torch.nn.functional.conv2d


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(20_261_121 + seed))


def right(*sizes, bias=False):
    """A check on inputs of these sizes (N, C, H, W)."""

    def check(cell):
        for N, C, H, W in sizes:
            x, weight = random(N, C, H, W), random(C, 1, 3, 3, seed=1)
            b = random(C, seed=2) if bias else None
            before = x.clone()
            actual = call(cell.conv2d, *((x, weight) if b is None else (x, weight, b)))
            exact = conv2d(x.double(), weight.double(), b.double() if bias else None, padding=1, groups=C)
            what = f"input {N}x{C}x{H}x{W}" + (", with bias" if bias else "")
            same(actual, exact, what, error_bound(conv2d, x, weight, b, padding=1, groups=C))
            assert torch.equal(x, before), f"{what}: the kernel changed its input"

    return check


def storage_that_begins_anywhere(cell):
    device = device_of(cell.conv2d)
    flat, weight = random(2 * 3 * 5 * 8 + 8), random(3, 1, 3, 3, seed=1)
    first = 1 + -(flat.data_ptr() // 4) % 4  # an offset of 4 bytes to a multiple of 16
    x = flat.to(device)[first : first + 240].view(2, 3, 5, 8)  # sliced there: a copy would be aligned
    actual = call(lambda w: cell.conv2d(x, w.to(device)), weight)
    exact = conv2d(x.cpu().double(), weight.double(), padding=1, groups=3)
    same(
        actual,
        exact,
        "an input of 2x3x5x8 that begins 4 bytes off",
        error_bound(conv2d, x.cpu(), weight, padding=1, groups=3),
    )


def few_requests(cell):
    N, C, H, W = 1, 2, 64, 64
    found = profile(cell.conv2d, torch.zeros(N, C, H, W), torch.zeros(C, 1, 3, 3))[0].global_load.requests
    simple = (
        N * C * H * W // 32 * 18
    )  # one thread per output: nine numbers and nine weights, a warp at a time
    assert found <= simple / 8, (
        f"{found:,} load requests on an input of {N}x{C}x{H}x{W}; one thread per output makes {simple:,}, and"
        f" with a float4 for each row an eighth of that is enough ({simple // 8:,})"
    )


def no_images_and_refusals(cell):
    empty = call(cell.conv2d, torch.zeros(0, 3, 5, 8), torch.zeros(3, 1, 3, 3))
    assert tuple(empty.shape) == (0, 3, 5, 8), f"no images: the shape is {tuple(empty.shape)}"
    x = random(1, 3, 6, 8)
    for what, weight, options in (
        ("filters of 5x5", torch.zeros(3, 1, 5, 5), {}),
        ("filters of 3x1", torch.zeros(3, 1, 3, 1), {}),
        ("padding 0", torch.zeros(3, 1, 3, 3), {"padding": 0}),
        ("filters for all channels", torch.zeros(3, 3, 3, 3), {}),
        ("two filters for each channel", torch.zeros(6, 1, 3, 3), {}),
        ("a weight in float64", torch.zeros(3, 1, 3, 3, dtype=torch.float64), {}),
    ):
        try:
            call(cell.conv2d, x, weight, **options)
        except RuntimeError:
            continue
        raise AssertionError(f"{what}: this kernel cannot do that; the launcher should refuse it")


ALIGNED = "if (aligned) {\n            const float4 four"
TAIL = "for (int j = 0; j < 4; ++j) x[1 + j] = q + j < W ? row[q + j] : 0.0f;"
SUM = "sum[y - r][j / 3] += w[r * 3 + j % 3] * x[j / 3 + j % 3];"

exercise = Exercise(
    title="Depthwise 3 x 3 by float4",
    goal="output[n, c, p, q] = bias[c] + the sum of input[n, c, p + r - 1, q + s - 1] weight[c, 0, r, s]",
    hints=[
        "x holds the six columns q - 1 to q + 4 of this row; the outputs are columns q to q + 3. The float4"
        " is x[1] to x[4]. Columns q - 1 and q + 4 may lie outside: then they are 0.",
        "aligned says that each row begins at a multiple of 16 bytes and has whole float4s. Otherwise load"
        " the four one by one, and a 0 for each that is beyond W.",
        "Input row h = p + y - 1 is row r of the filter for output row p + y - r. Which r from 0 to 2 give an"
        " output row of this thread, 0 to ROWS - 1?",
        "For such an r: output i of the four adds w[3 r + s] x[i + s], for s from 0 to 2. Put #pragma unroll"
        " before loops over arrays, so that they stay in registers.",
    ],
    checks=[
        ("one channel, rows of whole float4s", right((1, 1, 4, 4), (1, 1, 8, 12))),
        ("channels and images", right((2, 3, 6, 8), (3, 5, 4, 16))),
        ("odd heights and widths", right((1, 2, 5, 7), (2, 3, 9, 13), (1, 2, 3, 6), (1, 1, 1, 1))),
        ("more threads than a block", right((1, 2, 61, 67), (1, 2, 64, 64))),
        ("storage that begins anywhere", storage_that_begins_anywhere),
        ("bias", right((2, 3, 5, 8), (1, 4, 6, 5), bias=True)),
        ("few requests", few_requests),
        ("no images, refusals", no_images_and_refusals),
    ],
    starter_fails="one channel, rows of whole float4s: input 1x1x4x4: element [0, 0, 0, 0] is 0",
    wrong=[
        Wrong(
            "rows of the filter transposed",
            replace={"w[r * 3 + j % 3]": "w[j % 3 * 3 + r]"},
            because="one channel, rows of whole float4s: input 1x1x4x4: element",
        ),
        Wrong(
            "rows of the filter upside down",
            replace={"w[r * 3 + j % 3]": "w[(2 - r) * 3 + j % 3]"},
            because="one channel, rows of whole float4s: input 1x1x4x4: element",
        ),
        Wrong(
            "the wrong column of the halo",
            replace={"q > 0 ? row[q - 1] : 0.0f": "q > 0 ? row[q] : 0.0f"},
            because="one channel, rows of whole float4s: input 1x1x8x12: element [0, 0, 0, 4]",
        ),
        Wrong(
            "the left halo unguarded",
            replace={"q > 0 ? row[q - 1] : 0.0f": "row[q - 1]"},
            because="out-of-bounds",
        ),
        Wrong(
            "the right halo unguarded",
            replace={"q + 4 < W ? row[q + 4] : 0.0f": "row[q + 4]"},
            because="one channel, rows of whole float4s",
        ),
        Wrong(
            "the halo left out",
            replace={"q + 4 < W ? row[q + 4] : 0.0f": "0.0f"},
            because="input 1x1x8x12: element [0, 0, 0, 3]",
        ),
        Wrong(
            "the tail unguarded",
            replace={TAIL: "for (int j = 0; j < 4; ++j) x[1 + j] = row[q + j];"},
            because="odd heights and widths",
        ),
        Wrong(
            "alignment ignored",
            replace={ALIGNED: ALIGNED.replace("aligned", "true")},
            because="odd heights and widths: depthwise, line 35: misaligned",
        ),
        Wrong(
            "only the width looked at",
            replace={" && reinterpret_cast<uintptr_t>(input.data_ptr()) % 16 == 0": ""},
            because="storage that begins anywhere: depthwise, line 35: misaligned",
        ),
        Wrong(
            "stores of the tail beyond the row",
            replace={"if (q + j < W) place[j] = sum[y][j];": "place[j] = sum[y][j];"},
            because="odd heights and widths: depthwise, line 55: race",
        ),
        Wrong(
            "bias once per tap",
            replace={
                "const float b = bias ? bias[c] : 0.0f;": "const float b = 0, each = bias ? bias[c] : 0.0f;",
                SUM: SUM.replace(";", " + each;"),
            },
            because="bias: input 2x3x5x8, with bias: element",
        ),
        Wrong(
            "an output row beyond the thread's",
            replace={"y - r >= 0 && y - r < ROWS": "y - r >= 0 && y - r < ROWS - 1"},
            because="one channel, rows of whole float4s: input 1x1x4x4: element [0, 0, 3, 0]",
        ),
        Wrong(
            "one float after the other",
            replace={ALIGNED: ALIGNED.replace("aligned", "W < 0")},
            because="few requests:",
        ),
    ],
)  # fmt: skip
