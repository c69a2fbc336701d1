# resnet_3x3_14 by F(4x4, 3x3): 64 images, 256 channels of 14 x 14, 256 filters of 3 x 3, padding 1, float32.
# An H200: 51 TFLOP/s in fp32, 4.3 TB/s. 1% off is fine.
# >>> gap (8 lines): replace each ... by your numbers or letters
tiles = 1024
billions = 2.416
fewer = 3.0625
v_megabytes = 37.75
product_ms = 0.0947
traffic_ms = 0.0351
per_output = (1, 4, 1)
why_not = ("B", "C", "A")
# === starter
tiles = ...  # of all images together
billions = ...  # multiplications in the 36 matrix products, in 10^9
fewer = ...  # how many times fewer that is than by the definition
v_megabytes = ...  # the size of V, in 10^6 bytes
product_ms = ...  # what the 36 products take at 51 TFLOP/s
traffic_ms = ...  # what V and M cost, each written once and read once, at 4.3 TB/s
per_output = (..., ..., ...)  # multiplications an output and channel: F(4x4, 1x1), F(2x2, 3x3), F(1x1, 1x1)
# Why can F(4x4, 3x3) not gain for a filter of 1 x 1, for stride 2, for one channel and one filter of 3 x 3?
# A: V and M take longer to move than the products saved. B: an output has one product a channel already.
# C: its matrices are made for windows that are one pixel apart.
why_not = (..., ..., ...)
# <<< gap
