"""F(4x4, 3x3) on a layer, by hand: multiplications, bytes, milliseconds, and where it cannot gain."""

from utils.exercise.spec import Answer, Exercise, Wrong

exercise = Exercise(
    title="Winograd, by hand",
    goal="work out multiplications, bytes and milliseconds of F(4x4, 3x3) on one layer, and say where it"
    " cannot gain",
    kind="answer",
    hints=[
        "14 outputs down and across, 4 a tile: how many tiles, when the last one is only partly needed?",
        "Every tile takes 36 products for each pair of a channel and a filter, whether its outputs exist or"
        " not. The definition takes 9 for each output that exists.",
        "V holds 36 floats for each tile and channel, M 36 for each tile and filter. Both are written by one"
        " kernel and read by the next.",
        "A product is two operations: 2 * billions / 51 gives milliseconds, for billions in 10^9.",
        "F(m x m, r x r) takes (m + r - 1)^2 products for m^2 outputs. With r = 1 that is m^2.",
    ],
    answers=[
        Answer(
            "tiles",
            1024,
            {
                784: "14 / 4 is 3.5: a tile of which half is needed is computed as a whole. Round up first.",
                576: "14 / 4 is 3.5. Rounded down, two rows and columns of outputs are left out.",
                16: "that is one image. There are 64.",
                4: "that is one side of one image.",
                3136: "that is 28 x 28. Here the image has 14 x 14.",
                12544: "those are outputs of one filter. A tile has 16.",
            },
            "It is 64 images times the tiles down times the tiles across, each rounded up.",
        ),
        Answer(
            "billions",
            2.416,
            {
                1.85: "that is a quarter of the definition's. The tiles at the edge are computed as a whole,"
                " too.",
                7.399: "those are the definition's. A tile takes 36 for each channel and filter.",
                4.832: "those are operations: each product is added, too. Here count multiplications.",
                9.664: "36 products serve a whole tile, not one output... You have 9 x 16 = 144 a tile.",
                0.00944: "each of the 36 products is taken for every channel and every filter.",
                2.416e9: "in billions, please: leave out the 10^9.",
            },
            "It is 36 C K tiles / 10^9.",
            tolerance=0.01,
        ),
        Answer(
            "fewer",
            3.0625,
            {
                4: "so it is where all outputs of the tiles exist. Of 16 x 16 computed ones, 14 x 14 do.",
                0.3265: "the other way round: the definition's over Winograd's.",
                2.25: "that is F(2x2, 3x3).",
            },
            "It is 64 x 256 x 256 x 14 x 14 x 9 over your multiplications.",
            tolerance=0.01,
        ),
        Answer(
            "v_megabytes",
            37.75,
            {
                9.437: "those are the numbers, in millions. A float has four bytes.",
                12.845: "that is the input. V holds 36 numbers for each tile and channel.",
                28.9: "that is the input times 2.25. Tiles at the edge are stored as a whole.",
                0.1475: "each of the 256 channels has its own.",
                36.0: "that is in MiB, 2^20 bytes. Here M is 10^6.",
                75.5: "that is V and M together.",
            },
            "It is 4 x 36 x tiles x C / 10^6.",
            tolerance=0.01,
        ),
        Answer(
            "product_ms",
            0.0947,
            {
                0.0474: "51 TFLOP/s counts a multiplication and its addition as two.",
                0.29: "that is the definition. Use your multiplications.",
                0.0725: "that is a quarter of the definition's. Use your multiplications.",
                94.7: "in milliseconds, please.",
            },
            "It is 2 x billions / 51: billions of operations over tera is milliseconds.",
            tolerance=0.01,
        ),
        Answer(
            "traffic_ms",
            0.0351,
            {
                0.0088: "that is V, once. V and M are written and read.",
                0.0176: "that is V and M once each, or V twice. Both are written and read.",
                35.1: "in milliseconds, please.",
            },
            "V and M have the same size here, C = K: four times v_megabytes, at 4.3 TB/s.",
            tolerance=0.01,
        ),
        Answer(
            "per_output",
            (1, 4, 1),
            {
                (16, 16, 1): "those are products of a tile. A tile has 16, 4 and 1 outputs.",
                (1, 16, 1): "the tile of F(2x2, 3x3) has 4 outputs.",
                (2.25, 4, 1): "2.25 is F(4x4, 3x3). With r = 1 the tile is 4 + 1 - 1 pixels wide.",
                (1, 2.25, 1): "2.25 is F(4x4, 3x3), and how many times fewer F(2x2, 3x3) takes. How many"
                " are that an output?",
                (1, 9, 1): "9 is the definition. F(2x2, 3x3) takes (2 + 3 - 1)^2 for 4 outputs.",
            },
            "It is (m + r - 1)^2 / m^2.",
        ),
        Answer(
            "why_not",
            ("B", "C", "A"),
            {
                ("B", "A", "A"): "with stride 2 the matrices do not fit at all: what do they take for granted"
                " about neighbouring windows?",
                ("A", "C", "A"): "a 1 x 1 filter has nothing to save: per_output says so.",
                ("B", "C", "B"): "one channel and one filter of 3 x 3 take 9 products an output. But each"
                " number of V and M is used for only one.",
                ("B", "C", "C"): "one channel changes nothing about the distance of windows.",
            },
            "Each letter is used once.",
        ),
    ],
    starter_fails="tiles has no value yet",
    wrong=[
        Wrong("parts of tiles", replace={"tiles = 1024": "tiles = 64 * 3.5 * 3.5"}, because="Round up first"),
        Wrong("one image", replace={"tiles = 1024": "tiles = 16"}, because="There are 64"),
        Wrong("a quarter", replace={"billions = 2.416": "billions = 7.399 / 4"}, because="at the edge"),
        Wrong(
            "operations", replace={"billions = 2.416": "billions = 4.832"}, because="count multiplications"
        ),
        Wrong("always four times", replace={"fewer = 3.0625": "fewer = 4"}, because="14 x 14 do"),
        Wrong("upside down", replace={"fewer = 3.0625": "fewer = 1 / 3.0625"}, because="the other way round"),
        Wrong("numbers for bytes", replace={"37.75": "9.437"}, because="four bytes"),
        Wrong("2.25 times the input", replace={"37.75": "28.9"}, because="stored as a whole"),
        Wrong("one operation a product", replace={"0.0947": "0.0474"}, because="as two"),
        Wrong("V alone", replace={"0.0351": "0.0088"}, because="written and read"),
        Wrong("products of a tile", replace={"(1, 4, 1)": "(16, 16, 1)"}, because="A tile has 16, 4 and 1"),
        Wrong(
            "stride is traffic", replace={'("B", "C", "A")': '("B", "A", "A")'}, because="take for granted"
        ),
        Wrong("one value left out", replace={'("B", "C", "A")': '("B", "C", ...)'}, because="no value yet"),
    ],
)
