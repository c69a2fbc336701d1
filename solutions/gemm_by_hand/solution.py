# >>> gap (6 lines): replace each ... by a number or by a tuple of numbers, in the order of the comments
matrix_bytes = 64 * 3 * (64 * 174758) * 4
places = (121 / 16, 9, 1)
loaded = (16 * (64 + 128), 16 * (96 + 128), 16 * (128 + 128))
products = (64 * 128 / 192, 96 * 128 / 224, 128 * 128 / 256)
wavefronts = (8 / 64, 10 / 96, 12 / 128)
useful = (96 / 128, 490 / 512, 100 / 128 * 900 / 1024)
# === starter
# conv1d_dilated: N = 64, C = 64, L = 524,280, K = 128, S = 3, stride 3, dilation 4, so Q = 174,758.
matrix_bytes = ...  # of its input matrix, if it were stored as float32, exactly
# 11 x 11 with stride 4, as in alexnet_conv1; 3 x 3 with stride 1; 1 x 1 with stride 1. Far from the border:
places = (..., ..., ...)  # of the matrix that hold one input number, on average
# Blocks of 64, of 96 and of 128 channels x 128 pixels. In one step of 16 taps:
loaded = (..., ..., ...)  # numbers that a block loads, weights and inputs together
products = (..., ..., ...)  # that a block makes, for each number loaded
# Threads of 8 x 8, 12 x 8 and 16 x 8. One tap: float4 only, each at 2 wavefronts.
wavefronts = (..., ..., ...)  # of shared loads, for a product of a warp
# Blocks of 64 channels x 128 pixels in one row, for 96 channels and 256 images of 55 x 55; for 512 channels
# and 10 images of 7 x 7; for 100 channels and one image of 30 x 30:
useful = (..., ..., ...)  # the part of the computed outputs that exists
# <<< gap
