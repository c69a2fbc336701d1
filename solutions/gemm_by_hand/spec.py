"""What the product of matrices costs: stored, loaded, read, wasted."""

from utils.exercise.spec import Answer, Exercise, Wrong

exercise = Exercise(
    title="GEMM, by hand",
    goal="count what the input matrix would take, what a block loads and reads for a product, and its waste",
    kind="answer",
    hints=[
        "The matrix has a row for each of the C R S taps (C S in one dimension) and a column for each pixel.",
        "Along each direction a number lies in R / stride windows, on average: with stride 4 and 11 taps"
        " in 2 or 3 of them.",
        "For one tap a block loads a weight for each channel and an input for each pixel, and multiplies each"
        " with each.",
        "Four weights or four inputs are one float4. A thread of 8 x 8 reads two of each for 64 products.",
        "Round K up to whole 64s, and N P Q, all images together, up to whole 128s.",
    ],
    answers=[
        Answer(
            "matrix_bytes",
            8_589_705_216,
            {
                2_147_426_304: "these are numbers. A float32 has 4 bytes.",
                134_214_144: "that is a 64th: did you leave out the channels, or the images?",
                8_589_803_520: "that is the input, or a matrix with 524,280 / 3 columns a sequence. There are"
                " 174,758: the last windows must end within L.",
                17_179_410_432: "K is not in this matrix. It has a row for each of C S taps.",
            },
            "It has C S = 192 rows and N Q = 64 * 174,758 columns of 4 bytes.",
        ),
        Answer(
            "places",
            (121 / 16, 9, 1),
            {
                (121, 9, 1): "with stride 4 only every fourth window along each direction begins.",
                (121 / 4, 9, 1): "the stride is 4 along H and along W.",
                (363 / 16, 9, 1): "a number belongs to one channel: C does not count.",
            },
            "A number lies in R / stride windows along H and in S / stride along W.",
            tolerance=0.01,
        ),
        Answer(
            "loaded",
            (3072, 3584, 4096),
            {
                (192, 224, 256): "that is one tap; a step has 16.",
                (131072, 196608, 262144): "these are the products of a step.",
                (12288, 14336, 16384): "these are bytes.",
            },
            "For each of 16 taps: a weight a channel, an input a pixel.",
        ),
        Answer(
            "products",
            (64 * 128 / 192, 96 * 128 / 224, 128 * 128 / 256),
            {
                (8192, 12288, 16384): "these are the products of one tap. Divide by what is loaded for it.",
                (
                    131072,
                    196608,
                    262144,
                ): "these are the products of a step. Divide by what is loaded for it.",
                (192 / 8192, 224 / 12288, 256 / 16384): "these are numbers for a product. Turn them round.",
            },
            "One tap makes channels times pixels products of channels plus pixels numbers.",
            tolerance=0.01,
        ),
        Answer(
            "wavefronts",
            (8 / 64, 10 / 96, 12 / 128),
            {
                (8, 10, 12): "these are the wavefronts of one tap. Divide by its products.",
                (4 / 64, 5 / 96, 6 / 128): "these are requests; each takes 2 wavefronts.",
                (
                    12 / 64,
                    14 / 96,
                    16 / 128,
                ): "here the inputs are float4, too: 2 wavefronts for four of them.",
            },
            "Count the float4: a quarter of the channels and a quarter of the pixels. Two wavefronts each.",
            tolerance=0.01,
        ),
        Answer(
            "useful",
            (96 / 128, 490 / 512, 100 / 128 * 900 / 1024),
            {
                (1, 490 / 512, 100 / 128 * 900 / 1024): "the pixels of the first are whole blocks, but 96"
                " channels in blocks of 64 are not.",
                (
                    96 / 128,
                    49 / 128,
                    100 / 128 * 900 / 1024,
                ): "the images' pixels lie in one row: 10 * 49 of them.",
                (
                    96 / 128,
                    490 / 512,
                    900 / 1024,
                ): "100 channels are two blocks, too, of which the second is not full.",
                (
                    1,
                    490 / 512,
                    100 / 128,
                ): "the one counts channels alone, the other pixels alone: a block has"
                " both, so multiply the two parts.",
                (75, 95.7, 68.7): "these are percent: write 0.75 for 75%.",
            },
            "K / (K rounded up to 64s), times N P Q / (N P Q rounded up to 128s).",
            tolerance=0.006,  # two digits will do
        ),
    ],
    starter_fails="matrix_bytes has no value yet",
    wrong=[
        Wrong(
            "numbers for bytes",
            replace={"(64 * 174758) * 4": "(64 * 174758)"},
            because="A float32 has 4 bytes",
        ),
        Wrong(
            "stride forgotten",
            replace={"(121 / 16, 9, 1)": "(121, 9, 1)"},
            because="only every fourth window",
        ),
        Wrong(
            "one tap for a step",
            replace={"(16 * (64 + 128), 16 * (96 + 128), 16 * (128 + 128))": "(192, 224, 256)"},
            because="a step has 16",
        ),
        Wrong(
            "turned round",
            replace={
                "(64 * 128 / 192, 96 * 128 / 224, 128 * 128 / 256)": "(192 / 8192, 224 / 12288, 256 / 16384)"
            },
            because="Turn them round",
        ),
        Wrong(
            "inputs one by one, as in conv2d_registers",
            replace={"(8 / 64, 10 / 96, 12 / 128)": "(12 / 64, 14 / 96, 16 / 128)"},
            because="here the inputs are float4, too",
        ),
        Wrong(
            "requests for wavefronts",
            replace={"(8 / 64, 10 / 96, 12 / 128)": "(4 / 64, 5 / 96, 6 / 128)"},
            because="each takes 2 wavefronts",
        ),
        Wrong(
            "as many columns as the stride suggests",
            replace={"174758": "174760"},
            because="the last windows must end within L",
        ),
        Wrong(
            "percent",
            replace={"(96 / 128, 490 / 512, 100 / 128 * 900 / 1024)": "(75, 95.7, 68.7)"},
            because="write 0.75 for 75%",
        ),
        Wrong("image by image", replace={"490 / 512": "49 / 128"}, because="lie in one row"),
        Wrong("one value left out", replace={"490 / 512": "..."}, because="has no value yet"),
    ],
)
