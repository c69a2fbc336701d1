"""Round a float to TF32, both ways, and bound what that does to a sum."""

import math
import random

from utils.exercise.spec import Exercise, Wrong

STEP = 2.0**-10  # from one TF32 number to the next, from 1 to 2


def compare(cell, name, cases):
    for x, expected in cases:
        seen = cell[name](x)
        assert isinstance(seen, float), f"{name}({x!r}) should be a float, not {seen!r}"
        assert seen == expected and math.copysign(1, seen) == math.copysign(1, expected), (
            f"{name}({x!r}) is {seen!r}, expected {expected!r}"
        )


def cuts(cell):
    tiny = 2.0**-23
    cases = [(1.0, 1.0), (1 + tiny, 1.0), (1 + STEP - tiny, 1.0), (1 + STEP, 1 + STEP), (2 - tiny, 2 - STEP)]
    cases += [(-1 - STEP + tiny, -1.0), (-3.0, -3.0), (0.0, 0.0), (-0.0, -0.0), (1024 + 1.5, 1025.0)]
    compare(cell, "cut_off", cases)


def rounds(cell):
    tiny = 2.0**-23
    cases = [(1.0, 1.0), (1 + 0.75 * STEP, 1 + STEP), (1 + 0.25 * STEP, 1.0), (1 + STEP / 2 - tiny, 1.0)]
    cases += [(-1 - 0.75 * STEP, -1 - STEP), (-1 - 0.25 * STEP, -1.0), (0.0, 0.0), (1024 + 1.75, 1026.0)]
    compare(cell, "nearest", cases)


def halfway(cell):
    cases = [(1 + STEP / 2, 1 + STEP), (1 + 1.5 * STEP, 1 + 2 * STEP), (-1 - STEP / 2, -1 - STEP)]
    cases += [(1 + 2.5 * STEP, 1 + 3 * STEP), (2.0**-9 * (1 + STEP / 2), 2.0**-9 * (1 + STEP))]
    compare(cell, "nearest", cases)


def carries(cell):
    compare(cell, "nearest", [(2 - 2.0**-23, 2.0), (-(4 - 2.0**-20), -4.0), (2 - STEP / 2, 2.0)])


def largest(cell):
    for name, expected in (("CUT_OFF", STEP), ("NEAREST", STEP / 2)):
        seen = cell[name]
        assert seen is not ..., f"{name} has no value yet: replace ... by a power of 2"
        assert seen == expected, (
            f"{name} = {seen!r}: from 1 to 2 there is a TF32 number every 2^-10. How far is the one that is"
            " taken, at most?"
        )


def bounds(cell):
    weights, inputs = [0.5, -2.0, 3.0], [4.0, 1.0, -1.0]
    seen, exact = cell["bound"](weights, inputs, 0.25), 7 * (0.5 + 0.0625)
    assert abs(seen - exact) < 1e-9, (
        f"bound({weights}, {inputs}, 0.25) is {seen!r}, expected {exact}: the magnitudes of the products make"
        f" 7, and each can be off by 2 u + u u"
    )


def holds(cell):
    """On sums that are as bad as they can be, and on random ones."""
    bad = 1 + STEP - 2.0**-23
    generator = random.Random(11)
    for length in (1, 10, 1000):
        for kind in ("bad", "random"):
            weights = [bad if kind == "bad" else generator.gauss(0, 1) for _ in range(length)]
            inputs = [bad if kind == "bad" else generator.gauss(0, 1) for _ in range(length)]
            weights, inputs = (
                [cell["float_of"](cell["bits_of"](x)) for x in row] for row in (weights, inputs)
            )
            exact = math.fsum(w * x for w, x in zip(weights, inputs, strict=True))
            for name, u in (("cut_off", STEP), ("nearest", STEP / 2)):
                take = cell[name]
                off = abs(math.fsum(take(w) * take(x) for w, x in zip(weights, inputs, strict=True)) - exact)
                limit = cell["bound"](weights, inputs, u)
                assert off <= limit, f"{name}, {length} {kind} products: off by {off:.3g}, bound {limit:.3g}"


