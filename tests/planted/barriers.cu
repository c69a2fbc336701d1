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

//# barrier_in_a_loop_over_data <<<1, 64>>>: barrier-divergence, thread 1 0 0, block 0 0 0
//: has already left the kernel
for (int k = 0; k < 1 + (int)x[i] % 3; ++k)  // -> for (int k = 0; k < 1 + (int)x[0] % 3; ++k)
    __syncthreads();  // <- here

//# guard_before_the_barrier <<<2, 48>>>: barrier-divergence, thread 0 0 0, block 1 0 0
//: thread (16, 0, 0) has already left the kernel
__shared__ float s[48];
if (i >= n) return;  // -> s[47 - threadIdx.x] = 0;
s[threadIdx.x] = 1;  // -> ;
__syncthreads();  // <- here
if (i < n) y[i] = s[threadIdx.x];

//# continue_past_the_barrier <<<1, 64>>>: barrier-divergence, thread 2 0 0, block 0 0 0
//: has already left the kernel
float sum = 0;
for (int k = 0; k < 2; ++k) {
    if (i % 3 == k) continue;  // -> sum += k;
    __syncthreads();  // <- here
    sum += x[i];
}
y[i] = sum;

//# break_before_the_barrier <<<1, 64>>>: barrier-divergence, thread 1 0 0, block 0 0 0
//: has already left
for (int k = 0; k < 8; ++k) {
    if (k > i) break;  // -> ;
    __syncthreads();  // <- here
}
y[i] = x[i];

//# count_in_a_branch <<<1, 64>>>: barrier-divergence, thread 1 0 0, block 0 0 0
//: has already left
if (x[i] > 0)  // -> if (n > 0)
    y[i] = __syncthreads_count(1);  // <- here

//# barriers_in_a_switch <<<1, 64>>>: barrier-divergence, thread 0 0 0, block 0 0 0
//: waits at another one at line
switch (i % 2) {  // -> switch (n % 2) {
    case 0: __syncthreads(); break;  // <- here
    default: __syncthreads();
}

//# only_a_warp_meets <<<1, 64>>>: barrier-divergence, thread 0 0 0, block 0 0 0
//: thread (32, 0, 0) has already left
if (threadIdx.x / 32 == 0) {  // -> if (n) {
    __syncthreads();  // <- here
    y[i] = x[i];
}

//# barrier_in_a_function <<<1, 64>>>: barrier-divergence, thread 0 0 0, block 0 0 0
//: thread (63, 0, 0) has already left
__device__ __noinline__ void everybody() {
    __syncthreads();  // <- here
}
//#body
if (i < 63)  // -> if (n)
    everybody();
