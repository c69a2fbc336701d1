from dataclasses import dataclass


@dataclass(frozen=True)
class Layer:
    """A convolution's sizes, as everywhere: input C x H x W, filter R x S, output P x Q."""

    C: int
    H: int
    W: int
    R: int
    S: int
    P: int
    Q: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1


def entry_of(layer, tap):
    """What a row of the matrix needs: (offset, h, w) of tap 0, 1, ..., C R S - 1.

    How far the tap's input lies behind the first input of the window: by how many numbers of the input in
    memory, by how many rows of the image, by how many columns.
    """
    # >>> gap (5 lines): decode the tap into c, r, s; then its rows and columns; then its numbers
    c = tap // (layer.R * layer.S)
    r = tap // layer.S % layer.R
    s = tap % layer.S
    h, w = r * layer.dilation, s * layer.dilation
    return (c * layer.H + h) * layer.W + w, h, w
    # === starter
    return 0, 0, 0
    # <<< gap


def corner_of(layer, column):
    """What a column of the matrix needs: (first, top, left) of pixel 0, 1, ..., N P Q - 1.

    The window's first input, in channel 0: its index in the input, its row and its column in the image. All
    three can be negative, where the window begins in the padding.
    """
    # >>> gap (6 lines): decode the column into n, p, q; then the row and the column; then the index
    n = column // (layer.P * layer.Q)
    p = column // layer.Q % layer.P
    q = column % layer.Q
    top = p * layer.stride - layer.padding
    left = q * layer.stride - layer.padding
    return n * layer.C * layer.H * layer.W + top * layer.W + left, top, left
    # === starter
    return 0, 0, 0
    # <<< gap


def index_of(layer, entry, corner):
    """The index in the input of one place of the matrix; None where the place is padding.

    This is all that a kernel's loop does, so no division here.
    """
    offset, h, w = entry
    first, top, left = corner
    # >>> gap (2 lines): is it inside of the image? Where is it?
    inside = 0 <= top + h < layer.H and 0 <= left + w < layer.W
    return first + offset if inside else None
    # === starter
    return first
    # <<< gap


drawn = Layer(C=2, H=4, W=5, R=3, S=3, P=4, Q=5, padding=1)  # of the picture above; its column 7, its row 8
print([index_of(drawn, entry_of(drawn, tap), corner_of(drawn, 7)) for tap in range(18)])
print([index_of(drawn, entry_of(drawn, 8), corner_of(drawn, pixel)) for pixel in range(20)])
