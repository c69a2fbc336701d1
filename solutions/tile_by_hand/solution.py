# conv2d_tiled on input 2x3x17x65, weight 4x3x3x3, stride 2, padding 1, dilation 2: 8 x 32 outputs, one block
# for each image and filter. TILE_P = 8, TILE_Q = 32.
# >>> gap (6 lines): replace each ... by your number
rows = 19
columns = 67
bytes_needed = 5092
uses = 1.81
input_requests = 1224
load_requests = 2952
# === starter
rows = ...  # rows of the tile
columns = ...  # columns of the tile
bytes_needed = ...  # shared memory of a block, in bytes
uses = ...  # how often is an element of the tile used, on average? Two decimals
input_requests = ...  # load requests of all blocks for the tiles; a row outside of the image makes none
load_requests = ...  # and with the weights: one request for each product of a warp
# <<< gap
