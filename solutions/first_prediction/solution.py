# moving_average of 1,000 numbers, launched in blocks of 256 threads
# >>> gap (3 lines): replace each ... by your number
blocks = 4
threads = 1024
idle = 26
# === starter
blocks = ...  # how many blocks are launched?
threads = ...  # how many threads is that in all?
idle = ...  # how many of them do nothing?
# <<< gap
