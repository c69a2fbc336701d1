"""Which of five tiles suits a layer: its waste at the edges, its warps, its wavefronts."""

from types import SimpleNamespace

from utils.exercise.spec import Exercise, Wrong

PLAIN = {"K": 32, "P": 8, "Q": 32, "threads": 128, "registers": 96, "wavefronts": 0.1875}
ODD = {"K": 5, "P": 3, "Q": 7, "threads": 64, "registers": 128, "wavefronts": 0.5}


def tile(**changes):
    return SimpleNamespace(**{**PLAIN, **changes})


def close(actual, expected, what):
    number = isinstance(actual, (int, float))
    assert number, f"{what} should be a number, not {actual!r}"
    assert abs(actual - expected) <= 1e-6 * expected, f"{what} is {actual:.6g}, expected {expected:.6g}"


def useful_whole(cell):
    close(cell["useful"](tile(), 64, 16, 64), 1, "useful of 64 x 16 x 64 outputs in blocks of 32 x 8 x 32")


def useful_part(cell):
    for sizes, part in (((32, 8, 55), 55 / 64), ((96, 55, 55), 55 / 56 * 55 / 64), ((1, 8, 32), 1 / 32)):
        close(cell["useful"](tile(), *sizes), part, f"useful of {sizes} outputs in blocks of 32 x 8 x 32")
    close(cell["useful"](tile(**ODD), 6, 3, 8), 6 * 8 / (10 * 14), "useful of (6, 3, 8) in 5 x 3 x 7")


def warps(cell):
    expected = ((96, 128, 20), (200, 256, 8), (24, 256, 64), (128, 64, 16), (250, 288, 0))
    for registers, threads, number in expected:
        what = f"warps of {registers} registers a thread and {threads} threads a block"
        seen = cell["warps"](tile(registers=registers, threads=threads))
        assert seen == number, f"{what}: {seen!r}, expected {number}"


def cycles(cell):
    what = "cycles of a tile with {} wavefronts a product, of whose outputs {}"
    close(cell["cycles"](tile(), 32, 8, 32), 0.25, what.format(0.1875, "all exist"))
    close(cell["cycles"](tile(wavefronts=0.5), 32, 8, 32), 0.5, what.format(0.5, "all exist"))
    close(cell["cycles"](tile(wavefronts=0.5), 32, 8, 8), 2, what.format(0.5, "a quarter exists"))


def chooses(cell):
    tiles = {"whole": tile(), "half idle": tile(Q=64), "too few warps": tile(K=64, registers=240)}
    for order in (list(tiles), list(tiles)[::-1]):
        chosen = cell["best"]({name: tiles[name] for name in order}, 64, 8, 32)
        assert chosen == "whole", f"best chose {chosen!r} of {', '.join(order)}; 'whole' takes fewest cycles"
    greedy = {"wasteful": tile(wavefronts=0.1), "twelve": tile(P=4, threads=96, registers=160)}
    chosen = cell["best"](greedy, 32, 4, 32)
    assert chosen == "twelve", f"best chose {chosen!r}; a tile of which exactly 12 warps fit is allowed"


def layers(cell):
    expected = {"alexnet_conv1": "8 x 8, wide", "resnet_3x3_7": "8 x 2, square", "blur": "1 x 8, wide"}
    for layer, name in expected.items():
        chosen = cell["best"](cell["TILES"], *cell["LAYERS"][layer])
        assert chosen == name, f"for {layer} best chose {chosen!r}, expected {name!r}"


exercise = Exercise(
    title="Which tile for which layer?",
    goal="compute, for five tiles and any layer, what is wasted, what fits and what is fastest by the count",
    kind="python",
    hints=[
        "55 columns in blocks of 32 are 64 computed ones: 55 / 64 of them are of use. Do so for K, P and Q.",
        "Rounding up without floats: -(-K // tile.K) blocks, which compute tile.K channels each.",
        "A block takes registers * threads of the 65,536, as a whole. It has threads // 32 warps.",
        "Arithmetic and wavefronts run side by side, so the slower one counts: max(0.25, tile.wavefronts)."
        " If half of the outputs are of use, a useful product costs twice as much.",
    ],
    checks=[
        ("whole blocks waste nothing", useful_whole),
        ("parts of blocks", useful_part),
        ("warps beside their registers", warps),
        ("cycles of a useful product", cycles),
        ("the best of those that fit", chooses),
        ("three layers", layers),
    ],
    starter_fails="parts of blocks: useful of (32, 8, 55) outputs in blocks of 32 x 8 x 32 is 1",
    wrong=[
        Wrong(
            "columns alone",
            replace={"return K * P * Q / computed": "return Q / (blocks[2] * tile.Q)"},
            because="parts of blocks: useful of (96, 55, 55)",
        ),
        Wrong(
            "rounds down",
            replace={
                "-(-K // tile.K), -(-P // tile.P), -(-Q // tile.Q)": "K // tile.K, P // tile.P, Q // tile.Q"
            },
            because="runs: ZeroDivisionError",
        ),
        Wrong(
            "parts of blocks on a multiprocessor",
            replace={
                "    blocks = 65536 // (tile.registers * tile.threads)\n": "",
                "blocks * tile.threads // 32, 64)": "65536 // tile.registers // 32, 64)",
            },
            because="warps of 96 registers a thread and 128 threads a block: 21",
        ),
        Wrong(
            "room for warps forgotten",
            replace={"min(blocks * tile.threads // 32, 64)": "blocks * tile.threads // 32"},
            because="warps of 24 registers",
        ),
        Wrong(
            "threads for warps",
            replace={"min(blocks * tile.threads // 32, 64)": "min(blocks * tile.threads, 64)"},
            because="warps of 96 registers a thread and 128 threads a block: 64",
        ),
        Wrong(
            "arithmetic and wavefronts added",
            replace={"max(0.25, tile.wavefronts)": "(0.25 + tile.wavefronts)"},
            because="cycles of a useful product: ",
        ),
        Wrong(
            "waste makes it cheaper",
            replace={") / useful(tile, K, P, Q)": ") * useful(tile, K, P, Q)"},
            because="of whose outputs a quarter exists",
        ),
        Wrong(
            "takes tiles that leave too few warps",
            replace={" if warps(tile) >= 12]": "]"},
            because="the best of those that fit: ",
        ),
        Wrong("twelve is not enough", replace={">= 12": "> 12"}, because="exactly 12 warps fit is allowed"),
        Wrong(
            "the slowest", replace={"return min(fitting": "return max(fitting"}, because="takes fewest cycles"
        ),
    ],
)
