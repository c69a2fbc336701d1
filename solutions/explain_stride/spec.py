"""Why stride costs sectors and dilation does not, and the sectors of a whole strided layer."""

from utils.exercise.spec import Answer, Exercise, Wrong

exercise = Exercise(
    title="Why stride, and why not dilation",
    goal="say what dilation and stride change, and predict the load sectors of a small layer with stride 2",
    kind="answer",
    hints=[
        "The column that a lane reads is w = q * stride - padding + s * dilation. Which of these letters"
        " differs from lane to lane within one request?",
        "The layer: a row of 32 outputs is one warp. How many warps are there, and how many of a filter's"
        " rows does each go through? The top row of outputs has one of them in the padding; has the bottom"
        " row?",
        "With stride 2 and padding 1 the taps read the columns 2q - 1, 2q and 2q + 1 of a row of 256 bytes."
        " How many sectors has such a row? Does any tap leave one of them out?",
        "Each product: 8 sectors for the input and a broadcast for the weight. 2 x 5 planes, each with"
        " 4 x 3 - 1 filter rows that are not skipped, each with 3 taps, in 3 channels.",
    ],
    answers=[
        Answer(
            "dilation",
            "b",
            {
                "a": "only at the border of the image; the sectors of the others would stay as they are.",
                "c": "in w = q * stride - padding + s * dilation, s is the same for all of a request.",
                "d": "the columns that are read are others, so the addresses are, too.",
            },
            'Answer with a letter in quotes, such as "a".',
        ),
        Answer(
            "stride",
            "c",
            {
                "a": "there are fewer outputs, hence fewer warps; a warp is as full as before.",
                "b": "a tap does that. The stride is multiplied by q, which differs from lane to lane.",
                "d": "the columns that are read are others, so the addresses are, too.",
            },
            'Answer with a letter in quotes, such as "a".',
        ),
        Answer(
            "used",
            1 / 3,
            {
                1.0: "12 sectors are 384 bytes. How many of them do 32 lanes ask for?",
                3.0: "that is bytes moved over bytes used.",
                0.5: "that is stride 2. With stride 3 a request touches 12 sectors.",
                0.25: "that is stride 4. With stride 3 a request touches 12 sectors.",
            },
            "It is 32 floats over 12 sectors, both in bytes.",
            tolerance=0.01,
        ),
        Answer(
            "load_sectors",
            8910,
            {
                9720: "right if no request were left out. Which filter row lies in the padding for all?",
                8100: "the bottom row of outputs reads rows 5, 6 and 7: none of them is outside.",
                7920: "that is the input alone; the weight is loaded too, one sector for each product.",
                4950: "with stride 2 a request of the input touches 8 sectors, not 4.",
                5280: "with stride 2 a request of the input touches 8 sectors in each of the three taps.",
                990: "that is the number of products of warps. How many sectors does each need?",
                1980: "that is the number of requests. How many sectors has each?",
                9240: "column 2q + 1 ends at 63, the last of the row: no ninth sector is needed.",
            },
            "Count the warps, the filter rows that each goes through, and the sectors of one product.",
        ),
    ],
    starter_fails="dilation has no value yet",
    wrong=[
        Wrong("dilation spreads", replace={'dilation = "b"': 'dilation = "c"'}, because="s is the same"),
        Wrong("stride shifts", replace={'stride = "c"': 'stride = "b"'}, because="differs from lane to lane"),
        Wrong("all is used", replace={"1 / 3": "1.0"}, because="384 bytes. How many"),
        Wrong("border forgotten", replace={"8910": "9720"}, because="Which filter row lies in the padding"),
        Wrong("weight forgotten", replace={"8910": "7920"}, because="the input alone"),
        Wrong("as with stride 1", replace={"8910": "4950"}, because="touches 8 sectors, not 4"),
    ],
)
