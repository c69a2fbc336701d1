# conv2d_naive: 32 lanes along q, from q = 0, no padding. One request of the input touches how many sectors?
# The image's row begins at the start of a sector, unless something else is said.
# >>> gap (6 lines): replace each ... by your number
stride_1 = 4
one_float_off = 5
stride_2 = 8
stride_3 = 12
stride_8 = 32
dilation_2 = 4
# === starter
stride_1 = ...  # stride 1, the filter's first tap
one_float_off = ...  # the same, and the row begins 4 bytes behind the start of a sector
stride_2 = ...  # stride 2, the first tap
stride_3 = ...  # stride 3, the first tap
stride_8 = ...  # stride 8, the first tap
dilation_2 = ...  # stride 1, dilation 2: the filter's fifth tap, s = 4
# <<< gap
