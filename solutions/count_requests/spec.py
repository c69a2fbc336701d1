"""Count the load requests of conv2d_naive by hand, border rows included."""

from utils.exercise.spec import Answer, Exercise, Wrong

exercise = Exercise(
    title="How many load requests?",
    goal="predict how many load requests conv2d_naive makes on a small layer",
    kind="answer",
    hints=[
        "The outputs are N K P Q of them, and a warp has 32. Here 64 columns are two whole warps.",
        "One product needs one number of the input and one of the weight; there are C R S products.",
        "In the top row of the image the filter's first row lies in the padding for all 32 lanes: no request."
        " So it is in the bottom row. How many warps are in those two rows, in all N K planes of the output?",
        "64 warps lie in a top or bottom row. Each leaves out one of the filter's three rows: C S products.",
    ],
    answers=[
        Answer(
            "warps",
            2048,
            {
                65536: "that is the number of outputs, one thread each. A warp is 32 threads.",
                256: "that is the number of blocks. A block of 256 threads has eight warps.",
                1024: "there are two images, and eight filters for each.",
            },
            "It is the number of outputs, N K P Q, divided by 32.",
        ),
        Answer(
            "loads_per_thread",
            144,
            {
                72: "that is the number of products. Each needs two numbers.",
                18: "the sum goes over the eight input channels too.",
                9: "the sum goes over the eight input channels too, and each product needs two numbers.",
            },
            "It is two for each product, and there are C R S products.",
        ),
        Answer(
            "requests",
            291840,
            {
                294912: "right for an image without borders. Which requests does no lane take part in?",
                288768: "a warp in a border row leaves out one of the filter's rows, not two.",
                9437184: "that counts every thread's loads. A warp's 32 loads are one request.",
                145920: "the weight has to be loaded, too: two loads for each product.",
            },
            "It is warps times loads, less the requests that all 32 lanes skip.",
        ),
    ],
    starter_fails="warps has no value yet",
    wrong=[
        Wrong("borders forgotten", replace={"291840": "294912"}, because="no lane take part in"),
        Wrong("threads for warps", replace={"2048": "65536"}, because="A warp is 32 threads"),
        Wrong("products for loads", replace={"144": "72"}, because="Each needs two numbers"),
        Wrong("requests of threads", replace={"291840": "9437184"}, because="are one request"),
    ],
)
