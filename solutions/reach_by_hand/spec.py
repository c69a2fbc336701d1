"""Which outputs and taps make up the gradient of an input row, by hand."""

from utils.exercise.spec import Answer, Exercise, Wrong

RULE = "Go through r = 0, 1, ...: p is (h + padding - r dilation) / stride, if that divides and 0 <= p < P."

exercise = Exercise(
    title="Who reads this row?",
    goal="find the pairs (p, r) of an input row from stride, padding and dilation",
    kind="answer",
    hints=[
        "A window of output row p begins at row p stride - padding, and its tap r lies r dilation below that."
        " For which p and r is this h?",
        "Solve it for p: (h + padding - r dilation) / stride. Go through all r. A pair counts only where the"
        " division leaves nothing over.",
        "And only where the output exists: p must not be negative, and not P or more. Row 221 of layer C:"
        " h + padding is 223, so r = 3 would give p = 55.",
    ],
    answers=[
        Answer(
            "row_4_of_A",
            ((2, 1),),
            {
                ((2, 0),): "that is without the padding: the window of p = 2 begins at 2 * 2 - 1 = 3.",
                ((1, 2),): "p = 1 begins at 1 and ends at 3.",
                ((1, 1),): "the window of p = 1 begins at 1, so its tap 1 reads row 2.",
                ((1, 2), (2, 1)): "p = 1 begins at 1 and ends at 3.",
            },
            RULE,
        ),
        Answer(
            "row_5_of_A",
            ((3, 0), (2, 2)),
            {
                ((2, 2), (3, 0)): "the right pairs; write them in the order of r.",
                ((0, 3), (2, 2)): "first p, then r.",
                ((2, 1), (1, 3)): "that is without the padding, and R is 3: there is no r = 3.",
            },
            RULE,
        ),
        Answer(
            "row_0_of_B",
            ((0, 1),),
            {
                ((0, 0),): "the window of p = 0 begins at -2: its tap 0 meets padding.",
                ((0, 2),): "tap 2 of p = 0 reads row -2 + 2 * 2 = 2: the taps are dilation = 2 rows apart.",
            },
            RULE,
        ),
        Answer(
            "row_5_of_B",
            ((1, 2),),
            {
                ((2, 1),): "p = 2 begins at 4, and its tap 1 reads row 6: the taps are two rows apart.",
                ((1, 4),): "its taps 0, 1, 2 are rows 0, 2, 4 of its window: count taps, not rows.",
            },
            RULE,
        ),
        Answer(
            "row_100_of_C",
            ((25, 2), (24, 6), (23, 10)),
            {
                ((25, 0), (24, 4), (23, 8)): "that is without the padding: 100 + 2 = 102 rests on r = 2.",
                ((23, 10), (24, 6), (25, 2)): "the right pairs; write them in the order of r.",
                ((26, -2), (25, 2), (24, 6)): "there is no r = -2; but is there an r = 10?",
            },
            RULE,
        ),
        Answer(
            "row_221_of_C",
            ((54, 7),),
            {
                ((55, 3),): "there is no output row 55: P = 55, and they count from 0.",
                ((55, 3), (54, 7)): "there is no output row 55: P = 55, and they count from 0.",
            },
            RULE,
        ),
        Answer(
            "rows_without",
            6,
            {
                0: "h + 2 - 2 r is to be even. What if h is odd?",
                3: "look at an odd h: h + 2 - 2 r is odd for every r.",
                7: "row 10 is read: by p = 5 with r = 1, for instance.",
            },
            "With stride 2 and dilation 2, h + padding - r dilation is even for all r, or for none.",
        ),
    ],
    starter_fails="row_4_of_A has no value yet",
    wrong=[
        Wrong("padding forgotten", replace={"((2, 1),)": "((2, 0),)"}, because="without the padding"),
        Wrong("a window too long", replace={"((2, 1),)": "((1, 2),)"}, because="ends at 3"),
        Wrong(
            "another order",
            replace={"((3, 0), (2, 2))": "((2, 2), (3, 0))"},
            because="in the order of r",
        ),
        Wrong("r before p", replace={"((3, 0), (2, 2))": "((0, 3), (2, 2))"}, because="first p, then r"),
        Wrong("a pair that is missing", replace={"((3, 0), (2, 2))": "((3, 0),)"}, because="2 values, not 1"),
        Wrong("dilation forgotten", replace={"((1, 2),)": "((2, 1),)"}, because="two rows apart"),
        Wrong("into the padding", replace={"((0, 1),)": "((0, 0),)"}, because="meets padding"),
        Wrong(
            "padding forgotten, again",
            replace={"((25, 2), (24, 6), (23, 10))": "((25, 0), (24, 4), (23, 8))"},
            because="102 rests on r = 2",
        ),
        Wrong(
            "an output that does not exist",
            replace={"((54, 7),)": "((55, 3), (54, 7))"},
            because="no output row 55",
        ),
        Wrong("a pair too many", replace={"((54, 7),)": "((54, 7), (53, 11))"}, because="1 value, not 2"),
        Wrong("a comma too few", replace={"((2, 1),)": "(2, 1)"}, because="has a comma behind it"),
        Wrong("both rows that end near", replace={"((2, 1),)": "((1, 2), (2, 1))"}, because="ends at 3"),
        Wrong("beyond the last", replace={"((54, 7),)": "((55, 3),)"}, because="no output row 55"),
        Wrong(
            "every row counts", replace={"rows_without = 6": "rows_without = 0"}, because="What if h is odd"
        ),
    ],
)
