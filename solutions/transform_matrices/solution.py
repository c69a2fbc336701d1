import numpy as np

# F(2, 3): y = A_T @ ((G @ g) * (B_T @ d)) for four inputs d, three taps g and two outputs y.
# >>> gap (3 lines): the three matrices; a row of G and B_T for each line of the recipe, one of A_T for each y
A_T = np.array([[1, 1, 1, 0], [0, 1, -1, 1]])
G = np.array([[1, 0, 0], [1 / 2, 1 / 2, 1 / 2], [1 / 2, -1 / 2, 1 / 2], [0, 0, 1]])
B_T = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, -1, 0, 1]])
# === starter
A_T = np.zeros((2, 4))
G = np.zeros((4, 3))
B_T = np.zeros((4, 4))
# <<< gap


def one_row(d, g):
    """Two outputs of a row: d has 4 numbers, g has 3."""
    return A_T @ ((G @ g) * (B_T @ d))


def tile(d, g):
    """2 x 2 outputs of C channels: d is C x 4 x 4, g is C x 3 x 3. Transforms back once, not C times."""
    # >>> gap (3 lines): transform both sides of both; sum the products over the channels; transform back
    u = G @ g @ G.T
    v = B_T @ d @ B_T.T
    return A_T @ (u * v).sum(axis=0) @ A_T.T
    # === starter
    return np.zeros((2, 2))
    # <<< gap


rng = np.random.default_rng(0)
d, g = rng.standard_normal((5, 4, 4)), rng.standard_normal((5, 3, 3))
direct = [[(d[:, p : p + 3, q : q + 3] * g).sum() for q in range(2)] for p in range(2)]
print("by Winograd:", tile(d, g).round(3).tolist())
print("direct:     ", np.round(direct, 3).tolist())
