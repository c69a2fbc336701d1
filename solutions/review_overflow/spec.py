"""int index arithmetic: right on everything that anybody tries, wrong on a large batch."""

from kernels import INCLUDE
from utils import load_inline
from utils.check import check_conv2d, conv2d_cases
from utils.exercise.helpers import quietly
from utils.exercise.spec import Exercise, Wrong

# Behind the learner's source: the kernel's own functions, callable with any numbers.
PROBE = r"""
int64_t probe_thread(int64_t block, int64_t thread) { return thread_number(block, thread); }
int64_t probe_input(int64_t n, int64_t c, int64_t h, int64_t w, int64_t C, int64_t H, int64_t W) {
    return input_index(n, c, h, w, C, H, W);
}
int64_t probe_blocks(int64_t N, int64_t K, int64_t P, int64_t Q) { return blocks_needed(N, K, P, Q); }
"""
LIMIT = 2**31 - 1


def still_right(cell):
    groups = ("plain", "block edges", "batch and channels", "one output", "one row or column")
    chosen = [case for case in conv2d_cases() if case.group in groups]
    quietly(check_conv2d, cell.conv2d, chosen, empty_batch=True, refusals=True)


def function(name, exact, *calls):
    """A check that the learner's function gives what Python's integers, which have no end, give."""

    def check(cell):
        text = cell.conv2d.source.parts[-1][1]
        module = load_inline(
            "cell", cuda_sources=[text, PROBE], extra_include_paths=[INCLUDE], backend="simulator"
        )
        for what, arguments in calls:
            actual = getattr(module, f"probe_{name.split('_')[0]}")(*arguments)
            right = exact(*arguments)
            assert actual == right, (
                f"{name}{arguments} is {actual:,}, expected {right:,}: {what}. An int ends at {LIMIT:,}"
            )

    return check


def input_index(n, c, h, w, C, H, W):
    return ((n * C + c) * H + h) * W + w


def thread_number(block, thread):
    return block * 256 + thread


