"""Find the sum that a beginner's gradient of the weight forgets."""

from utils.check import Case, CheckError
from utils.check_gradients import check_conv2d_wgrad, conv2d_gradient_cases
from utils.exercise.helpers import quietly
from utils.exercise.spec import Exercise, Wrong


def on(*groups, more=(), **flags):
    """A check on the cases of these groups, and of `more`. Hints would name the sum: they are left out."""
    chosen = [case for case in conv2d_gradient_cases() if case.group in groups] + list(more)

    def check(cell):
        try:
            quietly(check_conv2d_wgrad, cell.conv2d_wgrad, chosen, **flags)
        except CheckError as error:
            raise CheckError(str(error).partition("\nHint:")[0]) from None

    return check


SMALL = [
    Case("", 1, 1, (5, 7), 1, (3, 3)),
    Case("", 1, 2, (9, 33), 3, (3, 3)),
    Case("", 1, 2, (17, 20), 2, (3, 2), stride=2, padding=1),
]

exercise = Exercise(
    title="The missing sum",
    goal="a weight's gradient has one more sum than this kernel takes: find it, and keep the last bits"
    " independent of who comes first",
    run_starter=True,
    hints=[
        "Read what passes and what fails first. Which dimension of the two tensors has size 1 wherever the"
        " kernel is right?",
        "y[n, k, p, q] contains this weight for every n, p and q. Over how many of these does the loop run,"
        " and over how many do the threads share it?",
        "Let i count all outputs of a channel, in all images: decode q, p and n from it, and use n in both"
        " tensors. N blocks for each weight, which add with +=, would be a race; with atomicAdd the last bits"
        " would depend on who comes first.",
    ],
    checks=[
        ("small shapes", on(more=SMALL)),
        ("batch and channels", on("batch and channels", "several blocks")),
        ("stride, padding, dilation", on("stride", "padding", "dilation", "windows in the padding")),
        ("everything together, no images", on("everything together", empty_batch=True, refusals=True)),
    ],
    starter_fails="batch and channels: conv2d_wgrad",
    wrong=[
        Wrong(
            "the first image's input for all",
            replace={"input[((n * C + c) * H + h)": "input[(c * H + h)"},
            because="batch and channels: ",
        ),
        Wrong(
            "the first image's gradients for all",
            replace={"grad_output[((n * K + k) * P + p)": "grad_output[(k * P + p)"},
            because="batch and channels: ",
        ),
        Wrong(
            "the mean over the images",
            replace={"grad_weight[place] = part[0];": "grad_weight[place] = part[0] / N;"},
            because="batch and channels: ",
        ),
        Wrong(
            "the images added by all threads at once",
            replace={
                "        grad_weight[place] = part[0];\n": "",
                "    if (threadIdx.x == 0) {\n    }\n": "",
                "    part[threadIdx.x] = sum;\n    __syncthreads();\n": (
                    "    if (threadIdx.x == 0) grad_weight[place] = 0;\n    __syncthreads();\n"
                    "    grad_weight[place] += sum;\n    part[threadIdx.x] = sum;\n    __syncthreads();\n"
                ),
            },
            because="small shapes: conv2d_wgrad_block, line",
        ),
        Wrong(
            "added by atomicAdd",
            replace={
                "    part[threadIdx.x] = sum;\n": (
                    "    part[threadIdx.x] = 0;\n    __syncthreads();\n    atomicAdd(&part[0], sum);\n"
                ),
                "part[threadIdx.x] += part[threadIdx.x + half]": "part[threadIdx.x] += 0",
            },
            because="another result when it is called again",
        ),
        Wrong(
            "no sum over the threads",
            replace={"half > 0; half /= 2": "half > 64; half /= 2"},
            because="small shapes: conv2d_wgrad",
        ),
        Wrong(
            "the tree stops at two",
            replace={"half > 0; half /= 2": "half > 1; half /= 2"},
            because="small shapes: conv2d_wgrad",
        ),
        Wrong(
            "no barrier in the tree",
            replace={"+ half];\n        __syncthreads();\n": "+ half];\n"},
            because="race",
        ),
        Wrong(
            "no barrier before the tree",
            replace={
                "    part[threadIdx.x] = sum;\n    __syncthreads();\n": "    part[threadIdx.x] = sum;\n"
            },
            because="race",
        ),
        Wrong(
            "the first 128 outputs",
            replace={"i < N * P * Q; i += THREADS": "i < min(N * P * Q, THREADS); i += THREADS"},
            because="small shapes: conv2d_wgrad",
        ),
    ],
)
