"""Six claims of speed: which lie does each tell?"""

from utils.exercise.spec import Answer, Exercise, Wrong

NAMES = (
    "unfinished",
    "cold start",
    "warm cache",
    "overhead",
    "weak rival",
    "other precision",
    "unequal statistics",
    "unchecked",
    "easy data",
)


class Lie(Answer):
    """One of the nine names; warm_cache and Warm-Cache are as good as warm cache."""

    def check(self, cell):
        given = cell.get(self.name, ...)
        if isinstance(given, str):
            given = " ".join(given.replace("_", " ").replace("-", " ").lower().split())
            assert given in NAMES, f"{self.name} = {given!r} is none of the nine names"
        super().check({**cell, self.name: given})


exercise = Exercise(
    title="Which lie?",
    goal="name the lie that each of the six claims tells",
    kind="answer",
    hints=[
        "Take the lies one by one and ask of each claim: what would I have to see if it were this one?",
        "Claim 1: compare what was measured with what the profiler saw. Claim 4: where does the clock stop?",
        "Claim 2: how large is the error, and which rounding makes one of that size? Claim 5: how many bytes"
        " a second is that, and what can the memory do?",
        "Claim 3: when did the output get its values? Claim 6: what would cuDNN do if one let it choose?",
    ],
    answers=[
        Lie(
            "claim_1",
            "overhead",
            {
                "unfinished": "each sample waits for its last event: the work is done.",
                "warm cache": "a warm cache makes kernels look faster. These look ten times slower.",
                "cold start": "a hundred samples, and their median: the first call does not matter.",
                "weak rival": "both are measured in the same way. What else is in 0.031 ms beside 0.003?",
            },
            "The profiler saw 0.003 ms of work. What are the other 0.028?",
        ),
        Lie(
            "claim_2",
            "other precision",
            {
                "unchecked": "it was checked, and the author saw a difference of 0.02.",
                "weak rival": "cuDNN was at its best in fp32. What did the new kernel compute in?",
                "warm cache": "caches make nothing wrong in the third digit.",
            },
            "An error of 0.02 on values around 20 is a thousandth. Which numbers are rounded so coarsely?",
        ),
        Lie(
            "claim_3",
            "unchecked",
            {
                "other precision": "the difference is exactly zero, which is suspicious in itself.",
                "unfinished": "allclose waits for the work.",
                "weak rival": "what if the new kernel had written nothing at all?",
            },
            "Where do the numbers in the new kernel's output come from, if it writes none?",
        ),
        Lie(
            "claim_4",
            "unfinished",
            {
                "warm cache": "even from a cache, 54 billion operations in 0.4 ms are 130 TFLOP/s in fp32.",
                "overhead": "overhead makes a kernel look slower. This one looks fifty times faster.",
                "cold start": "the first call was made before the clock began, and it was waited for.",
                "unequal statistics": "the mean of how long what took? Look where the clock stops.",
            },
            "At which line do the CPU and the GPU meet again, and where does the clock stop?",
        ),
        Lie(
            "claim_5",
            "warm cache",
            {
                "unfinished": "the last event is waited for, and it comes after the thousand rounds.",
                "overhead": "it is one launch for a thousand rounds: the CPU has nothing to do in between.",
                "unequal statistics": "the mean of a thousand equal rounds is a fair number: but of what?",
                "unchecked": "relu may well be right here. Where do its 25 MB come from?",
            },
            "How many bytes a second are 25 MB in 0.0045 ms, and what can the memory do?",
        ),
        Lie(
            "claim_6",
            "weak rival",
            {
                "other precision": "both compute in fp32: TF32 is off.",
                "cold start": "both were warmed up.",
                "unequal statistics": "both numbers are medians of a hundred samples.",
                "unchecked": "the claim says how it was checked, and that is fine.",
                "warm cache": "both were measured with a flushed cache.",
            },
            "Is that the fastest that cuDNN can do in fp32 on this layer?",
        ),
    ],
    starter_fails="claim_1 has no value yet",
    wrong=[
        Wrong(
            "1: unfinished", replace={'claim_1 = "overhead"': 'claim_1 = "unfinished"'}, because="last event"
        ),
        Wrong(
            "2: unchecked",
            replace={'claim_2 = "other precision"': 'claim_2 = "unchecked"'},
            because="saw a difference",
        ),
        Wrong(
            "3: other precision",
            replace={'claim_3 = "unchecked"': 'claim_3 = "other precision"'},
            because="exactly zero",
        ),
        Wrong(
            "4: overhead", replace={'claim_4 = "unfinished"': 'claim_4 = "overhead"'}, because="look slower"
        ),
        Wrong("5: overhead", replace={'"warm cache"\n': '"overhead"\n'}, because="one launch for a thousand"),
        Wrong("6: cold start", replace={'"weak rival"\n': '"cold start"\n'}, because="both were warmed up"),
        Wrong(
            "no name of the list", replace={'"unfinished"\n': '"slow"\n'}, because="none of the nine names"
        ),
    ],
)
