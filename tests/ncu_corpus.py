"""Small kernels whose memory counts were recorded with Nsight Compute; the simulator is held to the records.

    //# name <<<launch>>>: differs: reason

One warp where no launch is given. x counts 0, 1, 2 and so on; `i` is the thread's index, `lane` its lane.
Nearly all kernels are written so that nvcc has no choice: data decides what it could otherwise fold, results
are stored, loops that it would unroll into another order of lanes say `#pragma unroll 1`. Where nvcc is known
to do something else than the source says, the heading tells what: these few are no part of what must agree.
"""

from __future__ import annotations

import hashlib
import re

from simulated import read_kernels

LENGTH = 16384  # of x and y

PRELUDE = """#include <torch/extension.h>
#if __has_include(<cuda_pipeline.h>)
#include <cuda_pipeline.h>
#endif

// Copies the start of x to a tile in shared memory, one float a thread and step, and waits.
template <int Floats>
__device__ __forceinline__ void fill(float* tile, const float* x) {
#pragma unroll 1
    for (int k = threadIdx.x; k < Floats; k += blockDim.x) tile[k] = x[k];
    __syncthreads();
}
"""

GLOBAL = """
//# coalesced <<<4, 128>>>
y[i] = x[i];
//# stride_2 <<<2, 64>>>
y[i] = x[2 * i];
//# stride_3_store <<<2, 64>>>
y[3 * i] = x[i];
//# stride_33 <<<1, 64>>>
y[33 * i] = x[33 * i];
//# offset_1 <<<2, 64>>>
y[i + 5] = x[i + 1];
//# reversed <<<2, 64>>>
y[i] = x[n - 1 - i];
//# broadcast <<<3, 64>>>
y[i] = x[5];
//# pairs <<<2, 64>>>
y[i] = x[i / 2];
//# scattered <<<1, 128>>>
const int k = (int)x[i] * 37 % 1021;
y[k] = x[k * 7 % 4096];
//# read_and_add <<<2, 64>>>
y[i] += x[i];
//# ldg <<<2, 64>>>
y[i] = __ldg(x + i);
//# bytes <<<1, 128>>>
((unsigned char*)y)[i] = ((const unsigned char*)x)[i + 1];
//# bytes_apart
((unsigned char*)y)[7 * i] = ((const unsigned char*)x)[13 * i];
//# shorts <<<1, 64>>>
((short*)y)[i] = ((const short*)x)[i + 3];
//# doubles <<<1, 64>>>
((double*)y)[i] = ((const double*)x)[i];
//# doubles_apart
((double*)y)[3 * i] = ((const double*)x)[5 * i + 1];
//# float2s <<<2, 64>>>
((float2*)y)[i] = ((const float2*)x)[i];
//# float2s_offset
((float2*)y)[i + 1] = ((const float2*)x)[i + 3];
//# float4s <<<2, 64>>>
((float4*)y)[i] = ((const float4*)x)[i];
//# float4s_apart
((float4*)y)[2 * i + 1] = ((const float4*)x)[3 * i];
//# float4s_shared_by_four
((float4*)y)[i] = ((const float4*)x)[i / 4];
//# float4s_third_lanes
if (lane % 3 == 0) ((float4*)y)[i] = ((const float4*)x)[i + 2];
//# int4s <<<1, 48>>>
((int4*)y)[i] = ((const int4*)x)[i + 1];
//# double2s
((double2*)y)[i] = ((const double2*)x)[i];
//# float2s_scattered
((float2*)y)[i] = ((const float2*)x)[(int)x[i] * 37 % 61];
//# float4s_scattered
((float4*)y)[i] = ((const float4*)x)[(int)x[i] * 37 % 29];
//# constant_memory
__constant__ float table[40] = {1, 2, 3, 5, 7, 11, 13, 17};
//#body
y[i] = x[i] * table[lane + 5];
//# partial_warp <<<3, 40>>>
y[i] = x[i];
//# narrow_blocks <<<dim3(2, 2), dim3(8, 12)>>>
const int at = 64 * (blockIdx.y * 12 + threadIdx.y) + blockIdx.x * 8 + threadIdx.x;
y[at] = x[at + 1];
//# deep_block <<<1, dim3(3, 5, 4)>>>
const int at = 100 * threadIdx.z + 10 * threadIdx.y + threadIdx.x;
y[at] = x[at];
"""

