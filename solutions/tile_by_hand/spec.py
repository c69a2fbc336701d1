"""The tile of a strided, dilated, padded layer: its size, its use, and the load requests that remain."""

from utils.exercise.spec import Answer, Exercise, Wrong

exercise = Exercise(
    title="A tile by hand",
    goal="work out the tile of a strided, dilated, padded layer, and how many global load requests remain",
    kind="answer",
    hints=[
        "The first output's window begins at the tile's first row; the last output's, 7 rows of outputs"
        " below, ends at its last. How far apart are the two windows, and how many rows does one cover?",
        "Uses: each of the 256 outputs needs 9 elements of the tile. Divide by the elements of the tile.",
        "A row of the tile is loaded 32 columns at a time: how many requests is that? The tile begins at row"
        " -1 of the image. Which of its 19 rows lie in the image's 17?",
        "The tile of one block and channel: 17 rows of 3 requests. There are 3 channels and 2 x 4 blocks. The"
        " weights: 8 warps a block, C R S products each.",
    ],
    answers=[
        Answer(
            "rows",
            19,
            {
                12: "the stride is missing: neighbouring outputs are 2 rows of the input apart.",
                17: "the dilation is missing: the three taps cover 2 * 2 + 1 rows. (Or is that H?)",
                21: "from the first output's row to the last one's are 7 steps, not 8.",
                10: "that is the tile for stride 1 and dilation 1.",
            },
            "It is (TILE_P - 1) * stride + dilation * (R - 1) + 1.",
        ),
        Answer(
            "columns",
            67,
            {
                36: "the stride is missing: neighbouring outputs are 2 columns of the input apart.",
                65: "the dilation is missing: the three taps cover 2 * 2 + 1 columns. (Or is that W?)",
                69: "from the first output's column to the last one's are 31 steps, not 32.",
                34: "that is the tile for stride 1 and dilation 1.",
            },
            "It is (TILE_Q - 1) * stride + dilation * (S - 1) + 1.",
        ),
        Answer(
            "bytes_needed",
            5092,
            {
                1273: "that is the number of elements. A float has four bytes.",
                15276: "the tile holds one channel at a time.",
                4420: "only what lies in the image? The padding's zeros have their places in the tile, too.",
            },
            "It is rows times columns times four.",
        ),
        Answer(
            "uses",
            1.81,
            {
                9: "that would be stride 1 and an endless tile: every element in R S windows.",
                2.25: "R S / stride^2 leaves out the tile's edges: count uses, and divide by all elements.",
                0.55: "the other way round: uses per element, not elements per use.",
                5.43: "the tile holds one channel; 9 taps use it, not 27.",
            },
            "It is 256 outputs times 9 taps, divided by the elements of the tile.",
            tolerance=0.005,
        ),
        Answer(
            "input_requests",
            1224,
            {
                1368: "two of the tile's rows lie outside of the image: all lanes skip the load, no request.",
                1296: "one row lies above the image, and one below: the tile ends at row 17, and H is 17.",
                816: "67 columns are three rounds of 32 lanes. In the last one, two lanes load.",
                408: "there is a block for each image and each filter: 2 x 4.",
                153: "that is one block; there are 2 x 4.",
                51: "that is one channel of one block.",
            },
            "It is requests a row, times rows in the image, times channels, times blocks.",
        ),
        Answer(
            "load_requests",
            2952,
            {
                1728: "that is the weights alone.",
                3168: "that is what conv2d_naive makes.",
                2808: "the weights: does this kernel skip products in the padding, or multiply by zero?",
                1440: "the weights: 8 warps for each of 8 blocks.",
            },
            "The weights: 8 blocks x 8 warps x 27 products. Add the requests for the tiles.",
        ),
    ],
    starter_fails="rows has no value yet",
    wrong=[
        Wrong("stride forgotten", replace={"rows = 19": "rows = 12"}, because="the stride is missing"),
        Wrong(
            "dilation forgotten", replace={"columns = 67": "columns = 65"}, because="the dilation is missing"
        ),
        Wrong("one step too many", replace={"rows = 19": "rows = 21"}, because="7 steps, not 8"),
        Wrong("elements for bytes", replace={"5092": "1273"}, because="A float has four bytes"),
        Wrong("edges forgotten", replace={"1.81": "2.25"}, because="leaves out the tile's edges"),
        Wrong("padding loaded", replace={"1224": "1368"}, because="lie outside of the image"),
        Wrong("one block", replace={"1224": "153"}, because="that is one block"),
        Wrong("weights forgotten", replace={"2952": "1224"}, because="is not right. The weights"),
        Wrong("zeros skipped", replace={"2952": "2808"}, because="multiply by zero"),
    ],
)
