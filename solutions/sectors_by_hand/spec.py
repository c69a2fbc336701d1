"""Count the sectors of a request by hand: stride, alignment, dilation."""

from utils.exercise.spec import Answer, Exercise, Wrong

exercise = Exercise(
    title="Sectors by hand",
    goal="say how many sectors of 32 bytes one request of the input touches",
    kind="answer",
    hints=[
        "Write down the address of lane 0, lane 1 and lane 31, in bytes. A float has four.",
        "Two lanes share a sector where their addresses divided by 32, rounded down, are equal. So count the"
        " sectors from the one of lane 0 to that of lane 31, and leave out those that no lane falls into.",
        "Neighbouring lanes are 4 x stride bytes apart. As long as that is at most 32, no sector between"
        " the first and the last is left out.",
        "The tap s adds s x dilation floats to the address of every lane alike. By how many whole sectors,"
        " and by how many bytes beyond, does that move the piece of memory that the warp reads?",
    ],
    answers=[
        Answer(
            "stride_1",
            4,
            {
                1: "32 floats are 128 bytes: that is one line. A line has several sectors.",
                32: "neighbouring floats share a sector: eight of them fit.",
                8: "eight floats fit into a sector. How many sectors do 32 floats need?",
                128: "that is the number of bytes.",
            },
            "It is 32 floats of 4 bytes, side by side, from the start of a sector.",
        ),
        Answer(
            "one_float_off",
            5,
            {
                4: "right for a row that begins at a sector. Here the last float lies beyond the fourth one.",
                8: "only the first and the last sector are touched in part, the others are shared as before.",
            },
            "The bytes are 4 to 131. Where do the sectors begin?",
        ),
        Answer(
            "stride_2",
            8,
            {
                4: "the lanes are 8 bytes apart now: four of them share a sector.",
                2: "a stride spreads the lanes over more sectors, not over fewer.",
                16: "the lanes are 8 bytes apart: four of them share a sector, not two.",
            },
            "The lanes are 8 bytes apart.",
        ),
        Answer(
            "stride_3",
            12,
            {
                11: "lane 31 is at byte 372, in sector number 11. But the first one has number 0.",
                16: "the lanes are 12 bytes apart: two or three of them share a sector.",
                32: "the lanes are 12 bytes apart: two or three of them share a sector.",
            },
            "Lane 31 is at byte 31 x 12. In which sector, counted from 0?",
        ),
        Answer(
            "stride_8",
            32,
            {
                8: "the lanes are 32 bytes apart. Does any of them share a sector with a neighbour?",
                64: "a lane touches one float, and a float never lies in two sectors: 32 is the most.",
                256: "that is the distance of 32 lanes in floats.",
            },
            "The lanes are 32 bytes apart.",
        ),
        Answer(
            "dilation_2",
            4,
            {
                8: "dilation moves all lanes by as much. Are neighbouring lanes any further apart?",
                5: "the tap moves all lanes by 4 x 2 floats, 32 bytes: one whole sector.",
                16: "dilation moves all lanes by as much. Are neighbouring lanes any further apart?",
            },
            "How far does the fifth tap move lane 0, and how far lane 31?",
        ),
    ],
    starter_fails="stride_1 has no value yet",
    wrong=[
        Wrong("lines for sectors", replace={"stride_1 = 4": "stride_1 = 1"}, because="that is one line"),
        Wrong("alignment forgotten", replace={"off = 5": "off = 4"}, because="beyond the fourth one"),
        Wrong("stride forgotten", replace={"stride_2 = 8": "stride_2 = 4"}, because="8 bytes apart now"),
        Wrong("last one off by one", replace={"stride_3 = 12": "stride_3 = 11"}, because="has number 0"),
        Wrong("dilation as a stride", replace={"n_2 = 4": "n_2 = 8"}, because="moves all lanes by as much"),
        Wrong("more than one a lane", replace={"stride_8 = 32": "stride_8 = 64"}, because="32 is the most"),
    ],
)