CONTROL = """
//# early_return <<<2, 64>>>
if ((int)x[i] % 5 == 0) return;
y[i] = x[i + 64];
//# guarded_loop <<<2, 64>>>
float s = 0;
#pragma unroll 1
for (int k = -3; k <= 3; ++k)
    if (i + 8 * k >= 0 && i + 8 * k < 120) s += x[i + 8 * k];
y[i] = s;
//# triangle
float s = 0;
#pragma unroll 1
for (int k = 0; k < lane; ++k) s += x[32 * k + lane];
y[i] = s;
//# while_data <<<1, 64>>>
int k = i;
#pragma unroll 1
while (x[k] < 700) k += 32;
y[i] = k;
//# trip_count_from_data <<<1, 64>>>
float s = 0;
const int trips = (int)x[i] * 5 % 7;
#pragma unroll 1
for (int k = 0; k < trips; ++k) s += x[100 * k + i];
y[i] = s;
//# do_while
float s = 0;
int k = 0;
#pragma unroll 1
do {
    s += x[32 * k + lane];
} while (++k < 1 + lane / 7);
y[i] = s;
//# if_else <<<1, 64>>>
if ((int)x[i] % 3)
    y[i] = x[i + 100] * 2;
else
    atomicAdd(y + i, 3.0f);
//# nested_branches
float s = 0;
if (lane < 20) {
    s = x[i + 64];
    if (lane < 9)
        y[i + 100] = s + x[i + 32];
    else
        s += x[i + 200] * x[i + 300];
    s += x[i + 400];
} else if (lane % 2)
    y[i + 200] = 1;
y[i] = s + x[i + 128];
//# switch_breaks <<<1, 64>>>
float s = 0;
switch ((int)x[i] % 5) {
    case 0:
        s = x[i + 100];
        break;
    case 1:
        s = x[i + 200] + x[i + 300];
        break;
    case 3:
        y[i + 64] = 5;
        break;
    default:
        s = 7;
}
y[i] = s;
//# switch_falls_through
float s = 0;
switch ((int)x[i] / 9) {
    case 0:
        s += x[i];
    case 1:
        s += x[i + 32];
    case 2:
        s *= x[i + 64];
    default:
        s += 2;
}
y[i] = s;
//# short_and
y[i] = x[lane] > 15 && x[lane + 32] > 40 && x[2 * lane + 64] < 120;
//# short_or
if (x[lane] > 25 || x[lane + 32] < 36 || x[3 * lane] > 60) y[i] = x[lane + 64];
//# ternary
y[i] = x[i] > 11 ? x[2 * i] + 1 : 3.0f;
//# break_by_data
float s = 0;
#pragma unroll 1
for (int k = 0; k < 20; ++k) {
    if (x[k] * 3 > lane) break;
    s += x[32 * k + lane];
}
y[i] = s;
//# continue_in_loop
float s = 0;
#pragma unroll 1
for (int k = 0; k < 6; ++k) {
    if ((k + lane) % 3 == 0) continue;
    s += x[32 * k + lane];
}
y[i] = s;
//# return_in_loop
float s = 0;
#pragma unroll 1
for (int k = 0; k < 4; ++k) {
    if (k == lane / 9) return;
    s += x[32 * k + lane];
}
y[i] = s;
//# middle_break
float s = 0;
#pragma unroll 1
for (int k = 0;; ++k) {
    s += x[32 * k + lane];
    if (k == lane / 8) break;
    s += x[32 * k + 1024 + lane];
}
y[i] = s;
//# loop_in_branch
float s = 0;
if ((int)x[i] % 2) {
#pragma unroll 1
    for (int k = 0; k < 5; ++k) s += x[32 * k + lane];
} else {
#pragma unroll 1
    for (int k = 0; k < 3; ++k) s *= x[40 * k + lane];
}
y[i] = s;
//# nested_loops
float s = 0;
#pragma unroll 1
for (int a = 0; a < 3; ++a) {
#pragma unroll 1
    for (int k = 0; k < (lane + 13 * a) % 16; ++k) s += x[k * 32 + lane];
    y[i + 32 * a] = s;
}
//# switch_in_loop
float s = 0;
#pragma unroll 1
for (int k = 0; k < 4; ++k) switch (((int)x[i] / 8 + k) % 3) {
        case 0:
            s += x[lane + k];
            break;
        case 1:
            s *= x[2 * lane + k];
            y[lane + 64] = s;
            break;
        default:
            s -= 1;
    }
y[i] = s;
//# several_exits
int k = 0;
#pragma unroll 1
while (k < 4) {
    if (x[32 * k + lane] < 8) goto out;
    if (lane >= 24) return;
    ++k;
}
out:
if (k < 4) y[i] = k;
//# calls_from_two_places
__device__ __noinline__ float load_pair(const float* x, int i) { return x[i] * x[i + 64]; }
//#body
float s = x[i];
if (lane < 12) {
    s += load_pair(x, i);
    y[i + 64] = s;
} else
    s -= load_pair(x, i + 200) * 2;
y[i] = s + load_pair(x, 2 * i);
//# call_with_loop
__device__ __noinline__ float sum_up(const float* x, int length) {
    float s = 0;
#pragma unroll 1
    for (int k = 0; k < length; ++k) s += x[32 * k + length];
    return s;
}
//#body
float s = 1;
if ((int)x[i] % 3 == 0) s = sum_up(x, lane);
y[i] = s;
//# call_returns_early
__device__ __noinline__ float either(const float* x, int i) {
    if (i < 40) return x[i] * 3;
    return x[i + 64] + x[2 * i];
}
//#body
y[i] = either(x, lane % 2 ? lane : lane + 32);
//# call_in_loop
__device__ __noinline__ float step(const float* x, int k) { return k % 2 ? x[k] : x[k + 100] * x[k + 200]; }
//#body
float s = 0;
#pragma unroll 1
for (int k = lane; k < 90; k += 7 + lane % 3) s += step(x, k);
y[i] = s;
//# break_of_an_inner_loop
float s = 0;
#pragma unroll 1
for (int a = 0; a < 4; ++a) {
#pragma unroll 1
    for (int k = 0; k < 6; ++k) {
        const float v = x[32 * k + lane + a];
        if (v > 20 * (a + 1) + 3 * k) break;
        s += v;
    }
    if (s > 150) continue;
    y[i + 32 * a + 32] = s;
}
y[i] = s;
//# return_before_a_loop <<<1, 80>>>
const float start = x[i];
if (start * 3 < i + 20 || (int)start % 9 == 4) return;
float s = start;
#pragma unroll 1
for (int k = 0; k < 3; ++k) s += x[50 * k + i];
y[i] = s;
//# jump_table <<<1, 64>>>
float s = 1;
switch ((int)x[i] * 5 % 11) {
    case 0:
        s = x[i + 1];
        break;
    case 1:
        s += x[i + 70] * 2;
        break;
    case 2:
        s *= x[i + 140];
        y[i + 192] = s;
        break;
    case 3:
        y[i + 64] = s;
        break;
    case 4:
        s -= x[2 * i];
        break;
    case 5:
        y[i + 128] = s;
        break;
    case 6:
        s += 3 * x[3 * i + 1];
        break;
    case 7:
        s = x[i + 210];
}
y[i] = s;
//# barrier_loop <<<2, 96>>>
__shared__ float row[96];
float s = 0;
#pragma unroll 1
for (int k = 0; k < 5; ++k) {
    row[threadIdx.x] = x[96 * k + i];
    __syncthreads();
    if (threadIdx.x >= k) s += row[threadIdx.x - k];
    __syncthreads();
}
y[i] = s;
"""

