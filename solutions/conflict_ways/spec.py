"""Wavefronts of eight access patterns, by hand."""

from utils.exercise.spec import Answer, Exercise, Wrong

exercise = Exercise(
    title="How many wavefronts?",
    goal="say how many wavefronts each of eight requests to shared memory takes",
    kind="answer",
    hints=[
        "Write down the words of lanes 0, 1, 2, ... and their banks, word % 32, until a bank comes again.",
        "With stride s, lane i reads bank s i % 32. Lanes i and j meet where s (i - j) is a multiple of 32."
        " For s = 6 that is where i - j is a multiple of 16.",
        "Walking down a column of rows of n floats is a stride of n.",
        "A wavefront delivers one word of each of the 32 banks, 128 bytes. How many bytes do 32 lanes want"
        " that read 16 bytes each?",
    ],
    answers=[
        Answer(
            "stride_2",
            2,
            {
                1: "lanes 0 and 16 read words 0 and 32: different words of bank 0.",
                16: "16 banks are in use, with two words in each of them: two wavefronts.",
            },
            "Lane i reads bank 2 i % 32. How many lanes come to bank 0?",
        ),
        Answer(
            "stride_3",
            1,
            {
                3: "that is the distance. 3 i % 32 takes every value from 0 to 31 once: no two lanes meet.",
                2: "lane 11 reads word 33, in bank 1. Which other lane reads from bank 1? None.",
            },
            "Write down 3 i % 32 for i = 0 to 31: does a value come twice?",
        ),
        Answer(
            "stride_6",
            2,
            {
                6: "that is the distance. Lane i meets lane j where 6 (i - j) is a multiple of 32.",
                1: "lanes 0 and 16 read words 0 and 96: different words of bank 0.",
                3: "6 (i - j) is a multiple of 32 where i - j is one of 16: pairs.",
            },
            "It is the largest number that divides both 6 and 32.",
        ),
        Answer(
            "stride_12",
            4,
            {
                8: "8 banks are in use, with four words in each of them: four wavefronts.",
                12: "that is the distance. Lane i meets lane j where 12 (i - j) is a multiple of 32.",
                3: "12 (i - j) is a multiple of 32 where i - j is one of 8: how many lanes are that?",
                2: "lanes 0, 8, 16 and 24 read words 0, 96, 192 and 288. Which banks are these?",
                1: "lanes 0 and 8 read words 0 and 96: different words of bank 0.",
            },
            "Lanes 0, 8, 16 and 24 read words 0, 96, 192 and 288.",
        ),
        Answer(
            "column_of_32",
            32,
            {1: "a[i][5] is word 32 i + 5. Which bank is that?"},
            "a[i][5] is word 32 i + 5.",
        ),
        Answer(
            "column_of_33",
            1,
            {
                32: "a[i][5] is word 33 i + 5 here: each row begins one bank further on.",
                2: "33 i + 5 has the remainder (i + 5) % 32: as many banks as lanes.",
            },
            "a[i][5] is word 33 i + 5.",
        ),
        Answer(
            "broadcast",
            1,
            {32: "they all want the same word. Only different words of a bank wait for each other."},
            "They all want one word of one bank.",
        ),
        Answer(
            "four_each",
            4,
            {
                1: "32 lanes want 512 bytes, and a wavefront delivers 128 at most.",
                16: "the lanes want 128 words, four in each bank.",
                32: "the lanes want 128 words, four in each bank.",
            },
            "How many words are in the fullest bank?",
        ),
    ],
    starter_fails="stride_2 has no value yet",
    wrong=[
        Wrong("the stride for the wavefronts", replace={"stride_3 = 1": "stride_3 = 3"}, because="3 i % 32"),
        Wrong("banks for wavefronts", replace={"stride_2 = 2": "stride_2 = 16"}, because="16 banks are in"),
        Wrong("twelve for the wavefronts", replace={"stride_12 = 4": "stride_12 = 12"}, because="12 (i - j)"),
        Wrong("half of six", replace={"stride_6 = 2": "stride_6 = 3"}, because="pairs"),
        Wrong("the column forgotten", replace={"of_32 = 32": "of_32 = 1"}, because="Which bank"),
        Wrong("a broadcast as conflict", replace={"cast = 1": "cast = 32"}, because="the same word"),
        Wrong("16 bytes for nothing", replace={"four_each = 4": "four_each = 1"}, because="128 at most"),
    ],
)  # fmt: skip
