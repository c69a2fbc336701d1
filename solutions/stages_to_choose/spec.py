"""How many stages suit a tile on a GPU: what fits, what hides the latency, and by what."""

from types import SimpleNamespace

from utils.exercise.spec import Exercise, Wrong

TILE = {"K": 64, "pixels": 64, "taps": 8, "threads": 64, "registers": 128}
PLAIN = {
    "multiprocessors": 100,
    "products": 128,
    "shared": 200_000,
    "most_shared": 160_000,
    "warps": 64,
    "capability": 80,
}


def tile(**changes):
    return SimpleNamespace(**{**TILE, **changes})


def gpu(**changes):
    return SimpleNamespace(**{**PLAIN, **changes})


def equal(actual, expected, what):
    assert actual == expected, f"{what} is {actual!r}, expected {expected!r}"


def bytes_of_a_stage(cell):
    equal(cell["stage_bytes"](tile()), 4096, "stage_bytes of 64 x 64, 8 taps")
    equal(cell["stage_bytes"](tile(K=96, taps=16)), 10_240, "stage_bytes of 96 x 64, 16 taps")


def cycles_of_a_round(cell):
    cases = (
        (tile(), gpu(), 2, 512, "two blocks of two warps: 4 schedulers, 128 products a cycle"),
        (tile(), gpu(), 6, 1536, "six blocks"),
        (tile(), gpu(products=64), 2, 1024, "two blocks, 64 products a cycle"),
        (tile(), gpu(), 1, 512, "one block of two warps: 2 schedulers of 4"),
        (tile(threads=128), gpu(), 1, 256, "one block of four warps"),
        (tile(threads=256, taps=16), gpu(), 1, 512, "one block of eight warps, 16 taps"),
        (tile(), gpu(), 0, 0, "no block"),
    )
    for case in cases:
        *arguments, expected, what = case
        equal(cell["round_cycles"](*arguments), expected, f"round_cycles ({what})")


def blocks_that_fit(cell):
    cases = (
        (tile(), 2, gpu(), 10_000, 8, "limited by registers"),
        (tile(registers=24), 2, gpu(warps=32), 10_000, 16, "limited by warps"),
        (tile(K=128, taps=16, threads=128), 4, gpu(), 10_000, 3, "limited by shared memory"),
        (tile(taps=16), 8, gpu(shared=66_560), 10_000, 1, "exactly one, with its 1,024 bytes more"),
        (tile(taps=16), 8, gpu(shared=66_000), 10_000, 0, "65,536 bytes and 1,024 more do not fit"),
        (tile(K=128, taps=32), 7, gpu(), 10_000, 0, "172,032 bytes are more than a block may have"),
        (tile(K=128, taps=32), 6, gpu(most_shared=147_456), 10_000, 1, "exactly what a block may have"),
        (tile(), 2, gpu(), 350, 3, "350 blocks on 100 multiprocessors: 3 or 4 each"),
        (tile(), 2, gpu(), 8, 1, "8 blocks on 100 multiprocessors"),
    )
    for case in cases:
        *arguments, expected, what = case
        equal(cell["blocks"](*arguments), expected, f"blocks ({what})")


def what_hides(cell):
    cases = (
        (tile(), gpu(), 2, 5, 1024, "blocks", "4 others with 256 cycles each, for 1,024"),
        (tile(), gpu(), 2, 5, 1025, "stages", "one round of 5 blocks, 1,280 cycles, for 1,025"),
        (tile(), gpu(), 2, 1, 512, "stages", "one round of 512 cycles, for 512"),
        (tile(), gpu(), 2, 1, 513, "nothing", "one round of 512 cycles, for 513"),
        (tile(), gpu(), 4, 1, 1500, "stages", "three rounds of 512 cycles, for 1,500"),
        (tile(), gpu(), 4, 1, 1600, "nothing", "three rounds of 512 cycles, for 1,600"),
    )
    for case in cases:
        *arguments, expected, what = case
        equal(cell["hidden_by"](*arguments), expected, f"hidden_by ({what})")


def chooses(cell):
    cases = (
        (tile(), gpu(), 10_000, 1000, 2, "8 blocks hide it"),
        (tile(), gpu(), 10, 1000, 3, "one block, two rounds of 512 cycles"),
        (tile(taps=16), gpu(), 10, 1000, 2, "one block, one round of 1,024 cycles"),
        (tile(), gpu(products=64), 10, 1000, 2, "one block, 64 products a cycle"),
        (tile(), gpu(), 10, 3500, 8, "one block, seven rounds of 512 cycles"),
        (tile(), gpu(), 10, 5000, 0, "one block, 5,000 cycles: not even 8 stages"),
        (tile(taps=32), gpu(most_shared=50_000), 10, 5000, 0, "four stages are needed, three fit"),
        (tile(), gpu(capability=75), 10_000, 1000, 0, "a GPU without cp.async"),
    )
    for case in cases:
        *arguments, expected, what = case
        equal(cell["choose"](*arguments), expected, f"choose ({what})")