SHARED = """
//# shared_one_word
__shared__ float tile[1024];
fill<1024>(tile, x);
y[i] = tile[(int)x[0]];
//# shared_two_words_of_a_bank
__shared__ float tile[1024];
fill<1024>(tile, x);
y[i] = tile[lane % 2 * 32];
//# shared_words_read_twice
__shared__ float tile[1024];
fill<1024>(tile, x);
y[i] = tile[lane / 2 * 33];
//# shared_columns <<<1, dim3(32, 8)>>>
__shared__ float tile[32][32];
for (int r = threadIdx.y; r < 32; r += 8) tile[r][threadIdx.x] = x[32 * r + threadIdx.x];
__syncthreads();
for (int r = threadIdx.y; r < 32; r += 8) y[32 * r + threadIdx.x] = tile[threadIdx.x][r];
//# shared_padded_columns <<<1, dim3(32, 8)>>>
__shared__ float tile[32][33];
for (int r = threadIdx.y; r < 32; r += 8) tile[r][threadIdx.x] = x[32 * r + threadIdx.x];
__syncthreads();
for (int r = threadIdx.y; r < 32; r += 8) y[32 * r + threadIdx.x] = tile[threadIdx.x][r];
//# shared_partial_warp <<<1, 44>>>
__shared__ float tile[1024];
fill<1024>(tile, x);
y[i] = tile[8 * threadIdx.x];
//# shared_float2_partial_warp <<<1, 44>>>
__shared__ __align__(16) float tile[1024];
fill<1024>(tile, x);
((float2*)y)[i] = ((float2*)tile)[3 * threadIdx.x];
//# shared_float4_partial_warp <<<1, 44>>>
__shared__ __align__(16) float tile[1024];
fill<1024>(tile, x);
((float4*)y)[i] = ((float4*)tile)[2 * threadIdx.x];
//# shared_narrow_block <<<1, dim3(8, 8)>>>
__shared__ float tile[16][16];
tile[threadIdx.y][threadIdx.x] = x[8 * threadIdx.y + threadIdx.x];
__syncthreads();
y[8 * threadIdx.y + threadIdx.x] = tile[threadIdx.x][threadIdx.y];
//# shared_bytes
__shared__ float tile[1024];
fill<1024>(tile, x);
unsigned char* bytes = (unsigned char*)tile;
const int b = bytes[5 * lane] + bytes[lane + 1];
__syncthreads();
bytes[lane] = b;
__syncthreads();
y[i] = tile[lane];
//# shared_bytes_apart
__shared__ float tile[1024];
fill<1024>(tile, x);
y[i] = ((unsigned char*)tile)[66 * lane];
//# shared_shorts
__shared__ float tile[1024];
fill<1024>(tile, x);
short* shorts = (short*)tile;
const int b = shorts[3 * lane] + shorts[64 * lane];
__syncthreads();
shorts[lane] = b;
__syncthreads();
y[i] = tile[lane];
//# dynamic_shared <<<2, 64, 64 * 2 * 4>>>
extern __shared__ float flexible[];
flexible[threadIdx.x] = x[i];
flexible[2 * threadIdx.x % 64 + threadIdx.x / 32 + 64] = x[i + 64];
__syncthreads();
y[i] = flexible[127 - threadIdx.x];
//# shared_doubles_store
__shared__ double tile[32 * 4];
tile[4 * lane] = x[i];
__syncthreads();
y[i] = (float)tile[4 * (31 - lane)];
"""


def _shared(width: int, store: bool, name: str, index: str, lanes: str = "") -> str:
    """One access of a warp to shared memory: `width` bytes at element `index`, by the lanes where `lanes`."""
    words = {4: "float", 8: "float2", 16: "float4"}[width]
    condition = f"if ({lanes}) " if lanes else ""
    if store:
        access = f"{condition}(({words}*)tile)[{index}] = v;\n__syncthreads();\ny[i] = tile[lane];"
        read = f"const {words} v = ((const {words}*)x)[lane];\n__syncthreads();\n"
    else:
        access = f"{condition}(({words}*)y)[i] = (({words}*)tile)[{index}];"
        read = ""
    title = f"//# shared_{words}{'_store' if store else ''}_{name}\n"
    return f"{title}__shared__ __align__(16) float tile[4096];\nfill<4096>(tile, x);\n{read}{access}\n"


# How lanes of 4, 8 and 16 bytes are grouped into passes shows where some lanes are off, where they share
# words, and where nothing is regular: the last are multiplications modulo a prime.
_LANES = {
    "lower_half": "lane < 16",
    "even_lanes": "lane % 2 == 0",
    "some_lanes": "0x9c3a5f07u >> lane & 1",
    "few_lanes": "0x40108021u >> lane & 1",
}
_SCATTERED = {
    "scattered_1": "lane * 37 % 251",
    "scattered_2": "lane * lane * 11 % 127",
    "scattered_3": "(lane ^ 21) * 29 % 61",
}
SHARED += (
    "".join(
        _shared(width, store, name, index, lanes)
        for width, strides in (
            (4, (1, 2, 3, 4, 8, 16, 17, 32)),
            (8, (1, 2, 3, 4, 16)),
            (16, (1, 2, 3, 4, 5, 8)),
        )
        for store, name, index, lanes in (
            *((False, f"stride_{k}", f"{k} * lane", "") for k in strides),
            *((True, f"stride_{k}", f"{k} * lane", "") for k in strides if k in (1, 2, 8, 16, 32)),
            *(
                (False, f"{name}_stride_{k}", f"{k} * lane", lanes)
                for name, lanes in _LANES.items()
                for k in (1, 2)
            ),
            *((False, name, index, "") for name, index in _SCATTERED.items()),
            (False, "scattered_some_lanes", _SCATTERED["scattered_1"], _LANES["some_lanes"]),
            (True, "scattered_some_lanes", "lane * 37 % 251", _LANES["some_lanes"]),
        )
    )
    + "".join(
        _shared(width, False, name, index)
        for width in (8, 16)
        for name, index in {
            "all_same": "5",
            "halves_same": "lane / 16 * 5",
            "quarters_same": "lane / 8 * 3",
            "four_share": "lane / 4",
            "neighbours_share": "lane / 2",
            "next_but_one_share": "lane / 4 * 2 + lane % 2",
            "next_but_three_share": "lane / 8 * 4 + lane % 4",
            "same_in_halves": "lane % 16",
            "same_in_quarters": "lane % 8",
            "alternate": "lane % 2 * 16",
            "alternate_far": "lane % 4 * 32",
            "neighbours_share_below": "lane < 16 ? lane / 2 : lane",
            "neighbours_below_next_but_one_above": "lane < 16 ? lane / 2 : lane / 4 * 2 + lane % 2",
            "neighbours_or_next_but_one": "lane / 4 * 2 + (lane & 4 ? lane % 2 : lane % 4 / 2)",
            "neighbours_share_scattered": "lane / 2 * 37 % 251",
            "next_but_one_share_scattered": "(lane / 4 * 2 + lane % 2) * 11 % 61",
        }.items()
    )
    + "".join(
        _shared(width, store, name, index, f"{mask:#x}u >> lane & 1")
        for width in (8, 16)
        for store, name, mask, index in (
            (False, "even_lanes_packed", 0x55555555, "lane / 2"),
            (True, "even_lanes_packed", 0x55555555, "lane / 2"),
            (False, "two_of_four_packed", 0x33333333, "lane / 4 * 2 + lane % 2"),
            (True, "two_of_four_packed", 0x33333333, "lane / 4 * 2 + lane % 2"),
            (False, "inner_two_of_four_packed", 0x66666666, "lane / 4 * 2 + lane % 4 / 2"),
            (False, "four_of_eight_packed", 0x0F0F0F0F, "lane / 8 * 4 + lane % 4"),
            (False, "either_packed", 0x35353535, "lane / 4 * 2 + (lane & 4 ? lane % 2 : lane % 4 / 2)"),
            (False, "neighbours_share_some_lanes", 0x9C3A5F07, "lane / 2"),
        )
    )
)

