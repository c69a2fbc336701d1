# Tiles of channels x pixels a thread: 4 x 1, 4 x 4, 4 x 8, 16 x 4, 16 x 8. No two lanes meet in a bank.
# Weights come as float4: two wavefronts for four of them.
# >>> gap (3 lines): replace each ... by a tuple of numbers, in the order of the comments
numbers = (5 / 4, 8 / 16, 12 / 32, 20 / 64, 24 / 128)
wavefronts = (48, 24, 20, 12, 8)
warps = (32, 24, 16, 8)
# === starter
numbers = (..., ..., ..., ..., ...)  # read from shared memory, for one product of a thread
wavefronts = (..., ..., ..., ..., ...)  # of shared loads, for 64 products of a warp
# A multiprocessor has 65,536 registers and room for 64 warps. How many warps does it hold of a kernel with
# (registers a thread, threads a block) = (56, 256), (80, 128), (128, 128), (200, 256)?
warps = (..., ..., ..., ...)
# <<< gap
