# mma.m16n8k8 adds a (16 x 8) times b (8 x 8) to sum (16 x 8). Lane 22 of 32: what does it hold?
# Each element as (row, column) of its own matrix, in the order in which ptx.h names them.
# >>> gap (6 lines): replace each ... by your answer
a = ((5, 2), (13, 2), (5, 6), (13, 6))
b = ((2, 5), (6, 5))
sums = ((5, 4), (5, 5), (13, 4), (13, 5))
products = 512
per_mma = 1
unswizzled = 8
# === starter
a = (..., ..., ..., ...)
b = (..., ...)
sums = (..., ..., ..., ...)
# A block of conv2d_mma: 128 pixels x 128 channels, steps of 32 taps, 4 warps of 64 pixels x 64 channels.
products = ...  # mma instructions of the block for a step
# A ldmatrix.x4 loads all of a for 16 pixels, or b for 16 channels, and 8 taps.
per_mma = ...  # wavefronts of ldmatrix for an mma, if no two rows of a matrix meet in a bank
unswizzled = ...  # the same without the swizzle: rows of 128 bytes, one below the other
# <<< gap