ATOMICS = """
//# red_one_address <<<2, 64>>>
atomicAdd(y, x[i]);
//# red_distinct <<<2, 64>>>
atomicAdd(y + i, x[i]);
//# red_stride_2
atomicAdd(y + 2 * i, x[i]);
//# red_stride_9
atomicAdd(y + 9 * i, x[i]);
//# red_pairs
atomicAdd(y + i / 2, x[i]);
//# red_four_addresses
atomicAdd(y + i % 4 * 9, x[i]);
//# red_scattered <<<1, 64>>>
atomicAdd(y + (int)x[i] * 37 % 61, 1.0f);
//# red_uneven
atomicAdd(y + (lane < 16 ? 0 : lane), x[i]);
//# red_uneven_in_a_sector
atomicAdd(y + (lane < 16 ? 0 : lane % 8), x[i]);
//# red_uneven_sectors
atomicAdd(y + (lane < 24 ? lane % 2 : 8 + lane % 4), x[i]);
//# red_doubles_pairs
atomicAdd((double*)y + i / 2, (double)x[i]);
//# red_bits
atomicOr((int*)y + i % 5, (int)x[i]);
//# red_long
atomicAdd((unsigned long long*)y + i % 12, (unsigned long long)x[i]);
//# red_ints
atomicAdd((int*)y + i % 8, (int)x[i]);
//# red_doubles
atomicAdd((double*)y + i, (double)x[i]);
//# red_doubles_one_address
atomicAdd((double*)y, (double)x[i]);
//# red_some_lanes
if ((int)x[i] % 3 == 0) atomicAdd(y + i, 2.0f);
//# red_max
atomicMax((int*)y + i % 16, (int)x[i]);
//# atom_distinct <<<2, 64>>>
y[i] = atomicAdd(y + i + 128, x[i]);
//# atom_one_address
y[i] = atomicAdd(y + 100, x[i]);
//# atom_pairs
y[i] = atomicAdd(y + 64 + i / 2, x[i]);
//# atom_ints
y[i] = atomicAdd((int*)y + 64 + i % 8, (int)x[i]);
//# atom_doubles
y[i] = (float)atomicAdd((double*)y + 64 + i, (double)x[i]);
//# atom_max
y[i] = atomicMax((int*)y + 64 + i, (int)x[i]);
//# atom_cas
y[i] = atomicCAS((int*)y + 64 + i, 0, (int)x[i]);
//# atom_cas_one_address
y[i] = atomicCAS((int*)y + 64, (int)x[i], 3);
//# shared_atom_exchange_longs
__shared__ unsigned long long bins[32];
bins[lane] = 0;
__syncthreads();
y[i] = atomicExch(&bins[lane * 3 % 32], (unsigned long long)x[i]);
//# shared_red_ints
__shared__ int bins[64];
bins[lane] = 0;
bins[lane + 32] = 1;
__syncthreads();
atomicAdd(&bins[lane * 7 % 32], (int)x[i]);
__syncthreads();
y[i] = bins[lane] + bins[lane + 32];
//# shared_red_ints_four_addresses
__shared__ int bins[64];
bins[lane] = 0;
__syncthreads();
atomicAdd(&bins[lane % 4], (int)x[i]);
__syncthreads();
y[i] = bins[lane];
//# shared_red_ints_one_bank
__shared__ int bins[256];
for (int k = 0; k < 8; ++k) bins[32 * k + lane] = 0;
__syncthreads();
atomicAdd(&bins[lane % 8 * 32], (int)x[i]);
__syncthreads();
y[i] = bins[lane];
//# shared_red_uneven
__shared__ int bins[32];
bins[lane] = 0;
__syncthreads();
atomicAdd(&bins[lane < 9 ? 20 : lane], (int)x[i]);
__syncthreads();
y[i] = bins[lane];
//# shared_red_ints_stride_2
__shared__ int bins[64];
bins[lane] = 0;
bins[lane + 32] = 1;
__syncthreads();
atomicAdd(&bins[2 * lane], (int)x[i]);
__syncthreads();
y[i] = bins[lane];
//# shared_red_ints_some_lanes
__shared__ int bins[64];
bins[lane] = 0;
bins[lane + 32] = 1;
__syncthreads();
if ((int)x[i] % 3) atomicAdd(&bins[lane * 5 % 64], (int)x[i]);
__syncthreads();
y[i] = bins[lane];
//# shared_atom_ints
__shared__ int bins[32];
bins[lane] = 0;
__syncthreads();
y[i] = atomicAdd(&bins[lane / 2], (int)x[i]);
//# shared_atom_max
__shared__ int bins[32];
bins[lane] = 0;
__syncthreads();
atomicMax(&bins[lane / 3], (int)x[i]);
__syncthreads();
y[i] = bins[lane];
//# shared_atom_cas
__shared__ int bins[32];
bins[lane] = 0;
__syncthreads();
y[i] = atomicCAS(&bins[lane], 0, (int)x[i]);
//# shared_atom_cas_pairs
__shared__ int bins[32];
bins[lane] = 0;
__syncthreads();
y[i] = atomicCAS(&bins[lane / 2], 0, (int)x[i]);
//# shared_atom_cas_stride_4
__shared__ int bins[128];
for (int k = 0; k < 4; ++k) bins[32 * k + lane] = 0;
__syncthreads();
y[i] = atomicCAS(&bins[4 * lane], 0, (int)x[i]);
//# shared_atom_cas_longs
__shared__ unsigned long long bins[32];
bins[lane] = 0;
__syncthreads();
y[i] = atomicCAS(&bins[lane], 0ull, (unsigned long long)x[i]);
//# shared_atom_exchange
__shared__ int bins[64];
bins[lane] = 0;
bins[lane + 32] = 3;
__syncthreads();
y[i] = atomicExch(&bins[lane * 3 % 64], (int)x[i]);
"""

