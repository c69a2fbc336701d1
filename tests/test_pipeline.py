"""cp.async, cuda::pipeline and cuda::barrier as textbooks use them, and what can be done wrong with them."""

from dataclasses import replace

import pytest
import torch
from simulated import (
    MODES,
    compile_for,
    compile_kernels,
    line_of,
    nvcc_accepts,
    raised_as_told,
    read_kernels,
    twin,
)

from utils.errors import KernelError
from utils.simulator import profile

# y = name(x) for x = 0, 1, 2 ... 63, beside what it must be.
KERNELS = """
//# pieces_of_16_bytes <<<1, 16>>>: x.flip(0)
#include <cooperative_groups.h>
#include <cooperative_groups/memcpy_async.h>
#include <cuda/barrier>
#include <cuda/pipeline>
#include <cuda_pipeline.h>
namespace cg = cooperative_groups;
//#body
__shared__ __align__(16) float s[64];
__pipeline_memcpy_async(&s[4 * i], &x[4 * i], 16);
__pipeline_commit();
__pipeline_wait_prior(0);
__syncthreads();
for (int k = i; k < 64; k += 16) y[k] = s[63 - k];

//# pieces_of_8_bytes <<<1, 32>>>: x.flip(0)
__shared__ __align__(8) float s[64];
__pipeline_memcpy_async(&s[2 * i], &x[2 * i], 8);
__pipeline_commit();
__pipeline_wait_prior(0);
__syncthreads();
for (int k = i; k < 64; k += 32) y[k] = s[63 - k];

//# pieces_of_4_bytes <<<1, 64>>>: x.flip(0)
__shared__ float s[64];
__pipeline_memcpy_async(&s[i], &x[i], 4);
__pipeline_commit();
__pipeline_wait_prior(0);
__syncthreads();
y[i] = s[63 - i];

//# zeros_beyond_the_end <<<1, 64>>>: (x - 4).relu() + 1000 * (x >= 60)
__shared__ float s[72];
const int from = i - 4;  // the first four are outside, and not read
__pipeline_memcpy_async(&s[i], &x[from], 4, from < 0 ? 4 : 0);
if (i < 8) __pipeline_memcpy_async(&s[64 + i], &x[60 + i], 4, 60 + i < n ? 0 : 4);
__pipeline_commit();
__pipeline_wait_prior(0);
__syncthreads();
y[i] = s[i] + (i < 60 ? 0 : 1000 + s[i + 8]);

//# a_part_of_16_bytes <<<1, 16>>>: torch.where(x % 4 < 1, x, 0 * x)
__shared__ __align__(16) float s[64];
__pipeline_memcpy_async(&s[4 * i], &x[4 * i], 16, 12);
__pipeline_commit();
__pipeline_wait_prior(0);
for (int k = 4 * i; k < 4 * i + 4; ++k) y[k] = s[k];

//# pipeline_of_a_thread <<<1, 32>>>: x + 1
__shared__ float s[2][32];
cuda::pipeline<cuda::thread_scope_thread> pipe = cuda::make_pipeline();
for (int k = 0; k < 2; ++k) {
    pipe.producer_acquire();
    cuda::memcpy_async(&s[k][i], &x[32 * k + i], sizeof(float), pipe);
    pipe.producer_commit();
}
for (int k = 0; k < 2; ++k) {
    if (k == 0) cuda::pipeline_consumer_wait_prior<1>(pipe);
    else pipe.consumer_wait();
    y[32 * k + i] = s[k][i] + 1;
    pipe.consumer_release();
}

//# pipeline_of_a_block <<<1, 16>>>: x.view(4, 16).flip(1).flatten()
__shared__ __align__(16) float s[2][16];
__shared__ cuda::pipeline_shared_state<cuda::thread_scope_block, 2> state;
auto block = cg::this_thread_block();
auto pipe = cuda::make_pipeline(block, &state);
int fetched = 0;
for (int k = 0; k < 4; ++k) {
    for (; fetched < 4 && fetched < k + 2; ++fetched) {
        pipe.producer_acquire();
        cuda::memcpy_async(block, s[fetched % 2], x + 16 * fetched, cuda::aligned_size_t<16>(64), pipe);
        pipe.producer_commit();
    }
    pipe.consumer_wait();
    y[16 * k + i] = s[k % 2][15 - i];
    pipe.consumer_release();
}

//# one_warp_copies_for_another <<<1, 64>>>: x.view(8, 8).flip(1).flatten()
__shared__ float s[2][8];
__shared__ cuda::pipeline_shared_state<cuda::thread_scope_block, 2> state;
auto block = cg::this_thread_block();
const auto role = i < 32 ? cuda::pipeline_role::producer : cuda::pipeline_role::consumer;
auto pipe = cuda::make_pipeline(block, &state, role);
for (int k = 0; k < 8; ++k) {
    if (role == cuda::pipeline_role::producer) {
        pipe.producer_acquire();
        if (i < 8) s[k % 2][i] = x[8 * k + i];
        pipe.producer_commit();
    } else {
        pipe.consumer_wait();
        if (lane < 8) y[8 * k + lane] = s[k % 2][7 - lane];
        pipe.consumer_release();
    }
}

//# the_first_16_are_producers <<<1, 48>>>: x * 2
__shared__ float s[1][16];
__shared__ cuda::pipeline_shared_state<cuda::thread_scope_block, 1> state;
auto block = cg::this_thread_block();
auto pipe = cuda::make_pipeline(block, &state, 16);
for (int k = 0; k < 4; ++k) {
    if (i < 16) {
        pipe.producer_acquire();
        cuda::memcpy_async(&s[0][i], &x[16 * k + i], sizeof(float), pipe);
        pipe.producer_commit();
    } else {
        pipe.consumer_wait();
        if (i < 32) y[16 * k + i - 16] = 2 * s[0][i - 16];
        pipe.consumer_release();
    }
}

//# barrier_in_two_parts <<<1, 64>>>: x.flip(0)
__shared__ float s[64];
__shared__ cuda::barrier<cuda::thread_scope_block> bar;
auto block = cg::this_thread_block();
if (block.thread_rank() == 0) init(&bar, block.size());
block.sync();
s[i] = x[i];
cuda::barrier<cuda::thread_scope_block>::arrival_token token = bar.arrive();
const float mine = x[i];
bar.wait(std::move(token));
const float other = s[63 - i];
bar.arrive_and_wait();
s[i] = mine;
bar.arrive_and_wait();
y[i] = s[63 - i] + other - other;

//# copies_that_a_barrier_awaits <<<1, 32>>>: x.flip(0)
__shared__ __align__(16) float s[64];
__shared__ cuda::barrier<cuda::thread_scope_block> bar;
auto block = cg::this_thread_block();
if (i == 0) init(&bar, 32);
block.sync();
cuda::memcpy_async(block, s, x, sizeof(float) * 32, bar);
cuda::memcpy_async(&s[32 + i], &x[32 + i], sizeof(float), bar);
bar.arrive_and_wait();
y[i] = s[63 - i];
y[i + 32] = s[31 - i];

//# barriers_between_warps <<<1, 64>>>: x.view(2, 32).flip(1).flatten()
__shared__ float s[32];
__shared__ cuda::barrier<cuda::thread_scope_block> full, empty;
auto block = cg::this_thread_block();
if (i == 0) {
    init(&full, 64);
    init(&empty, 64);
}
block.sync();
for (int k = 0; k < 2; ++k)
    if (i < 32) {
        empty.arrive_and_wait();
        s[lane] = x[32 * k + lane];
        full.arrive_and_wait();
    } else {
        empty.arrive_and_wait();
        full.arrive_and_wait();
        y[32 * k + lane] = s[31 - lane];
    }

//# some_leave_a_barrier <<<1, 64>>>: torch.where(x < 32, x.flip(0) - 32, x)
__shared__ float s[32];
__shared__ cuda::barrier<cuda::thread_scope_block> bar;
if (i == 0) init(&bar, 64);
__syncthreads();
if (i >= 32) {
    y[i] = x[i];
    bar.arrive_and_drop();
    return;
}
bar.arrive_and_wait();
s[i] = x[i];
bar.arrive_and_wait();
y[i] = s[31 - i];
"""

