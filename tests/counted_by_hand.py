"""Kernels whose memory requests were counted by hand, each under a heading with what it must count.

    //# name <<<launch>>>: kind requests sectors-or-wavefronts, ...

One warp where no launch is given. x counts 0, 1, 2 and so on; `i` is the thread's index, `lane` its lane.
"""

TEXT = """
//# coalesced <<<2, 64>>>: global_load 4 16, global_store 4 16
y[i] = x[i];
//# stride_2: global_load 1 8
y[i] = x[2 * i];
//# stride_8: global_load 1 32
y[i] = x[8 * i];
//# stride_32: global_load 1 4, global_store 1 32
y[32 * i] = x[i];
//# offset_1: global_load 1 5
y[i] = x[i + 1];
//# offset_8: global_load 1 4
y[i] = x[i + 8];
//# reverse: global_load 1 4
y[i] = x[31 - i];
//# broadcast <<<3, 64>>>: global_load 6 6
y[i] = x[5];
//# pairs: global_load 1 2
y[i] = x[i / 2];
//# bytes: global_load 1 1
y[i] = ((const unsigned char*)x)[i];
//# doubles: global_load 1 8
y[i] = (float)((const double*)x)[i];
//# float2s: global_load 1 8, global_store 1 8
((float2*)y)[i] = ((const float2*)x)[i];
//# float4s: global_load 1 16, global_store 1 16
((float4*)y)[i] = ((const float4*)x)[i];
//# int4_member: global_load 1 16
y[i] = ((const int4*)x)[i].z;
//# read_and_add: global_load 2 8, global_store 1 4
y[i] += x[i];
//# ldg: global_load 1 4
y[i] = __ldg(x + i);
//# atomic_one: global_load 1 4, global_atomic 1 32
atomicAdd(y, x[i]);
//# atomic_each: global_atomic 1 4
atomicAdd(y + i, 1.0f);
//# partial_warp <<<1, 40>>>: global_load 2 5, global_store 2 5
y[i] = x[i];
//# two_rows <<<1, dim3(16, 2)>>>: global_load 1 4, global_store 1 4
y[16 * threadIdx.y + threadIdx.x] = x[64 * threadIdx.y + threadIdx.x];
//# early_return: global_load 1 4, global_store 1 4
if (i % 2) return;
y[i] = x[i];
//# nobody: global_load 0 0, global_store 0 0
if (n < 0) y[i] = x[i];
//# guarded: global_load 4 16, global_store 1 4
float s = 0;
for (int k = 0; k < 4; ++k)
    if (lane + k >= 2 && lane + k < 32) s += x[lane + k];
y[i] = s;
//# triangle: global_load 31 76, global_store 1 4
float s = 0;
for (int k = 0; k < lane; ++k) s += x[32 * k + lane];
y[i] = s;
//# while_data: global_load 5 17, global_store 1 4
int k = i;
while (x[k] < 100) k += 32;  // x counts from 0: lanes 0 to 3 go round once more
y[i] = k;
//# do_while: global_load 2 6, global_store 1 4
float s = 0;
int k = 0;
do {
    s += x[32 * k + lane];
} while (++k < 1 + lane / 16);
y[i] = s;
//# if_else: global_load 2 8, global_store 2 8
if (i % 2)
    y[i] = x[i];
else
    y[i + 64] = x[i + 32];
//# nested: global_load 5 10, global_store 1 4
float s = 0;
if (lane < 16) {
    if (lane < 8)
        s = x[i];
    else
        s = x[i + 32];
    s += x[i + 64];
} else
    s = x[i + 96];
y[i] = s + x[i + 128];
//# switched: global_load 4 16, global_store 1 4
float s = 0;
switch (i % 4) {
    case 0:
        s = x[i];
        break;
    case 1:
        s = x[i + 32];
        break;
    case 2:
        s = x[i + 64];
        break;
    default:
        s = x[i + 96];
}
y[i] = s;
//# fall_through: global_load 3 6, global_store 1 4
float s = 0;
switch (i / 8) {
    case 0:
        s += x[i];
    case 1:
        s += x[i + 32];
    case 2:
        s += x[i + 64];
}
y[i] = s;
//# short_and: global_load 2 6, global_store 1 4
y[i] = x[lane] > 15 && x[lane + 32] > 0;
//# short_or: global_load 3 8, global_store 1 2
if (x[lane] > 15 || x[lane + 32] > 1e9f) y[i] = x[lane + 64];
//# ternary: global_load 2 4, global_store 1 4
y[i] = lane < 8 ? x[i] : y[i + 32];
//# broken: global_load 3 6, global_store 1 4
float s = 0;
for (int k = 0; k < 32; ++k) {
    if (k == lane / 8) break;
    s += x[32 * k + lane];
}
y[i] = s;
//# continued: global_load 4 12, global_store 1 4
float s = 0;
for (int k = 0; k < 4; ++k) {
    if (k == lane / 8) continue;
    s += x[32 * k + lane];
}
y[i] = s;
//# return_in_loop: global_load 3 6, global_store 0 0
float s = 0;
for (int k = 0; k < 4; ++k) {
    if (k == lane / 8) return;
    s += x[32 * k + lane];
}
y[i] = s;
//# loop_in_branch: global_load 5 10, global_store 1 4
float s = 0;
if (lane < 16)
    for (int k = 0; k < 2; ++k) s += x[32 * k + lane];
else
    for (int k = 0; k < 3; ++k) s += x[32 * k + lane];
y[i] = s;
//# middle_break: global_load 7 16, global_store 1 4
float s = 0;
for (int k = 0;; ++k) {
    s += x[32 * k + lane];
    if (k == lane / 8) break;
    s += x[32 * k + 1024 + lane];
}
y[i] = s;
//# nested_loops: global_load 62 62, global_store 2 8
float s = 0;
for (int a = 0; a < 2; ++a) {
    for (int k = 0; k < (lane + 16 * a) % 32; ++k) s += x[k];
    y[i] = s;
}
//# switch_in_loop: global_load 6 12, global_store 1 4
float s = 0;
for (int k = 0; k < 3; ++k) switch ((lane / 16 + k) % 2) {
        case 0:
            s += x[lane];
            break;
        case 1:
            s += x[lane + 32];
            break;
    }
y[i] = s;
//# several_exits: global_load 4 10, global_store 1 1
int k = 0;
while (k < 4) {
    if (x[32 * k + lane] < 8) goto out;
    if (lane >= 24) return;
    ++k;
}
out:
if (k < 4) y[i] = k;
//# called_apart: global_load 4 16, global_store 1 4
__device__ __noinline__ float get_apart(const float* x, int i) { return x[i] + x[i + 64]; }
//#body
float s;
if (i % 2)
    s = get_apart(x, i);
else
    s = get_apart(x, i + 32);
y[i] = s;
//# called_together: global_load 2 8, global_store 1 4
__device__ __noinline__ float get_together(const float* x, int i) {
    if (i < 32) return x[i];
    return x[i + 64];
}
//#body
y[i] = get_together(x, lane % 2 ? lane : lane + 32);
//# called_by_some: global_load 7 7, global_store 1 4
__device__ __noinline__ float get_some(const float* x, int i) {
    float s = 0;
    for (int k = 0; k < i; ++k) s += x[k];
    return s;
}
//#body
float s = 1;
if (lane < 8) s = get_some(x, lane);
y[i] = s;
//# recursive: global_load 4 4, global_store 1 4
__device__ float down(const float* x, int k) {
    float v = x[k];
    return k ? v + down(x, k - 1) : v;
}
//#body
y[i] = down(x, i % 4);
//# lambda: global_load 2 3, global_store 1 4
auto get = [&](int k) { return k < 16 ? x[k] : 0.0f; };
y[i] = get(lane) + get(lane + 8);
//# unrolled: global_load 4 16, global_store 1 4
float s = 0;
#pragma unroll
for (int k = 0; k < 4; ++k) s += x[32 * k + i];
y[i] = s;
//# long_loop: global_load 331 331, global_store 1 4
float s = 0;
for (int k = 0; k < 300 + lane; ++k) s += x[k];
y[i] = s;
//# long_loop_apart: global_load 500 500, global_store 1 4
float s = 0;
if (lane % 2)
    for (int k = 0; k < 300; ++k) s += x[k];
else
    for (int k = 0; k < 200; ++k) s += x[k];
y[i] = s;
//# warps_apart <<<1, 96>>>: global_load 3 6, global_store 3 12
if (threadIdx.x < 32)
    y[i] = x[i];
else
    y[i] = x[0];
//# by_row: shared_store 32 32, shared_load 32 32
__shared__ float tile[32][32];
for (int r = 0; r < 32; ++r) tile[r][lane] = x[32 * r + lane];
__syncwarp();
float s = 0;
for (int r = 0; r < 32; ++r) s += tile[r][lane];
y[i] = s;
//# by_column <<<1, dim3(32, 32)>>>: shared_store 32 32, shared_load 512 16384
__shared__ float tile[32][32];
tile[threadIdx.y][threadIdx.x] = x[32 * threadIdx.y + threadIdx.x];
__syncthreads();
for (int k = 0; k < 16; ++k) y[32 * threadIdx.y + threadIdx.x] += tile[threadIdx.x][threadIdx.y];
//# by_padded_column <<<1, dim3(32, 32)>>>: shared_store 32 32, shared_load 512 512
__shared__ float tile[32][33];
tile[threadIdx.y][threadIdx.x] = x[32 * threadIdx.y + threadIdx.x];
__syncthreads();
for (int k = 0; k < 16; ++k) y[32 * threadIdx.y + threadIdx.x] += tile[threadIdx.x][threadIdx.y];
//# shared_same: shared_load 1 1
__shared__ float tile[32][32];
for (int r = 0; r < 32; ++r) tile[r][lane] = x[32 * r + lane];
__syncwarp();
y[i] = tile[3][3];
//# shared_stride_2: shared_load 1 2
__shared__ float tile[32][32];
for (int r = 0; r < 32; ++r) tile[r][lane] = x[32 * r + lane];
__syncwarp();
y[i] = (&tile[0][0])[2 * lane];
//# shared_stride_3: shared_load 1 1
__shared__ float tile[32][32];
for (int r = 0; r < 32; ++r) tile[r][lane] = x[32 * r + lane];
__syncwarp();
y[i] = (&tile[0][0])[3 * lane];
//# shared_stride_16: shared_load 1 16
__shared__ float tile[32][32];
for (int r = 0; r < 32; ++r) tile[r][lane] = x[32 * r + lane];
__syncwarp();
y[i] = (&tile[0][0])[16 * lane];
//# shared_float2: shared_load 1 2
__shared__ float tile[32][32];
for (int r = 0; r < 32; ++r) tile[r][lane] = x[32 * r + lane];
__syncwarp();
float2 v = ((float2*)tile)[lane];
y[i] = v.x + v.y;
//# shared_float4: shared_load 1 4
__shared__ float tile[32][32];
for (int r = 0; r < 32; ++r) tile[r][lane] = x[32 * r + lane];
__syncwarp();
float4 v = ((float4*)tile)[lane];
y[i] = v.x + v.w;
//# shared_half_warp: shared_load 1 16
__shared__ float tile[32][32];
for (int r = 0; r < 32; ++r) tile[r][lane] = x[32 * r + lane];
__syncwarp();
if (lane < 16) y[i] = tile[2 * lane][0];
//# shared_atomic: shared_load 1 1
__shared__ int bins[4];
if (lane < 4) bins[lane] = 0;
__syncwarp();
atomicAdd(&bins[lane % 4], 1);
__syncwarp();
y[i] = bins[lane % 4];
"""
