"""Twelve layers: which does convert replace by the course's, and which does it leave?"""

from utils.exercise.spec import Answer, Exercise, Wrong

NAMES = ("replaced", "left")


class Fate(Answer):
    """One of the two words."""

    def check(self, cell):
        given = cell.get(self.name, ...)
        if isinstance(given, str):
            assert given.strip().lower() in NAMES, f'{self.name} = {given!r} is neither "replaced" nor "left"'
        super().check(cell)


def replaced(name, why):
    return Fate(name, "replaced", {"left": why})


def left(name, why):
    return Fate(name, "left", {"replaced": why})


exercise = Exercise(
    title="What does convert leave?",
    goal="say of twelve layers whether the course's kernels can take their place",
    kind="answer",
    hints=[
        "Our launchers take one stride, one padding and one dilation for both directions. The filter may"
        " have any height and width.",
        "Our kernels know no groups, pad with zeros, both sides alike, and compute in float32 and float64.",
        'padding="same" wants dilation * (taps - 1) zeros in all, half of them on each side. When is that a'
        " whole number?",
        "A layer whose weight is computed anew in each call, or that is a class of its own, may do something"
        " that convert cannot see. What is the careful choice?",
    ],
    answers=[
        replaced(
            "a", "one stride, one padding, no groups, zeros: this is the layer that the course began with."
        ),
        left("b", "groups=2: each filter sees half of the channels. Our kernels would read all of them."),
        replaced("c", "R and S need not be equal: stride, padding and dilation are one number each."),
        left("d", "the rows want a padding of 1, the columns one of 2. Our launchers have one number."),
        replaced("e", '"same" needs 2 * (3 - 1) = 4 zeros in all: two on each side, in both directions.'),
        left("f", '"same" needs 4 - 1 = 3 zeros in all: one on one side, two on the other.'),
        left("g", "the padding mirrors the image. Our kernels pad with zeros: wrong only near the border."),
        replaced("h", "stride and dilation are what our conv1d was built for, and float64 is supported."),
        left("i", "its weight is bfloat16. Autocast would cast for us; a converted layer would refuse."),
        left(
            "j", "it is not a convolution but the gradient of one. There is no op of that kind in the course."
        ),
        left("k", "its weight is computed from two other parameters, before each call."),
        left("m", "a subclass may compute something else, and this one does: it would go unnoticed."),
    ],
    starter_fails="a has no value yet",
    wrong=[
        Wrong("a: left", replace={'a = "replaced"': 'a = "left"'}, because="the layer that the course began"),
        Wrong("groups", replace={'b = "left"': 'b = "replaced"'}, because="half of the channels"),
        Wrong("square filters alone", replace={'c = "replaced"': 'c = "left"'}, because="need not be equal"),
        Wrong("two paddings", replace={'d = "left"': 'd = "replaced"'}, because="a padding of 1"),
        Wrong("never same", replace={'e = "replaced"': 'e = "left"'}, because="two on each side"),
        Wrong("always same", replace={'f = "left"': 'f = "replaced"'}, because="one on one side"),
        Wrong("mirrors", replace={'g = "left"': 'g = "replaced"'}, because="mirrors the image"),
        Wrong("bfloat16", replace={'i = "left"': 'i = "replaced"'}, because="would refuse"),
        Wrong("a subclass", replace={'m = "left"': 'm = "replaced"'}, because="it would go unnoticed"),
        Wrong("another word", replace={'k = "left"': 'k = "perhaps"'}, because="neither"),
    ],
)
