# The claim: "up to 5x faster than nn.Conv2d". The table above: the repaired design, measured.
# A claim of speed needs some of these: a) the GPU; b) the layer's shape; c) the number of threads a block;
# d) what it was compared with, in which precision; e) that the timed results were right;
# f) the lines of code; g) warm-up, and how the samples spread; h) that the code is in CUDA C++
# >>> gap (4 lines): replace each ... by your answer
measured = 0
slower = 9.3
flag = "nothing"
needed = "abdeg"
# === starter
measured = ...  # how many of the pull request's statements about speed come with a measurement?
slower = ...  # how many times cuDNN's time does the repaired design take in fp32? 10% off is near enough
flag = ...  # what does extra_cflags=[""] do: "faster code", "nothing" or "an error"?
needed = ...  # which of a to h, as one word in alphabetical order, like "ach"
# <<< gap
