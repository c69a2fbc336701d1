"""Three algorithms, modelled by their operations and bytes: which one takes a layer?"""

from math import inf

from kernels import WORKLOADS, Workload
from utils.exercise.spec import Exercise, Wrong

EDGES = Workload("edges", 2, 5, 9, 13, 65, 3, 3, padding=1)  # tiles and filters that are cut
FIRST = Workload("the first layer of VGG", 16, 3, 224, 224, 64, 3, 3, padding=1)
MANY = Workload("100 filters", 16, 512, 28, 28, 100, 3, 3, padding=1)  # arithmetic decides
STRIDED = Workload("strided", 64, 64, 56, 56, 64, 3, 3, stride=2, padding=1)
GROUPED = Workload("grouped", 4, 32, 20, 24, 48, 3, 3, padding=1, groups=4)
LAYERS = {
    "alexnet_conv1": "product",
    "resnet_3x3_28": "winograd",
    "resnet_3x3_7": "winograd",
    "pointwise": "product",
    "depthwise": "direct",
    "blur": "direct",
}


def close(cell, name, layer, expected, tolerance=1e-3):
    seen = cell[name](layer)
    what = f"{name} of {layer.describe()}"
    assert isinstance(seen, (int, float)), f"{what} should be a number, not {seen!r}"
    right = seen == expected or abs(seen - expected) <= tolerance * expected
    assert right, f"{what} is {seen:.4g} ms, expected {expected:.4g}"


def directs(cell):
    for layer, expected in (
        (WORKLOADS["blur"], 0.036537),
        (WORKLOADS["depthwise"], 0.095591),
        (WORKLOADS["resnet_3x3_28"], 0.7707),
        (GROUPED, 0.00077478),
    ):
        close(cell, "direct_ms", layer, expected, 5e-3)  # with or without the weight


def products(cell):
    for layer, expected in (
        (WORKLOADS["resnet_3x3_28"], 0.32883),
        (WORKLOADS["pointwise"], 0.14615),
        (WORKLOADS["alexnet_conv1"], 1.5992),
        (EDGES, 5.9904e-05),
        (WORKLOADS["depthwise"], 1.3153),
    ):
        close(cell, "product_ms", layer, expected)


def winograds(cell):
    for layer, m, expected in (
        (WORKLOADS["resnet_3x3_28"], 4, 0.12173),
        (WORKLOADS["resnet_3x3_28"], 2, 0.20627),
        (WORKLOADS["resnet_3x3_7"], 6, 0.22728),
        (EDGES, 4, 0.00015225),
        (EDGES, 6, 0.00015667),
        (MANY, 4, 0.089578),
    ):
        seen = cell["winograd_ms"](layer, m)
        what = f"winograd_ms of {layer.describe()} with m = {m}"
        assert isinstance(seen, (int, float)), f"{what} should be a number, not {seen!r}"
        assert abs(seen - expected) <= 1e-3 * expected, f"{what} is {seen:.4g} ms, expected {expected:.4g}"
    close(cell, "winograd_ms", FIRST, 0.27521)


def applies(cell):
    for layer in (STRIDED, WORKLOADS["pointwise"], WORKLOADS["depthwise"]):
        close(cell, "winograd_ms", layer, inf)


def chooses(cell):
    for name, right in LAYERS.items():
        chosen = cell["best"](WORKLOADS[name])
        assert chosen == right, f"for {name} best chose {chosen!r}, expected {right!r}"
    chosen = cell["best"](FIRST)
    assert chosen == "product", (
        f"for {FIRST.describe()} best chose {chosen!r}, expected 'product': M is far larger than the input"
    )


