"""The floor of conv1d_dilated by hand: operations, bytes, intensity, limit, milliseconds."""

from utils.exercise.spec import Answer, Exercise, Wrong

exercise = Exercise(
    title="The limit of a layer",
    goal="find the floor of a 1-D layer on an H200 by hand, and what limits it; the length exactly, 1% off is"
    " fine for the rest",
    kind="answer",
    hints=[
        "The length is that of lesson 2: (L - dilation (S - 1) - 1) / stride, rounded down, plus 1.",
        "There are N K length outputs; each is a sum of C S products; a product is two operations.",
        "Bytes: N C L numbers of input, K C S of weight, N K length of output, four bytes each.",
        "Intensity is operations over bytes. Compare it with 51 / 4.3: above, arithmetic takes longer.",
        "Work out both times, operations / 51 TFLOP/s and bytes / 4.3 TB/s. The floor is the longer one.",
    ],
    answers=[
        Answer(
            "length",
            174758,
            {
                174760: "that is L / 3. A window covers 9 places, so the last windows do not fit.",
                174757: "one too few. Either the plus 1 is missing (the window at place 0 counts too), or you"
                " took dilation S = 12 where it is dilation (S - 1) + 1 = 9.",
                174756: "dilation S = 12 is more than a window covers: 3 taps, 4 apart, are 9 places.",
                174759: "dilation (S - 1) = 8 places are lost, not 3 - 1 = 2.",
                524272: "that is for stride 1: every third place is taken.",
                524280: "the output is shorter than the input: the stride is 3.",
            },
            "It is (L - dilation (S - 1) - 1) / stride, rounded down, plus 1.",
        ),
        Answer(
            "gflop",
            549.74,
            {
                274.87: "that counts the multiplications. Each product is added to the sum, too.",
                183.25: "that counts one tap of three: each output is a sum of C S = 192 products.",
                8.59: "a factor of 64 is missing, and there are two: 64 recordings, and 64 channels in each"
                " sum.",
                4.295: "that is 128 times too little. Either K = 128 is missing, or a 64 (the recordings, or"
                " the channels of each sum) and the 2 operations of a product.",
                91.62: "that counts one tap of three, and one operation for each product.",
                1649.2: "with stride 3 there are only a third as many outputs.",
                549.74e9: "in billions, please: leave out the 10^9.",
            },
            "It is 2 N K length C S / 10^9.",
            tolerance=0.01,
        ),
        Answer(
            "gigabytes",
            14.316,
            {
                3.579: "those are the numbers, in billions. A float has four bytes.",
                8.59: "that is the input alone. The output has to be written, too.",
                5.726: "that is the output alone. The input has to be read, too.",
                25.77: "that is the output's length taken as the input's: the stride makes it a third.",
                13.333: "that is in GiB, 2^30 bytes. Here G is 10^9, as in 4.3 TB/s.",
                28.63: "every number crosses once: a float has four bytes, not eight.",
                14316.0: "in billions of bytes, please.",
            },
            "It is 4 (N C L + K C S + N K length) / 10^9.",
            tolerance=0.01,
        ),
        Answer(
            "intensity",
            38.4,
            {
                0.02604: "the other way round: operations per byte.",
                153.6: "per byte, not per number: a float has four bytes.",
                11.86: "that is what the GPU asks for, 51 / 4.3. What does the layer offer?",
            },
            "It is the operations divided by the bytes.",
            tolerance=0.01,
        ),
        Answer(
            "limit",
            "arithmetic",
            {
                "memory": "the layer has 38 operations for each byte. The GPU can do 12 while a byte moves:"
                " which of the two is finished first?",
            },
            'It is "arithmetic" or "memory".',
        ),
        Answer(
            "floor_ms",
            10.78,
            {
                3.33: "that is the time for the bytes. The arithmetic takes longer: the longer one counts.",
                14.11: "that is the sum of both. A GPU computes while it moves data: the longer one counts.",
                7.45: "that is the difference. A GPU computes while it moves data: the longer one counts.",
                0.01078: "in milliseconds, please.",
                5.39: "that is half of it: 51 TFLOP/s counts multiplications and additions.",
                8.205: "67 TFLOP/s is the data sheet's number; 51 is what a product of matrices reached.",
            },
            "It is the longer of operations / 51 TFLOP/s and bytes / 4.3 TB/s.",
            tolerance=0.01,
        ),
    ],
    starter_fails="length has no value yet",
    wrong=[
        Wrong("the input's length by the stride", replace={"174758": "524280 / 3"}, because="do not fit"),
        Wrong("multiplications alone", replace={"549.74": "274.87"}, because="added to the sum, too"),
        Wrong("dilation S", replace={"174758": "(524280 - 4 * 3) // 3 + 1"}, because="dilation S = 12"),
        Wrong("no plus 1", replace={"174758": "(524280 - 4 * 2 - 1) // 3"}, because="plus 1 is missing"),
        Wrong("1% off", replace={"174758": "174759"}, because="3 - 1 = 2"),
        Wrong("N forgotten", replace={"549.74": "549.74 / 64"}, because="64 recordings"),
        Wrong("K forgotten", replace={"549.74": "549.74 / 128"}, because="K = 128 is missing"),
        Wrong("taps forgotten", replace={"549.74": "549.74 / 3"}, because="one tap of three"),
        Wrong("GiB", replace={"14.316": "14.316e9 / 2**30"}, because="in GiB"),
        Wrong("numbers for bytes", replace={"14.316": "3.579"}, because="four bytes"),
        Wrong("the output forgotten", replace={"14.316": "8.59"}, because="the input alone"),
        Wrong("upside down", replace={"38.4": "1 / 38.4"}, because="the other way round"),
        Wrong("the wrong limit", replace={'"arithmetic"': '"memory"'}, because="while a byte moves"),
        Wrong("the shorter time", replace={"10.78": "3.33"}, because="the longer one counts"),
        Wrong("both times in a row", replace={"10.78": "10.78 + 3.33"}, because="the sum of both"),
    ],
)
