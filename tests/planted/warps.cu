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

//# shuffle_in_a_branch <<<1, 32>>>: deadlock, thread 0 0 0, block 0 0 0
//: mask 0xffffffff, but not all lanes
float v = x[i];
if (lane < 16)  // -> if (n)
    v = __shfl_down_sync(0xffffffff, v, 1);  // <- here
__syncwarp();
y[i] = v;

//# wrong_mask_of_syncwarp <<<1, 32>>>: deadlock, thread 0 0 0, block 0 0 0
//: Each lane named in the mask must execute the same call
if (lane < 8)
    __syncwarp(0x0000ffff);  // -> __syncwarp(0x000000ff);
else
    __syncwarp(0xffffff00);
__syncwarp();
y[i] = x[i];

//# syncwarp_of_others <<<1, 32>>>: deadlock, thread 8 0 0, block 0 0 0
//: mask 0x000000ff
__syncwarp(0xff);  // -> __syncwarp();
y[i] = x[i];

//# shuffle_in_an_uneven_loop <<<1, 32>>>: deadlock, thread 0 0 0, block 0 0 0
//: not all lanes
float v = x[i];
for (int k = 0; k < 1 + lane / 16; ++k)  // -> for (int k = 0; k < 2; ++k)
    v += __shfl_xor_sync(0xffffffff, v, 1);  // <- other
y[i] = v + __ballot_sync(0xffffffff, 1);  // <- here

//# ballot_of_some <<<1, 32>>>: deadlock, thread 0 0 0, block 0 0 0
//: not all lanes
if (x[i] < 5)  // -> if (n)
    y[i] = __ballot_sync(0xffffffff, 1);  // <- here
else  // -> ;
    y[i] = 0;
y[i] += __shfl_sync(0xffffffff, x[i], 0);

//# half_meets_whole <<<1, 32>>>: deadlock, thread 0 0 0, block 0 0 0
//: not all lanes
float v = x[i];
const unsigned upper = 0xffffffff;  // -> const unsigned upper = 0xffff0000;
if (lane < 16) v = __shfl_xor_sync(0x0000ffff, v, 1);
else v = __shfl_xor_sync(upper, v, 1);  // <- other
__syncwarp();  // <- here
y[i] = v;
