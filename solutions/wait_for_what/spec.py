"""What a wait must wait for, what stages take, and how much has to be under way: counted by hand."""

from utils.exercise.spec import Answer, Exercise, Wrong

exercise = Exercise(
    title="Wait for what?",
    goal="count the groups that may be under way at a wait, the bytes of the stages, and Little's law",
    kind="answer",
    hints=[
        "Before the loop STAGES - 1 groups are committed. At the wait of the first step, how many are there,"
        " and which one do you need? The others may be under way. In a later step nothing changes: one group"
        " was waited for, one was committed.",
        "If a step begins with its copy, there is one group more at the wait. And into which stage does it"
        " copy? Whoever still multiplies there must be done first: so a step needs a second barrier.",
        "Groups: one for each step, also where nothing is left to copy, and STAGES - 1 before the loop."
        " Bytes of a stage: (channels + pixels) x taps numbers of 4 bytes.",
        "Memory: latency x bandwidth, divided by the SMs; GB/s times ns are bytes. Arithmetic: a tap of a"
        " tile takes channels x pixels / 128 cycles, and (channels + pixels) x 4 bytes. So many bytes in a"
        " cycle, times 700.",
    ],
    answers=[
        Answer(
            "wait_first",
            (0, 1, 2),
            {
                (1, 2, 3): "these are all groups that are under way at the wait: nothing is waited for. The"
                " oldest is the one that you multiply next.",
                (2, 3, 4): "these are the stages. STAGES - 1 groups are under way, and you need the oldest.",
                (0, 0, 0): "that is right in its results, but waits for every copy: nothing would be under"
                " way but what this step starts. Only the oldest group is needed.",
            },
            "At the wait STAGES - 1 groups may be under way, and the oldest one is needed.",
        ),
        Answer(
            "copy_first",
            (1, 2, 3),
            {
                (0, 1, 2): "that waits for one group too many: this step's copy came before the wait.",
                (2, 3, 4): "that lets all of them be under way, also the one that is needed.",
            },
            "One group more has been committed than in the first order.",
        ),
        Answer(
            "barriers",
            (1, 2),
            {
                (
                    1,
                    1,
                ): "in the second order a fast thread comes to the next step's copy while a slow one still"
                " multiplies what lies there.",
                (
                    2,
                    2,
                ): "in the first order the barrier behind the wait does both: everybody's copies are there,"
                " and everybody is done with the last step's stage, into which the copy goes.",
            },
            "Which stage does the copy fill, and who may still read it?",
        ),
        Answer(
            "groups",
            (48, 24),
            {
                (46, 23): "these are the steps. Some groups were committed before the loop.",
                (49, 25): "STAGES - 1 groups are committed before the loop, not STAGES.",
                (44, 22): "an empty group counts, too: every step commits one.",
            },
            "One group a step, and STAGES - 1 before the loop.",
        ),
        Answer(
            "shared",
            (8_192, 15_360, 49_152),
            {
                (4_096, 5_120, 12_288): "that is one stage of each.",
                (2_048, 3_840, 12_288): "these are numbers; a number is 4 bytes.",
                (262_144, 589_824, 2_097_152): "a stage holds taps x channels and taps x pixels, not their"
                " product.",
            },
            "(channels + pixels) x taps x 4 bytes for a stage.",
        ),
        Answer(
            "memory",
            (2_720, 4_895, 11_024),
            {
                (108_800, 528_700, 1_455_200): "that is the whole GPU: divide by its SMs.",
            },
            "Bytes = seconds x bytes a second: 340e-9 x 320e9 / 40 on a T4.",
            tolerance=0.01,
        ),
        Answer(
            "arithmetic",
            (11_200, 9_333, 8_400),
            {
                (2_800, 2_333, 2_100): "these are numbers; a number is 4 bytes.",
                (16, 40 / 3, 12): "these are the bytes of a cycle. They are under way for 700 of them.",
                (5_600, 5_600, 5_600): "one side is missing: inputs and weights are both copied.",
                (5_600, 3_733, 2_800): "one side is missing: inputs and weights are both copied.",
            },
            "(channels + pixels) x 4 / (channels x pixels / 128) bytes a cycle, times 700.",
            tolerance=0.01,
        ),
    ],
    starter_fails="wait_first has no value yet",
    wrong=[
        Wrong(
            "waits for nothing",
            replace={"wait_first = (0, 1, 2)": "wait_first = (1, 2, 3)"},
            because="nothing is waited for",
        ),
        Wrong(
            "waits for all",
            replace={"wait_first = (0, 1, 2)": "wait_first = (0, 0, 0)"},
            because="but waits for every copy",
        ),
        Wrong(
            "the same wait in both orders",
            replace={"copy_first = (1, 2, 3)": "copy_first = (0, 1, 2)"},
            because="one group too many",
        ),
        Wrong(
            "one barrier in both orders",
            replace={"barriers = (1, 2)": "barriers = (1, 1)"},
            because="a fast thread comes to the next step's copy",
        ),
        Wrong(
            "steps for groups", replace={"(48, 24)": "(46, 23)"}, because="Some groups were committed before"
        ),
        Wrong(
            "one stage",
            replace={"(8_192, 15_360, 49_152)": "(4_096, 5_120, 12_288)"},
            because="one stage of each",
        ),
        Wrong(
            "the whole GPU",
            replace={"(2_720, 4_895, 11_024)": "(108_800, 528_700, 1_455_200)"},
            because="divide by its SMs",
        ),
        Wrong(
            "bytes of a cycle",
            replace={"(11_200, 9_333, 8_400)": "(16, 40 / 3, 12)"},
            because="under way for 700 of them",
        ),
        Wrong(
            "one value left out", replace={"(1, 2, 3)": "(1, ..., 3)"}, because="copy_first has no value yet"
        ),
    ],
)
