"""Which elements a lane holds for mma.m16n8k8, how many of these a block needs, and what feeds them."""

from utils.exercise.spec import Answer, Exercise, Wrong

exercise = Exercise(
    title="Who holds what",
    goal="which elements lane 22 holds; how many mma a block needs for a step; what ldmatrix costs for each",
    kind="answer",
    hints=[
        "g is lane / 4, rounded down, and t is lane % 4. Work them out for lane 22, then read ptx.h.",
        "In a matrix of 16 rows the lane has row g and row g + 8. Of b it has two rows, t and t + 4, of one"
        " column. Its sums are neighbours: columns 2t and 2t + 1.",
        "An mma does 16 pixels x 8 channels x 8 taps. How many of each fit into 128 x 128 x 32?",
        "For 8 taps a warp of 64 x 64 loads 64 / 16 pieces of a and 64 / 16 of b, each by one ldmatrix.x4 of"
        " four matrices: a wavefront a matrix. It multiplies each 16 pixels with each 8 channels.",
        "128 bytes are once round the banks. So eight rows of a matrix, one below the other, all begin in the"
        " same bank: how many wavefronts do they take?",
    ],
    answers=[
        Answer(
            "a",
            ((5, 2), (13, 2), (5, 6), (13, 6)),
            {
                ((2, 5), (2, 13), (6, 5), (6, 13)): "these are (column, row). The row comes first.",
                ((5, 2), (5, 6), (13, 2), (13, 6)): "right elements, other order: the second register is row"
                " g + 8, the third column t + 4.",
                ((2, 5), (10, 5), (2, 9), (10, 9)): "g and t are exchanged: g = 22 / 4 counts rows.",
                ((5, 2), (13, 2), (5, 3), (13, 3)): "the lane's columns are 4 apart: t and t + 4.",
            },
            "The lane has g = 5 and t = 2. Rows are g and g + 8, columns t and t + 4.",
        ),
        Answer(
            "b",
            ((2, 5), (6, 5)),
            {
                ((5, 2), (5, 6)): "these are (column, row): in b the taps are rows, the channels columns.",
                ((2, 5), (2, 13)): "b has 8 columns. The lane's two elements are below each other.",
            },
            "The lane has b[t][g] and b[t + 4][g].",
        ),
        Answer(
            "sums",
            ((5, 4), (5, 5), (13, 4), (13, 5)),
            {
                (
                    (5, 2),
                    (5, 3),
                    (13, 2),
                    (13, 3),
                ): "columns begin at 2t, not at t: four lanes share a row of 8.",
                (
                    (5, 2),
                    (13, 2),
                    (5, 6),
                    (13, 6),
                ): "that is a's pattern. Sums lie in pairs: columns 2t, 2t + 1.",
                (
                    (5, 4),
                    (13, 4),
                    (5, 5),
                    (13, 5),
                ): "right elements, other order: the second is the neighbour in the same row.",
            },
            "Rows are g and g + 8, columns 2t and 2t + 1.",
        ),
        Answer(
            "products",
            512,
            {
                128: "that is one warp's share. The block has four warps.",
                256: "an mma does 8 channels, not 16, and 8 taps.",
                16384: "these are products of a warp: 32 of them are one mma.",
                2048: "there are 128 / 16 pieces of pixels, 128 / 8 of channels, and 32 / 8 of taps.",
            },
            "It is 128 / 16 times 128 / 8 times 32 / 8.",
        ),
        Answer(
            "per_mma",
            1,
            {
                0.25: "that is the number of requests. An ldmatrix.x4 takes four wavefronts, one a matrix.",
                4: "these are the wavefronts of one ldmatrix. How many mma use what it brings?",
                1.5: "that is a warp of 64 x 32: 6 ldmatrix for 16 mma. This one has 64 x 64.",
                2: "4 ldmatrix of a and 4 of b serve 4 x 8 mma.",
            },
            "8 ldmatrix of 4 wavefronts serve 4 x 8 mma.",
        ),
        Answer(
            "unswizzled",
            8,
            {
                1: "rows that are 128 bytes apart begin in the same bank.",
                4: "a row of a matrix takes 4 banks; eight rows want the same four, one after the other.",
                32: "that is one ldmatrix: four matrices of 8 wavefronts. It serves four mma, on average.",
                2: "eight rows want the same four banks: eight wavefronts in place of one.",
            },
            "Eight rows meet in the same four banks: every matrix takes eight wavefronts in place of one.",
        ),
    ],
    starter_fails="a has no value yet",
    wrong=[
        Wrong(
            "g and t exchanged",
            replace={"((5, 2), (13, 2), (5, 6), (13, 6))": "((2, 5), (10, 5), (2, 9), (10, 9))"},
            because="g and t are exchanged",
        ),
        Wrong(
            "column before row",
            replace={"((2, 5), (6, 5))": "((5, 2), (5, 6))"},
            because="these are (column, row)",
        ),
        Wrong(
            "the sums as a",
            replace={"((5, 4), (5, 5), (13, 4), (13, 5))": "((5, 2), (13, 2), (5, 6), (13, 6))"},
            because="Sums lie in pairs",
        ),
        Wrong(
            "the sums from t on",
            replace={"((5, 4), (5, 5), (13, 4), (13, 5))": "((5, 2), (5, 3), (13, 2), (13, 3))"},
            because="columns begin at 2t",
        ),
        Wrong(
            "one warp's products", replace={"products = 512": "products = 128"}, because="one warp's share"
        ),
        Wrong(
            "products of a warp",
            replace={"products = 512": "products = 16384"},
            because="32 of them are one mma",
        ),
        Wrong(
            "requests for wavefronts", replace={"per_mma = 1": "per_mma = 0.25"}, because="number of requests"
        ),
        Wrong(
            "wavefronts of an ldmatrix",
            replace={"unswizzled = 8": "unswizzled = 32"},
            because="that is one ldmatrix",
        ),
        Wrong(
            "as if no two rows met",
            replace={"unswizzled = 8": "unswizzled = 1"},
            because="begin in the same bank",
        ),
        Wrong(
            "one value left out",
            replace={"(13, 2), (5, 6), (13, 6))\nb": "(13, 2), (5, 6), ...)\nb"},
            because="has no value yet",
        ),
    ],
)
