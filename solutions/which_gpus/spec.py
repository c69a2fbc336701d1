"""Which GPUs a wheel's machine code and PTX run on."""

from utils.exercise.spec import Exercise, Wrong

T4, A100, A10, ADA, H200, B200, RTX5090 = (7, 5), (8, 0), (8, 6), (8, 9), (9, 0), (10, 0), (12, 0)


def of(name, *cases):
    """A check of one function: (arguments, expected) each."""

    def check(cell):
        for *arguments, expected in cases:
            given = cell[name](*arguments)
            said = ", ".join(map(repr, arguments))
            assert given == expected, f"{name}({said}) is {given!r}, expected {expected!r}"

    return check


exercise = Exercise(
    title="Which GPUs can run this wheel?",
    goal="say of a TORCH_CUDA_ARCH_LIST and a GPU: machine code, PTX that the driver compiles, or nothing",
    kind="python",
    hints=[
        "Machine code for 8.0 runs on 8.6 and 8.9, which can do all that 8.0 can. It does not run on 9.0, and"
        " that for 8.6 does not run on 8.0.",
        "PTX is compiled by the driver for the GPU that it finds: any one that is not older. Python compares"
        " tuples from the left: (9, 0) > (8, 6).",
        "With the letter a, instructions of one GPU are used that no other has. It is all or nothing: both"
        " functions then ask for equality.",
        "how_it_runs: arch_list.split(';'), then any(...) over the entries; first for machine code.",
    ],
    checks=[
        (
            "machine code",
            of(
                "has_binary",
                ("8.0", A100, True),
                ("8.0", ADA, True),
                ("8.6", ADA, True),
                ("8.6", A100, False),
                ("8.0", H200, False),
                ("8.0", T4, False),
                ("9.0", ADA, False),
                ("12.0", B200, False),
            ),
        ),
        (
            "PTX",
            of(
                "has_ptx",
                ("9.0+PTX", RTX5090, True),
                ("9.0+PTX", H200, True),
                ("9.0", RTX5090, False),
                ("9.0+PTX", ADA, False),
                ("8.6+PTX", ADA, True),
                ("8.6+PTX", A100, False),
                ("8.6+PTX", H200, True),
            ),
        ),
        (
            "for one GPU alone",
            of(
                "has_binary",
                ("9.0a", H200, True),
                ("9.0a", (9, 1), False),
                ("9.0a", B200, False),
            ),
        ),
        (
            "PTX for one GPU alone",
            of("has_ptx", ("9.0a+PTX", H200, True), ("9.0a+PTX", B200, False), ("9.0a", H200, False)),
        ),
        (
            "a whole list",
            of(
                "how_it_runs",
                ("8.0;9.0+PTX", A100, "binary"),
                ("8.0;9.0+PTX", ADA, "binary"),
                ("8.0;9.0+PTX", H200, "binary"),
                ("8.0;9.0+PTX", RTX5090, "ptx"),
                ("8.0;9.0+PTX", T4, "not at all"),
                ("8.0;9.0", B200, "not at all"),
                ("7.5;8.6+PTX", A100, "not at all"),
                ("8.6+PTX;9.0", H200, "binary"),
                ("8.0;9.0a;12.0", B200, "not at all"),
                ("9.0a+PTX", RTX5090, "not at all"),
            ),
        ),
    ],
    starter_fails="machine code: has_binary('8.0', (8, 9)) is False",
    wrong=[
        Wrong(
            "newer major versions too",
            replace={"gpu[0] == major and gpu[1] >= minor": "gpu >= (major, minor)"},
            because="has_binary('8.0', (9, 0)) is True",
        ),
        Wrong(
            "every GPU of the same major version",
            replace={"gpu[0] == major and gpu[1] >= minor": "gpu[0] == major"},
            because="has_binary('8.6', (8, 0)) is True",
        ),
        Wrong(
            "PTX on older GPUs",
            replace={"return ptx and gpu >= (major, minor)": "return ptx"},
            because="has_ptx('9.0+PTX', (8, 9)) is True",
        ),
        Wrong(
            "PTX on newer GPUs alone",
            replace={"ptx and gpu >= (major, minor)": "ptx and gpu > (major, minor)"},
            because="has_ptx('9.0+PTX', (9, 0)) is False",
        ),
        Wrong(
            "PTX within the major version",
            replace={"return ptx and gpu >= (major, minor)": "return ptx and has_binary(entry, gpu)"},
            because="has_ptx('9.0+PTX', (12, 0)) is False",
        ),
        Wrong(
            "PTX everywhere",
            replace={"return ptx and gpu >= (major, minor)": "return gpu >= (major, minor)"},
            because="has_ptx('9.0', (12, 0)) is True",
        ),
        Wrong(
            "the letter a not looked at",
            replace={
                "        return gpu == (major, minor)\n    return gpu[0]": "        pass\n    return gpu[0]"
            },
            because="has_binary('9.0a', (9, 1)) is True",
        ),
        Wrong(
            "the letter a not looked at in PTX",
            replace={"        return ptx and gpu == (major, minor)\n": "        pass\n"},
            because="has_ptx('9.0a+PTX', (10, 0)) is True",
        ),
        Wrong(
            "PTX first",
            replace={
                'any(has_binary(entry, gpu) for entry in entries):\n        return "binary"': "any(has_ptx("
                'entry, gpu) for entry in entries):\n        return "ptx"',
                '"ptx" if any(has_ptx(entry, gpu)': '"binary" if any(has_binary(entry, gpu)',
            },
            because="how_it_runs('8.0;9.0+PTX', (9, 0)) is 'ptx'",
        ),
        Wrong(
            "all entries",
            replace={"if any(has_binary(": "if all(has_binary("},
            because="how_it_runs('8.0;9.0+PTX', (8, 0)) is 'not at all'",
        ),
    ],
)
