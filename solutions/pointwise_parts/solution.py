# >>> gap (5 lines): True where the part is still needed, False where it falls away
pointwise = (False, False, False, True, True, True)
with_stride = (False, False, True, True, True, True)
one_image = (False, False, False, False, True, True)
matrix = (1.0, 1 / 4)
four_at_once = (True, False)
# === starter
# Six parts of conv2d_gemm, for a 1 x 1 filter. Which are needed, True, and which fall away, False?
#   1. r and s of a tap, and with them the table's h and w
#   2. the two comparisons with H and W
#   3. p and q of a pixel
#   4. n of a pixel
#   5. a bound for pixels beyond the last one
#   6. zeros for channels beyond K and taps beyond C
pointwise = (..., ..., ..., ..., ..., ...)  # stride 1, padding 0, any number of images, any sizes
with_stride = (..., ..., ..., ..., ..., ...)  # stride 2, as in the shortcuts of a ResNet
one_image = (..., ..., ..., ..., ..., ...)  # stride 1, a batch of one
matrix = (..., ...)  # places of the matrix for each number of the input: stride 1; stride 2, even sizes
# Stride 1. May a thread fetch four neighbouring pixels of a row of the matrix as one float4?
four_at_once = (..., ...)  # images of 56 x 56; images of 7 x 7
# <<< gap
