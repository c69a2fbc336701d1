// The gradient of a convolution's bias: of each channel the sum of grad_output, N x K x Q or N x K x P x Q.
// It reads every number once and adds it: memory is the limit. Several blocks share a channel, a warp takes a
// piece of a row at a time, four neighbours a lane. Every block writes its sum, and a second kernel adds
// these: in a fixed order, so that the result is the same in every run.
#include "gradients.h"

constexpr int WARPS = 8;        // of a block
constexpr int PIECE = 1 << 12;  // pixels of one image that a warp adds up at a time, at most
constexpr int BLOCKS = 32;      // for every SM, about

__device__ float add_lanes(float sum) {
    for (int away = 16; away > 0; away /= 2) sum += __shfl_down_sync(~0u, sum, away);
    return sum;  // of all lanes, in lane 0
}

// What this lane adds up of `count` numbers: those up to a multiple of 16 bytes, then fours, then the rest.
__device__ float add_piece(const float* from, int count) {
    const int lane = threadIdx.x;
    const int off = reinterpret_cast<uintptr_t>(from) / sizeof(float) % 4;  // behind such a multiple
    const int head = min(count, (4 - off) % 4), fours = (count - head) / 4;
    const float4* middle = reinterpret_cast<const float4*>(from + head);
    float4 sum = {0, 0, 0, 0};
#pragma unroll 4
    for (int i = lane; i < fours; i += 32) {
        const float4 four = middle[i];
        sum.x += four.x, sum.y += four.y, sum.z += four.z, sum.w += four.w;
    }
    const int tail = head + fours * 4 + lane;
    if (lane < head) sum.x += from[lane];
    if (tail < count) sum.y += from[tail];
    return sum.x + sum.y + (sum.z + sum.w);
}

__global__ void bgrad_tiled(const float* __restrict__ grad_output, float* __restrict__ sums, Channels size) {
    const auto [N, K, pixels] = size;
    const int k = blockIdx.x, part = blockIdx.y, parts = gridDim.y;
    const int pieces = (pixels + PIECE - 1) / PIECE;  // of an image
    float sum = 0;
    for (int i = part * WARPS + threadIdx.y; i < N * pieces; i += parts * WARPS) {
        const int n = i / pieces, first = i % pieces * PIECE;
        sum += add_piece(grad_output + (n * K + k) * pixels + first, min(PIECE, pixels - first));
    }
    __shared__ float of_warp[WARPS];
    sum = add_lanes(sum);
    if (threadIdx.x == 0) of_warp[threadIdx.y] = sum;
    __syncthreads();
    if (threadIdx.y > 0) return;
    sum = add_lanes(threadIdx.x < WARPS ? of_warp[threadIdx.x] : 0.0f);
    if (threadIdx.x == 0) sums[k * parts + part] = sum;
}

// One warp per channel.
__global__ void add_parts(const float* __restrict__ sums, float* __restrict__ grad_bias, int parts) {
    float sum = 0;
    for (int part = threadIdx.x; part < parts; part += 32) sum += sums[blockIdx.x * parts + part];
    sum = add_lanes(sum);
    if (threadIdx.x == 0) grad_bias[blockIdx.x] = sum;
}

torch::Tensor bgrad(torch::Tensor grad_output) {
    const Channels size = bgrad_sizes(grad_output);
    const c10::cuda::CUDAGuard guard(grad_output.device());
    auto grad_bias = torch::empty({size.K}, grad_output.options());

    const int64_t pieces = int64_t(size.N) * ceil_div(size.pixels, PIECE);  // of a channel
    const int parts = std::clamp<int64_t>(pieces / WARPS, 1, ceil_div(BLOCKS * multiprocessors(), size.K));
    auto sums = torch::empty({size.K, parts}, grad_output.options());
    const auto stream = at::cuda::getCurrentCUDAStream();
    bgrad_tiled<<<dim3(size.K, parts), dim3(32, WARPS), 0, stream>>>(grad_output.data_ptr<float>(),
                                                                     sums.data_ptr<float>(), size);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
    add_parts<<<size.K, 32, 0, stream>>>(sums.data_ptr<float>(), grad_bias.data_ptr<float>(), parts);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
    return grad_bias;
}
