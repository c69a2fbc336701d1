# Pairs (p, r): output row p reads input row h by the filter's row r. Write the pairs of a row in the order
# of r, for instance ((9, 0), (8, 1)); a single pair as ((9, 0),).
# Layer A: H = 12, R = 3, stride 2, padding 1, dilation 1, so P = 6.
# Layer B: H = 14, R = 3, stride 3, padding 2, dilation 2, so P = 5.
# Layer C, AlexNet's first: H = 224, R = 11, stride 4, padding 2, dilation 1, so P = 55.
# >>> gap (7 lines): replace each ... by pairs, or by a number
row_4_of_A = ((2, 1),)
row_5_of_A = ((3, 0), (2, 2))
row_0_of_B = ((0, 1),)
row_5_of_B = ((1, 2),)
row_100_of_C = ((25, 2), (24, 6), (23, 10))
row_221_of_C = ((54, 7),)
rows_without = 6
# === starter
row_4_of_A = ...
row_5_of_A = ...
row_0_of_B = ...
row_5_of_B = ...
row_100_of_C = ...
row_221_of_C = ...
rows_without = ...  # how many of A's 12 rows get no gradient if its dilation and padding are 2 (P = 6)
# <<< gap
