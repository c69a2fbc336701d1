# Tiles of channels x pixels a thread: 1 x 1, 8 x 1, 4 x 4, 8 x 8, 16 x 4. No two lanes meet in a bank.
# Weights come as float4 (two wavefronts for four of them) where there are four or more channels.
# >>> gap (3 lines): replace each ... by a tuple of numbers, in the order of the comments
numbers = (2, 9 / 8, 1 / 2, 1 / 4, 20 / 64)
wavefronts = (128, 40, 24, 12, 12)
warps = (48, 20, 16, 8)
# === starter
numbers = (..., ..., ..., ..., ...)  # read from shared memory, for one product of a thread
wavefronts = (..., ..., ..., ..., ...)  # of shared loads, for 64 products of a warp
# A multiprocessor has 65,536 registers and room for 64 warps. How many warps does it hold of a kernel with
# (registers a thread, threads a block) = (40, 256), (96, 128), (128, 128), (200, 256)?
warps = (..., ..., ..., ...)
# <<< gap
