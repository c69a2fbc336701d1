"""F(2, 3) as three matrices, and nested: F(2x2, 3x3) summed over channels."""

import numpy as np

from utils.exercise.spec import Exercise, Wrong

SHAPES = {"A_T": (2, 4), "G": (4, 3), "B_T": (4, 4)}


def shapes(cell):
    for name, shape in SHAPES.items():
        seen = np.shape(cell[name])
        assert seen == shape, (
            f"{name} has shape {seen}, expected {shape}: four products, made of 4 inputs and 3 taps, give 2"
            " outputs"
        )
        assert np.asarray(cell[name], float).any(), f"{name} is all zeros: fill it in"


def close(actual, expected, what):
    actual = np.asarray(actual, float)
    assert actual.shape == np.shape(expected), (
        f"{what} has shape {actual.shape}, expected {np.shape(expected)}"
    )
    wrong = ~(np.abs(actual - expected) <= 1e-12 * (1 + np.abs(expected).max()))
    assert not wrong.any(), f"{what} is {actual.tolist()}, expected {np.asarray(expected).tolist()}"


def each_pair(cell):
    """Both transforms are linear: what is right for every pair of unit vectors is right for all numbers."""
    for i in range(4):
        for j in range(3):
            d, g = np.eye(4)[i], np.eye(3)[j]
            expected = [float(i == q + j) for q in range(2)]
            close(cell["one_row"](d, g), expected, f"y for d{i} = g{j} = 1 and all others 0")


