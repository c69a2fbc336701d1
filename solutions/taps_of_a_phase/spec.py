"""How many taps a phase has, and how many of a naive kernel's steps are for nothing, by hand."""

from utils.exercise.spec import Answer, Exercise, Wrong

exercise = Exercise(
    title="The taps of a phase",
    goal="count the taps of each phase, and the steps of the naive kernel that bring no product",
    kind="answer",
    hints=[
        "AlexNet's rows, phase 0: r must be a multiple of 4. Of 0 to 10 these are 0, 4 and 8. Phase 1: r = 1,"
        " 5, 9. Go on.",
        "Rows and columns are independent: a pixel of phases (f, g) has the taps of f times those of g. In"
        " the naive kernel the loop over s runs in full, 11 times, for each r that divides, and not at all"
        " for the others.",
        "On average a phase has 11 / 4 taps. Average of the runs: 11 / 4 rows times 11. Average of the"
        " products: 11 / 4 times 11 / 4.",
        "With a dilation, write down r dilation mod stride for each tap: for stride 4 and dilation 6 that is"
        " 0, 2, 0, 2. How often is each phase among them?",
    ],
    answers=[
        Answer(
            "alexnet",
            (3, 3, 3, 2),
            {
                (3, 3, 3, 3): "that makes 12 taps, and a row of the filter has 11.",
                (2, 3, 3, 3): "r = 0, 4, 8 are the taps of phase 0.",
                (2.75, 2.75, 2.75, 2.75): "that is their average. Count each.",
                (11, 11, 11, 11): "each tap belongs to one phase alone.",
            },
            "Write down 0 to 10 with what each leaves over when divided by 4, and count.",
        ),
        Answer(
            "products",
            (9, 6, 4),
            {
                (6, 5, 4): "rows times columns: each r goes with each s.",
                (3, 3, 2): "those are the taps of a row. The filter has columns, too.",
                (9, 9, 9): "phase 3 has fewer taps.",
                (121, 121, 121): "121 is the whole filter. Which taps connect this pixel?",
            },
            "It is the taps of the row's phase times those of the column's.",
        ),
        Answer(
            "tries",
            33,
            {
                121: "for an r that does not divide, `continue` skips the whole loop over s.",
                9: "those are its products. The loop over s looks at every s.",
                99: "count for one pixel and one k: three rows, and each runs the loop over s once.",
                11: "three r divide, and each runs the loop over s.",
            },
            "Three of the eleven r come to the loop over s, which runs 11 times.",
        ),
        Answer(
            "for_one",
            4,
            {
                16: "that would be so if every r ran the loop over s. Of four r, three are skipped.",
                33 / 9: "that is phase (0, 0) alone. Take the averages: 11 / 4 taps.",
                4.125: "that is the mean of the phases' quotients. First add up, then divide.",
                0.25: "the other way round: that is products for one run.",
                30.25: "those are the runs. Divide by the products.",
                7.5625: "those are the products. How many runs are there for one?",
            },
            "A pixel has 11 / 4 x 11 runs and 11 / 4 x 11 / 4 products on average.",
            tolerance=0.002,
        ),
        Answer(
            "dilated",
            (1, 1, 1),
            {
                (3, 0, 0): "4 s mod 3 is s mod 3: 0, 1, 2.",
                (0, 0, 3): "4 s mod 3 is s mod 3: 0, 1, 2.",
                (2, 1, 0): "0, 4 and 8 leave 0, 1 and 2 when divided by 3.",
            },
            "The taps lie 0, 4 and 8 inputs from the first. What does each leave when divided by 3?",
        ),
        Answer(
            "both_two",
            (3, 0),
            {
                (2, 1): "that is dilation 1. With dilation 2 the taps lie at 0, 2 and 4.",
                (1, 2): "that is dilation 1, the other way round. Now they lie at 0, 2 and 4.",
                (0, 3): "0, 2, 4 are even.",
            },
            "The taps lie 0, 2 and 4 rows from the first.",
        ),
        Answer(
            "four_and_six",
            (2, 0, 2, 0),
            {
                (1, 1, 1, 1): "that is dilation 1. Now they lie at 0, 6, 12 and 18.",
                (4, 0, 0, 0): "6 by 4 leaves 2.",
                (2, 2, 0, 0): "0, 6, 12, 18 leave 0, 2, 0, 2 when divided by 4.",
            },
            "The taps lie 0, 6, 12 and 18 rows from the first. What does each leave when divided by 4?",
        ),
        Answer(
            "silent",
            0.75,
            {
                0.25: "that part gets one: both phases must be 0.",
                0.5: "that is for rows alone; columns are skipped, too.",
                0: "an output reads one pixel, and the next one two pixels on.",
                1: "the pixels that an output reads do get one.",
            },
            "Only where h and w are both even does an output read the pixel.",
        ),
    ],
    starter_fails="alexnet has no value yet",
    wrong=[
        Wrong("twelve taps", replace={"(3, 3, 3, 2)": "(3, 3, 3, 3)"}, because="12 taps"),
        Wrong("the short phase first", replace={"(3, 3, 3, 2)": "(2, 3, 3, 3)"}, because="taps of phase 0"),
        Wrong("sums for products", replace={"(9, 6, 4)": "(6, 5, 4)"}, because="each r goes with each s"),
        Wrong("rows alone", replace={"(9, 6, 4)": "(3, 3, 2)"}, because="The filter has columns"),
        Wrong("nothing is skipped", replace={"tries = 33": "tries = 121"}, because="skips the whole loop"),
        Wrong("the products", replace={"tries = 33": "tries = 9"}, because="those are its products"),
        Wrong("all is skipped twice", replace={"for_one = 4": "for_one = 16"}, because="three are skipped"),
        Wrong("one phase", replace={"for_one = 4": "for_one = 33 / 9"}, because="alone"),
        Wrong("mean of quotients", replace={"for_one = 4": "for_one = 4.125"}, because="First add up"),
        Wrong("dilation shifts all", replace={"(1, 1, 1)": "(3, 0, 0)"}, because="mod 3"),
        Wrong("dilation forgotten", replace={"(3, 0)": "(2, 1)"}, because="that is dilation 1"),
        Wrong("dilation forgotten, again", replace={"(2, 0, 2, 0)": "(1, 1, 1, 1)"}, because="12 and 18"),
        Wrong("one dimension", replace={"0.75": "0.5"}, because="for rows alone"),
    ],
)
