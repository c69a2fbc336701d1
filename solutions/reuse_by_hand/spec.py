"""What five register tiles read for a product, and how many warps fit beside their registers."""

from utils.exercise.spec import Answer, Exercise, Wrong

exercise = Exercise(
    title="Reuse, by hand",
    goal="work out what five register tiles read for a product, and how many warps fit on a multiprocessor",
    kind="answer",
    hints=[
        "A tile of Kt channels x Pt pixels reads Kt weights and Pt inputs for Kt Pt products.",
        "Wavefronts of one tap: one an input, and for the weights two every four channels. Then ask"
        " how many taps make 64 products: 64 / (Kt Pt), which may be half a tap.",
        "A block takes registers times threads, all at once or not at all: how many blocks fit into 65,536?"
        " Round down, then count their warps; more than 64 warps never fit.",
    ],
    answers=[
        Answer(
            "numbers",
            (5 / 4, 8 / 16, 12 / 32, 20 / 64, 24 / 128),
            {
                (5, 8, 12, 20, 24): "these are the numbers of one tap. Divide by the products made of them.",
                (4 / 5, 2, 8 / 3, 16 / 5, 16 / 3): "these are products for a number. Turn them round.",
            },
            "It is (Kt + Pt) / (Kt Pt) for each tile, not rounded.",
            tolerance=0.002,
        ),
        Answer(
            "wavefronts",
            (48, 24, 20, 12, 8),
            {
                (80, 32, 24, 20, 12): "these are the numbers that are read. A float4 brings four of them, in"
                " two wavefronts.",
                (32, 20, 18, 8, 6): "these are requests. A float4 takes two wavefronts, also as a broadcast.",
                (3, 6, 10, 12, 16): "these are the wavefronts of one tap. How many taps make 64 products?",
            },
            "One tap takes Pt wavefronts for the inputs and Kt / 2 for the weights; 64 products are"
            " 64 / (Kt Pt) taps.",
        ),
        Answer(
            "warps",
            (32, 24, 16, 8),
            {
                (4, 6, 4, 1): "these are blocks. A block of 256 threads has 8 warps, one of 128 has 4.",
                (36, 25, 16, 10): "a block that fits in part does not fit: round down to whole blocks first.",
                (64, 64, 64, 64): "that is the room for warps. Their registers must fit, too.",
                (1024, 768, 512, 256): "these are threads; 32 of them are a warp.",
            },
            "Blocks are 65,536 / (registers x threads), rounded down; a block of 256 threads has 8 warps.",
        ),
    ],
    starter_fails="numbers has no value yet",
    wrong=[
        Wrong(
            "numbers of a tap",
            replace={"(5 / 4, 8 / 16, 12 / 32, 20 / 64, 24 / 128)": "(5, 8, 12, 20, 24)"},
            because="Divide by the products",
        ),
        Wrong(
            "numbers for wavefronts",
            replace={"(48, 24, 20, 12, 8)": "(80, 32, 24, 20, 12)"},
            because="A float4 brings four of them",
        ),
        Wrong(
            "requests for wavefronts",
            replace={"(48, 24, 20, 12, 8)": "(32, 20, 18, 8, 6)"},
            because="also as a broadcast",
        ),
        Wrong("blocks for warps", replace={"(32, 24, 16, 8)": "(4, 6, 4, 1)"}, because="these are blocks"),
        Wrong(
            "parts of blocks", replace={"(32, 24, 16, 8)": "(36, 25, 16, 10)"}, because="whole blocks first"
        ),
        Wrong("one value left out", replace={", 20, 12, 8)": ", 20, 12, ...)"}, because="has no value yet"),
    ],
)
