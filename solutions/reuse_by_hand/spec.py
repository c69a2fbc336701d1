"""What five register tiles read for a product, and how many warps fit beside their registers."""

from utils.exercise.spec import Answer, Exercise, Wrong

exercise = Exercise(
    title="Reuse, by hand",
    goal="work out what five register tiles read for a product, and how many warps fit on a multiprocessor",
    kind="answer",
    hints=[
        "A tile of Kt channels x Pt pixels reads Kt weights and Pt inputs for Kt Pt products.",
        "Wavefronts of one tap: one an input, and for the weights two every four channels (one single weight"
        " of the tile 1 x 1 is one). Then ask how many taps make 64 products: 64 / (Kt Pt).",
        "A block takes registers times threads, all at once or not at all: how many blocks fit into 65,536?"
        " Round down, then count their warps; more than 64 warps never fit.",
    ],
    answers=[
        Answer(
            "numbers",
            (2, 9 / 8, 1 / 2, 1 / 4, 20 / 64),
            {
                (2, 9, 8, 16, 20): "these are the numbers of one tap. Divide by the products made of them.",
                (2, 1, 0.5, 0.25, 0.25): "8 x 1 and 16 x 4 are not square: add the two sides, then divide.",
            },
            "It is (Kt + Pt) / (Kt Pt) for each tile.",
            tolerance=0.002,
        ),
        Answer(
            "wavefronts",
            (128, 40, 24, 12, 12),
            {
                (128, 72, 32, 16, 20): "these are the numbers that are read. A float4 brings four of them, in"
                " two wavefronts.",
                (128, 24, 20, 10, 8): "these are requests. A float4 takes two wavefronts,"
                " also as a broadcast.",
                (2, 5, 6, 12, 12): "these are the wavefronts of one tap. How many taps make 64 products?",
            },
            "One tap takes Pt wavefronts for the inputs and Kt / 2 for the weights (1 x 1: one); 64 products"
            " are 64 / (Kt Pt) taps.",
        ),
        Answer(
            "warps",
            (48, 20, 16, 8),
            {
                (6, 5, 4, 1): "these are blocks. A block of 256 threads has 8 warps, one of 128 has 4.",
                (51, 21, 16, 10): "a block that fits in part does not fit: round down to whole blocks first.",
                (64, 64, 64, 64): "that is the room for warps. Their registers must fit, too.",
                (1536, 640, 512, 256): "these are threads; 32 of them are a warp.",
            },
            "Blocks are 65,536 / (registers x threads), rounded down; a block of 256 threads has 8 warps.",
        ),
    ],
    starter_fails="numbers has no value yet",
    wrong=[
        Wrong(
            "numbers of a tap",
            replace={"(2, 9 / 8, 1 / 2, 1 / 4, 20 / 64)": "(2, 9, 8, 16, 20)"},
            because="Divide by the products",
        ),
        Wrong(
            "numbers for wavefronts",
            replace={"(128, 40, 24, 12, 12)": "(128, 72, 32, 16, 20)"},
            because="A float4 brings four of them",
        ),
        Wrong(
            "requests for wavefronts",
            replace={"(128, 40, 24, 12, 12)": "(128, 24, 20, 10, 8)"},
            because="also as a broadcast",
        ),
        Wrong("blocks for warps", replace={"(48, 20, 16, 8)": "(6, 5, 4, 1)"}, because="these are blocks"),
        Wrong(
            "parts of blocks", replace={"(48, 20, 16, 8)": "(51, 21, 16, 10)"}, because="whole blocks first"
        ),
        Wrong("one value left out", replace={", 24, 12, 12)": ", 24, 12, ...)"}, because="has no value yet"),
    ],
)