# As in tests/planted: one bug each, on the line that ends in `// -> its correction`.
BUGS = """
//# misaligned_piece <<<1, 8>>>: misaligned, 1 0 0, reads 16 bytes at byte 4 of x
__shared__ __align__(16) float s[64];
__pipeline_memcpy_async(&s[4 * i], &x[i], 16);  // -> __pipeline_memcpy_async(&s[4 * i], &x[4 * i], 16);
__pipeline_commit();
__pipeline_wait_prior(0);
y[i] = s[4 * i];

//# misaligned_destination <<<1, 8>>>: misaligned, 1 0 0, writes 8 bytes at byte 12 of s
__shared__ __align__(16) float s[64];
__pipeline_memcpy_async(&s[3 * i], &x[2 * i], 8);  // -> __pipeline_memcpy_async(&s[2 * i], &x[2 * i], 8);
__pipeline_commit();
__pipeline_wait_prior(0);
y[i] = s[2 * i];

//# piece_of_12_bytes <<<1, 8>>>: unsupported, 0 0 0, __pipeline_memcpy_async of other than 4, 8 or 16 bytes
__shared__ __align__(16) float s[64];
const int bytes = n - 52;  // -> const int bytes = n - 48;
__pipeline_memcpy_async(&s[4 * i], &x[4 * i], bytes);  // <- here
__pipeline_commit();
__pipeline_wait_prior(0);
y[i] = s[4 * i];

//# piece_past_the_end <<<1, 32>>>: out-of-bounds, 16 0 0, reads x[64], 1 past the last
__shared__ __align__(16) float s[128];
__pipeline_memcpy_async(&s[4 * i], &x[4 * i], 16);  // -> __pipeline_memcpy_async(&s[4 * i], x, 16);
__pipeline_commit();
__pipeline_wait_prior(0);
y[i] = s[4 * i];

//# piece_past_the_tile <<<1, 32>>>: out-of-bounds, 16 0 0, writes element 16 of s
__shared__ float s[16];
__pipeline_memcpy_async(&s[i], &x[i], 4);  // -> if (i < 16) __pipeline_memcpy_async(&s[i], &x[i], 4);
__pipeline_commit();
__pipeline_wait_prior(0);
y[i] = i;

//# no_barrier_after_the_wait <<<1, 32>>>: race, 0 0 0, thread (31, 0, 0)
__shared__ float s[32];
__pipeline_memcpy_async(&s[i], &x[i], 4);
__pipeline_commit();
__pipeline_wait_prior(0);
// -> __syncthreads();
y[i] = s[31 - i];  // <- here

//# pipeline_without_a_wait <<<1, 32>>>: race, 0 0 0, thread (31, 0, 0)
__shared__ float s[32];
__shared__ cuda::pipeline_shared_state<cuda::thread_scope_block, 1> state;
auto block = cg::this_thread_block();
auto pipe = cuda::make_pipeline(block, &state);
pipe.producer_acquire();
cuda::memcpy_async(block, s, x, sizeof(s), pipe);
pipe.producer_commit();
// -> pipe.consumer_wait();
y[i] = s[31 - i];  // <- here

//# stage_not_released <<<1, 32>>>: deadlock, 0 0 0, waits for a phase of a cuda::barrier or cuda::pipe
__shared__ float s[32];
__shared__ cuda::pipeline_shared_state<cuda::thread_scope_block, 1> state;
auto block = cg::this_thread_block();
auto pipe = cuda::make_pipeline(block, &state);
for (int k = 0; k < 2; ++k) {
    pipe.producer_acquire();  // <- here
    cuda::memcpy_async(block, s, x + 32 * k, sizeof(s), pipe);
    pipe.producer_commit();
    pipe.consumer_wait();
    y[32 * k + i] = s[31 - i];
    // -> pipe.consumer_release();
}

//# barrier_of_too_many <<<1, 32>>>: deadlock, 0 0 0, fewer threads arrive at it
__shared__ cuda::barrier<cuda::thread_scope_block> bar;
if (i == 0) init(&bar, 33);  // -> if (i == 0) init(&bar, 32);
__syncthreads();
bar.arrive_and_wait();  // <- here
y[i] = x[i];

//# barrier_never_initialised <<<1, 32>>>: deadlock, 0 0 0, fewer threads arrive at it
__shared__ cuda::barrier<cuda::thread_scope_block> bar;
// -> if (i == 0) init(&bar, 32);
__syncthreads();
bar.arrive_and_wait();  // <- here
y[i] = x[i];

//# some_at_another_barrier <<<1, 64>>>: barrier-divergence, 32 0 0, for others at a cuda::barrier
__shared__ cuda::barrier<cuda::thread_scope_block> bar;
if (i == 0) init(&bar, 64);
__syncthreads();
if (i < 32) bar.arrive_and_wait();
else __syncthreads();  // -> else bar.arrive_and_wait();
y[i] = x[i];

//# read_before_all_arrived <<<1, 32>>>: race
__shared__ float s[32];
__shared__ cuda::barrier<cuda::thread_scope_block> bar;
if (i == 0) init(&bar, 32);
__syncthreads();
s[i] = x[i];
auto token = bar.arrive();
// -> bar.wait(std::move(token));
y[i] = s[31 - i];  // <- here

//# own_pipeline_without_a_wait <<<1, 32>>>: race, 0 0 0, the copy (cp.async) issued at line
__shared__ float s[32];
auto pipe = cuda::make_pipeline();
pipe.producer_acquire();
cuda::memcpy_async(&s[i], &x[i], sizeof(float), pipe);
pipe.producer_commit();
// -> pipe.consumer_wait();
y[i] = s[i];  // <- here

//# wrong_stage_of_a_pipeline <<<1, 32>>>: race, 0 0 0, the copy (cp.async) issued at line
__shared__ float s[2][32];
auto pipe = cuda::make_pipeline();
for (int k = 0; k < 2; ++k) {
    pipe.producer_acquire();
    cuda::memcpy_async(&s[k][i], &x[32 * k + i], sizeof(float), pipe);
    pipe.producer_commit();
}  // both stages
pipe.consumer_wait();
y[i] = s[1][i];  // -> y[i] = s[0][i];

//# own_pipeline_for_others <<<1, 32>>>: race, 0 0 0, with nothing to order the two
__shared__ float s[32];
auto pipe = cuda::make_pipeline();
pipe.producer_acquire();
cuda::memcpy_async(&s[i], &x[i], sizeof(float), pipe);
pipe.producer_commit();
pipe.consumer_wait();
// -> __syncthreads();
y[i] = s[31 - i];  // <- here

//# copy_of_a_barrier_not_waited_for <<<1, 32>>>: race, 0 0 0, a wait of the cuda::barrier or cuda::pipeline
__shared__ float s[32];
__shared__ cuda::barrier<cuda::thread_scope_block> bar;
auto block = cg::this_thread_block();
if (i == 0) init(&bar, 32);
block.sync();
cuda::memcpy_async(block, s, x, sizeof(s), bar);
block.sync();  // -> bar.arrive_and_wait();
y[i] = s[31 - i];  // <- here

//# wait_at_another_barrier <<<1, 32>>>: race, 0 0 0, a wait of the cuda::barrier or cuda::pipeline
__shared__ float s[32];
__shared__ cuda::barrier<cuda::thread_scope_block> full, other;
if (i == 0) init(&full, 32), init(&other, 32);
__syncthreads();
cuda::memcpy_async(&s[i], &x[i], sizeof(float), full);
other.arrive_and_wait();  // -> full.arrive_and_wait();
y[i] = s[31 - i];  // <- here

//# copy_of_a_group_not_waited_for <<<1, 64>>>: race, 0 0 0, the copy (cp.async) issued at line
__shared__ float s[64];
auto block = cg::this_thread_block();
cg::memcpy_async(block, s, x, sizeof(s));
block.sync();  // -> cg::wait(block);
y[i] = s[i];  // <- here

//# too_many_stages_left_out <<<1, 32>>>: race, 0 0 0, N is 0 where the last one is needed
__shared__ float s[2][32];
auto block = cg::this_thread_block();
for (int k = 0; k < 2; ++k) cg::memcpy_async(block, s[k], x + 32 * k, sizeof(s[k]));
cg::wait_prior<1>(block);  // -> cg::wait_prior<0>(block);
y[i] = s[1][31 - i];  // <- here
"""
EXECUTED = read_kernels(KERNELS)
TEXT = "".join(kernel.text for kernel in EXECUTED)
PLANTED = read_kernels(BUGS)
PLANTED[0] = replace(PLANTED[0], before=EXECUTED[0].before)