REAL = """
//# transpose_naive <<<dim3(2, 2), dim3(32, 8)>>>
for (int r = 0; r < 32; r += 8) {
    const int row = blockIdx.y * 32 + threadIdx.y + r, column = blockIdx.x * 32 + threadIdx.x;
    y[64 * column + row] = x[64 * row + column];
}
//# transpose_tiled <<<dim3(2, 2), dim3(32, 8)>>>
__shared__ float tile[32][33];
for (int r = threadIdx.y; r < 32; r += 8)
    tile[r][threadIdx.x] = x[64 * (blockIdx.y * 32 + r) + blockIdx.x * 32 + threadIdx.x];
__syncthreads();
for (int r = threadIdx.y; r < 32; r += 8)
    y[64 * (blockIdx.x * 32 + r) + blockIdx.y * 32 + threadIdx.x] = tile[threadIdx.x][r];
//# warp_reduction <<<4, 64>>>
float s = x[i];
for (int k = 16; k; k /= 2) s += __shfl_down_sync(0xffffffffu, s, k);
if (lane == 0) y[i / 32] = s;
//# block_reduction <<<4, 256>>>
__shared__ float partial[256];
partial[threadIdx.x] = x[i] + x[i + 1024];
__syncthreads();
#pragma unroll 1
for (int half = 128; half; half /= 2) {
    if (threadIdx.x < half) partial[threadIdx.x] += partial[threadIdx.x + half];
    __syncthreads();
}
if (threadIdx.x == 0) y[blockIdx.x] = partial[0];
//# stencil_global <<<5, 100>>>
if (i > 0 && i < 490) y[i] = 0.25f * x[i - 1] + 0.5f * x[i] + 0.25f * x[i + 1];
//# stencil_shared <<<4, 128>>>
__shared__ float row[130];
row[threadIdx.x + 1] = x[i];
if (threadIdx.x == 0) row[0] = i > 0 ? x[i - 1] : 0.0f;
if (threadIdx.x == 127) row[129] = x[i + 1];
__syncthreads();
y[i] = 0.25f * row[threadIdx.x] + 0.5f * row[threadIdx.x + 1] + 0.25f * row[threadIdx.x + 2];
//# histogram <<<4, 128>>>
__shared__ int bins[16];
if (threadIdx.x < 16) bins[threadIdx.x] = 0;
__syncthreads();
atomicAdd(&bins[(int)x[i] * 7 % 16], (int)x[i + 100]);
__syncthreads();
if (threadIdx.x < 16) atomicAdd((int*)y + threadIdx.x, bins[threadIdx.x]);
//# conv2d_direct <<<dim3(2, 5), dim3(32, 4)>>>
// One image of 20 x 50, filter 3 x 3 behind it in x, no padding.
const int q = blockIdx.x * 32 + threadIdx.x, p = blockIdx.y * 4 + threadIdx.y;
if (p >= 18 || q >= 48) return;
float s = 0;
for (int r = 0; r < 3; ++r)
    for (int t = 0; t < 3; ++t) s += x[50 * (p + r) + q + t] * x[1000 + 3 * r + t];
y[48 * p + q] = s;
//# conv2d_tiled <<<dim3(3, 3), dim3(16, 8)>>>
// The same with padding 1 and a tile with its halo in shared memory.
__shared__ float tile[10][18], weight[9];
const int q = blockIdx.x * 16 + threadIdx.x, p = blockIdx.y * 8 + threadIdx.y;
const int linear = threadIdx.y * 16 + threadIdx.x;
if (linear < 9) weight[linear] = x[1000 + linear];
#pragma unroll 1
for (int k = linear; k < 180; k += 128) {
    const int h = (int)blockIdx.y * 8 + k / 18 - 1, w = (int)blockIdx.x * 16 + k % 18 - 1;
    tile[k / 18][k % 18] = h >= 0 && h < 20 && w >= 0 && w < 50 ? x[50 * h + w] : 0.0f;
}
__syncthreads();
if (p >= 20 || q >= 50) return;
float s = 0;
#pragma unroll 1
for (int r = 0; r < 3; ++r)
#pragma unroll 1
    for (int t = 0; t < 3; ++t) s += tile[threadIdx.y + r][threadIdx.x + t] * weight[3 * r + t];
y[50 * p + q] = s;
//# conv_row_in_registers <<<2, 64>>>
// Four neighbouring outputs a thread, their six inputs loaded once.
const float4 a = ((const float4*)x)[i];
const float2 b = ((const float2*)x)[2 * i + 2];
const float w0 = x[4000], w1 = x[4001], w2 = x[4002];
((float4*)y)[i] = make_float4(w0 * a.x + w1 * a.y + w2 * a.z, w0 * a.y + w1 * a.z + w2 * a.w,
                              w0 * a.z + w1 * a.w + w2 * b.x, w0 * a.w + w1 * b.x + w2 * b.y);
//# im2col <<<9, 128>>>
// A row for each tap of a 3 x 3 filter, padding 1, over an image of 10 x 12.
const int tap = blockIdx.x, pixel = threadIdx.x;
if (pixel >= 120) return;
const int h = pixel / 12 + tap / 3 - 1, w = pixel % 12 + tap % 3 - 1;
y[120 * tap + pixel] = h >= 0 && h < 10 && w >= 0 && w < 12 ? x[12 * h + w] : 0.0f;
//# async_copy <<<2, 64>>>
__shared__ __align__(16) float tile[256];
__pipeline_memcpy_async(tile + 4 * threadIdx.x, x + 256 * blockIdx.x + 4 * threadIdx.x, 16);
__pipeline_commit();
__pipeline_wait_prior(0);
__syncthreads();
y[i] = tile[255 - 4 * threadIdx.x];
//# local_array <<<1, 64>>>
float kept[16];
#pragma unroll 1
for (int k = 0; k < 16; ++k) kept[k] = x[64 * k + i];
y[i] = kept[(int)x[i] % 16] + kept[(int)x[i + 1] * 3 % 16];
"""

