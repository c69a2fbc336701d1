# >>> gap (6 lines): replace each ... by a number or by a tuple of numbers, in the order of the comments
matrix_bytes = 3 * 11 * 11 * (256 * 55 * 55) * 4
places = (121 / 16, 9, 1)
loaded = (16 * (64 + 128), 16 * (96 + 128), 16 * (128 + 128))
products = (64 * 128 / 192, 96 * 128 / 224, 128 * 128 / 256)
wavefronts = (8 / 64, 10 / 96, 12 / 128)
useful = (96 / 128, 3136 / 3200, 1 / 64)
# === starter
# alexnet_conv1: 256 images of 3 x 224 x 224, 96 filters of 11 x 11, stride 4; output 55 x 55.
matrix_bytes = ...  # of its input matrix, if it were stored as float32
# alexnet_conv1; 3 x 3 with stride 1; 1 x 1 with stride 1. Far from the border:
places = (..., ..., ...)  # of the matrix that hold one input number, on average
# Blocks of 64, of 96 and of 128 channels x 128 pixels. In one step of 16 taps:
loaded = (..., ..., ...)  # numbers that a block loads, weights and inputs together
products = (..., ..., ...)  # that a block makes, for each number loaded
# Threads of 8 x 8, 12 x 8 and 16 x 8. One tap: float4 only, each at 2 wavefronts.
wavefronts = (..., ..., ...)  # of shared loads, for a product of a warp
# Blocks of 64 channels x 128 pixels in one row. alexnet_conv1; 64 images of 7 x 7, 512 channels; blur: one
# image of 4096 x 4096, one channel.
useful = (..., ..., ...)  # the part of the computed outputs that exists
# <<< gap
