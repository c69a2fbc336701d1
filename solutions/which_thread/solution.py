# conv2d_naive with an output of N=2, K=3, P=20, Q=70: dim3 block(32, 8), grid(3, 3, 6).
# Which thread computes output[n=1, k=2, p=13, q=40]? Both answers as (x, y, z).
# >>> gap (2 lines): replace each ... by a number
block = (1, 1, 5)
thread = (8, 5, 0)
# === starter
block = (..., ..., ...)  # blockIdx
thread = (..., ..., ...)  # threadIdx
# <<< gap
