//# local_past_the_end <<<1, 64>>>: out-of-bounds, thread 0 0 0, block 0 0 0
//: uses index 8 of a, 1 past the last of its 8 elements (float[8]: indices 0 to 7)
float a[8], sum = 0;
for (int k = 0; k <= 8; ++k)  // -> for (int k = 0; k < 8; ++k)
    a[k] = x[k];  // <- here
for (int k = 0; k < 8; ++k) sum += a[(k + i) % 8];
y[i] = sum;

//# local_before_the_start <<<1, 64>>>: out-of-bounds, thread 0 0 0, block 0 0 0
//: uses index -1 of window, 1 before the first of its 5 elements
float window[5];
for (int k = 0; k < 5; ++k) window[k] = x[(i + k) % n];
y[i] = window[i % 5 - 1];  // -> y[i] = window[(i + 4) % 5];

//# local_row <<<1, 64>>>: out-of-bounds, thread 4 0 0, block 0 0 0
//: uses index 4 of a[i % 3], 1 past the last of its 4 elements (float[4]
float a[3][4] = {};
a[i % 3][i % 5] = x[i];  // -> a[i % 3][i % 4] = x[i];
y[i] = a[i % 3][n % 4] + a[i % 2][i % 4];

//# local_last_row <<<1, 64>>>: out-of-bounds, thread 3 0 0, block 0 0 0
//: uses index 3 of a, 1 past the last of its 3 elements (float[3][4]
float a[3][4] = {};
a[i % 4][i % 3] = x[i];  // -> a[i % 3][i % 4] = x[i];
y[i] = a[i % 3][n % 4];

//# register_tile <<<1, 16>>>: out-of-bounds, thread 0 0 0, block 0 0 0
//: uses index 4 of sums, 1 past the last of its 4 elements
float sums[4] = {};
for (int k = 0; k < 64; ++k) sums[k / (n / 5)] += x[k];  // -> for (int k = 0; k < 64; ++k) sums[k / (n / 4)] += x[k];
for (int k = 0; k < 4; ++k) y[4 * i + k] = sums[k];

//# local_in_a_function <<<1, 64>>>: out-of-bounds, thread 5 0 0, block 0 0 0
//: uses index 5 of taps, 1 past the last of its 5 elements (int[5]
__device__ __noinline__ int tap(int k) {
    const int taps[5] = {1, 4, 6, 4, 1};
    return taps[k];  // <- here
}
//#body
y[i] = x[i] * tap(i);  // -> y[i] = x[i] * tap(i % 5);

//# array_of_a_parameter <<<1, 64>>>: out-of-bounds, thread 2 0 0, block 0 0 0
//: uses index 2 of pair.sizes, 1 past the last of its 2 elements
struct Pair { int sizes[2]; float scale; };
//#body
const Pair pair = {{n, 8}, 2};
y[i] = x[i] * pair.sizes[i % 3] * pair.scale;  // -> y[i] = x[i] * pair.sizes[i % 2] * pair.scale;

//# constant_past_the_end <<<1, 64>>>: out-of-bounds, thread 9 0 0, block 0 0 0
//: uses index 9 of weights_past, 1 past the last of its 9 elements (float[9]: indices 0 to 8)
__constant__ float weights_past[9] = {1, 2, 1, 2, 4, 2, 1, 2, 1};
//#body
y[i] = x[i] * weights_past[i];  // -> y[i] = x[i] * weights_past[i % 9];

//# constant_before_the_start <<<1, 64>>>: out-of-bounds, thread 0 0 0, block 0 0 0
//: uses index -1 of weights_before, 1 before the first
__constant__ float weights_before[3];
//#body
y[i] = x[i] * weights_before[i % 3 - 1];  // -> y[i] = x[i] * weights_before[(i + 2) % 3];

//# constant_filter_of_another_size <<<1, 64>>>: out-of-bounds, thread 0 0 0, block 0 0 0
//: uses index 3 of filter[r], 1 past the last of its 3 elements (float[3]
__constant__ float filter[5][3];
//#body
float sum = 0;
for (int r = 0; r < 3; ++r)  // -> for (int r = 0; r < 5; ++r)
    for (int s = 0; s < 5; ++s)  // -> for (int s = 0; s < 3; ++s)
        sum += x[(i + 8 * r + s) % n] * filter[r][s];  // <- here
y[i] = sum;

//# array_of_the_launcher: out-of-bounds
//: the launcher (host code, not a kernel) uses index 2 of shape, 1 past the last of its 2 elements (long int[2]
y[i] = x[i];
//#launcher
    int64_t shape[2] = {1, 1};
    for (int k = 0; k < x.dim() + 1; ++k)  // -> for (int k = 0; k < x.dim(); ++k)
        shape[k] = x.numel();  // <- here
    auto y = torch::empty({shape[0]}, x.options());
    array_of_the_launcher_kernel<<<1, 64>>>(x.data_ptr<float>(), y.data_ptr<float>(), (int)shape[1]);
    return y;

//# write_to_a_constant <<<1, 64>>>: out-of-bounds, thread 0 0 0, block 0 0 0
//: writes __constant__ memory, which kernels can only read
__constant__ float read_only[64];
__device__ float read_write[64];
//#body
read_only[i] = x[i];  // -> read_write[i] = x[i];
y[i] = x[i];

//# atomic_on_a_constant <<<1, 64>>>: out-of-bounds, thread 0 0 0, block 0 0 0
//: updates atomically __constant__ memory
namespace counters { static __constant__ int fixed = 3; __device__ int counted; }
//#body
atomicAdd(&counters::fixed, 1);  // -> atomicAdd(&counters::counted, counters::fixed);
y[i] = x[i];
