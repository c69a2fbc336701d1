from dataclasses import dataclass


@dataclass(frozen=True)
class Tile:
    """What a block computes, K x P x Q outputs, with how many threads, and what that costs."""

    K: int
    P: int
    Q: int
    threads: int  # of a block
    registers: int  # of a thread
    wavefronts: float  # of shared loads, for a product of a warp


def useful(tile, K, P, Q):
    """The part of the computed outputs that exists: 1 if K x P x Q outputs are whole blocks."""
    # >>> gap (3 lines): round K, P and Q up to whole blocks; divide what exists by what is computed
    blocks = -(-K // tile.K), -(-P // tile.P), -(-Q // tile.Q)
    computed = blocks[0] * tile.K * blocks[1] * tile.P * blocks[2] * tile.Q
    return K * P * Q / computed
    # === starter
    return 1.0
    # <<< gap


def warps(tile):
    """The warps that a multiprocessor holds beside their registers: it has 65,536, and room for 64 warps."""
    # >>> gap (2 lines): how many blocks fit? Then count their warps
    blocks = 65536 // (tile.registers * tile.threads)
    return min(blocks * tile.threads // 32, 64)
    # === starter
    return 64
    # <<< gap


def cycles(tile, K, P, Q):
    """Cycles of a multiprocessor for one product of a warp that is of use."""
    # >>> gap (1 line): a quarter for the arithmetic, or the wavefronts if more; divided by what is useful
    return max(0.25, tile.wavefronts) / useful(tile, K, P, Q)
    # === starter
    return 0.25
    # <<< gap


def best(tiles, K, P, Q):
    """The name of the tile with the fewest cycles among those of which 12 warps or more fit."""
    # >>> gap (2 lines): leave out tiles with fewer warps; take the smallest of the others
    fitting = [name for name, tile in tiles.items() if warps(tile) >= 12]
    return min(fitting, key=lambda name: cycles(tiles[name], K, P, Q))
    # === starter
    return next(iter(tiles))
    # <<< gap


#                           K   P   Q  threads  registers  wavefronts
TILES = {
    "16 x 8, wide": Tile(64, 8, 32, 128, 184, 16 / 128),
    "8 x 8, wide": Tile(32, 8, 32, 128, 96, 12 / 64),
    "4 x 4, wide": Tile(16, 4, 32, 128, 48, 6 / 16),
    "8 x 2, square": Tile(32, 8, 8, 128, 48, 6 / 16),
    "1 x 8, wide": Tile(1, 32, 64, 256, 40, 9 / 8),
}
LAYERS = {"alexnet_conv1": (96, 55, 55), "resnet_3x3_7": (512, 7, 7), "blur": (1, 4096, 4096)}
for layer, sizes in LAYERS.items():
    print(f"{layer}: {best(TILES, *sizes)}")