exercise = Exercise(
    title="Which algorithm for which layer?",
    goal="model three algorithms by operations and bytes, and choose one for seven layers",
    kind="python",
    hints=[
        "A layer knows its flops, its min_bytes (every number once) and all its sizes. A float has 4 bytes."
        " FLOPS and BYTES are per millisecond, so that a division gives milliseconds.",
        "direct_ms: each of the K filters reads its C / groups channels. That is N C H W numbers, K / groups"
        " times; min_bytes has them once. Arithmetic and traffic go on side by side: take max.",
        "product_ms: a group has K / groups filters. ceil(filters / 64) * 64 are computed, so the operations"
        " grow by that over filters. 96 filters are computed as 128.",
        "winograd_ms: with n = (m + 2)^2, U is n C K floats, V n C tiles, M n K tiles. The transforms read"
        " the image and the weight and write V and U; the products read U and V and write M; the last step"
        " reads M and writes the outputs. They follow each other, so their times add up; within the products,"
        " max.",
    ],
    checks=[
        ("direct", directs),
        ("product", products),
        ("winograd", winograds),
        ("winograd where it applies", applies),
        ("seven layers", chooses),
    ],
    starter_fails="direct: direct_ms of 64x256x56x56",
    wrong=[
        Wrong(
            "the input read once",
            replace={"layer.K / layer.groups - 1": "1 - 1"},
            because="direct: direct_ms of 64x128x28x28",
        ),
        Wrong(
            "the input once more",
            replace={"layer.K / layer.groups - 1": "layer.K / layer.groups"},
            because="direct: direct_ms of 1x1x4096x4096",
        ),
        Wrong(
            "groups forgotten",
            replace={"layer.K / layer.groups - 1": "layer.K - 1"},
            because="direct: direct_ms of 64x256x56x56",
        ),
        Wrong(
            "numbers for bytes",
            replace={"image = 4 * layer.N": "image = layer.N"},
            because="direct: direct_ms of ",
        ),
        Wrong(
            "parts of tiles",
            replace={"ceil(filters / 64) * 64 / filters": "max(filters / 64, 1) * 64 / filters"},
            because="product: product_ms of 256x3x224x224",
        ),
        Wrong(
            "one product for all groups",
            replace={"filters = layer.K / layer.groups": "filters = layer.K"},
            because="product: product_ms of 64x256x56x56",
        ),
        Wrong(
            "arithmetic and traffic added",
            replace={
                "max(computed / FLOPS, layer.min_bytes / BYTES)": "computed / FLOPS + layer.min_bytes / BYTES"
            },
            because="product: product_ms of 64x128x28x28",
        ),
        Wrong(
            "multiplications alone",
            replace={"max(2 * each": "max(each"},
            because="winograd: winograd_ms of 64x128x28x28",
        ),
        Wrong(
            "V and M not written",
            replace={"(image + v + weight + u)": "(image + weight)", "(result + out) / BYTES": "out / BYTES"},
            because="winograd: winograd_ms of 64x128x28x28",
        ),
        Wrong(
            "kernels side by side",
            replace={
                "there + products + (result + out) / BYTES": "max(there, products, (result + out) / BYTES)"
            },
            because="winograd: winograd_ms of 64x128x28x28",
        ),
        Wrong(
            "U forgotten",
            replace={"+ weight + u)": "+ weight)", "(u + v + result)": "(v + result)"},
            because="winograd: winograd_ms of 64x128x28x28",
        ),
        Wrong(
            "M as large as V",
            replace={"each * layer.K * tiles": "each * layer.C * tiles"},
            because="winograd: winograd_ms of 2x5x9x13",
        ),
        Wrong(
            "always 36 products",
            replace={"each = (m + 2) ** 2": "each = 36"},
            because="winograd: winograd_ms of 64x128x28x28 -> 128, 3x3, padding 1 with m = 2",
        ),
        Wrong(
            "the products wait for no bytes",
            replace={
                "max(2 * each * layer.C * layer.K * tiles / FLOPS, (u + v + result) / BYTES)": (
                    "2 * each * layer.C * layer.K * tiles / FLOPS"
                )
            },
            because="winograd: winograd_ms of 2x5x9x13",
        ),
        Wrong(
            "filters rounded up",
            replace={"max(2 * each * layer.C * layer.K": "max(2 * each * layer.C * ceil(layer.K / 64) * 64"},
            because="winograd: winograd_ms of 16x512x28x28 -> 100",
        ),
        Wrong(
            "tiles rounded down",
            replace={"ceil(layer.P / m) * ceil(layer.Q / m)": "(layer.P // m) * (layer.Q // m)"},
            because="winograd: winograd_ms of ",
        ),
    ],
)