def layers(cell):
    expected = {"alexnet_conv1": (0, 2, 2), "resnet_3x3_7": (0, 2, 2), "one image of it": (0, 2, 3)}
    for layer, stages in expected.items():
        shape, grid = cell["LAYERS"][layer]
        seen = tuple(cell["choose"](shape, device, grid, 700) for device in cell["GPUS"].values())
        equal(seen, stages, f"choose for {layer} on {', '.join(cell['GPUS'])}")


exercise = Exercise(
    title="How many stages?",
    goal="compute which stage counts fit, which hide the latency, and whether stages or other blocks do it",
    kind="python",
    hints=[
        "A stage holds (K + pixels) * taps numbers. A step of a block makes K * pixels * taps products. A"
        " block has threads // 32 warps; one or two in all leave half or more of the schedulers idle.",
        "Blocks: four limits, and the smallest counts. 65536 // (registers * threads); the warps, 32 threads"
        " each; shared // (stages * stage_bytes + 1024); and what the grid has, grid // multiprocessors, but"
        " at least 1. If the stages are more than most_shared, it is 0.",
        "hidden_by: the others are count - 1 blocks, and do one round. Copies that are started stages - 1"
        " steps ahead have as many rounds of all blocks, as these share the arithmetic.",
        "choose: leave at once where capability is below 80. Then a loop from 2 to 8 that returns the first"
        ' number with which something fits and hidden_by does not say "nothing".',
    ],
    checks=[
        ("bytes of a stage", bytes_of_a_stage),
        ("cycles of a round", cycles_of_a_round),
        ("blocks of a multiprocessor", blocks_that_fit),
        ("what hides the latency", what_hides),
        ("the fewest stages", chooses),
        ("three layers, three GPUs", layers),
    ],
    starter_fails="bytes of a stage: stage_bytes of 64 x 64, 8 taps is 0",
    wrong=[
        Wrong(
            "the product for the sum",
            replace={"(tile.K + tile.pixels) * tile.taps * 4": "tile.K * tile.pixels * tile.taps * 4"},
            because="stage_bytes of 64 x 64, 8 taps is 131072",
        ),
        Wrong(
            "numbers for bytes",
            replace={"* tile.taps * 4": "* tile.taps"},
            because="stage_bytes of 64 x 64, 8 taps is 1024",
        ),
        Wrong(
            "one stage for all",
            replace={"taken = stages * stage_bytes": "taken = stage_bytes"},
            because="blocks (",
        ),
        Wrong(
            "a block's limit forgotten",
            replace={"    if taken > gpu.most_shared:\n        return 0\n": ""},
            because="more than a block may have",
        ),
        Wrong(
            "the 1,024 bytes forgotten",
            replace={"(taken + 1024)": "taken"},
            because="blocks (limited by shared memory) is 4",
        ),
        Wrong(
            "the grid forgotten",
            replace={", max(grid // gpu.multiprocessors, 1))": ")"},
            because="350 blocks on 100 multiprocessors",
        ),
        Wrong(
            "the grid rounded up",
            replace={"max(grid // gpu.multiprocessors, 1)": "-(-grid // gpu.multiprocessors)"},
            because="350 blocks on 100 multiprocessors",
        ),
        Wrong(
            "one block's own work hides its waiting",
            replace={"gpu, count - 1) >=": "gpu, count) >="},
            because="hidden_by (",
        ),
        Wrong(
            "as many rounds as stages",
            replace={"(stages - 1) * round": "stages * round"},
            because="hidden_by (one round of 512 cycles, for 513",
        ),
        Wrong(
            "its own steps alone",
            replace={
                "(stages - 1) * round_cycles(tile, gpu, count)": "(stages - 1) * round_cycles(tile, gpu, 1)"
            },
            because="hidden_by (one round of 5 blocks",
        ),
        Wrong(
            "as many products a cycle on every GPU",
            replace={"/ (gpu.products * schedulers": "/ (128 * schedulers"},
            because="two blocks, 64 products a cycle) is 512",
        ),
        Wrong(
            "every scheduler busy",
            replace={"min(count * tile.threads // 32, 4)": "4"},
            because="one block of two warps: 2 schedulers of 4) is 256",
        ),
        Wrong(
            "a scheduler for every warp",
            replace={"min(count * tile.threads // 32, 4)": "count * tile.threads // 32"},
            because="round_cycles (six blocks",
        ),
        Wrong(
            "cp.async on every GPU",
            replace={"    if gpu.capability < 80:\n        return 0\n": ""},
            because="a GPU without cp.async",
        ),
        Wrong(
            "the 1,024 bytes within a block's limit",
            replace={"if taken > gpu.most_shared": "if taken + 1024 > gpu.most_shared"},
            because="blocks (exactly what a block may have) is 0",
        ),
        Wrong(
            "seven stages at most",
            replace={"range(2, 9)": "range(2, 8)"},
            because="choose (one block, seven rounds of 512 cycles) is 0",
        ),
        Wrong(
            "as many stages as fit",
            replace={"range(2, 9)": "range(8, 1, -1)"},
            because="choose (8 blocks hide it) is 8",
        ),
    ],
)
