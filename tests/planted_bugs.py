"""Kernels with one bug each, and beside the bug its correction.

    //# name <<<launch>>>: kind, thread x y z, block x y z
    //: words of the message

`bug  // -> fix` is the line that differs in the correct twin, and the one that the error must name, unless a
line `// <- here` is there. The error's text must also name the line `// <- other`. x counts 0, 1, 2 ... 63; y
is memory that nobody has written. CORRECT holds kernels that do unusual things and nothing wrong.
"""

BUGS = """
//# read_past_the_end <<<1, 64>>>: out-of-bounds, thread 63 0 0, block 0 0 0
//: reads x[64], 1 past the last of the 64 elements of x (float32, shape 8x8)
y[i] = x[i + 1];  // -> y[i] = x[i];

//# write_past_the_end <<<1, 64>>>: out-of-bounds, thread 60 0 0, block 0 0 0
//: writes output[64], 1 past the last
y[i + 4] = x[i];  // -> y[i] = x[i];

//# read_before_the_start <<<1, 64>>>: out-of-bounds, thread 0 0 0, block 0 0 0
//: reads x[-1], 1 before the first
y[i] = x[i - 1];  // -> y[i] = i ? x[i - 1] : 0;

//# unsigned_wraps <<<1, 64>>>: out-of-bounds, thread 0 0 0, block 0 0 0
//: reads x[4294967295]
y[i] = x[i - 1u];  // -> y[i] = x[i & 63u];

//# far_past_the_end <<<1, 64>>>: out-of-bounds, thread 1 0 0, block 0 0 0
//: reads x[100000], 99937 past
y[i] = x[i * 100000];  // -> y[i] = x[i * 100000 % n];

//# null_pointer <<<1, 64>>>: out-of-bounds, thread 0 0 0, block 0 0 0
//: reads 4 bytes at address 0x0, far from every tensor
const float* p = nullptr;  // -> const float* p = x;
y[i] = p[i];  // <- here

//# no_guard <<<2, 48>>>: out-of-bounds, thread 16 0 0, block 1 0 0
//: x[64]
y[i] = x[i];  // -> if (i < n) y[i] = x[i];

//# guard_off_by_one <<<dim3(2, 1), dim3(8, 8)>>>: out-of-bounds, thread 0 0 0, block 1 0 0
//: x[64]
const int k = 64 * blockIdx.x + 8 * threadIdx.y + threadIdx.x;
if (k <= n)  // -> if (k < n)
    y[k] = x[k];  // <- here

//# float4_past_the_end <<<1, 64>>>: out-of-bounds, thread 16 0 0, block 0 0 0
//: reads x[64]
if (i < n)  // -> if (i < n / 4)
    ((float4*)y)[i] = ((const float4*)x)[i];  // <- here

//# atomic_past_the_end <<<1, 64>>>: out-of-bounds, thread 0 0 0, block 0 0 0
//: updates atomically output[64]
y[i] = 0;
atomicAdd(&y[i + 64], x[i]);  // -> atomicAdd(&y[i], x[i]);

//# in_a_function <<<1, 64>>>: out-of-bounds, thread 63 0 0, block 0 0 0
//: x[64]
__device__ __noinline__ float next(const float* x, int i) { return x[i]; }
//#body
y[i] = next(x, i + 1);  // -> y[i] = next(x, i);

//# shared_past_the_end <<<1, 64>>>: out-of-bounds, thread 63 0 0, block 0 0 0
//: reads element 64 of s in shared memory, which has 64 elements (0 to 63)
__shared__ float s[64];
s[i] = x[i];
__syncthreads();
y[i] = s[i + 1];  // -> y[i] = s[i];

//# shared_write_past_the_end <<<1, 64>>>: out-of-bounds, thread 63 0 0, block 0 0 0
//: writes element 64 of s
__shared__ float s[64], t[64];
s[i + 1] = x[i];  // -> s[i] = t[i] = x[i];
y[i] = x[i];

//# shared_before_the_start <<<1, 64>>>: out-of-bounds, thread 0 0 0, block 0 0 0
//: element -1 of s
__shared__ float r[64], s[64];
r[i] = s[i] = x[i];
__syncthreads();
y[i] = s[i - 1];  // -> y[i] = s[(i + 63) % 64];

//# shared_2d_past_the_end <<<1, dim3(8, 8)>>>: out-of-bounds, thread 0 7 0, block 0 0 0
//: element 72 of tile in shared memory, which has 72 elements
__shared__ float tile[8][9];
const int tx = threadIdx.x, ty = threadIdx.y;
tile[ty][tx] = x[8 * ty + tx];
__syncthreads();
y[8 * ty + tx] = tile[ty + 1][tx];  // -> y[8 * ty + tx] = tile[7 - ty][tx];

//# dynamic_past_the_end <<<1, 64, 64 * sizeof(float)>>>: out-of-bounds, thread 63 0 0, block 0 0 0
//: element 64 of buffer in shared memory, which has 64 elements
extern __shared__ float buffer[];
buffer[i] = x[i];
__syncthreads();
y[i] = buffer[i + 1];  // -> y[i] = buffer[i];

//# dynamic_without_size <<<1, 64>>>: out-of-bounds, thread 0 0 0, block 0 0 0
//: of buffer
extern __shared__ float buffer[];
buffer[i] = x[i];  // -> y[i] = x[i];

//# shared_atomic_past_the_end <<<1, 64>>>: out-of-bounds, thread 32 0 0, block 0 0 0
//: element 4 of bins
__shared__ int bins[4];
if (i < 4) bins[i] = 0;
__syncthreads();
atomicAdd(&bins[i / 8], 1);  // -> atomicAdd(&bins[i / 16], 1);

//# float4_misaligned <<<1, 32>>>: misaligned, thread 1 0 0, block 0 0 0
//: 16 bytes at byte 4 of x (float32, shape 8x8)
float4 v = *(const float4*)(x + i);  // -> float4 v = *(const float4*)(x + i / 4 * 4);
y[i] = v.x + v.y;

//# float2_misaligned <<<1, 32>>>: misaligned, thread 0 0 0, block 0 0 0
//: writes 8 bytes at byte 4
*(float2*)(y + 2 * i + 1) = make_float2(1, 2);  // -> *(float2*)(y + 2 * i) = make_float2(1, 2);

//# double_misaligned <<<1, 30>>>: misaligned, thread 1 0 0, block 0 0 0
//: at byte 4
y[i] = *(const double*)(x + i);  // -> y[i] = *(const double*)(x + 2 * i);

//# shared_misaligned <<<1, 32>>>: misaligned, thread 0 0 0, block 0 0 0
//: of s
__shared__ __align__(16) float s[136];
*(float4*)&s[4 * i + 2] = make_float4(1, 2, 3, 4);  // -> *(float4*)&s[4 * i] = make_float4(1, 2, 3, 4);

//# output_read <<<1, 64>>>: uninitialized-read, thread 0 0 0, block 0 0 0
//: reads output[0] of the tensor that the launcher allocated (float32, shape 8x8), which nobody has written
y[i] += x[i];  // -> y[i] = x[i];

//# output_read_at_the_edge <<<1, 64>>>: uninitialized-read, thread 63 0 0, block 0 0 0
//: output[63]
if (i < n - 1)  // -> if (i < n)
    y[i] = 1;
y[i] *= x[i];  // <- here

//# atomic_on_garbage <<<1, 64>>>: uninitialized-read, thread 0 0 0, block 0 0 0
//: output[0]
if (i < 0) y[0] = 0;  // -> if (i == 0) y[0] = 0;
__syncthreads();
atomicAdd(y, x[i]);  // <- here

//# shared_never_written <<<1, 64>>>: uninitialized-read, thread 40 0 0, block 0 0 0
//: reads element 40 of s in shared memory, which no thread of the block has written
__shared__ float s[64];
if (i < 40)  // -> if (i < 64)
    s[i] = x[i];
__syncthreads();
y[i] = s[i];  // <- here

//# halo_left_out <<<1, 64>>>: uninitialized-read, thread 0 0 0, block 0 0 0
//: element 0 of s
__shared__ float s[66];
s[i + 1] = x[i];
if (i == 64) s[0] = s[65] = 0;  // -> if (i == 0) s[0] = s[65] = 0;
__syncthreads();
y[i] = s[i] + s[i + 1] + s[i + 2];  // <- here

//# dynamic_never_written <<<2, 32, 256>>>: uninitialized-read, thread 0 0 0, block 0 0 0
//: element 32 of s
extern __shared__ float s[];
s[lane] = x[i];  // -> s[lane] = s[lane + 32] = x[i];
__syncthreads();
y[i] = s[lane + 32];  // <- here

//# shared_of_the_block_before <<<2, 32>>>: uninitialized-read, thread 0 0 0, block 1 0 0
//: element 0 of s
__shared__ float s[32];
if (blockIdx.x == 0)  // -> if (blockIdx.x < 2)
    s[lane] = x[i];
__syncthreads();
y[i] = s[lane];  // <- here

//# no_barrier_after_the_load <<<1, 64>>>: race, thread 32 0 0, block 0 0 0
//: Put __syncthreads() between the two
__shared__ float s[64];
s[i] = x[i];  // <- here
// -> __syncthreads();
y[i] = s[63 - i];  // <- other

//# no_barrier_before_the_next_load <<<1, 64>>>: race
//: element
__shared__ float s[64];
float sum = 0;
for (int k = 0; k < 3; ++k) {
    s[i] = x[i] + k;  // <- here
    __syncthreads();
    sum += s[(i + 40) % 64];  // <- other
    // -> __syncthreads();
}
y[i] = sum;

//# neighbours_of_another_warp <<<1, 64>>>: race, thread 32 0 0, block 0 0 0
//: element 32 of s in shared memory, which thread (31, 0, 0) touched
__shared__ float s[65];
s[i] = x[i];  // <- here
if (i == 0) s[64] = 0;
__syncwarp();  // -> __syncthreads();
y[i] = s[i + 1];  // <- other

//# within_a_warp <<<1, 32>>>: race, thread 0 0 0, block 0 0 0
//: put __syncwarp() between them
__shared__ float s[32];
s[lane] = x[i];  // <- other
// -> __syncwarp();
y[i] = s[31 - lane];  // <- here

//# last_warp_of_a_reduction <<<1, 32>>>: race
//: put __syncwarp() between them
__shared__ float s[32];
s[lane] = x[i];
__syncwarp();
for (int k = 16; k > 0; k /= 2) {
    if (lane < k) s[lane] += s[lane + k];  // <- here
    // -> __syncwarp();
}
y[i] = s[lane % 1];

//# reduction_without_barriers <<<1, 64>>>: race
//: of s in shared memory
__shared__ float s[64];
s[i] = x[i];
__syncthreads();
for (int k = 32; k > 0; k /= 2) {
    if (i < k) s[i] += s[i + k];  // <- here
    // -> __syncthreads();
}
if (i == 0) y[0] = s[0];

//# shared_count <<<1, 64>>>: race, thread 0 0 0, block 0 0 0
//: element 0 of bins
__shared__ int bins[4];
if (i < 4) bins[i] = 0;
__syncthreads();
bins[i % 4] += 1;  // -> atomicAdd(&bins[i % 4], 1);

//# atomic_and_plain <<<1, 64>>>: race
//: element 0 of total
__shared__ int total[1];
if (i == 0) total[0] = 0;
__syncthreads();
atomicAdd(&total[0], 1);
// -> __syncthreads();
y[i] = total[0];  // <- here

//# double_buffer <<<1, 64>>>: race
//: of s
__shared__ float s[2][64];
float sum = 0;
for (int k = 0; k < 4; ++k) {
    const int half = 0;  // -> const int half = k % 2;
    s[half][i] = x[i] + k;  // <- other
    __syncthreads();
    sum += s[half][63 - i];  // <- here
}
y[i] = sum;

//# halves_of_a_word <<<1, 32, 128>>>: race, thread 0 0 0, block 0 0 0
//: of s
extern __shared__ float s[];
short* t = (short*)s;
t[lane] = lane;
t[lane] = t[lane ^ 1];  // -> t[lane] = t[lane];

//# all_write_one <<<1, 64>>>: race, thread 1 0 0, block 0 0 0
//: of the tensor that the launcher allocated (float32, shape 8x8), which thread (0, 0, 0) touched
y[0] = x[i];  // -> y[i] = x[i];

//# same_output_from_two_blocks <<<2, 64>>>: race, thread 0 0 0, block 1 0 0
//: which thread (0, 0, 0) of block (0, 0, 0) touched
y[threadIdx.x] = x[threadIdx.x];  // -> if (blockIdx.x == 0) y[threadIdx.x] = x[threadIdx.x];

//# sum_without_atomic <<<2, 32>>>: race
//: use an atomic operation
float* z = const_cast<float*>(x);
y[i] = 0;
if (lane == 0) z[0] += 1;  // -> if (lane == 0) atomicAdd(&z[0], 1.0f);

//# in_place_neighbour <<<1, 64>>>: race
//: of x
float* z = const_cast<float*>(x);
const float v = i + 1 < n ? x[i + 1] : 0;
// -> __syncthreads();
z[i] = v;  // <- here

//# in_place_between_blocks <<<2, 32>>>: race, thread 0 0 0, block 1 0 0
//: which thread (31, 0, 0) of block (0, 0, 0) touched
float* z = const_cast<float*>(x);
const float v = i + 1 < n ? x[i + 1] : 0;
__syncthreads();
z[i] = v;  // -> y[i] = v;

//# early_return <<<1, 64>>>: barrier-divergence, thread 0 0 0, block 0 0 0
//: thread (50, 0, 0) has already left the kernel
__shared__ float s[64];
if (i >= 50) return;  // -> s[i] = 0;
__syncthreads();  // <- here
y[i] = x[i];

//# barrier_in_if <<<1, 64>>>: barrier-divergence, thread 0 0 0, block 0 0 0
//: has already left the kernel
if (i < 32)  // -> if (n > 32)
    __syncthreads();  // <- here
y[i] = x[i];

//# barrier_in_if_and_else <<<1, 64>>>: barrier-divergence, thread 0 0 0, block 0 0 0
//: while thread (7, 0, 0) of the same block waits at another one at line
if (i < 7)  // -> if (n > 7)
    __syncthreads();  // <- here
else
    __syncthreads();  // <- other

//# barrier_in_uneven_loop <<<1, 64>>>: barrier-divergence, thread 32 0 0, block 0 0 0
//: thread (0, 0, 0) has already left
for (int k = 0; k < 1 + i / 32; ++k)  // -> for (int k = 0; k < 2; ++k)
    __syncthreads();  // <- here

//# barrier_meets_shuffle <<<1, 32>>>: barrier-divergence, thread 16 0 0, block 0 0 0
//: while thread (0, 0, 0) waits in a warp-level operation at line
float v = x[i];
if (lane < 16) v = __shfl_down_sync(0xffffffff, v, 1);  // -> v = __shfl_down_sync(0xffffffff, v, 1);
else  // -> ;
    __syncthreads();  // <- here
y[i] = v;

//# mask_without_the_caller <<<1, 32>>>: deadlock, thread 16 0 0, block 0 0 0
//: mask 0x0000ffff
y[i] = __shfl_sync(0x0000ffff, x[i], 0);  // -> y[i] = __shfl_sync(0xffffffff, x[i], 0);

//# masks_that_differ <<<1, 32>>>: deadlock, thread 0 0 0, block 0 0 0
//: with the same mask
const unsigned mask = lane < 16 ? 0xffffffff : 0xfffffffe;  // -> const unsigned mask = 0xffffffff;
y[i] = __shfl_sync(mask, x[i], 3);  // <- here

//# two_operations <<<1, 32>>>: deadlock, thread 0 0 0, block 0 0 0
//: Each lane named in the mask must execute the same call
const bool some = lane < 16;  // -> const bool some = true;
if (some) y[i] = __ballot_sync(0xffffffff, 1);  // <- here
else y[i] = __reduce_add_sync(0xffffffff, 1);
"""

