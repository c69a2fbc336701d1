//# copy_without_a_wait <<<1, 32>>>: race, thread 0 0 0, block 0 0 0
//: s in shared memory, but the copy (cp.async) issued at line
#include <cuda_pipeline.h>
//#body
__shared__ float s[32];
__pipeline_memcpy_async(&s[i], &x[i], 4);  // <- other
__pipeline_commit();
// -> __pipeline_wait_prior(0);
y[i] = s[i];  // <- here

//# copy_in_no_group <<<1, 32>>>: race, thread 0 0 0, block 0 0 0
//: no cp.async.commit_group / __pipeline_commit() has put this one into a group
__shared__ float s[32];
__pipeline_memcpy_async(&s[i], &x[i], 4);  // <- other
// -> __pipeline_commit();
__pipeline_wait_prior(0);
y[i] = s[i];  // <- here

//# last_group_left_out <<<1, 32>>>: race, thread 0 0 0, block 0 0 0
//: cp.async.wait_group / __pipeline_wait_prior(N) by the thread that copies, and then __syncthreads()
__shared__ float s[2][32];
float sum = 0;
__pipeline_memcpy_async(&s[0][i], &x[i], 4);
__pipeline_commit();
for (int k = 0; k < 2; ++k) {
    if (k == 0) {
        __pipeline_memcpy_async(&s[1][i], &x[32 + i], 4);  // <- other
        __pipeline_commit();
    }
    __pipeline_wait_prior(1);  // -> __pipeline_wait_prior(k == 0 ? 1 : 0);
    __syncthreads();
    sum += s[k][31 - i];  // <- here
    __syncthreads();
}
y[i] = sum;

//# one_group_for_two_stages <<<1, 64>>>: race, thread 0 0 0, block 0 0 0
//: N is 0 where the last one is needed
__shared__ float s[2][64];
for (int k = 0; k < 2; ++k) {
    __pipeline_memcpy_async(&s[k][i], &x[i], 4);  // <- other
    __pipeline_commit();
}
__pipeline_wait_prior(1);
__syncthreads();
y[i] = s[1][i];  // -> y[i] = s[0][i];

//# barrier_before_the_wait <<<1, 64>>>: race, thread 0 0 0, block 0 0 0
//: was not waited for
__shared__ float s[64];
__pipeline_memcpy_async(&s[i], &x[i], 4);  // <- other
__pipeline_commit();
__syncthreads();  // -> __pipeline_wait_prior(0);
__pipeline_wait_prior(0);  // -> __syncthreads();
y[i] = s[63 - i];  // <- here

//# no_barrier_after_the_wait <<<1, 32>>>: race, thread 0 0 0, block 0 0 0
//: tells its own thread alone that it has arrived
__shared__ float s[32];
__pipeline_memcpy_async(&s[i], &x[i], 4);  // <- other
__pipeline_commit();
__syncthreads();
__pipeline_wait_prior(0);
// -> __syncthreads();
y[i] = s[31 - i];  // <- here

//# copied_while_others_read <<<1, 64>>>: race, thread 32 0 0, block 0 0 0
//: Where others still read what was there, __syncthreads() comes before the copy.
__shared__ float s[64];
float sum = 0;
for (int k = 0; k < 2; ++k) {
    __pipeline_memcpy_async(&s[i], &x[i], 4);  // <- other
    __pipeline_commit();
    __pipeline_wait_prior(0);
    __syncthreads();
    sum += s[63 - i];  // <- here
    // -> __syncthreads();
}
y[i] = sum;

//# written_while_copied <<<1, 32>>>: race, thread 0 0 0, block 0 0 0
//: comes before writing
__shared__ float s[32];
__pipeline_memcpy_async(&s[i], &x[i], 4);  // <- other
__pipeline_commit();
s[i] = 1;  // -> y[i] = 1;
__pipeline_wait_prior(0);
y[i] = s[i];

