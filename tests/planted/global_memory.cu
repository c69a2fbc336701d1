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
__device__ __noinline__ float next(const float* x, int i) { return x[i]; }  // <- here
//#body
y[i] = next(x, i + 1);  // -> y[i] = next(x, i);

//# transposed_index <<<1, dim3(8, 6)>>>: out-of-bounds, thread 6 0 0, block 0 0 0
//@ torch.arange(48.0).view(6, 8)
//: reads x[48], 1 past the last of the 48 elements of x (float32, shape 6x8)
const int tx = threadIdx.x, ty = threadIdx.y;
y[ty * 8 + tx] = x[tx * 8 + ty];  // -> y[ty * 8 + tx] = x[ty * 8 + tx];

//# halo_of_the_first_pixel <<<1, 64>>>: out-of-bounds, thread 0 0 0, block 0 0 0
//: reads x[-9], 9 before the first
float sum = 0;
for (int k = 0; k < 9; ++k) {
    const int row = i / 8 + k / 3 - 1, column = i % 8 + k % 3 - 1;
    if (row < 8 && column < 8)  // -> if (row >= 0 && row < 8 && column >= 0 && column < 8)
        sum += x[row * 8 + column];  // <- here
}
y[i] = sum;

//# last_row_of_a_batch <<<2, 32>>>: out-of-bounds, thread 24 0 0, block 1 0 0
//@ torch.arange(64.0).view(2, 4, 8)
//: reads x[64], 1 past the last of the 64 elements of x (float32, shape 2x4x8)
y[i] = x[i] - x[i + 8];  // -> y[i] = i % 32 < 24 ? x[i] - x[i + 8] : x[i];

//# end_of_a_slice <<<1, 64>>>: out-of-bounds, thread 63 0 0, block 0 0 0
//@ torch.arange(200.0).view(10, 20)[1:9, 2:10]
//: reads x[148], 1 past the last of the 148 elements of x (float32, shape 8x8)
y[i] = x[i / 8 * 20 + i % 8 + i / 63];  // -> y[i] = x[i / 8 * 20 + i % 8];

//# row_of_a_slice <<<1, 64>>>: out-of-bounds, thread 7 0 0, block 0 0 0
//@ torch.arange(200.0).view(10, 20)[1:9, 2:10]
//: reads x[8], which lies between the rows of x (float32, shape 8x8): its strides are 20x1
y[i] = x[i / 8 * 20 + i % 8 + (i < 56)];  // -> y[i] = x[i / 8 * 20 + i % 8];

//# strides_ignored <<<1, 64>>>: out-of-bounds, thread 32 0 0, block 0 0 0
//@ torch.arange(80.0).view(2, 40)[:, :32]
//: reads x[32], which lies between the rows of x (float32, shape 2x32)
y[i] = x[i];  // -> y[i] = x[i / 32 * 40 + i % 32];

//# before_a_slice <<<1, 64>>>: out-of-bounds, thread 0 0 0, block 0 0 0
//@ torch.arange(70.0)[3:67]
//: reads x[-1], 1 before the first of the 64 elements
y[i] = x[i - 1];  // -> y[i] = x[i];

//# freed_tensor: out-of-bounds, thread 0 0 0, block 0 0 0
//: reads output[0] of the tensor that the launcher allocated (float32, shape 8x8), which is freed
y[i] = x[i];  // <- here
//#launcher
    auto y = torch::empty_like(x), z = torch::zeros_like(x);
    const float* p = z.data_ptr<float>();
    z = y;  // -> ;
    freed_tensor_kernel<<<1, 64>>>(p, y.data_ptr<float>(), 64);
    return y;

//# freed_temporary: out-of-bounds, thread 0 0 0, block 0 0 0
//: the last torch::Tensor that owned it went out of scope before the launch
y[i] = x[i];  // <- here
//#launcher
    auto y = torch::empty_like(x);
    const float* p = torch::ones_like(x).data_ptr<float>();  // -> auto z = torch::ones_like(x); auto p = z.data_ptr<float>();
    freed_temporary_kernel<<<1, 64>>>(p, y.data_ptr<float>(), 64);
    return y;

//# freed_by_cudaFree: out-of-bounds, thread 0 0 0, block 0 0 0
//: writes byte 0 of memory of a cudaMalloc that cudaFree gave back before the launch
y[i] = x[i];  // <- here
//#launcher
    float* p;
    cudaMalloc(&p, 256);
    cudaFree(p);  // -> ;
    freed_by_cudaFree_kernel<<<1, 64>>>(x.data_ptr<float>(), p, 64);
    return x;

//# past_a_cudaMalloc: out-of-bounds, thread 63 0 0, block 0 0 0
//: writes 4 bytes at byte 252 of memory of a cudaMalloc
y[i] = x[i];  // <- here
//#launcher
    float* p;
    cudaMalloc(&p, 63 * sizeof(float));  // -> cudaMalloc(&p, 64 * sizeof(float));
    past_a_cudaMalloc_kernel<<<1, 64>>>(x.data_ptr<float>(), p, 64);
    return x;

//# bytes_for_elements: out-of-bounds, thread 16 0 0, block 0 0 0
//: writes 4 bytes at byte 64 of memory of a cudaMalloc
y[i] = x[i];  // <- here
//#launcher
    float* p;
    cudaMalloc(&p, x.numel());  // -> cudaMalloc(&p, x.numel() * sizeof(float));
    bytes_for_elements_kernel<<<1, 64>>>(x.data_ptr<float>(), p, 64);
    return x;

//# pointer_of_the_host: out-of-bounds, thread 0 0 0, block 0 0 0
//: reads a variable of the launcher, which is in the CPU
y[i] = x[i];  // <- here
//#launcher
    auto y = torch::empty_like(x);
    float here[64] = {};
    const float* p = here;  // -> const float* p = x.data_ptr<float>();
    pointer_of_the_host_kernel<<<1, 64>>>(p, y.data_ptr<float>(), 64);
    return y;

//# tensor_of_the_cpu: out-of-bounds, thread 0 0 0, block 0 0 0
//: writes output[0] of the tensor that the launcher allocated (float32, shape 64), which is on the CPU
y[i] = x[i];  // <- here
//#launcher
    auto y = torch::empty({64});  // -> auto y = torch::empty({64}, x.options());
    tensor_of_the_cpu_kernel<<<1, 64>>>(x.data_ptr<float>(), y.data_ptr<float>(), 64);
    return y;
