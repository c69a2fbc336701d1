//# no_barrier_after_the_load <<<1, 64>>>: race, thread 32 0 0, block 0 0 0
//: Put __syncthreads() between the two
__shared__ float s[64];
s[i] = x[i];  // <- here
// -> __syncthreads();
y[i] = s[63 - i];  // <- other

//# no_barrier_before_the_next_load <<<1, 64>>>: race, thread 0 0 0, block 0 0 0
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

//# last_warp_of_a_reduction <<<1, 32>>>: race, thread 0 0 0, block 0 0 0
//: put __syncwarp() between them
__shared__ float s[32];
s[lane] = x[i];
__syncwarp();
for (int k = 16; k > 0; k /= 2) {
    if (lane < k) s[lane] += s[lane + k];  // <- here
    // -> __syncwarp();
}
y[i] = s[lane % 1];

//# reduction_without_barriers <<<1, 64>>>: race, thread 0 0 0, block 0 0 0
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

//# atomic_and_plain <<<1, 64>>>: race, thread 0 0 0, block 0 0 0
//: element 0 of total
__shared__ int total[1];
if (i == 0) total[0] = 0;
__syncthreads();
atomicAdd(&total[0], 1);
// -> __syncthreads();
y[i] = total[0];  // <- here

//# double_buffer <<<1, 64>>>: race, thread 32 0 0, block 0 0 0
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

//# sum_without_atomic <<<2, 32>>>: race, thread 0 0 0, block 1 0 0
//: use an atomic operation
float* z = const_cast<float*>(x);
y[i] = 0;
if (lane == 0) z[0] += 1;  // -> if (lane == 0) atomicAdd(&z[0], 1.0f);

//# in_place_neighbour <<<1, 64>>>: race, thread 1 0 0, block 0 0 0
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

//# double_buffer_without_barrier <<<1, 64>>>: race, thread 32 0 0, block 0 0 0
//: of s in shared memory
__shared__ float s[2][64];
float sum = 0;
s[0][i] = x[i];
__syncthreads();
for (int k = 0; k < 4; ++k) {
    s[(k + 1) % 2][i] = x[i] + k;  // <- here
    sum += s[k % 2][63 - i];  // <- other
    // -> __syncthreads();
}
y[i] = sum;

//# double_buffer_of_the_wrong_half <<<1, 64>>>: race, thread 32 0 0, block 0 0 0
//: of s in shared memory
__shared__ float s[2][64];
float sum = 0;
s[0][i] = x[i];
__syncthreads();
for (int k = 0; k < 4; ++k) {
    s[k % 2][i] = x[i] + k;  // -> s[(k + 1) % 2][i] = x[i] + k;
    sum += s[k % 2][63 - i];  // <- other
    __syncthreads();
}
y[i] = sum;

//# reduction_without_the_last_barrier <<<1, 64>>>: race, thread 31 0 0, block 0 0 0
//: element 0 of s
__shared__ float s[64];
s[i] = x[i];
for (int k = 32; k > 0; k /= 2) {
    __syncthreads();
    if (i < k) s[i] += s[i + k];
}
// -> __syncthreads();
y[i] = s[0];  // <- here

//# warp_synchronous <<<1, 32>>>: race, thread 0 0 0, block 0 0 0
//: put __syncwarp() between them
__shared__ volatile float s[32];
s[lane] = x[i];  // <- other
// -> __syncwarp();
const float v = s[(lane + 16) % 32];  // <- here
// -> __syncwarp();
s[lane] = s[lane] + v;
y[i] = s[lane];

//# scan_in_place <<<1, 64>>>: race, thread 0 0 0, block 0 0 0
//: of s
__shared__ float s[64];
s[i] = x[i];
__syncthreads();
for (int k = 1; k < 64; k *= 2) {
    float v = i >= k ? s[i - k] : 0;
    // -> __syncthreads();
    s[i] += v;  // <- here
    __syncthreads();
}
y[i] = s[i];

//# bins_zeroed_too_late <<<1, 64>>>: race, thread 4 0 0, block 0 0 0
//: of bins
__shared__ int bins[4];
if (i < 4) bins[i] = 0;
// -> __syncthreads();
atomicAdd(&bins[i % 4], 1);  // <- here
__syncthreads();
y[i] = bins[i % 4];

//# broadcast_without_barrier <<<1, 64>>>: race, thread 31 0 0, block 0 0 0
//: element 0 of total
__shared__ float total;
float v = x[i];
for (int k = 16; k > 0; k /= 2) v += __shfl_xor_sync(0xffffffff, v, k);
if (i == 0) total = v;
// -> __syncthreads();
y[i] = total;  // <- here