CORRECT = """
//# tile_in_a_loop <<<2, 32>>>
__shared__ float s[34];
float sum = 0;
for (int k = 0; k < 5; ++k) {
    for (int j = lane; j < 34; j += 32) {
        const int at = 32 * blockIdx.x + j - 1;
        s[j] = at >= 0 && at < n ? x[at] : 0;
    }
    __syncthreads();
    sum += s[lane] + s[lane + 1] + s[lane + 2];
    __syncthreads();
}
y[i] = sum;

//# shuffles_then_shared <<<1, 64>>>
__shared__ float sums[2];
float v = x[i];
for (int k = 16; k > 0; k /= 2) v += __shfl_down_sync(0xffffffff, v, k);
if (lane == 0) sums[threadIdx.x / 32] = v;
__syncthreads();
y[i] = sums[0] + sums[1];

//# lanes_with_a_history <<<1, 32>>>
__shared__ float s[32];
float v = 0;
if (lane < 16)
    for (int k = 0; k < 3; ++k) v += __shfl_xor_sync(0x0000ffff, v, 1);
s[lane] = x[i];
for (int k = 0; k < 6; ++k) {
    __syncwarp();
    v += s[31 - lane];
}
y[i] = v;

//# last_block_adds_up <<<4, 16>>>
__device__ unsigned int blocks_done = 0;
//#body
__shared__ bool last;
y[i] = x[i] + 1;
__threadfence();
__syncthreads();
if (threadIdx.x == 0) last = atomicInc(&blocks_done, gridDim.x - 1) == gridDim.x - 1;
__syncthreads();
if (last && threadIdx.x == 0) {
    float sum = 0;
    for (int k = 0; k < n; ++k) sum += y[k];
    const_cast<float*>(x)[0] = sum;
}

//# many_barriers <<<1, 64>>>
__shared__ float s[64], first[1];
if (i == 0) first[0] = 1;
float v = 0;
for (int k = 0; k < 16500; ++k) {
    __syncthreads();
    v += first[0];
}
y[i] = v;

//# shared_by_name_in_functions <<<2, 32>>>
__device__ float* scratch() {
    __shared__ float s[32];
    return s;
}
__device__ __noinline__ void meet() { __syncthreads(); }
//#body
scratch()[lane] = x[i];
meet();
y[i] = scratch()[31 - lane];

//# histogram <<<2, 64>>>
__shared__ int bins[4];
if (threadIdx.x < 4) bins[threadIdx.x] = 0;
__syncthreads();
atomicAdd(&bins[threadIdx.x % 4], 1);
__syncthreads();
if (threadIdx.x < 4) atomicAdd(const_cast<float*>(x) + threadIdx.x, (float)bins[threadIdx.x]);

//# add_by_compare_and_swap <<<2, 32>>>
__device__ float add_to(float* address, float value) {
    unsigned int* p = (unsigned int*)address;
    unsigned int old = *p, assumed;
    do {
        assumed = old;
        old = atomicCAS(p, assumed, __float_as_uint(value + __uint_as_float(assumed)));
    } while (assumed != old);
    return __uint_as_float(old);
}
//#body
add_to(const_cast<float*>(x), 1);

//# bytes_of_a_float_tensor <<<2, 32, 256>>>
extern __shared__ float s[];
unsigned char *mine = (unsigned char*)y, *tile = (unsigned char*)(s + 32);
s[lane] = x[i];
tile[lane] = mine[i] = i;
tile[lane] += 1;
__syncthreads();
mine[i] = tile[31 - lane] + mine[i];

//# leaves_after_the_last_barrier <<<1, 64>>>
__syncthreads();
if (i > 20) return;
y[i] = x[i];

//# same_value_twice <<<1, 64>>>
y[i] = 1;
y[i] = y[i] + 1;

//# barrier_of_all_in_a_switch <<<1, 64>>>
switch (n % 2) {
    case 0: __syncthreads(); break;
    default: __syncthreads();
}
"""
