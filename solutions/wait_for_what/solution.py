# >>> gap (7 lines): replace each ... by a number, in the order of the comments
wait_first = (0, 1, 2)
copy_first = (1, 2, 3)
barriers = (1, 2)
groups = (48, 24)
shared = (8_192, 15_360, 49_152)
memory = (2_720, 4_895, 11_024)
arithmetic = (11_200, 9_333, 8_400)
# === starter
# The n of wait_for_copies<n>, which lets the latest n groups be under way. With 2, 3 and 4 stages:
wait_first = (..., ..., ...)  # a step is: wait, barrier, copy (one group, the stage that is free), multiply
copy_first = (..., ..., ...)  # a step is: copy (one group), wait, barrier, multiply, and what else it needs
barriers = (..., ...)  # of a step: in the first order, and in the second
groups = (..., ...)  # that a thread commits in all: 46 steps with 3 stages; 23 steps with 2 stages
shared = (..., ..., ...)  # bytes of a block: 64 x 64, 8 taps, 2 stages; 96 x 64, 8, 3; 128 x 64, 16, 4
# Bytes that must be under way on each SM, by Little's law. For a memory that is never idle, if a load takes
# 340 ns: T4 (320 GB/s, 40 SMs), A100 (1,555 GB/s, 108 SMs), H200 (4,280 GB/s, 132 SMs):
memory = (..., ..., ...)
# For 128 products in every cycle, if a copy takes 700 cycles: blocks of 64 x 64, 96 x 64, 128 x 64:
arithmetic = (..., ..., ...)
# <<< gap
