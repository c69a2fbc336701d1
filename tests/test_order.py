"""The order of threads: what it says, how it reaches a call, and that checks see what works by luck."""

import pytest
import torch
from simulated import Kernel, compile_kernels, compile_text

from utils.check import Case, CheckError, check_conv1d
from utils.errors import KernelError
from utils.simulator import profile, thread_order

TRAIL = Kernel("trail", 'printf("%d.%d ", blockIdx.x, threadIdx.x);', launch="40, 64")


@pytest.fixture(scope="module")
def trail():
    return compile_kernels([TRAIL]).trail


@pytest.fixture
def turns(trail, capsys, monkeypatch):
    """In which order the threads printed: (block, thread) pairs."""
    monkeypatch.setenv("CONV_THREADS", "1")  # several cores print their blocks one core after the other

    def turns(**options):
        profile(trail, torch.zeros(1), **options)
        return [tuple(map(int, pair.split("."))) for pair in capsys.readouterr().out.split()]

    return turns


def test_a_random_order_shuffles_lanes_warps_and_blocks(turns):
    forward = [(block, thread) for block in range(40) for thread in range(64)]
    assert turns() == forward and turns(order="reverse") == forward[::-1]
    shuffled = turns(order="random", seed=1)
    assert sorted(shuffled) == forward
    assert shuffled == turns(order="random", seed=1) != turns(order="random", seed=2)
    warps = [shuffled[k : k + 32] for k in range(0, len(shuffled), 32)]
    assert all(len({(block, thread // 32) for block, thread in warp}) == 1 for warp in warps)
    lanes = {tuple(thread % 32 for _, thread in warp) for warp in warps}
    assert len(lanes) == 80, "every warp has an order of its own"
    steps = {tuple((b - a) % 32 for a, b in zip(order, order[1:], strict=False)) for order in lanes}
    assert len(steps) == 80, "and none is another one rotated"
    first_warps = [warp[0][1] // 32 for warp in warps[::2]]
    assert 10 < sum(first_warps) < 30
    blocks = [warp[0][0] for warp in warps[::2]]
    assert len({b - a for a, b in zip(blocks, blocks[1:], strict=False)}) > 15, "not a walk of equal steps"


def test_every_lane_gets_every_place_in_a_random_order(turns):
    places = {
        (shuffled.index((0, thread)) % 32, thread % 32)
        for shuffled in (turns(order="random", seed=seed) for seed in range(12))
        for thread in range(64)
    }
    assert len(places) > 450  # of 1,024, from 12 x 64 draws


def test_an_order_for_all_calls_inside_a_with(trail, capsys):
    def first():
        trail(torch.zeros(1))
        return capsys.readouterr().out.split()[0]

    with thread_order("reverse"):
        assert first() == "39.63" or first().endswith(".63")
        with thread_order("forward"):
            assert first().endswith(".0")
        assert first().endswith(".63")
    assert first().endswith(".0")
    with pytest.raises(ValueError, match="order must be one of"), thread_order("backwards"):
        pass


# Right in forward order alone: the ticket that a thread draws happens to be its own number there. Atomics do
# not race, so the sanitizer has nothing to say.
BY_LUCK = """
__global__ void by_luck(const float* input, const float* weight, float* output, int* tickets, int C, int L,
                        int K, int S, int Q) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= K * Q) return;
    const int q = i % Q, k = i / Q, ticket = atomicAdd(tickets, 1);
    float sum = 0;
    for (int c = 0; c < C; ++c)
        for (int s = 0; s < S; ++s) sum += input[c * L + q + s] * weight[(k * C + c) * S + s];
    output[PLACE] = sum + EXTRA;
}
torch::Tensor conv1d(torch::Tensor input, torch::Tensor weight) {
    const int C = input.size(1), L = input.size(2), K = weight.size(0), S = weight.size(2), Q = L - S + 1;
    TORCH_CHECK(input.size(0) == 1, "one image");
    auto output = torch::empty({1, K, Q}, input.options());
    auto tickets = torch::zeros({1}, input.options().dtype(torch::kInt32));
    by_luck<<<(K * Q + 31) / 32, 32>>>(input.data_ptr<float>(), weight.data_ptr<float>(),
                                       output.data_ptr<float>(), tickets.data_ptr<int>(), C, L, K, S, Q);
    return output;
}
"""
ONE = [Case("mine", 1, 2, (9,), 3, (3,))]
MANY = [Case("mine", 1, 2, (size,), 3, (3,)) for size in (9, 40, 70)]
ALONE = {"refusals": False, "empty_batch": False}


def variant(place="i", extra="0"):
    return compile_text(BY_LUCK.replace("PLACE", place).replace("EXTRA", extra)).conv1d


@pytest.mark.parametrize("cases", [ONE, MANY])
def test_a_check_sees_what_is_right_by_luck(cases):
    lucky, right = variant("ticket"), variant()
    for case in cases:  # in forward order it is right
        x, w = torch.randn(1, case.C, *case.size), torch.randn(case.K, case.C, *case.taps)
        torch.testing.assert_close(lucky(x, w), torch.nn.functional.conv1d(x, w))
    with pytest.raises(CheckError) as caught:
        check_conv1d(lucky, cases, **ALONE)
    text = str(caught.value)
    assert "in forward order this case is right, in reverse order it is wrong" in text
    assert 'with thread_order("reverse"): conv1d(...)' in text
    check_conv1d(right, cases, **ALONE)


def test_a_check_runs_random_orders_too():
    """Right forward and backward, and in no other order."""
    lucky = variant(extra="!(ticket == i || ticket == K * Q - 1 - i)")
    with pytest.raises(CheckError, match="in random order with seed 1 it is wrong") as caught:
        check_conv1d(lucky, MANY, **ALONE)
    assert 'thread_order("random", seed=1)' in str(caught.value)
    check_conv1d(lucky, MANY[:2], **ALONE)


def test_what_is_wrong_in_every_order_is_told_without_one():
    wrong = variant("K * Q - 1 - i")
    for cases in ONE, MANY:
        with pytest.raises(CheckError) as caught:
            check_conv1d(wrong, cases, **ALONE)
        assert "order" not in str(caught.value)


def test_an_error_in_one_order_alone_says_which():
    with pytest.raises(KernelError) as caught:
        check_conv1d(variant("i + (i == 0) * 999 * ticket"), ONE, **ALONE)
    assert caught.value.kind == "out-of-bounds"
    assert "in reverse order it is wrong" in str(caught.value) and "case: input 1x2x9" in str(caught.value)


def test_an_error_in_every_order_names_the_first_thread():
    """As a run of one's own would: forward."""
    with pytest.raises(KernelError) as caught:
        check_conv1d(variant("i + 999 * (q > 30)"), MANY[:2], **ALONE)
    assert caught.value.thread == (31, 0, 0) and "order" not in str(caught.value)


def test_what_the_simulator_does_not_check_runs_once():
    calls = []

    def counted(input, weight, **options):
        calls.append(1)
        return torch.nn.functional.conv1d(input, weight)

    check_conv1d(counted, ONE, **ALONE)
    assert len(calls) == 1
