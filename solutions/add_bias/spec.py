"""Add a bias once per output, and only where there is one."""

from utils.check import Case, check_conv2d, conv2d_cases
from utils.exercise.helpers import quietly
from utils.exercise.spec import Exercise, Wrong


def check(*cases, **flags):
    return lambda cell: quietly(check_conv2d, cell.conv2d, cases, **flags)


ONE_CHANNEL = Case("one channel", 1, 1, (4, 5), 3, (2, 3), bias=True)
THREE_CHANNELS = Case("three channels", 2, 3, (5, 7), 4, (3, 2), bias=True)
PLAIN = [case for case in conv2d_cases() if not case.needs]

exercise = Exercise(
    title="A bias, once",
    goal="output[n, k, p, q] = bias[k] + what the kernel computes now; without a bias nothing changes",
    hints=[
        "Where in the kernel is the sum complete? A bias belongs there, and not where the sum still grows.",
        "bias has one element per output channel. Which of n, k, p, q is the output channel?",
        "Without a bias, bias_data is nullptr, and nullptr must not be read: ask first, with ? and :.",
        "In the launcher bias is an optional: `bias ? ... : nullptr`. Its data: bias->data_ptr<float>().",
    ],
    checks=[
        ("one input channel", check(ONE_CHANNEL)),
        ("several input channels and images", check(THREE_CHANNELS)),
        ("without a bias", check(*PLAIN[:6])),
        ("many outputs, an empty batch", check(*PLAIN[6:], empty_batch=True, refusals=True)),
    ],
    starter_fails="one input channel: conv2d is wrong in",
    wrong=[
        Wrong(
            "once per input channel",
            replace={
                "c < C; ++c)\n": "c < C; ++c) {\n        if (bias) sum += bias[k];\n",
                "* R + r) * S + s];\n": "* R + r) * S + s];\n    }\n",
                "output[i] = sum + (bias ? bias[k] : 0.0f);": "output[i] = sum;",
            },
            because="several input channels and images: conv2d is wrong in",
        ),
        Wrong(
            "once per product",
            replace={
                "                sum += input": "                sum += (bias ? bias[k] : 0.0f) + input",
                "output[i] = sum + (bias ? bias[k] : 0.0f);": "output[i] = sum;",
            },
            because="one input channel: conv2d is wrong in",
        ),
        Wrong("the image's", replace={"bias[k]": "bias[n]"}, because="one input channel: conv2d is wrong"),
        Wrong("one for each output", replace={"bias[k]": "bias[i]"}, because="out-of-bounds"),
        Wrong("read unasked", replace={"(bias ? bias[k] : 0.0f)": "bias[k]"}, because="without a bias: "),
        Wrong(
            "not passed to the kernel",
            replace={"bias_data = bias ? bias->data_ptr<float>() : nullptr": "bias_data = nullptr"},
            because="one input channel: conv2d is wrong in",
        ),
    ],
)  # fmt: skip
