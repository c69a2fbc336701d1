"""The kernel's index decode, backwards: from an output to its thread."""

from utils.exercise.spec import Answer, Exercise, Wrong

exercise = Exercise(
    title="Which thread?",
    goal="find the block and the thread that compute one output of conv2d_naive",
    kind="answer",
    hints=[
        "Read the kernel's first three lines backwards: q comes from x, p from y, n and k from z.",
        "q = blockIdx.x * 32 + threadIdx.x: how often does 32 fit into q, what is left? p and 8: the same.",
        "n = blockIdx.z / K and k = blockIdx.z % K, hence blockIdx.z = n * K + k. Every threadIdx.z is 0.",
    ],
    answers=[
        Answer(
            "block",
            (1, 1, 5),
            {
                (0, 1, 5): "x and y of the block are swapped? q = 40 lies beyond the first 32 columns.",
                (1, 0, 5): "p = 13 lies beyond the first 8 rows.",
                (0, 5, 5): "the block is 32 wide along q and 8 high along p: x belongs to q, y to p.",
                (2, 2, 5): "count from 0: the first block covers the columns 0 to 31 and the rows 0 to 7.",
                (1, 1, 7): "z is n * K + k with K = 3. Here n was multiplied with something else.",
                (1, 1, 2): "z counts images too: image 1 begins after the K channels of image 0.",
                (1, 1, 3): "z is n * K + k: that is where image 1 begins, and k = 2 is still missing.",
            },
            "q gives x, p gives y, n and k together give z.",
        ),
        Answer(
            "thread",
            (8, 5, 0),
            {
                (5, 8, 0): "x and y are swapped: x belongs to q, the innermost dimension.",
                (40, 13, 0): "a block has only 32 x 8 threads. Take away what the blocks before it cover.",
                (9, 6, 0): "count from 0.",
                (8, 5, 1): "a block has one layer of threads: their z is 0.",
                (8, 5, 5): "a block has one layer of threads: their z is 0.",
            },
            "What is left of q after whole blocks of 32, and of p after whole blocks of 8?",
        ),
    ],
    starter_fails="block has no value yet",
    wrong=[
        Wrong(
            "x and y swapped",
            replace={"thread = (8, 5, 0)": "thread = (5, 8, 0)"},
            because="x and y are swapped",
        ),
        Wrong(
            "32 and 8 swapped", replace={"block = (1, 1, 5)": "block = (0, 5, 5)"}, because="x belongs to q"
        ),
        Wrong(
            "images forgotten",
            replace={"block = (1, 1, 5)": "block = (1, 1, 2)"},
            because="z counts images too",
        ),
        Wrong(
            "no remainder",
            replace={"thread = (8, 5, 0)": "thread = (40, 13, 0)"},
            because="only 32 x 8 threads",
        ),
        Wrong(
            "two values",
            replace={"thread = (8, 5, 0)": "thread = (8, 5)"},
            because="should have 3 values, not 2",
        ),
        Wrong(
            "one number", replace={"block = (1, 1, 5)": "block = 5"}, because="should be a tuple of 3 values"
        ),
    ],
)
