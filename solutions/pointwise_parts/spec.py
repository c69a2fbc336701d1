"""What is left of implicit GEMM where the filter is 1 x 1."""

from utils.exercise.spec import Answer, Exercise, Wrong

ALL = (True,) * 6
FITS = "that would be a product whose sizes fit the tiles. Parts 5 and 6 ask: what if they do not?"

exercise = Exercise(
    title="A filter of one number",
    goal="say which parts of conv2d_gemm a 1 x 1 filter needs, and why",
    kind="answer",
    hints=[
        "With R = S = 1 a tap is a channel. Without padding every window lies in the image.",
        "With stride 1 the pixels of an image follow each other in memory as they do in the output. With"
        " stride 2 the end of a row leads two rows further down: then you need to know p and q.",
        "Images do not follow each other in a row of the matrix: the input is N x C x (H W), so the same"
        " channel of the next image is C H W numbers further on, not H W. With one image n is always 0.",
        "A float4 begins at a multiple of 16 bytes and must not reach into the next image's pixels. Is H W a"
        " multiple of 4?",
    ],
    answers=[
        Answer(
            "pointwise",
            (False, False, False, True, True, True),
            {
                (
                    False,
                    False,
                    False,
                    False,
                    True,
                    True,
                ): "the same channel of the next image does not follow:"
                " C H W numbers lie between them. So n is needed.",
                (
                    False,
                    False,
                    True,
                    True,
                    True,
                    True,
                ): "with stride 1 the pixels of an image lie in memory as"
                " in the output: pixel % (P Q) is enough, without p and q.",
                (False, True, False, True, True, True): "without padding no window reaches out of the image.",
                (
                    False,
                    False,
                    False,
                    True,
                    False,
                    True,
                ): "N P Q need not be a multiple of 128. The threads of"
                " the last tile that have no pixel must not load behind the input.",
                (False, False, False, True, True, False): "K and C can be anything: the tiles are still 64"
                " channels and 16 taps.",
                ALL: "with one tap a channel and no padding, some of them have nothing to do.",
                (False, False, False, True, False, False): FITS,
                (False,) * 6: FITS
                + " And n: the same channel of the next image is C H W numbers further on.",
            },
            "Ask of each part which question it answers, and whether a 1 x 1 filter still asks it.",
        ),
        Answer(
            "with_stride",
            (False, False, True, True, True, True),
            {
                (
                    False,
                    False,
                    False,
                    True,
                    True,
                    True,
                ): "the next pixel is 2 numbers further on, but behind the"
                " last of a row it is in the row after the next. Where does a row end?",
                (False, True, True, True, True, True): "a larger stride does not lead out of the image.",
            },
            "What changes with the stride: do the pixels of an image still follow each other in memory?",
        ),
        Answer(
            "one_image",
            (False, False, False, False, True, True),
            {
                (False, False, False, True, True, True): "there is one image: n is 0.",
                (
                    False,
                    False,
                    False,
                    False,
                    False,
                    False,
                ): "that would be a product whose sizes fit the tiles."
                " P Q need not be a multiple of 128, nor K of 64, nor C of 16.",
            },
            "It is the plain product of K x C and C x (H W), with any K, C and H W.",
        ),
        Answer(
            "matrix",
            (1, 1 / 4),
            {
                (1, 1 / 2): "a stride of 2 leaves out every second row and every second column.",
                (1, 1): "with stride 2 not every number of the input is read.",
                (1, 4): "with stride 2 there are fewer pixels than numbers in a channel.",
            },
            "It has C rows and N P Q columns; the input has N C H W numbers.",
            tolerance=0.001,
        ),
        Answer(
            "four_at_once",
            (True, False),
            {
                (
                    True,
                    True,
                ): "49 is no multiple of 4: the second image begins at a place that is no multiple of"
                " 16 bytes, and a group of four pixels can be of two images.",
                (False, False): "56 * 56 is a multiple of 4, and so is 128: a group of four neighbours never"
                " leaves its image, and begins at a multiple of 16 bytes.",
            },
            "Four neighbours must be of one image and begin at a multiple of 16 bytes.",
        ),
    ],
    starter_fails="pointwise has no value yet",
    wrong=[
        Wrong(
            "all images as one",
            replace={"pointwise = (False, False, False, True": "pointwise = (False, False, False, False"},
            because="C H W numbers lie between them",
        ),
        Wrong(
            "p and q out of habit",
            replace={"pointwise = (False, False, False": "pointwise = (False, False, True"},
            because="lie in memory as in the output",
        ),
        Wrong(
            "the edges of the tile forgotten",
            replace={
                "pointwise = (False, False, False, True, True, ": "pointwise = (False,) * 3 + (True, False, "
            },
            because="must not load behind the input",
        ),
        Wrong(
            "a plain product needs nothing",
            replace={"pointwise = (False, False, False, True, True, True)": "pointwise = (False,) * 6"},
            because="whose sizes fit the tiles",
        ),
        Wrong(
            "stride as if there were none",
            replace={"with_stride = (False, False, True": "with_stride = (False, False, False"},
            because="Where does a row end?",
        ),
        Wrong("half for a quarter", replace={"1 / 4": "1 / 2"}, because="every second row and every second"),
        Wrong(
            "any four neighbours",
            replace={"four_at_once = (True, False)": "four_at_once = (True, True)"},
            because="49 is no multiple of 4",
        ),
        Wrong(
            "everything falls away",
            replace={
                "one_image = (False, False, False, False, True, True)": (
                    "one_image = (False, False, False, False, False, False)"
                )
            },
            because="P Q need not be a multiple of 128",
        ),
    ],
)
