# What changes among the 32 addresses of one request of the input? Answer with a letter in quotes:
#   "a": fewer lanes take part           "b": all addresses move, by the same distance
#   "c": neighbouring lanes move apart   "d": nothing, only the order of the requests changes
# >>> gap (4 lines): replace each ... by a letter, or by a number
dilation = "b"
stride = "c"
used = 1 / 3
load_sectors = 8910
# === starter
dilation = ...  # from dilation 1 to dilation 2
stride = ...  # from stride 1 to stride 2
used = ...  # stride 3: which part of the bytes that a request of the input moves does it use? 1 / 2, say
# conv2d_naive, input 2x3x8x64, weight 5x3x3x3, stride 2, padding 1; each plane has 4 x 32 outputs
load_sectors = ...  # of input and weight together
# <<< gap