exercise = Exercise(
    title="TF32 by hand",
    goal="cut a float off to TF32, round it to the nearest TF32 number, and bound the error of a sum",
    kind="python",
    hints=[
        "0x1FFF has its last 13 bits set. ~0x1FFF has all the others. A bitwise and, &, keeps these.",
        "To round a decimal number to whole ones you may add a half and cut off. Here the half is half of the"
        " last bit that stays: bit 12, 0x1000. The sign is a bit of its own: this works below 0, too.",
        "From 1 to 2 TF32 has a number every 2^-10. Cutting off may lose nearly all of such a step; rounding"
        " to the nearest is never off by more than half of it.",
        "(1 + u)(1 + u) is 1 + 2u + u². In the worst case all errors point the same way, so add the"
        " magnitudes of the products.",
    ],
    checks=[
        ("cut off", cuts),
        ("nearest", rounds),
        ("halfway: away from zero", halfway),
        ("a carry into the exponent", carries),
        ("the largest relative errors", largest),
        ("the bound of a sum", bounds),
        ("no sum is over its bound", holds),
    ],
    starter_fails="cut off: cut_off(1.0000001192092896)",
    wrong=[
        Wrong(
            "12 bits cut off",
            replace={"float_of(bits_of(x) & ~0x1FFF)": "float_of(bits_of(x) & ~0x0FFF)"},
            because="cut off: cut_off(",
        ),
        Wrong(
            "the bits kept that should go",
            replace={"float_of(bits_of(x) & ~0x1FFF)": "float_of(bits_of(x) & 0x1FFF)"},
            because="cut off: cut_off(1.0)",
        ),
        Wrong(
            "rounded before it is cut off",
            replace={"float_of(bits_of(x) & ~0x1FFF)": "float_of(bits_of(x) + 4096 & ~0x1FFF)"},
            because="cut off: cut_off(",
        ),
        Wrong(
            "nearest cuts off",
            replace={"bits_of(x) + 0x1000 & ~0x1FFF": "bits_of(x) & 0xFFFFE000"},
            because="nearest: nearest(1.000732421875)",
        ),
        Wrong(
            "adds a whole step",
            replace={"bits_of(x) + 0x1000": "bits_of(x) + 0x2000"},
            because="nearest: nearest(",
        ),
        Wrong(
            "ties towards zero",
            replace={"bits_of(x) + 0x1000": "bits_of(x) + 0x0FFF"},
            because="halfway: away from zero: nearest(1.00048828125)",
        ),
        Wrong(
            "ties to even",
            replace={"bits_of(x) + 0x1000": "bits_of(x) + 0x0FFF + (bits_of(x) >> 13 & 1)"},
            because="halfway: away from zero: nearest(1.00048828125)",
        ),
        Wrong(
            "the exponent kept",
            replace={
                "float_of(bits_of(x) + 0x1000 & ~0x1FFF)": "float_of(bits_of(x) & 0xFF800000"
                " | min((bits_of(x) & 0x7FFFFF) + 0x1000, 0x7FFFFF) & ~0x1FFF)"
            },
            because="a carry into the exponent",
        ),
        Wrong("half a step for both", replace={"CUT_OFF = 2**-10": "CUT_OFF = 2**-11"}, because="CUT_OFF"),
        Wrong(
            "the fraction's bits less one",
            replace={"NEAREST = 2**-11": "NEAREST = 2**-10"},
            because="NEAREST",
        ),
        Wrong(
            "errors that cancel",
            replace={
                "sum(abs(w * x) for": "abs(sum(w * x for",
                "strict=True))": "strict=True)))",
            },
            because="the bound of a sum",
        ),
        Wrong("one factor's error", replace={"(2 * u + u * u)": "u"}, because="the bound of a sum"),
    ],
)
