import struct


def bits_of(x):
    """The 32 bits of a float32, as a whole number: sign, 8 bits of exponent, 23 of fraction."""
    return struct.unpack("<I", struct.pack("<f", x))[0]


def float_of(bits):
    """The float32 that has these bits."""
    return struct.unpack("<f", struct.pack("<I", bits))[0]


def cut_off(x):
    """x as a multiplier of TF32 takes it: of 23 bits of fraction, the last 13 count as 0."""
    # >>> gap (1 line): clear the last 13 bits
    return float_of(bits_of(x) & ~0x1FFF)
    # === starter
    return x
    # <<< gap


def nearest(x):
    """x rounded to the nearest TF32 number; halfway between two, to the one that is larger in magnitude."""
    # >>> gap (1 line): add half of the last bit that stays, then cut off. A carry may run into the exponent
    return float_of(bits_of(x) + 0x1000 & ~0x1FFF)
    # === starter
    return x
    # <<< gap


# A number between 1 and 2: how far off can it be after each? As powers of 2, for instance 2**-5.
# >>> gap (2 lines): two powers of 2
CUT_OFF = 2**-10
NEAREST = 2**-11
# === starter
CUT_OFF = ...
NEAREST = ...
# <<< gap


def bound(weights, inputs, u):
    """How far off a sum of products can be, if each factor is off by at most u, relative to itself.

    The products and their sum are exact.
    """
    # >>> gap (2 lines): w (1 + u) times x (1 + u) is w x (1 + ...), and errors may all point the same way
    magnitude = sum(abs(w * x) for w, x in zip(weights, inputs, strict=True))
    return (2 * u + u * u) * magnitude
    # === starter
    return 0.0
    # <<< gap


for x in (0.1, 1 + 2**-11, -1 - 2**-11, 3.1415927):
    print(f"{x:12.9f}   cut off {cut_off(x):12.9f}   nearest {nearest(x):12.9f}")
