"""Cooperative groups: what blocks, tiles and coalesced groups compute; a wrong use of them is named."""

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

from utils.simulator import profile

# y = name(x) for x = 0, 1, 2 ... 63, beside what it must be, by one block of 64 or what the heading says.
KERNELS = """
//# barrier_of_a_block <<<1, 64>>>: x.flip(0)
#include <cooperative_groups.h>
#include <cuda/barrier>  // for cuda::aligned_size_t
#include <cooperative_groups/memcpy_async.h>
#include <cooperative_groups/reduce.h>
#include <cooperative_groups/scan.h>
namespace cg = cooperative_groups;
//#body
__shared__ float s[64];
cg::thread_block block = cg::this_thread_block();
s[block.thread_rank()] = x[i];
block.sync();
y[i] = s[block.size() - 1 - block.thread_rank()];

//# other_barriers_of_a_block <<<1, 64>>>: x.flip(0)
__shared__ float s[64];
auto block = cg::this_thread_block();
s[cg::thread_rank(block)] = x[i];
cg::sync(block);
float v = s[63 - i];
auto token = block.barrier_arrive();
block.barrier_wait(std::move(token));
s[i] = v;
cg::sync(block);
y[i] = s[i];

//# indices <<<dim3(2, 2), dim3(4, 2, 2)>>>: x
auto block = cg::this_thread_block();
auto grid = cg::this_grid();
const int rank = block.thread_index().x + 4 * (block.thread_index().y + 2 * block.thread_index().z);
const int k = block.num_threads() * (block.group_index().x + 2 * block.group_index().y) + rank;
const bool right = rank == (int)block.thread_rank() && k == (int)grid.thread_rank() && grid.size() == 64 &&
                   block.dim_threads().y == 2 && block.group_dim().z == 2 && grid.num_blocks() == 4;
y[k] = right ? x[k] : -1;

//# shuffles_in_a_tile <<<1, 64>>>: t8 + 3 + 100 * torch.where(x % 8 < 6, x + 2, x) + 10000 * (x.int() ^ 5)
auto tile = cg::tiled_partition<8>(cg::this_thread_block());
y[i] = tile.shfl(x[i], 3) + 100 * tile.shfl_down(x[i], 2) + 10000 * tile.shfl_xor(x[i], 5);

//# shuffles_up_and_around <<<1, 64>>>: torch.where(x % 16 > 2, x - 3, x) + 100 * (t16 + (x + 1) % 16)
auto tile = cg::tiled_partition<16>(cg::this_thread_block());
y[i] = tile.shfl_up(x[i], 3) + 100 * tile.shfl(x[i], (tile.thread_rank() + 1) % tile.size());

//# shuffles_of_other_types <<<1, 64>>>: x + (x.int() ^ 1) + 3 * (x.int() ^ 1)
struct Three { double a; int b; float c; };
//#body
auto tile = cg::tiled_partition<32>(cg::this_thread_block());
Three mine = {x[i] + 1e-13, i, 2 * x[i]};
Three other = tile.shfl(mine, tile.thread_rank() ^ 1);
y[i] = x[i] + (float)other.a + other.b + other.c;

//# places_of_tiles <<<1, 64>>>: (x // 4) + 100 * (x % 32 // 2 % 2) + 10000 * (x % 2) + 1e5 * 16
auto quad = cg::tiled_partition<4>(cg::this_thread_block());
auto pair = cg::tiled_partition<2>(quad);
cg::thread_block_tile<2> same = pair;
y[i] = quad.meta_group_rank() + 100 * pair.meta_group_rank() + 10000 * same.thread_rank() +
       100000 * (quad.meta_group_size() * (pair.meta_group_size() == 2 && same.meta_group_size() == 2));

//# votes <<<1, 64>>>: (t8 > 24) + 2.0 * (t8 == 32) + 4 * (2 + 16 * (t8 >= 40) + 64 * (t8 == 56))
auto tile = cg::tiled_partition<8>(cg::this_thread_block());
const int any = tile.any(i > 31), all = tile.all(i / 8 == 4);
const unsigned where = tile.ballot(i % 8 == 1 || (i >= 40 && i % 8 == 4) || i == 62);
y[i] = any + 2 * all + 4 * where;

//# matches <<<1, 64>>>: 0x11 * 2.0 ** (x % 4) + 1000 * (x // 8 == 3)
auto tile = cg::tiled_partition<8>(cg::this_thread_block());
int same;
const unsigned mask = tile.match_all(i / 8 == 3 ? 7 : i, same);
y[i] = tile.match_any(i % 4) + 1000 * (same && mask == 0xff);

//# sums_of_all_sizes <<<1, 64>>>: sum((x // n) * n * n + n * (n - 1) / 2 for n in (1, 2, 4, 8, 16, 32))
template <int N> __device__ float sum(float v) {
    return cg::reduce(cg::tiled_partition<N>(cg::this_thread_block()), v, cg::plus<float>());
}
//#body
y[i] = sum<1>(x[i]) + sum<2>(x[i]) + sum<4>(x[i]) + sum<8>(x[i]) + sum<16>(x[i]) + sum<32>(x[i]);

//# other_reductions <<<1, 64>>>: t16 + 100 * (t16 + 15) + 150000 + 1000000 * (t16 + 15)
auto tile = cg::tiled_partition<16>(cg::this_thread_block());
y[i] = cg::reduce(tile, x[i], cg::less<float>()) + 100 * cg::reduce(tile, x[i], cg::greater<float>()) +
       10000 * (cg::reduce(tile, i, cg::bit_xor<int>()) + cg::reduce(tile, i % 16, cg::bit_or<int>())) +
       1000000 * cg::reduce(tile, i, [](int a, int b) { return a > b ? a : b; });

//# a_group_of_any_kind <<<1, 64>>>: 2016 + 1e4 * (x // 32 * 1024 + 496)
__device__ int sum_of(cg::thread_group group, int* scratch, int value) {
    const int rank = group.thread_rank();
    for (int half = group.size() / 2; half > 0; half /= 2) {
        scratch[rank] = value;
        group.sync();
        if (rank < half) value += scratch[rank + half];
        group.sync();
    }
    return value;
}
//#body
__shared__ int scratch[64], total[3];
const int of_block = sum_of(cg::this_thread_block(), scratch, i);
if (i == 0) total[2] = of_block;
__syncthreads();
cg::thread_group tile = cg::tiled_partition(cg::this_thread_block(), 32);
const int of_tile = sum_of(tile, scratch + i / 32 * 32, i);
if (tile.thread_rank() == 0) total[i / 32] = of_tile;
__syncthreads();
y[i] = total[2] + 10000.0f * total[i / 32];

//# lanes_in_a_branch <<<1, 64>>>: branch(x)
y[i] = 0;
if (i % 3 == 0) {
    auto active = cg::coalesced_threads();
    y[i] = active.thread_rank() + 100 * active.size() + 10000 * active.shfl(i, 1) +
           1000000 * __popc(active.ballot(i > 40));
}

//# shuffles_in_a_branch <<<1, 64>>>: torch.where(x % 2 == 1, neighbours(x), 0 * x)
y[i] = 0;
if (i % 2) {
    auto odd = cg::coalesced_threads();
    y[i] = odd.shfl_up(i, 1) + 100 * odd.shfl_down(i, 2);
}

//# slots_by_aggregated_atomics <<<1, 64>>>: slots(x)
__shared__ int used;
if (i == 0) used = 0;
__syncthreads();
if (i % 5 < 2) {
    auto active = cg::coalesced_threads();
    int first = 0;
    if (active.thread_rank() == 0) first = atomicAdd(&used, (int)active.size());
    y[active.shfl(first, 0) + active.thread_rank()] = 1;
}

//# groups_of_one_label <<<1, 64>>>: labels(x)
auto tile = cg::tiled_partition<32>(cg::this_thread_block());
auto group = cg::labeled_partition(tile, i % 5);
auto low = cg::binary_partition(tile, i % 32 < 10);
y[i] = cg::reduce(group, i, cg::plus<int>()) + 10000 * (int)group.thread_rank() + 1000000 * (int)low.size();

//# scans <<<1, 64>>>: x.view(8, 8).cumsum(1).flatten() + 1000 * (x.view(4, 16).cumsum(1).flatten() - x)
auto eight = cg::tiled_partition<8>(cg::this_thread_block());
auto sixteen = cg::tiled_partition<16>(cg::this_thread_block());
y[i] = cg::inclusive_scan(eight, x[i], cg::plus<float>()) + 1000 * cg::exclusive_scan(sixteen, x[i]);

//# copied_together <<<1, 32>>>: x.flip(0) + 1
__shared__ float s[64];
auto block = cg::this_thread_block();
cg::memcpy_async(block, s, x, sizeof(float) * 64);
cg::wait(block);
y[i] = s[63 - i] + 1;
y[i + 32] = s[31 - i] + 1;

//# copied_in_two_stages <<<1, 32>>>: x.flip(0)
__shared__ __align__(16) float s[2][32];
auto tile = cg::tiled_partition<32>(cg::this_thread_block());
cg::memcpy_async(tile, s[0], x, cuda::aligned_size_t<16>(128));
cg::memcpy_async(tile, s[1], x + 32, cuda::aligned_size_t<16>(128));
cg::wait_prior<1>(tile);
y[63 - i] = s[0][i];
cg::wait(tile);
y[31 - i] = s[1][i];
"""