@pytest.fixture(scope="module", params=MODES)
def module(request):
    return compile_for(request.param, TEXT, "pipelines")


@pytest.fixture(scope="module")
def buggy():
    return compile_kernels(PLANTED)


@pytest.fixture(scope="module")
def correct():
    return compile_kernels([twin(kernel) for kernel in PLANTED])


def sixty_four() -> torch.Tensor:
    return torch.arange(64.0)


@pytest.mark.parametrize("kernel", EXECUTED, ids=lambda kernel: kernel.name)
def test_result(module, kernel):
    expected = eval(kernel.notes, {"torch": torch, "x": sixty_four()})
    assert getattr(module, kernel.name)(sixty_four()).tolist() == expected.tolist()


@pytest.mark.parametrize("order", ["reverse", "random"])
@pytest.mark.parametrize("kernel", EXECUTED[5:], ids=lambda kernel: kernel.name)
def test_no_false_alarm_in_any_order(kernel, order):
    profile(getattr(compile_kernels(EXECUTED), kernel.name), sixty_four(), order=order, seed=5)


@pytest.mark.nvcc
def test_nvcc_takes_the_same_sources():
    nvcc_accepts(TEXT, "pipelines")


@pytest.mark.parametrize("kernel", PLANTED, ids=lambda kernel: kernel.name)
def test_planted_bug_is_named(buggy, kernel):
    launcher = getattr(buggy, kernel.name)
    error = raised_as_told(kernel, launcher, sixty_four())
    assert error.line == line_of(launcher, "// <- here" if "// <- here" in kernel.body else "// ->")


