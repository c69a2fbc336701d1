# A warp reads a shared array of floats, lane 0 to 31. How many wavefronts does the request take?
# >>> gap (8 lines): replace each ... by your number
stride_2 = 2
stride_3 = 1
stride_6 = 2
stride_12 = 4
column_of_32 = 32
column_of_33 = 1
broadcast = 1
four_each = 4
# === starter
stride_2 = ...  # lane i reads a[2 * i]
stride_3 = ...  # lane i reads a[3 * i]
stride_6 = ...  # lane i reads a[6 * i]
stride_12 = ...  # lane i reads a[12 * i]
column_of_32 = ...  # float a[32][32]: lane i reads a[i][5]
column_of_33 = ...  # float a[32][33]: lane i reads a[i][5]
broadcast = ...  # all lanes read a[77]
four_each = ...  # lane i reads the 16 bytes of a[4 * i] to a[4 * i + 3] in one instruction
# <<< gap
