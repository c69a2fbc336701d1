"""Count the threads of the first launch before it runs."""

from utils.exercise.spec import Answer, Exercise, Wrong

exercise = Exercise(
    title="How many threads?",
    goal="predict the launch of moving_average for 1,000 numbers and blocks of 256 threads",
    kind="answer",
    hints=[
        "Count the outputs first: a window of three has fewer places than there are numbers.",
        "The launcher rounds up: how many blocks of 256 does it take to cover 998 outputs?",
        "Idle threads are those whose i is not below the number of outputs.",
    ],
    answers=[
        Answer(
            "blocks",
            4,
            {
                3: "three blocks have 768 threads, and there are more outputs than that. Round up.",
                1: "one block has 256 threads, each for one output. There are more outputs.",
                1000: "a block is a group of 256 threads, not one thread.",
                998: "a block is a group of 256 threads, not one thread.",
            },
            "Divide the number of outputs by 256 and round up.",
        ),
        Answer(
            "threads",
            1024,
            {
                998: "blocks are launched whole: the last one has 256 threads too.",
                1000: "blocks are launched whole: the last one has 256 threads too.",
                256: "that is one block. How many blocks are there?",
            },
            "It is the number of blocks times 256.",
        ),
        Answer(
            "idle",
            26,
            {
                24: "that would be right for 1,000 outputs. But a window of three has fewer places.",
                0: "the launch was rounded up: some threads of the last block have no output.",
                25: "the last window begins at index 997, counted from 0: that makes 998 outputs.",
            },
            "It is the number of threads minus the number of outputs.",
        ),
    ],
    starter_fails="blocks has no value yet",
    wrong=[
        Wrong("rounds down", replace={"blocks = 4": "blocks = 1000 // 256"}, because="Round up."),
        Wrong(
            "a block taken for a thread",
            replace={"blocks = 4": "blocks = 998"},
            because="a group of 256 threads",
        ),
        Wrong(
            "no idle threads",
            replace={"threads = 1024": "threads = 998"},
            because="blocks are launched whole",
        ),
        Wrong(
            "as many outputs as inputs", replace={"idle = 26": "idle = 24"}, because="right for 1,000 outputs"
        ),
        Wrong("no number", replace={"idle = 26": "idle = 'few'"}, because="idle = 'few' is not right"),
    ],
)