def branch(x: torch.Tensor) -> torch.Tensor:
    """What `lanes_in_a_branch` computes: the lanes of each warp that x % 3 == 0 chooses."""
    y = torch.zeros_like(x)
    for warp in 0, 1:
        lanes = [i for i in range(32 * warp, 32 * warp + 32) if i % 3 == 0]
        for rank, i in enumerate(lanes):
            y[i] = rank + 100 * len(lanes) + 10000 * lanes[1] + 1000000 * sum(k > 40 for k in lanes)
    return y


def neighbours(x: torch.Tensor) -> torch.Tensor:
    up = torch.where(x % 32 >= 3, x - 2, x)
    return up + 100 * torch.where(x % 32 < 28, x + 4, x)


def slots(x: torch.Tensor) -> torch.Tensor:
    return (x < (x % 5 < 2).sum()).float()


def labels(x: torch.Tensor) -> torch.Tensor:
    y = torch.zeros_like(x)
    for i in range(64):
        group = [k for k in range(i // 32 * 32, i // 32 * 32 + 32) if k % 5 == i % 5]
        y[i] = sum(group) + 10000 * group.index(i) + 1000000 * (10 if i % 32 < 10 else 22)
    return y


# As in tests/planted: one bug each, on the line that ends in `// -> its correction`.
BUGS = """
//# barrier_in_a_branch <<<1, 64>>>: barrier-divergence, 0 0 0, has already left the kernel
__shared__ float s[64];
auto block = cg::this_thread_block();
s[i] = x[i];
if (i < 40)  // -> if (i < 64)
    block.sync();  // <- here
y[i] = s[i];

//# two_barriers <<<1, 64>>>: barrier-divergence, 0 0 0, waits at another one
auto block = cg::this_thread_block();
if (i < 32) block.sync();  // -> if (i < 64) block.sync();
else cg::sync(block);
y[i] = x[i];

//# half_a_tile_waits <<<1, 32>>>: deadlock, 0 0 0, waits in a warp-level operation with mask 0xffffffff
auto tile = cg::tiled_partition<4>(cg::this_thread_block());
if (i < 6)  // -> if (i < 8)
    tile.sync();
__syncwarp();  // <- here
y[i] = x[i];

//# shuffle_of_a_part <<<1, 32>>>: deadlock, 0 0 0, with mask 0x000000ff
auto tile = cg::tiled_partition<8>(cg::this_thread_block());
y[i] = 0;
if (i % 8 < 5)  // -> if (i % 8 < 8)
    y[i] = tile.shfl_down(x[i], 1);  // <- here
__syncwarp();

//# no_wait_after_a_copy <<<1, 32>>>: race, 0 0 0, thread (31, 0, 0)
__shared__ float s[32];
auto block = cg::this_thread_block();
cg::memcpy_async(block, s, x, sizeof(float) * 32);
// -> cg::wait(block);
y[i] = s[31 - i];  // <- here

//# no_barrier_before_the_next_copy <<<1, 64>>>: race
__shared__ float s[64];
auto block = cg::this_thread_block();
for (int k = 0; k < 2; ++k) {
    cg::memcpy_async(block, s, x, sizeof(float) * 64);
    cg::wait(block);
    y[i] = s[63 - i];
    // -> block.sync();
}

//# copies_too_much <<<1, 32>>>: out-of-bounds, 0 0 0, reads x[64], 1 past the last of the 64 elements
__shared__ float s[128];
auto block = cg::this_thread_block();
cg::memcpy_async(block, s, x, 4 * 96);  // -> cg::memcpy_async(block, s, x, 4 * 64);
cg::wait(block);
y[i] = s[i];

//# copies_misaligned <<<1, 32>>>: misaligned, 0 0 0, reads 16 bytes at byte 4 of x
__shared__ __align__(16) float s[32];
auto block = cg::this_thread_block();
cg::memcpy_async(block, s, x + 1, cuda::aligned_size_t<16>(64));  // -> cg::memcpy_async(block, s, x + 1, 64);
cg::wait(block);
y[i] = s[i % 16];

//# no_sync_in_a_tile <<<1, 32>>>: race
__shared__ float s[32];
auto tile = cg::tiled_partition<8>(cg::this_thread_block());
s[i] = x[i];
// -> tile.sync();
y[i] = s[i ^ 1];  // <- here

//# barrier_of_the_grid <<<2, 32>>>: unsupported, 0 0 0, launch a second one
auto grid = cg::this_grid();
y[i] = x[i];
grid.sync();  // -> __syncthreads();
"""
INCLUDES = KERNELS[KERNELS.index("#include") : KERNELS.index("//#body")]
EXECUTED = read_kernels(KERNELS)
TEXT = "".join(kernel.text for kernel in EXECUTED)
PLANTED = read_kernels(BUGS)
PLANTED[0] = replace(PLANTED[0], before=INCLUDES)


@pytest.fixture(scope="module", params=MODES)
def module(request):
    return compile_for(request.param, TEXT, "groups")


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
    x = sixty_four()
    names = {
        "torch": torch,
        "branch": branch,
        "slots": slots,
        "labels": labels,
        "neighbours": neighbours,
        "x": x,
    }
    names |= {"t8": x // 8 * 8, "t16": x // 16 * 16}  # the first of each tile
    expected = eval(kernel.notes, names)
    assert getattr(module, kernel.name)(sixty_four()).tolist() == expected.tolist()


@pytest.mark.parametrize("order", ["reverse", "random"])
@pytest.mark.parametrize("name", ["sums_of_all_sizes", "scans", "slots_by_aggregated_atomics"])
def test_in_any_order(name, order):
    module = compile_kernels(EXECUTED)
    profile(getattr(module, name), sixty_four(), order=order, seed=5)


@pytest.mark.nvcc
def test_nvcc_takes_the_same_sources():
    nvcc_accepts(TEXT, "groups")


@pytest.mark.parametrize("kernel", PLANTED, ids=lambda kernel: kernel.name)
def test_planted_bug_is_named(buggy, kernel):
    launcher = getattr(buggy, kernel.name)
    error = raised_as_told(kernel, launcher, sixty_four())
    if "// <- here" in kernel.body:
        assert error.line == line_of(launcher, "// <- here")
    elif kernel.body.count("// ->") == 1 and "\n// ->" not in kernel.body and "    // ->" not in kernel.body:
        assert error.line == line_of(launcher, "// ->")


@pytest.mark.parametrize("kernel", PLANTED, ids=lambda kernel: kernel.name)
def test_correct_twin_is_silent(correct, kernel):
    getattr(correct, kernel.name)(sixty_four())


def test_a_group_copies_as_wide_as_it_is_told():
    module = compile_kernels(EXECUTED)
    (launch,) = profile(module.copied_together, sixty_four())  # 4 bytes a thread: aligned as a float is
    assert (launch.global_load.requests, launch.shared_store.requests) == (2, 2)
    (launch,) = profile(module.copied_in_two_stages, sixty_four())  # 16 bytes by each of eight threads, twice
    assert (launch.global_load.requests, launch.shared_store.requests) == (2, 2)
    assert launch.global_load.bytes_requested == launch.shared_store.bytes_requested == 256
