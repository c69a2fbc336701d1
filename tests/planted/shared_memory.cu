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

//# shared_into_another_array <<<1, 64>>>: out-of-bounds, thread 0 0 0, block 0 0 0
//: uses index 128 of s, 65 past the last of its 64 elements (float[64]
__shared__ float s[64], t[1024];
s[i] = x[i];
for (int k = i; k < 1024; k += 64) t[k] = 0;
__syncthreads();
y[i] = s[i + 128] + t[i];  // -> y[i] = s[63 - i] + t[i];

//# shared_row_past_the_array <<<1, dim3(8, 8)>>>: out-of-bounds, thread 0 0 0, block 0 0 0
//: element -1 of tile in shared memory, which has 72 elements
__shared__ float tile[8][9];
const int tx = threadIdx.x, ty = threadIdx.y;
tile[ty][tx] = x[8 * ty + tx];
__syncthreads();
y[8 * ty + tx] = tile[ty][tx - 1];  // -> y[8 * ty + tx] = tile[ty][7 - tx];

//# shared_transposed <<<1, dim3(16, 4)>>>: out-of-bounds, thread 4 0 0, block 0 0 0
//: writes element 68 of tile in shared memory, which has 68 elements
__shared__ float tile[4][17];
const int tx = threadIdx.x, ty = threadIdx.y;
tile[tx][ty] = x[16 * ty + tx];  // -> tile[ty][tx] = x[16 * ty + tx];
__syncthreads();
y[16 * ty + tx] = tile[3 - ty][tx];

//# dynamic_carved_too_far <<<1, 64, 96 * sizeof(float)>>>: out-of-bounds, thread 32 0 0, block 0 0 0
//: writes element 96 of pool in shared memory, which has 96 elements
extern __shared__ float pool[];
float *first = pool, *second = pool + 64;
first[i] = x[i];
second[i] = 0;  // -> if (i < 32) second[i] = 0;
y[i] = first[i];

//# dynamic_in_bytes <<<1, 64, 64>>>: out-of-bounds, thread 16 0 0, block 0 0 0
//: writes element 16 of pool in shared memory, which has 16 elements
extern __shared__ float pool[];
pool[i] = x[i];  // -> if (i < 16) pool[i] = x[i];
y[i] = x[i];

//# shared_struct <<<1, 64>>>: out-of-bounds, thread 4 0 0, block 0 0 0
//: uses index 4 of state.sums, 1 past the last of its 4 elements
struct Sums { float sums[4]; int count; };
//#body
__shared__ Sums state;
if (i < 5) state.sums[i] = x[i];  // -> if (i < 4) state.sums[i] = x[i];
__syncthreads();
y[i] = state.sums[i % 4];

//# tile_edge <<<2, 32>>>: out-of-bounds, thread 0 0 0, block 0 0 0
//: reads x[-1], 1 before the first
__shared__ float s[34];
const int left = 32 * blockIdx.x - 1;
for (int k = threadIdx.x; k < 34; k += 32)
    s[k] = x[left + k];  // -> s[k] = left + k >= 0 && left + k < n ? x[left + k] : 0;
__syncthreads();
y[i] = s[lane] + s[lane + 1] + s[lane + 2];

//# tile_edge_on_the_right <<<2, 32>>>: out-of-bounds, thread 1 0 0, block 1 0 0
//: reads x[64], 1 past the last
__shared__ float s[34];
const int left = 32 * blockIdx.x - 1;
for (int k = threadIdx.x; k < 34; k += 32)
    s[k] = left + k < 0 ? 0 : x[left + k];  // -> s[k] = left + k < 0 || left + k >= n ? 0 : x[left + k];
__syncthreads();
y[i] = s[lane] + s[lane + 1] + s[lane + 2];
