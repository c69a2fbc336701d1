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

//# rows_of_a_tile_run_together <<<1, 64>>>
__shared__ float tile[8][8];
for (int k = i; k < 64; k += 64) tile[0][k] = x[k];
__syncthreads();
y[i] = tile[1][i - 8] + tile[7][i - 56];

//# rows_of_dynamic_memory <<<1, 64, 256>>>
extern __shared__ float rows[][8];
rows[0][i] = x[i];
__syncthreads();
y[i] = rows[i / 8][i % 8] + rows[0][63 - i];

//# tile_by_reference <<<1, 64>>>
template <int R, int C> __device__ void store(float (&tile)[R][C], int i, float v) { tile[0][i] = v; }
//#body
__shared__ float tile[4][16];
store(tile, i, x[i]);
__syncthreads();
float(&row)[16] = tile[0];
y[i] = row[63 - i];

//# end_of_an_array <<<1, 64>>>
float a[8];
for (float *p = a, *end = &a[8]; p != end; ++p) *p = x[i];
float sum = 0;
for (int k = 7; k >= 0; --k) sum += a[k];
y[i] = sum;

//# slice_by_its_strides <<<1, 64>>>
//@ torch.arange(200.0).view(10, 20)[1:9, 2:18:2]
y[i] = x[i / 8 * 20 + i % 8 * 2];

//# repeated_rows <<<1, 64>>>
//@ torch.arange(8.0).expand(8, 8)
y[i] = x[i % 8];

//# aligned_slice_of_float4 <<<1, 16>>>
//@ torch.arange(80.0)[4:68]
((float4*)y)[i] = ((const float4*)x)[i];

//# tensor_in_another_variable
y[i] = x[i];
//#launcher
    torch::Tensor y;
    const float* p;
    {
        auto z = torch::zeros_like(x);
        p = z.data_ptr<float>();
        y = z;
    }
    tensor_in_another_variable_kernel<<<1, 64>>>(p, torch::empty_like(x).data_ptr<float>(), 64);
    return y;

//# copied_through_a_cudaMalloc
y[i] = x[i];
//#launcher
    auto y = torch::empty_like(x);
    float* p;
    cudaMalloc(&p, 256);
    cudaMemcpy(p, x.data_ptr<float>(), 128, cudaMemcpyDeviceToDevice);
    cudaMemcpyAsync(p + 32, x.data_ptr<float>(), 128, cudaMemcpyDeviceToDevice, nullptr);
    copied_through_a_cudaMalloc_kernel<<<1, 64>>>(p, y.data_ptr<float>(), 64);
    cudaFree(p);
    return y;

//# managed_memory
y[i] = x[i];
//#launcher
    auto y = torch::empty_like(x);
    float* p;
    cudaMallocManaged(&p, 256);
    for (int k = 0; k < 64; ++k) p[k] = k;
    managed_memory_kernel<<<1, 64>>>(p, y.data_ptr<float>(), 64);
    cudaDeviceSynchronize();
    cudaFree(p);
    return y;

//# double_buffer_by_prefetch <<<1, 64>>>
__shared__ float s[2][64];
s[0][i] = x[i];
float sum = 0;
for (int k = 0; k < 6; ++k) {
    __syncthreads();
    if (k < 5) s[(k + 1) % 2][i] = x[(i + k) % n];
    sum += s[k % 2][63 - i];
}
y[i] = sum;

//# one_writer_many_times <<<1, 64>>>
__shared__ int found;
if (i == 5) found = 0;
if (i == 5) atomicAdd(&found, 3);
__syncthreads();
atomicMax(&found, i);
__syncthreads();
y[i] = found;

//# lanes_leave_before_the_shuffle <<<1, 64>>>
if (lane >= 24) return;
float v = x[i];
for (int k = 4; k > 0; k /= 2) v += __shfl_xor_sync(0x00ffffff, v, k);
y[i] = v;

//# partition_of_a_warp <<<1, 64>>>
__shared__ float s[64];
const unsigned mask = 0xffu << (lane / 8 * 8);
for (int k = 0; k < 1 + lane / 8; ++k) {
    s[i] = x[i] + k;
    __syncwarp(mask);
    y[i] = s[i / 8 * 8 + 7 - i % 8];
    __syncwarp(mask);
}

//# barrier_in_a_loop_that_all_run <<<2, 64>>>
__shared__ float s[64];
float sum = 0;
for (int k = 0; k < 2 + blockIdx.x; ++k) {
    s[threadIdx.x] = k;
    if (__syncthreads_or(s[threadIdx.x] > 100)) break;
    sum += s[63 - threadIdx.x];
    __syncthreads();
}
if (i < n) y[i] = sum;

//# halves_of_a_half2 <<<1, 64, 512>>>
extern __shared__ short pairs[];
pairs[2 * i] = i;
pairs[2 * i + 1] = -i;
__syncthreads();
y[i] = pairs[2 * (63 - i)] + pairs[2 * i + 1];

//# pointer_to_one_past <<<1, 64>>>
const float *p = x, *end = x + n;
float sum = 0;
while (p != end) sum += *p++;
y[i] = sum;

//# constants_of_all_kinds <<<1, 64>>>
__constant__ const float fixed_weights[3] = {1, 2, 3};
static __constant__ float set_by_nobody[2];
constexpr __constant__ int sixteen = 16;
__constant__ struct { int a; float b[4]; } packed = {1, {2, 3, 4, 5}};
//#body
y[i] = fixed_weights[i % 3] + set_by_nobody[i % 2] + sixteen + packed.a + packed.b[i % 4];

//# met_through_a_third <<<1, 32>>>
__shared__ float s[32];
s[lane] = x[i];
if (lane < 16) __syncwarp(0x0000ffff);
if (lane >= 8 && lane < 24) __syncwarp(0x00ffff00);
if (lane >= 16) __syncwarp(0xffff0000);
y[i] = lane < 8 ? s[15 - lane] : lane < 24 ? s[15 - lane / 2] : s[31 - lane];

//# lock_within_a_block <<<1, 64>>>
__shared__ int lock;
__shared__ float sum;
if (i == 0) lock = 0, sum = 0;
__syncthreads();
if (lane == 0) {
    while (atomicCAS(&lock, 0, 1) != 0) {
    }
    __threadfence_block();
    *(volatile float*)&sum += x[i];
    __threadfence_block();
    atomicExch(&lock, 0);
}
__syncthreads();
y[i] = sum;

//# last_warp_adds_up <<<1, 64>>>
__shared__ int done;
__shared__ volatile float part[2];
if (i == 0) done = 0;
__syncthreads();
y[i] = x[i];
if (lane == 0) {
    part[i / 32] = x[i];
    __threadfence_block();
    if (atomicAdd(&done, 1) == 1) {
        __threadfence_block();
        y[0] = part[0] + part[1];
    }
}

//# large_local_array <<<1, 32>>>
float a[100000];
for (int k = 0; k < 100000; k += 1000) a[k] = x[0];
y[i] = a[i * 1000];