def blocks_needed(N, K, P, Q):
    return -(-N * K * P * Q // 256)


exercise = Exercise(
    title="Past the end of an int",
    goal="index arithmetic in 64 bits wherever a result or a product on the way to it can pass 2^31 - 1",
    run_starter=True,
    hints=[
        "An int times an int is an int, whatever the result is put into. An unsigned times an int is"
        " unsigned, and ends at 2^32 - 1.",
        "One factor of 64 bits makes a product one of 64 bits: int64_t(n) * C. It has to be the first"
        " product, the others take the type over.",
        "A function that computes in 64 bits and returns int throws the upper half away: the return types"
        " change, too. Three of them.",
    ],
    checks=[
        ("right on small tensors", still_right),
        (
            "the index into a large input",
            function(
                "input_index",
                input_index,
                ("the last element of 256 images of AlexNet", (255, 2, 223, 223, 3, 224, 224)),
                ("the last element of 16,384 such images", (16383, 2, 223, 223, 3, 224, 224)),
                ("1,000 images of 64 channels, 512 x 512", (999, 63, 511, 511, 64, 512, 512)),
                ("one image of 3 channels, 32,768 x 32,768", (0, 2, 32767, 32767, 3, 32768, 32768)),
                ("10,000 images of 2,048 channels, one column", (9999, 2047, 255, 0, 2048, 256, 1)),
                ("many channels of one image", (0, 2**31 - 2, 0, 1, 2**31 - 1, 1, 2)),
                ("a million images of 4,096 channels, one pixel", (2**20 - 1, 4095, 0, 0, 4096, 1, 1)),
                ("two images of one channel, 65,536 x 65,536", (1, 0, 65535, 65535, 1, 65536, 65536)),
            ),
        ),
        (
            "the number of a thread",
            function(
                "thread_number",
                thread_number,
                ("the first thread that an int cannot count", (2**23, 0)),
                ("beyond what 32 bits can count", (2**24, 5)),
                ("the last block of the largest grid", (2**31 - 2, 255)),
            ),
        ),
        (
            "the number of blocks",
            function(
                "blocks_needed",
                blocks_needed,
                ("256 images of AlexNet", (256, 96, 55, 55)),
                ("8,192 images of AlexNet", (8192, 96, 55, 55)),
                ("the product is 2^32, of which 32 bits keep 0", (1, 65536, 256, 256)),
                ("65,536 images, 65,536 filters", (65536, 65536, 1, 1)),
                ("one less than 2^31 outputs, before 255 is added", (1, 1, 1, LIMIT)),
                ("one plane of 65,536 x 65,536", (1, 1, 65536, 65536)),
                ("65,536 filters, 65,536 rows", (1, 65536, 65536, 1)),
                ("nearly 2^62 outputs, more digits than a double has", (LIMIT, LIMIT, 1, 1)),
            ),
        ),
    ],
    starter_fails="the index into a large input: input_index(16383, 2, 223, 223, 3, 224, 224) is -1,",
    wrong=[
        Wrong(
            "the result widened, not the products",
            replace={"((int64_t(n) * C + c) * H + h) * W + w": "int64_t(((n * C + c) * H + h) * W + w)"},
            because="input_index(16383, 2, 223, 223, 3, 224, 224) is -1,",
        ),
        Wrong(
            "the last product alone in 64 bits",
            replace={"((int64_t(n) * C + c) * H + h) * W + w": "int64_t((n * C + c) * H + h) * W + w",
},
            because="input_index(9999, 2047, 255, 0, 2048, 256, 1) is",
        ),
        Wrong(
            "the first product in 32 bits",
            replace={"((int64_t(n) * C + c) * H": "(int64_t(n * C + c) * H"},
            because="input_index(1048575, 4095, 0, 0, 4096, 1, 1) is",
        ),
        Wrong(
            "a plane's size in 32 bits",
            replace={"((int64_t(n) * C + c) * H + h) * W + w": "(int64_t(n) * C + c) * (H * W) + h * W + w"},
            because="input_index(1, 0, 65535, 65535, 1, 65536, 65536) is",
        ),
        Wrong(
            "the return type left as int",
            replace={"inline int64_t input_index": "inline int input_index"},
            because="input_index(16383, 2, 223, 223, 3, 224, 224) is -1,",
        ),
        Wrong(
            "unsigned in place of 64 bits",
            replace={
                "inline int64_t input_index": "inline unsigned input_index",
                "((int64_t(n) * C + c) * H + h) * W + w": "((unsigned(n) * C + c) * H + h) * W + w",
            },
            because="input_index(999, 63, 511, 511, 64, 512, 512) is",
        ),
        Wrong(
            "the number of a thread multiplied in 32 bits",
            replace={"int64_t(block) * 256 + thread": "block * 256 + thread"},
            because="the number of a thread: thread_number(16777216, 5) is 5,",
        ),
        Wrong(
            "blocks counted by an int product",
            replace={"(int64_t(N) * K * P * Q + 255)": "(N * K * P * Q + int64_t(255))"},
            because="the number of blocks: blocks_needed(8192, 96, 55, 55) is",
        ),
        Wrong(
            "blocks: a plane's size in 32 bits",
            replace={"(int64_t(N) * K * P * Q + 255)": "(int64_t(N) * K * (P * Q) + 255)"},
            because="the number of blocks: blocks_needed(1, 1, 65536, 65536) is",
        ),
        Wrong(
            "blocks counted with double",
            replace={"(int64_t(N) * K * P * Q + 255) / 256": "int64_t((double(N) * K * P * Q + 255) / 256)"},
            because="the number of blocks: blocks_needed(",
        ),
        Wrong(
            "blocks counted plane by plane",
            replace={"(int64_t(N) * K * P * Q + 255) / 256": "int64_t(N) * K * ((P * Q + 255) / 256)"},
            because="the number of blocks: blocks_needed(256, 96, 55, 55) is",
        ),
    ],
)  # fmt: skip