# cp.async and ldmatrix, written by hand.
PTX = r"""
//# ptx_copy_4_bytes <<<2, 64>>>
__shared__ __align__(16) float tile[64];
const unsigned to = (unsigned)__cvta_generic_to_shared(tile + threadIdx.x);
asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(to), "l"(x + i) : "memory");
asm volatile("cp.async.wait_all;" ::: "memory");
__syncthreads();
y[i] = tile[63 - threadIdx.x];
//# ptx_copy_8_bytes <<<2, 64>>>
__shared__ __align__(16) float tile[128];
const unsigned to = (unsigned)__cvta_generic_to_shared(tile + 2 * threadIdx.x);
asm volatile("cp.async.ca.shared.global [%0], [%1], 8;" ::"r"(to), "l"(x + 2 * i) : "memory");
asm volatile("cp.async.wait_all;" ::: "memory");
__syncthreads();
y[i] = tile[127 - 2 * threadIdx.x];
//# ptx_copy_16_bytes <<<2, 64>>>
__shared__ __align__(16) float tile[256];
const unsigned to = (unsigned)__cvta_generic_to_shared(tile + 4 * threadIdx.x);
asm volatile("cp.async.ca.shared.global [%0], [%1], 16;" ::"r"(to), "l"(x + 4 * i) : "memory");
asm volatile("cp.async.wait_all;" ::: "memory");
__syncthreads();
y[i] = tile[255 - 4 * threadIdx.x];
//# ptx_copy_16_bytes_past_l1 <<<2, 64>>>
__shared__ __align__(16) float tile[256];
const unsigned to = (unsigned)__cvta_generic_to_shared(tile + 4 * threadIdx.x);
asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to), "l"(x + 4 * i) : "memory");
asm volatile("cp.async.wait_all;" ::: "memory");
__syncthreads();
y[i] = tile[255 - 4 * threadIdx.x];
//# ptx_copy_4_bytes_from_apart
__shared__ __align__(16) float tile[32];
const unsigned to = (unsigned)__cvta_generic_to_shared(tile + lane);
asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(to), "l"(x + 3 * lane + 1) : "memory");
asm volatile("cp.async.wait_all;" ::: "memory");
__syncthreads();
y[i] = tile[31 - lane];
//# ptx_copy_4_bytes_to_every_other
__shared__ __align__(16) float tile[64];
const unsigned to = (unsigned)__cvta_generic_to_shared(tile + 2 * lane);
asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(to), "l"(x + lane) : "memory");
asm volatile("cp.async.wait_all;" ::: "memory");
__syncthreads();
y[i] = tile[2 * lane];
//# ptx_copy_4_bytes_to_a_column
__shared__ __align__(16) float tile[1024];
const unsigned to = (unsigned)__cvta_generic_to_shared(tile + 32 * lane);
asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(to), "l"(x + lane) : "memory");
asm volatile("cp.async.wait_all;" ::: "memory");
__syncthreads();
y[i] = tile[32 * lane];
//# ptx_copy_8_bytes_to_apart
__shared__ __align__(16) float tile[192];
const unsigned to = (unsigned)__cvta_generic_to_shared(tile + 6 * lane);
asm volatile("cp.async.ca.shared.global [%0], [%1], 8;" ::"r"(to), "l"(x + 2 * lane) : "memory");
asm volatile("cp.async.wait_all;" ::: "memory");
__syncthreads();
y[i] = tile[6 * lane];
//# ptx_copy_8_bytes_to_every_other
__shared__ __align__(16) float tile[128];
const unsigned to = (unsigned)__cvta_generic_to_shared(tile + 4 * lane);
asm volatile("cp.async.ca.shared.global [%0], [%1], 8;" ::"r"(to), "l"(x + 2 * lane) : "memory");
asm volatile("cp.async.wait_all;" ::: "memory");
__syncthreads();
y[i] = tile[4 * lane];
//# ptx_copy_16_bytes_from_apart: differs: lanes whose places do not lie side by side are copied apart
__shared__ __align__(16) float tile[128];
const unsigned to = (unsigned)__cvta_generic_to_shared(tile + 4 * lane);
asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to), "l"(x + 12 * lane + 4) : "memory");
asm volatile("cp.async.wait_all;" ::: "memory");
__syncthreads();
y[i] = tile[4 * lane];
//# ptx_copy_16_bytes_to_every_other: differs: lanes whose places do not lie side by side are copied apart
__shared__ __align__(16) float tile[256];
const unsigned to = (unsigned)__cvta_generic_to_shared(tile + 8 * lane);
asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to), "l"(x + 4 * lane) : "memory");
asm volatile("cp.async.wait_all;" ::: "memory");
__syncthreads();
y[i] = tile[8 * lane];
//# ptx_copy_16_bytes_to_padded_rows: differs: lanes whose places do not lie side by side are copied apart
__shared__ __align__(16) float tile[1152];
const unsigned to = (unsigned)__cvta_generic_to_shared(tile + 36 * lane);
asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to), "l"(x + 4 * lane) : "memory");
asm volatile("cp.async.wait_all;" ::: "memory");
__syncthreads();
y[i] = tile[36 * lane];
//# ptx_copy_16_bytes_to_a_column: differs: lanes whose places do not lie side by side are copied apart
__shared__ __align__(16) float tile[1024];
const unsigned to = (unsigned)__cvta_generic_to_shared(tile + 32 * lane);
asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to), "l"(x + 4 * lane) : "memory");
asm volatile("cp.async.wait_all;" ::: "memory");
__syncthreads();
y[i] = tile[32 * lane];
//# ptx_copy_by_some_lanes: differs: some lanes alone are copied apart
__shared__ __align__(16) float tile[128];
const unsigned to = (unsigned)__cvta_generic_to_shared(tile + 4 * lane);
if ((int)x[i] % 3 == 0)
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;"
                 ::"r"(to), "l"(x + 4 * lane) : "memory");
asm volatile("cp.async.wait_all;" ::: "memory");
__syncthreads();
y[i] = tile[12 * (lane % 11)];
//# ptx_copy_zeros_by_some_lanes
__shared__ __align__(16) float tile[128];
const unsigned to = (unsigned)__cvta_generic_to_shared(tile + 4 * lane);
asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
             ::"r"(to), "l"(x + 4 * lane), "r"((int)x[i] < 20 ? 16 : 0) : "memory");
asm volatile("cp.async.wait_all;" ::: "memory");
__syncthreads();
y[i] = tile[4 * lane];
//# ptx_copy_zeros_alone
__shared__ __align__(16) float tile[32];
const unsigned to = (unsigned)__cvta_generic_to_shared(tile + lane);
asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;"
             ::"r"(to), "l"(x + lane), "r"((int)x[i] < 20 ? 0 : x[i] < 0 ? 4 : 0) : "memory");
asm volatile("cp.async.wait_all;" ::: "memory");
__syncthreads();
y[i] = tile[31 - lane];
//# ptx_copy_half_zeros
__shared__ __align__(16) float tile[128];
const unsigned to = (unsigned)__cvta_generic_to_shared(tile + 4 * lane);
asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
             ::"r"(to), "l"(x + 4 * lane), "r"((int)x[i] < 50 ? 8 : 0) : "memory");
asm volatile("cp.async.wait_all;" ::: "memory");
__syncthreads();
y[i] = tile[4 * lane + 1];
//# ptx_matrices_1
__shared__ __align__(16) float tile[32];
fill<32>(tile, x);
unsigned m[1];
const unsigned row = (unsigned)__cvta_generic_to_shared(tile + 4 * (lane % 8));
asm volatile("ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%0}, [%1];"
             : "=r"(m[0])
             : "r"(row)
             : "memory");
for (int k = 0; k < 1; ++k) y[32 * k + lane] = __uint_as_float(m[k]);
//# ptx_matrices_2
__shared__ __align__(16) float tile[64];
fill<64>(tile, x);
unsigned m[2];
const unsigned row = (unsigned)__cvta_generic_to_shared(tile + 4 * (lane % 16));
asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
             : "=r"(m[0]), "=r"(m[1])
             : "r"(row)
             : "memory");
for (int k = 0; k < 2; ++k) y[32 * k + lane] = __uint_as_float(m[k]);
//# ptx_matrices_4
__shared__ __align__(16) float tile[128];
fill<128>(tile, x);
unsigned m[4];
const unsigned row = (unsigned)__cvta_generic_to_shared(tile + 4 * lane);
asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
             : "=r"(m[0]), "=r"(m[1]), "=r"(m[2]), "=r"(m[3])
             : "r"(row)
             : "memory");
for (int k = 0; k < 4; ++k) y[32 * k + lane] = __uint_as_float(m[k]);
//# ptx_matrices_4_transposed
__shared__ __align__(16) float tile[128];
fill<128>(tile, x);
unsigned m[4];
const unsigned row = (unsigned)__cvta_generic_to_shared(tile + 4 * lane);
asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
             : "=r"(m[0]), "=r"(m[1]), "=r"(m[2]), "=r"(m[3])
             : "r"(row)
             : "memory");
for (int k = 0; k < 4; ++k) y[32 * k + lane] = __uint_as_float(m[k]);
//# ptx_matrices_1_of_a_column
__shared__ __align__(16) float tile[256];
fill<256>(tile, x);
unsigned m[1];
const unsigned row = (unsigned)__cvta_generic_to_shared(tile + 32 * (lane % 8));
asm volatile("ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%0}, [%1];"
             : "=r"(m[0])
             : "r"(row)
             : "memory");
for (int k = 0; k < 1; ++k) y[32 * k + lane] = __uint_as_float(m[k]);
//# ptx_matrices_2_every_fourth_row
__shared__ __align__(16) float tile[256];
fill<256>(tile, x);
unsigned m[2];
const unsigned row = (unsigned)__cvta_generic_to_shared(tile + 16 * (lane % 16));
asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
             : "=r"(m[0]), "=r"(m[1])
             : "r"(row)
             : "memory");
for (int k = 0; k < 2; ++k) y[32 * k + lane] = __uint_as_float(m[k]);
//# ptx_matrices_4_every_other_row
__shared__ __align__(16) float tile[256];
fill<256>(tile, x);
unsigned m[4];
const unsigned row = (unsigned)__cvta_generic_to_shared(tile + 8 * lane);
asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
             : "=r"(m[0]), "=r"(m[1]), "=r"(m[2]), "=r"(m[3])
             : "r"(row)
             : "memory");
for (int k = 0; k < 4; ++k) y[32 * k + lane] = __uint_as_float(m[k]);
//# ptx_matrices_4_of_padded_rows
__shared__ __align__(16) float tile[1152];
fill<1152>(tile, x);
unsigned m[4];
const unsigned row = (unsigned)__cvta_generic_to_shared(tile + 36 * lane);
asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
             : "=r"(m[0]), "=r"(m[1]), "=r"(m[2]), "=r"(m[3])
             : "r"(row)
             : "memory");
for (int k = 0; k < 4; ++k) y[32 * k + lane] = __uint_as_float(m[k]);
//# ptx_matrices_4_of_a_column
__shared__ __align__(16) float tile[1024];
fill<1024>(tile, x);
unsigned m[4];
const unsigned row = (unsigned)__cvta_generic_to_shared(tile + 32 * lane);
asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
             : "=r"(m[0]), "=r"(m[1]), "=r"(m[2]), "=r"(m[3])
             : "r"(row)
             : "memory");
for (int k = 0; k < 4; ++k) y[32 * k + lane] = __uint_as_float(m[k]);
//# ptx_matrices_4_of_a_column_transposed
__shared__ __align__(16) float tile[1024];
fill<1024>(tile, x);
unsigned m[4];
const unsigned row = (unsigned)__cvta_generic_to_shared(tile + 32 * lane);
asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
             : "=r"(m[0]), "=r"(m[1]), "=r"(m[2]), "=r"(m[3])
             : "r"(row)
             : "memory");
for (int k = 0; k < 4; ++k) y[32 * k + lane] = __uint_as_float(m[k]);
//# ptx_matrices_4_of_rows_of_two
__shared__ __align__(16) float tile[512];
fill<512>(tile, x);
unsigned m[4];
const unsigned row = (unsigned)__cvta_generic_to_shared(tile + 32 * (lane % 16) + 4 * (lane / 16));
asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
             : "=r"(m[0]), "=r"(m[1]), "=r"(m[2]), "=r"(m[3])
             : "r"(row)
             : "memory");
for (int k = 0; k < 4; ++k) y[32 * k + lane] = __uint_as_float(m[k]);
//# ptx_matrices_4_of_one_row
__shared__ __align__(16) float tile[32];
fill<32>(tile, x);
unsigned m[4];
const unsigned row = (unsigned)__cvta_generic_to_shared(tile + 4);
asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
             : "=r"(m[0]), "=r"(m[1]), "=r"(m[2]), "=r"(m[3])
             : "r"(row)
             : "memory");
for (int k = 0; k < 4; ++k) y[32 * k + lane] = __uint_as_float(m[k]);
//# ptx_matrices_4_times_the_same
__shared__ __align__(16) float tile[32];
fill<32>(tile, x);
unsigned m[4];
const unsigned row = (unsigned)__cvta_generic_to_shared(tile + 4 * (lane % 8));
asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
             : "=r"(m[0]), "=r"(m[1]), "=r"(m[2]), "=r"(m[3])
             : "r"(row)
             : "memory");
for (int k = 0; k < 4; ++k) y[32 * k + lane] = __uint_as_float(m[k]);
//# ptx_matrices_4_of_rows_in_pairs
__shared__ __align__(16) float tile[64];
fill<64>(tile, x);
unsigned m[4];
const unsigned row = (unsigned)__cvta_generic_to_shared(tile + 4 * (lane / 2));
asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
             : "=r"(m[0]), "=r"(m[1]), "=r"(m[2]), "=r"(m[3])
             : "r"(row)
             : "memory");
for (int k = 0; k < 4; ++k) y[32 * k + lane] = __uint_as_float(m[k]);
"""

