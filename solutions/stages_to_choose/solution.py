from dataclasses import dataclass


@dataclass(frozen=True)
class Tile:
    """What a block computes, K channels x pixels, `taps` of them in a step, and what that takes."""

    K: int
    pixels: int
    taps: int
    threads: int  # of a block
    registers: int  # of a thread


@dataclass(frozen=True)
class GPU:
    """A GPU's multiprocessors, and what each has; all have 65,536 registers. Bytes of shared memory."""

    multiprocessors: int
    products: int  # of float32, in a cycle
    shared: int
    most_shared: int  # of one block
    warps: int
    capability: int  # 75 is compute capability 7.5; cp.async came with 8.0


def stage_bytes(tile):
    """Bytes of shared memory of one stage: a step's weights and inputs."""
    # >>> gap (1 line): numbers of a step, 4 bytes each
    return (tile.K + tile.pixels) * tile.taps * 4
    # === starter
    return 0
    # <<< gap


def blocks(tile, stages, gpu, grid):
    """Blocks that a multiprocessor works on at a time, of a grid with so many; 0 if none fits.

    A block takes registers, warps, and its stages' shared memory and 1,024 bytes more (none
    on a T4: leave that aside). A grid is dealt out evenly: count those of the multiprocessor with the fewest,
    but at least one.
    """
    # >>> gap (6 lines): how many fit beside registers, warps, shared memory? And how many are there?
    taken = stages * stage_bytes(tile)
    if taken > gpu.most_shared:
        return 0
    fitting = [65536 // (tile.registers * tile.threads), gpu.warps * 32 // tile.threads]
    fitting.append(gpu.shared // (taken + 1024))
    return min(*fitting, max(grid // gpu.multiprocessors, 1))
    # === starter
    return 1
    # <<< gap


def round_cycles(tile, gpu, count):
    """Cycles in which a multiprocessor makes the products of one step of each of `count` blocks.

    It has four schedulers, each with a quarter of its products a cycle, and a warp belongs to one of them:
    with fewer than four warps some have nothing to do. 0 for no block.
    """
    # >>> gap (4 lines): all products of the round, divided by those that the warps can make in a cycle
    if count == 0:
        return 0
    schedulers = min(count * tile.threads // 32, 4)
    return count * tile.K * tile.pixels * tile.taps / (gpu.products * schedulers / 4)
    # === starter
    return 1
    # <<< gap


def hidden_by(tile, gpu, stages, count, latency):
    """What hides a latency, in cycles, where a multiprocessor has `count` blocks.

    "blocks" if, while a block waits, a step of each of the others takes as long. Else "stages" if copies that
    are started `stages` - 1 steps ahead are there in time: so many rounds of all blocks. Else "nothing".
    """
    # >>> gap (5 lines): compare the latency with the others' work, then with the rounds that lie ahead
    if round_cycles(tile, gpu, count - 1) >= latency:
        return "blocks"
    if (stages - 1) * round_cycles(tile, gpu, count) >= latency:
        return "stages"
    return "nothing"
    # === starter
    return "nothing"
    # <<< gap


def choose(tile, gpu, grid, latency):
    """The fewest stages, 2 to 8, with which the latency is hidden; 0 without cp.async, or if none does it."""
    # >>> gap (7 lines): try 2, 3, 4 ... stages, with the blocks that fit beside them
    if gpu.capability < 80:
        return 0
    for stages in range(2, 9):
        count = blocks(tile, stages, gpu, grid)
        if count and hidden_by(tile, gpu, stages, count, latency) != "nothing":
            return stages
    return 0
    # === starter
    return 2
    # <<< gap


GPUS = {
    "T4": GPU(40, 64, 65_536, 65_536, 32, 75),
    "A100": GPU(108, 64, 167_936, 166_912, 64, 80),
    "H200": GPU(132, 128, 233_472, 232_448, 64, 90),
}
LAYERS = {  # the tile, the blocks of the grid
    "alexnet_conv1": (Tile(96, 64, 8, 64, 157), 12_100),
    "resnet_3x3_7": (Tile(128, 64, 16, 128, 127), 196),
    "one image of it": (Tile(64, 64, 8, 64, 127), 8),
}
for layer, (tile, grid) in LAYERS.items():
    print(f"{layer}:")
    for name, gpu in GPUS.items():
        stages = choose(tile, gpu, grid, latency=700)
        count = blocks(tile, max(stages, 2), gpu, grid)
        print(
            f"  {name}: {stages} stages, {count} blocks; hidden by {hidden_by(tile, gpu, stages, count, 700)}"
        )
