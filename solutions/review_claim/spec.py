"""What a claim of speed is worth, from the recorded run."""

from utils.exercise.spec import Answer, Exercise, Wrong
from utils.recordings import recorded


def slower():
    """How many times cuDNN's time, in fp32 and TF32, the naive kernel took on the recorded H200."""
    rows = recorded("H200")[0].select(["alexnet_conv1"], ["conv2d_naive"]).rows
    ms = {(row["kernel"], row["precision"]): row["ms"] for row in rows}
    naive = ms["conv2d_naive", "fp32"]
    return naive / ms["cudnn", "fp32"], naive / ms["cudnn", "tf32"]


FACTOR, TF32_FACTOR = slower()

exercise = Exercise(
    title="A claim of speed",
    goal="say what is measured, what is not, and how fast the repaired design is",
    kind="answer",
    hints=[
        "Look for a number with a GPU's name, a shape and a date in the pull request's text.",
        "Divide the ms of conv2d_naive by those of cuDNN in fp32. The last column is the inverse.",
        'The build joins all flags with blanks between them. What is left of "" there?',
        "Somebody else must be able to repeat and to trust the measurement. Three of the eight do not help.",
    ],
    answers=[
        Answer(
            "measured",
            0,
            {
                1: '"up to 5x" is a number, but who measured it, on what, against what?',
                2: "adjectives are not measurements, and neither is a factor without a GPU and a shape.",
                3: "adjectives are not measurements, and neither is a factor without a GPU and a shape.",
            },
            "Count only what names at least a GPU, a shape and what it was compared with.",
        ),
        Answer(
            "slower",
            FACTOR,
            {
                TF32_FACTOR: "that is cuDNN with TF32, another computation. Compare fp32 with fp32.",
                1 / FACTOR: "that is cuDNN's time divided by the kernel's; the other way round is asked.",
                5: "that is the claim, turned round. Divide the two times of the table.",
                0.2: "that is the claim. Divide the two times of the table.",
            },
            "It is the time of conv2d_naive divided by cuDNN's in fp32, both in the table.",
            tolerance=0.1,
        ),
        Answer(
            "flag",
            "nothing",
            {
                "faster code": "-O3 would ask for faster host code. An empty text asks for nothing.",
                "an error": "as an argument of its own, to some compilers; here all flags are joined.",
            },
            'It is one of "faster code", "nothing" and "an error".',
        ),
        Answer(
            "needed",
            "abdeg",
            {
                "abdg": "a kernel that computes a hundredth of the outputs is very fast. Which"
                " statement rules that out?",
                "abeg": "faster than what?",
                "abde": "one sample may be the first call, which compiles, or an outlier.",
                "bdeg": "on which machine?",
                "adeg": "a kernel can win on one layer and lose on all others.",
            },
            "Five of the eight are needed to repeat a measurement and to believe it. Write their letters in"
            ' alphabetical order and nothing between them, like "ach".',
        ),
    ],
    starter_fails="measured has no value yet",
    wrong=[
        Wrong("counts the claim", replace={"measured = 0": "measured = 1"}, because="who measured it"),
        Wrong("the inverse", replace={"9.3": f"{1 / FACTOR:.3f}"}, because="the other way round"),
        Wrong("the rival in TF32", replace={"9.3": f"{TF32_FACTOR:.1f}"}, because="another computation"),
        Wrong("believes the claim", replace={"slower = 9.3": "slower = 0.2"}, because="that is the claim"),
        Wrong("a flag that optimises", replace={'"nothing"': '"faster code"'}, because="asks for nothing"),
        Wrong("does not ask whether it is right", replace={"abdeg": "abdg"}, because="very fast"),
        Wrong("does not ask for the rival", replace={"abdeg": "abeg"}, because="faster than what?"),
    ],
)  # fmt: skip
