# A row of phase f, (h + padding) mod stride = f, is reached by a tap r if stride divides f - r dilation.
# >>> gap (8 lines): replace each ... by your numbers
alexnet = (3, 3, 3, 2)
products = (9, 6, 4)
tries = 33
for_one = 4
dilated = (1, 1, 1)
both_two = (3, 0)
four_and_six = (2, 0, 2, 0)
silent = 0.75
# === starter
alexnet = (..., ..., ..., ...)  # taps of a row's phases 0 to 3: 11 taps, stride 4, dilation 1
products = (..., ..., ...)  # for a pixel of phases (0, 0), (0, 3) and (3, 3): products an output channel
tries = ...  # runs of conv2d_dgrad_naive's innermost loop, for one k and a pixel of phases (0, 0), no edge
for_one = ...  # such runs for one product: add up both over 16 pixels, one of each phase, then divide
dilated = (..., ..., ...)  # taps of phases 0, 1, 2 of conv1d_dilated: 3 taps, stride 3, dilation 4
both_two = (..., ...)  # taps of phases 0 and 1: 3 taps, stride 2, dilation 2
four_and_six = (..., ..., ..., ...)  # 4 taps, stride 4, dilation 6
silent = ...  # 1 x 1 filter, stride 2, no padding, H and W even: what part of the pixels gets no gradient
# <<< gap
