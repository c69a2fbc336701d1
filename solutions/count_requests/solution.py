# conv2d_naive on input 2x8x64x64, weight 8x8x3x3, padding 1: 64 x 64 outputs, blocks of 32 x 8 threads
# >>> gap (3 lines): replace each ... by your number
warps = 2048
loads_per_thread = 144
requests = 291840
# === starter
warps = ...  # how many warps have outputs?
loads_per_thread = ...  # inside the image, how often does one thread load from input or weight?
requests = ...  # how many load requests do all warps make together?
# <<< gap
