# conv1d_dilated: input 64 x 64 x 524,280, 128 filters of 3 taps, stride 3, dilation 4, no padding, float32.
# An H200: 51 TFLOP/s in fp32, 4.3 TB/s. (T is 10^12, G is 10^9.)
# >>> gap (6 lines): replace each ... by your number or word
length = 174758
gflop = 549.74
gigabytes = 14.316
intensity = 38.4
limit = "arithmetic"
floor_ms = 10.78
# === starter
length = ...  # outputs along the length
gflop = ...  # billions of multiplications and additions
gigabytes = ...  # input, weight and output, each once
intensity = ...  # operations per byte
limit = ...  # "arithmetic" or "memory"
floor_ms = ...  # the least time that the layer can take in fp32
# <<< gap