# Here nvcc merges, hoists or reorders accesses; each has enough others beside these.
CHOICE = """
//# loaded_again_across_a_barrier <<<1, 64>>>
float s = x[i];
__syncthreads();
#pragma unroll 1
for (int k = 0; k < 200; ++k) s += x[32 * k + i];
y[i] = s + x[i];
//# loop_invariant_load <<<1, 64>>>
float s = 0;
#pragma unroll 1
for (int k = 0; k < 4; ++k) {
    for (int m = 0; m < 150; ++m) s += x[32 * m + 7 * k + i];
    s *= x[4000 + i];
}
y[i] = s;
//# adjacent_loads_of_shared: differs: nvcc joins four neighbouring loads into one of 16 bytes
__shared__ __align__(16) float tile[1024];
fill<1024>(tile, x);
float s = 0;
for (int k = 0; k < 4; ++k) s += tile[4 * lane + k] * (k + 2);
y[i] = s;
//# unrolled_by_the_compiler: differs: nvcc unrolls, and lanes leave the loop apart
float s = 0;
for (int k = 0; k < 40 + lane % 8; ++k) s += x[32 * k % 16384 + lane];
y[i] = s;
//# jump_table_falls_through: differs: jumping and falling lanes do not meet
float s = x[lane];
switch ((int)x[i] * 5 % 11) {
    case 0:
        s = x[i + 1];
        break;
    case 1:
        s += x[i + 70] * 2;
    case 2:
        s *= x[i + 140];
        break;
    case 3:
        s += 5;
        break;
    case 4:
        s -= x[2 * i];
    case 5:
        s *= 3;
        break;
    case 6:
        s += x[3 * i + 1];
        break;
    default:
        s -= x[i + 210];
}
y[i] = s;
//# red_of_one_known_address: differs: nvcc adds up the warp, one lane goes
atomicAdd((int*)y + 100, (int)x[i]);
//# shared_red_of_one_known_address: differs: nvcc adds up the warp, one lane goes
__shared__ int bins[32];
bins[lane] = 0;
__syncthreads();
atomicAdd(&bins[3], (int)x[i]);
__syncthreads();
y[i] = bins[lane];
//# shared_increments: differs: lanes that add 1 to one address go together
__shared__ int bins[32];
bins[lane] = 0;
__syncthreads();
atomicAdd(&bins[(int)x[i] * 7 % 16], 1);
__syncthreads();
y[i] = bins[lane];
//# shared_red_floats: differs: nvcc loops over a load and a compare-and-swap
__shared__ float bins[32];
bins[lane] = 0;
__syncthreads();
atomicAdd(&bins[31 - lane], x[i]);
__syncthreads();
y[i] = bins[lane];
//# shared_red_doubles: differs: nvcc loops over a load and a compare-and-swap
__shared__ double bins[32];
bins[lane] = 0;
__syncthreads();
atomicAdd(&bins[31 - lane], (double)x[i]);
__syncthreads();
y[i] = (float)bins[lane];
//# either_address: differs: nvcc selects one of two addresses and loads once
y[i] = lane < 8 ? x[i] : x[i + 32];
//# branches_alike: differs: nvcc makes one load and one store of the branches
if (i % 2)
    y[i] = x[i];
else
    y[i + 64] = x[i + 32];
"""

TEXT = GLOBAL + CONTROL + SHARED + ATOMICS + REAL + PTX + CHOICE


def known_difference(name: str) -> str | None:
    """Why nvcc keeps a kernel's counts from being its source's; None where they must be equal."""
    notes = KERNELS[name].notes if name in KERNELS else ""
    word, _, reason = notes.partition(": ")
    assert not notes or (word == "differs" and reason), f"{name}: {notes}"
    return reason or None


def digest(text: str) -> str:
    """Tells whether a source is still the recorded one; comments and layout may change."""
    code = re.sub(r"//[^\n]*|/\*.*?\*/", " ", text, flags=re.DOTALL)
    return hashlib.sha256(" ".join(code.split()).encode()).hexdigest()[:16]


KERNELS = {kernel.name: kernel for kernel in read_kernels(TEXT)}
SOURCE = PRELUDE + "".join(kernel.text for kernel in KERNELS.values())
