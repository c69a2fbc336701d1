# An entry of TORCH_CUDA_ARCH_LIST, as a tuple: (major, minor, "a" or "", whether PTX is added).
ENTRIES = {
    "7.5": (7, 5, "", False),
    "8.0": (8, 0, "", False),
    "8.6": (8, 6, "", False),
    "8.6+PTX": (8, 6, "", True),
    "9.0": (9, 0, "", False),
    "9.0+PTX": (9, 0, "", True),
    "9.0a": (9, 0, "a", False),
    "9.0a+PTX": (9, 0, "a", True),
    "12.0": (12, 0, "", False),
}


def has_binary(entry, gpu):
    """Whether the machine code of one entry runs on a GPU of capability `gpu`, (major, minor)."""
    major, minor, letter, _ = ENTRIES[entry]
    # >>> gap (3 lines): the same major version, and no older minor one. With an a: that capability alone
    if letter:
        return gpu == (major, minor)
    return gpu[0] == major and gpu[1] >= minor
    # === starter
    return gpu == (major, minor)
    # <<< gap


def has_ptx(entry, gpu):
    """Whether the driver can compile the entry's PTX for that GPU, the first time that it is used."""
    major, minor, letter, ptx = ENTRIES[entry]
    # >>> gap (3 lines): only if there is PTX; for every GPU that is not older. With the letter a: that one
    if letter:
        return ptx and gpu == (major, minor)
    return ptx and gpu >= (major, minor)
    # === starter
    return ptx
    # <<< gap


def how_it_runs(arch_list, gpu):
    """How a list such as "8.0;9.0+PTX" runs on a GPU: "binary" before "ptx", else "not at all"."""
    # >>> gap (4 lines): ask every entry of the list
    entries = arch_list.split(";")
    if any(has_binary(entry, gpu) for entry in entries):
        return "binary"
    return "ptx" if any(has_ptx(entry, gpu) for entry in entries) else "not at all"
    # === starter
    return "binary" if has_binary(arch_list.split(";")[0], gpu) else "not at all"
    # <<< gap


GPUS = {"T4": (7, 5), "A100": (8, 0), "RTX 4090": (8, 9), "H200": (9, 0), "B200": (10, 0)}
print(f"{'':14}" + "".join(f"{name:>12}" for name in GPUS))
for arch_list in ("8.0", "8.6", "8.0;9.0", "8.0;9.0+PTX", "9.0a", "8.0;9.0a;12.0"):
    print(f"{arch_list:14}" + "".join(f"{how_it_runs(arch_list, gpu):>12}" for gpu in GPUS.values()))