def one_channel(cell):
    for i in range(16):
        for j in range(9):
            d, g = np.eye(16)[i].reshape(1, 4, 4), np.eye(9)[j].reshape(1, 3, 3)
            expected = [[float((i // 4, i % 4) == (p + j // 3, q + j % 3)) for q in (0, 1)] for p in (0, 1)]
            what = f"tile, one channel, for d[{i // 4}, {i % 4}] = g[{j // 3}, {j % 3}] = 1 and all others 0,"
            close(cell["tile"](d, g), expected, what)


def channels(cell):
    rng = np.random.default_rng(1)
    for C in (2, 7):
        d, g = rng.standard_normal((C, 4, 4)), rng.standard_normal((C, 3, 3))
        expected = [[(d[:, p : p + 3, q : q + 3] * g).sum() for q in range(2)] for p in range(2)]
        kept = d.copy(), g.copy()
        close(cell["tile"](d, g), expected, f"tile of {C} channels")
        assert (d == kept[0]).all() and (g == kept[1]).all(), "tile changes its inputs"


class Counted(np.ndarray):
    """A matrix that counts how many matrices it is multiplied with."""

    def __array_ufunc__(self, ufunc, method, *inputs, **keywords):
        plain = [np.asarray(x) if isinstance(x, np.ndarray) else x for x in inputs]
        result = getattr(ufunc, method)(*plain, **keywords)
        if ufunc is np.matmul:
            COUNTS[self.shape] = COUNTS.get(self.shape, 0) + int(np.prod(np.shape(result)[:-2]))
        return result


COUNTS: dict = {}


def with_matrix(tile, name, change, channels):
    """What tile gives for random numbers with one of the three matrices changed."""
    kept = tile.__globals__[name]
    tile.__globals__[name] = change(np.asarray(kept, float))
    try:
        rng = np.random.default_rng(2)
        return tile(rng.standard_normal((channels, 4, 4)), rng.standard_normal((channels, 3, 3)))
    finally:
        tile.__globals__[name] = kept


def by_the_matrices(cell):
    """Each matrix stands on both sides: twice the matrix, four times the result."""
    tile = cell["tile"]
    usual = with_matrix(tile, "G", lambda matrix: matrix, 2)
    for name in SHAPES:
        grown = with_matrix(tile, name, lambda matrix: 2 * matrix, 2)
        assert np.allclose(grown, 4 * np.asarray(usual)), (
            f"with 2 {name} in place of {name}, tile gives {np.asarray(grown).round(3).tolist()}, not four"
            f" times {np.asarray(usual).round(3).tolist()}: it should use {name} from both sides"
        )


def back_once(cell):
    COUNTS.clear()
    result = with_matrix(cell["tile"], "A_T", lambda matrix: matrix.view(Counted), 3)
    assert np.shape(result) == (2, 2), f"tile gives {np.shape(result)}, expected (2, 2)"
    used = max(COUNTS.get((2, 4), 0), COUNTS.get((4, 2), 0))
    assert used <= 1, (
        f"A_T is applied to {used} matrices for 3 channels. Transforming back is linear: sum the products"
        " over the channels first, then one is left"
    )


exercise = Exercise(
    title="Winograd's matrices",
    goal="write F(2, 3) as three matrices, and nest them: 2 x 2 outputs from 16 products a channel",
    kind="python",
    hints=[
        "A row of B_T says how one of the four factors m0 to m3 is made of d0, d1, d2, d3. The first one is"
        " d0 - d2: a 1, a 0, a -1, a 0.",
        "G has the other factor of each m as a row, over g0, g1, g2. A_T has a row for each output, over m0"
        " to m3; y1 takes m2 with a minus.",
        "M @ x transforms the columns of a matrix x, x @ M.T its rows. Do both: M @ x @ M.T. With C matrices"
        " in one array, @ works on the last two dimensions, so that nothing changes.",
        "u and v are C x 4 x 4 then. u * v multiplies element by element, .sum(axis=0) adds the channels."
        " Only then transform back, with A_T from both sides.",
    ],
    checks=[
        ("shapes", shapes),
        ("a row, all pairs of units", each_pair),
        ("a tile of one channel", one_channel),
        ("a tile of many channels", channels),
        ("made of the three matrices", by_the_matrices),
        ("transforms back once", back_once),
    ],
    starter_fails="shapes: A_T is all zeros",
    wrong=[
        Wrong(
            "halves forgotten",
            replace={"[1 / 2, 1 / 2, 1 / 2]": "[1, 1, 1]", "[1 / 2, -1 / 2, 1 / 2]": "[1, -1, 1]"},
            because="a row, all pairs of units: y for d1 = g0 = 1",
        ),
        Wrong("minus in the last row", replace={"[0, 1, -1, 1]": "[0, 1, -1, -1]"}, because="y for d1 = g2"),
        Wrong("d1 - d2", replace={"[0, -1, 1, 0]": "[0, 1, -1, 0]"}, because="a row, all pairs of units"),
        Wrong(
            "A in place of its transpose",
            replace={"[[1, 1, 1, 0], [0, 1, -1, 1]]": "[[1, 0], [1, 1], [1, -1], [0, 1]]"},
            because="runs: ValueError",
        ),
        Wrong("rows alone", replace={"v = B_T @ d @ B_T.T": "v = B_T @ d"}, because="a tile of one channel"),
        Wrong(
            "the filter the other way round",
            replace={"u = G @ g @ G.T": "u = G @ g.transpose(0, 2, 1) @ G.T"},
            because="tile, one channel, for d[0, 1] = g[0, 1] = 1",
        ),
        Wrong(
            "not transposed on the right",
            replace={"v = B_T @ d @ B_T.T": "v = B_T @ d @ B_T"},
            because="a tile of one channel",
        ),
        Wrong(
            "the first channel alone",
            replace={"(u * v).sum(axis=0)": "(u * v)[0]"},
            because="tile of 2 channels",
        ),
        Wrong(
            "a matrix product of u and v", replace={"(u * v)": "(u @ v)"}, because="a tile of one channel: "
        ),
        Wrong(
            "transforms back every channel",
            replace={
                "return A_T @ (u * v).sum(axis=0) @ A_T.T": "return sum(A_T @ m @ A_T.T for m in u * v)"
            },
            because="A_T is applied to 3 matrices",
        ),
        Wrong(
            "transforms back all channels, then sums",
            replace={
                "return A_T @ (u * v).sum(axis=0) @ A_T.T": "return (A_T @ (u * v) @ A_T.T).sum(axis=0)"
            },
            because="A_T is applied to 3 matrices",
        ),
        Wrong(
            "nine products for each output",
            replace={
                "return A_T @ (u * v).sum(axis=0) @ A_T.T": (
                    "windows = [[d[:, p : p + 3, q : q + 3] for q in (0, 1)] for p in (0, 1)]\n"
                    "    return np.array([[(window * g).sum() for window in row] for row in windows])"
                )
            },
            because="made of the three matrices: with 2 A_T in place of A_T",
        ),
    ],
)
