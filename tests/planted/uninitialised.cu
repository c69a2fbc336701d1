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

//# halo_off_by_one <<<1, 64>>>: uninitialized-read, thread 63 0 0, block 0 0 0
//: reads element 65 of s in shared memory, which no thread of the block has written
__shared__ float s[66];
for (int k = i; k < 65; k += 64)  // -> for (int k = i; k < 66; k += 64)
    s[k] = k > 0 && k <= n ? x[k - 1] : 0;
__syncthreads();
y[i] = s[i] + s[i + 1] + s[i + 2];  // <- here

//# halo_rows_left_out <<<1, dim3(8, 8)>>>: uninitialized-read, thread 7 0 0, block 0 0 0
//: element 7 of tile
__shared__ float tile[10][8];
const int tx = threadIdx.x, ty = threadIdx.y;
tile[ty + 1][tx] = x[8 * ty + tx];
if (ty == 0 && tx < 7) tile[0][tx] = tile[9][tx] = 0;  // -> if (ty == 0) tile[0][tx] = tile[9][tx] = 0;
__syncthreads();
y[8 * ty + tx] = tile[ty][tx] + tile[ty + 2][tx];  // <- here

//# stride_forgotten <<<1, dim3(8, 8)>>>: uninitialized-read, thread 1 7 0, block 0 0 0
//: reads element 64 of s
__shared__ float s[8 * 9];
const int tx = threadIdx.x, ty = threadIdx.y;
s[8 * ty + tx] = x[8 * ty + tx];  // -> s[9 * ty + tx] = x[8 * ty + tx];
__syncthreads();
y[8 * ty + tx] = s[9 * ty + tx];  // <- here

//# outside_left_as_it_was <<<1, 64>>>: uninitialized-read, thread 60 0 0, block 0 0 0
//: reads element 60 of s
__shared__ float s[64];
if (i < n - 4) s[i] = x[i];  // -> s[i] = i < n - 4 ? x[i] : 0;
__syncthreads();
y[i] = s[i];  // <- here

//# counter_not_zeroed <<<1, 64>>>: uninitialized-read, thread 0 0 0, block 0 0 0
//: element 0 of count in shared memory
__shared__ int count;
if (i < 0) count = 0;  // -> if (i == 0) count = 0;
__syncthreads();
atomicAdd(&count, 1);  // <- here
__syncthreads();
y[i] = count;

//# sums_not_zeroed <<<1, 64>>>: uninitialized-read, thread 0 0 0, block 0 0 0
//: reads output[0]
for (int k = 0; k < 3; ++k) y[i] += x[(i + k) % n];  // -> for (int k = 0; k < 3; ++k) y[i] = k ? y[i] + x[(i + k) % n] : x[i];

//# fresh_cudaMalloc: uninitialized-read, thread 0 0 0, block 0 0 0
//: reads byte 0 of memory of a cudaMalloc, which nobody has written
y[i] = x[i];  // <- here
//#launcher
    auto y = torch::empty_like(x);
    float* p;
    cudaMalloc(&p, 256);
    // -> cudaMemcpy(p, x.data_ptr<float>(), 256, cudaMemcpyDeviceToDevice);
    fresh_cudaMalloc_kernel<<<1, 64>>>(p, y.data_ptr<float>(), 64);
    return y;

//# half_of_it_copied: uninitialized-read, thread 32 0 0, block 0 0 0
//: reads byte 128 of memory of a cudaMalloc
y[i] = x[i];  // <- here
//#launcher
    auto y = torch::empty_like(x);
    float* p;
    cudaMalloc(&p, 256);
    cudaMemcpy(p, x.data_ptr<float>(), 128, cudaMemcpyDeviceToDevice);  // -> cudaMemset(p, 0, 256);
    half_of_it_copied_kernel<<<1, 64>>>(p, y.data_ptr<float>(), 64);
    return y;

//# copy_of_garbage: uninitialized-read, thread 0 0 0, block 0 0 0
//: reads byte 0 of memory of a cudaMalloc, which nobody has written
y[i] = x[i];  // <- here
//#launcher
    auto y = torch::empty_like(x), z = torch::empty_like(x);  // -> auto y = torch::empty_like(x), z = torch::zeros_like(x);
    float* p;
    cudaMalloc(&p, 256);
    cudaMemcpy(p, z.data_ptr<float>(), 256, cudaMemcpyDeviceToDevice);
    copy_of_garbage_kernel<<<1, 64>>>(p, y.data_ptr<float>(), 64);
    return y;

//# second_launch_reads_more: uninitialized-read, thread 32 0 0, block 0 0 0
//: reads output[32] of the tensor that the launcher allocated
y[i] = x[i];  // <- here
//#launcher
    auto y = torch::empty_like(x), z = torch::empty_like(x);
    second_launch_reads_more_kernel<<<1, 32>>>(x.data_ptr<float>(), z.data_ptr<float>(), 64);  // -> second_launch_reads_more_kernel<<<1, 64>>>(x.data_ptr<float>(), z.data_ptr<float>(), 64);
    second_launch_reads_more_kernel<<<1, 64>>>(z.data_ptr<float>(), y.data_ptr<float>(), 64);
    return y;