//# copied_twice <<<1, 32>>>: race, thread 0 0 0, block 0 0 0
//: writes element 0 of s in shared memory, but the copy (cp.async) issued at line
__shared__ float s[32];
for (int k = 0; k < 2; ++k) {
    __pipeline_memcpy_async(&s[i], &x[32 * k + i], 4);  // <- here
    __pipeline_commit();
    // -> __pipeline_wait_prior(0);
}
__pipeline_wait_prior(0);
y[i] = s[i];

//# ptx_without_a_wait <<<1, 32>>>: race, thread 0 0 0, block 0 0 0
//: s in shared memory, but the copy (cp.async) issued at line
__shared__ __align__(16) float s[32];
const unsigned to = __cvta_generic_to_shared(s) + 16 * (i / 4 % 8);
if (i % 4 == 0)
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to), "l"(x + i) : "memory");  // <- other
asm volatile("cp.async.commit_group;" ::: "memory");
asm volatile("cp.async.wait_group 1;" ::: "memory");  // -> asm volatile("cp.async.wait_group 0;" ::: "memory");
__syncthreads();
y[i] = s[i];  // <- here

//# matrix_before_its_copy <<<1, 32>>>: race, thread 0 0 0, block 0 0 0
//: reads element 0 of s in shared memory, but the copy (cp.async) issued at line
__shared__ __align__(16) float s[64];
unsigned at = __cvta_generic_to_shared(&s[4 * (i % 16)]), m0 = 0, m1 = 0;
if (i < 16)
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(at), "l"(x + 4 * i) : "memory");  // <- other
// -> asm volatile("cp.async.wait_all;" ::: "memory");
__syncthreads();
asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"  // <- here
             : "=r"(m0), "=r"(m1)
             : "r"(at)
             : "memory");
y[i] = __uint_as_float(m0), y[i + 32] = __uint_as_float(m1);

//# matrix_of_other_lanes <<<1, 32>>>: race, thread 0 0 0, block 0 0 0
//: put __syncwarp() between them
__shared__ __align__(16) float s[32];
s[i] = x[i];  // <- other
// -> __syncwarp();
unsigned at = __cvta_generic_to_shared(&s[4 * (i % 8)]), m = 0;
asm volatile("ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%0}, [%1];" : "=r"(m) : "r"(at) : "memory");  // <- here
y[i] = __uint_as_float(m);

//# matrix_of_garbage <<<1, 32>>>: uninitialized-read, thread 7 0 0, block 0 0 0
//: reads element 28 of s in shared memory, which no thread of the block has written
__shared__ __align__(16) float s[32];
if (i < 28) s[i] = x[i];  // -> s[i] = x[i];
__syncthreads();
unsigned at = __cvta_generic_to_shared(&s[4 * (i % 8)]), m = 0;
asm volatile("ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%0}, [%1];" : "=r"(m) : "r"(at) : "memory");  // <- here
y[i] = __uint_as_float(m);

//# matrix_row_off_by_one <<<1, 32>>>: misaligned, thread 0 0 0, block 0 0 0
//: reads 16 bytes at byte 4 of s
__shared__ __align__(16) float s[36];
s[i] = x[i];
if (i < 4) s[32 + i] = x[i];
__syncthreads();
unsigned at = __cvta_generic_to_shared(&s[4 * (i % 8) + 1]), m = 0;  // -> unsigned at = __cvta_generic_to_shared(&s[4 * (i % 8)]), m = 0;
asm volatile("ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%0}, [%1];" : "=r"(m) : "r"(at) : "memory");  // <- here
y[i] = __uint_as_float(m);

//# matrix_for_half_a_warp <<<1, 32>>>: deadlock, thread 0 0 0, block 0 0 0
//: to which not all 32 lanes of its warp come
__shared__ __align__(16) float s[32];
s[i] = x[i];
__syncthreads();
unsigned at = __cvta_generic_to_shared(&s[4 * (i % 8)]), m = 0;
if (i < 16)  // -> if (i < 32)
    asm volatile("ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%0}, [%1];" : "=r"(m) : "r"(at) : "memory");  // <- here
y[i] = __uint_as_float(m);