//# sums_of_warps_without_barrier <<<1, 64>>>: race, thread 32 0 0, block 0 0 0
//: of sums
__shared__ float sums[2];
float v = x[i];
for (int k = 16; k > 0; k /= 2) v += __shfl_xor_sync(0xffffffff, v, k);
if (lane == 0) sums[i / 32] = v;  // <- here
__syncwarp();  // -> __syncthreads();
y[i] = sums[0] + sums[1];  // <- other

//# global_within_a_block <<<1, 64>>>: race, thread 32 0 0, block 0 0 0
//: Put __syncthreads() between the two, or give each thread its own element
y[i] = x[i];  // <- here
// -> __syncthreads();
const_cast<float*>(x)[i] = y[63 - i];  // <- other

//# outputs_overlap <<<2, 34>>>: race, thread 0 0 0, block 1 0 0
//: which thread (32, 0, 0) of block (0, 0, 0) touched
const int k = 32 * blockIdx.x + threadIdx.x;
if (k < n)  // -> if (k < n && threadIdx.x < 32)
    y[k] = x[k];  // <- here

//# two_channels_one_output <<<2, 32>>>: race, thread 0 0 0, block 1 0 0
//: use an atomic operation
const_cast<float*>(x)[lane] += 1;  // -> atomicAdd(const_cast<float*>(x) + lane, 1.0f);

//# atomic_and_plain_store <<<1, 64>>>: race, thread 63 0 0, block 0 0 0
//: of x
float* z = const_cast<float*>(x);
if (i == 63)  // -> if (i < 0)
    z[0] = 0;  // <- here
else
    atomicAdd(&z[0], 1.0f);

//# result_read_by_another_block <<<2, 32>>>: race, thread 0 0 0, block 1 0 0
//: Blocks run in any order
float* z = const_cast<float*>(x);
z[i] = 2 * i;  // <- here
__syncthreads();
y[i] = z[(i + 32) % n];  // -> y[i] = z[i / 32 * 32 + 31 - lane];

//# transpose_in_place <<<1, dim3(8, 8)>>>: race, thread 1 0 0, block 0 0 0
//: of x
float* z = const_cast<float*>(x);
const float v = z[8 * threadIdx.x + threadIdx.y];
// -> __syncthreads();
z[8 * threadIdx.y + threadIdx.x] = v;  // <- here

//# tile_of_the_next_channel <<<1, dim3(8, 8)>>>: race, thread 1 0 0, block 0 0 0
//: of tile
__shared__ float tile[10][10];
const int tx = threadIdx.x, ty = threadIdx.y;
float sum = 0;
for (int c = 0; c < 2; ++c) {
    for (int k = 8 * ty + tx; k < 100; k += 64) {
        const int row = k / 10 - 1, column = k % 10 - 1;
        const bool inside = row >= 0 && row < 8 && column >= 0 && column < 8;
        tile[k / 10][k % 10] = inside ? x[8 * row + column] : 0;  // <- here
    }
    __syncthreads();
    for (int k = 0; k < 9; ++k) sum += tile[ty + k / 3][tx + k % 3];  // <- other
    // -> __syncthreads();
}
y[8 * ty + tx] = sum;

//# tile_read_too_early <<<1, dim3(8, 8)>>>: race, thread 1 0 0, block 0 0 0
//: of tile
__shared__ float tile[8][8];
const int tx = threadIdx.x, ty = threadIdx.y;
tile[ty][tx] = x[8 * ty + tx];  // <- other
// -> __syncthreads();
y[8 * ty + tx] = tile[tx][ty];  // <- here

//# mask_too_small <<<1, 32>>>: race, thread 0 0 0, block 0 0 0
//: put __syncwarp() between them
__shared__ float s[32];
s[lane] = x[i];  // <- other
if (lane < 16) __syncwarp(0x0000ffff);  // -> __syncwarp();
if (lane < 16) y[i] = s[lane + 16];  // <- here

//# halves_that_never_meet <<<1, 32>>>: race, thread 0 0 0, block 0 0 0
//: put __syncwarp() between them
__shared__ float s[32];
const unsigned mask = lane < 16 ? 0x0000ffff : 0xffff0000;
for (int k = 0; k < 1 + lane / 16; ++k) {
    s[lane] = x[i] + k;
    __syncwarp(mask);
}
// -> __syncwarp();
y[i] = s[lane ^ 16];  // <- here