@pytest.mark.parametrize("order", ["reverse", "random"])
@pytest.mark.parametrize("kernel", PLANTED, ids=lambda kernel: kernel.name)
def test_planted_bug_is_found_in_any_order(buggy, kernel, order):
    with pytest.raises(KernelError) as caught:
        profile(getattr(buggy, kernel.name), sixty_four(), order=order, seed=5)
    assert caught.value.kind == kernel.notes.split(",")[0]


@pytest.mark.parametrize("order", ["forward", "reverse", "random"])
@pytest.mark.parametrize("kernel", PLANTED, ids=lambda kernel: kernel.name)
def test_correct_twin_is_silent(correct, kernel, order):
    profile(getattr(correct, kernel.name), sixty_four(), order=order, seed=5)


@pytest.mark.parametrize("size", [16, 8, 4])
def test_one_load_and_one_store_a_piece(size):
    launcher = getattr(compile_kernels(EXECUTED), f"pieces_of_{size}_bytes")
    (launch,) = profile(launcher, sixty_four())
    warps = max(1, 256 // size // 32)
    for counts in launch.global_load, launch.shared_store:
        assert (counts.requests, counts.bytes_requested) == (warps, 256)
    line = line_of(launcher, "__pipeline_memcpy_async")
    assert launch.global_load.by_line[line].requests == warps
