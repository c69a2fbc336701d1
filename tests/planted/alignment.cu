//# float4_misaligned <<<1, 32>>>: misaligned, thread 1 0 0, block 0 0 0
//: 16 bytes at byte 4 of x (float32, shape 8x8)
float4 v = *(const float4*)(x + i);  // -> float4 v = *(const float4*)(x + i / 4 * 4);
y[i] = v.x + v.y;

//# float2_misaligned <<<1, 31>>>: misaligned, thread 0 0 0, block 0 0 0
//: writes 8 bytes at byte 4
*(float2*)(y + 2 * i + 1) = make_float2(1, 2);  // -> *(float2*)(y + 2 * i) = make_float2(1, 2);

//# double_misaligned <<<1, 30>>>: misaligned, thread 1 0 0, block 0 0 0
//: at byte 4
y[i] = *(const double*)(x + i);  // -> y[i] = *(const double*)(x + 2 * i);

//# shared_misaligned <<<1, 32>>>: misaligned, thread 0 0 0, block 0 0 0
//: of s
__shared__ __align__(16) float s[136];
*(float4*)&s[4 * i + 2] = make_float4(1, 2, 3, 4);  // -> *(float4*)&s[4 * i] = make_float4(1, 2, 3, 4);

//# slice_misaligned <<<1, 16>>>: misaligned, thread 0 0 0, block 0 0 0
//@ torch.arange(80.0)[1:65]
//: reads 16 bytes
const float4 v = ((const float4*)x)[i];  // -> const float4 v = {x[4 * i], x[4 * i + 1], x[4 * i + 2], x[4 * i + 3]};
y[4 * i] = v.x + v.y + v.z + v.w;

//# odd_row_of_float2 <<<1, dim3(4, 5)>>>: misaligned, thread 0 1 0, block 0 0 0
//@ torch.arange(45.0).view(5, 9)
//: reads 8 bytes at byte 36 of x
const int tx = threadIdx.x, ty = threadIdx.y;
const float2 v = *(const float2*)(x + 9 * ty + 2 * tx);  // -> const float2 v = {x[9 * ty + 2 * tx], x[9 * ty + 2 * tx + 1]};
y[9 * ty + tx] = v.x + v.y;
