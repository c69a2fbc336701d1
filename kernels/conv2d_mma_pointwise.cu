// 1x1 filters on tensor cores, channels_last: pixels x channels times channels x filters, as both lie in
// memory. It is a stream: 64 channels in and 256 out are 26 FLOP a byte, and the GPU has time for 70 (TF32).
// So nothing should wait. As many blocks as fit run, and stay: the weights are loaded once, into shared
// memory. From then on every warp works for itself, without barriers, on one tile of pixels x all channels
// after another: while it multiplies one, the copies of its next one arrive, and the stores of the last one
// leave.
//
// Measured on an H200, 2026-11-21, pointwise: TF32 0.079 ms (cuDNN 0.080, conv2d_mma 0.111), BF16 0.041 ms
// (0.040, 0.066). TF32 with other choices: WARP_N = 32 0.089, WARP_M = 16 0.089 (with 12 warps 0.079), both
// 0.093 with 16 warps; 8 bytes a lane stored straight from an mma's sums 0.089. With WARP_M = 16, sums that
// go through shared memory 0.102. BF16: WARP_N = 32 0.044 with 16 warps, two blocks an SM 0.043, and there 4
// bytes a lane 0.098; sums through shared memory 0.053. No faster: three stages, 16 warps, __stcs, loops
// unrolled over a known number of channels.
#include "channels_last.h"

constexpr int WARPS = 8, STAGES = 2;
constexpr int WARP_M = 32, WARP_N = 64;  // pixels and output channels of a warp at a time

// The multiplier would cut a float's last 13 bits off; rounded first, its error is smaller and has no
// direction.
__device__ __forceinline__ uint4 rounded(uint4 x) {
    return {to_tf32(__uint_as_float(x.x)), to_tf32(__uint_as_float(x.y)), to_tf32(__uint_as_float(x.z)),
            to_tf32(__uint_as_float(x.w))};
}

__device__ __forceinline__ void put(float* to, float x, float y) { to[0] = x, to[1] = y; }
__device__ __forceinline__ void put(bf16* to, float x, float y) {
    *reinterpret_cast<__nv_bfloat162*>(to) = __floats2bfloat162_rn(x, y);
}

// f(row, piece) for every `threads`-th of rows x pieces, from `first` on: neighbours get neighbours.
template <class F>
__device__ __forceinline__ void for_pieces(int first, int threads, int rows, int pieces, F f) {
    int row = first / pieces, piece = first % pieces;
#pragma unroll 4
    for (int i = first; i < rows * pieces; i += threads) {
        f(row, piece);
        row += threads / pieces, piece += threads % pieces;
        if (piece >= pieces) piece -= pieces, ++row;
    }
}

// The pixels that the output is made of (all, unless there are stride and padding) in rows of `padded`
// channels, the new ones 0: whole pieces of 16 bytes.
template <class T>
__global__ void gather(const T* __restrict__ from, T* __restrict__ to, Conv2d size, int padded) {
    const int64_t row = int64_t(blockIdx.x) * blockDim.y + threadIdx.y;
    if (row >= int64_t(size.N) * size.P * size.Q) return;
    const Row pixel = row_of(row, size, size.C);
    for (int c = threadIdx.x; c < padded; c += blockDim.x)
        to[row * padded + c] = (pixel.outside & 0x10001) == 0 && c < size.C ? from[pixel.begin + c] : T(0.0f);
}

// A block computes `part` output channels. A pixel and a filter have `pieces` pieces of 16 bytes.
template <class T>
__global__ void __launch_bounds__(32 * WARPS, 1)
    conv2d_mma_pointwise(const uint4* __restrict__ input, const uint4* __restrict__ weight,
                         const T* __restrict__ bias, T* __restrict__ output, int M, int K, int pieces,
                         int part) {
    // A lane stores 16 bytes at once, RUN output channels that lie side by side. It has two sums in a row
    // from each mma: the rows of the weights are put into such an order that FRAGMENTS of them go on where
    // one ends.
    constexpr int RUN = 16 / sizeof(T), FRAGMENTS = RUN / 2;
    const int steps = (pieces + 1) / 2, wide = 2 * steps;
    const int pitch = wide + 1;  // odd: eight rows of one piece, a matrix of ldmatrix, lie in different banks
    extern __shared__ uint4 rows[];  // `part` of the weights, then STAGES tiles of each warp
    const int parts = (K + part - 1) / part, first_k = blockIdx.x % parts * part;
    const int warps = blockDim.x / 32, warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const int tiles = (M + WARP_M - 1) / WARP_M, tiles_on = gridDim.x / parts * warps;
    uint4* const stages = rows + (part + warp * STAGES * WARP_M) * pitch;

    for_pieces(threadIdx.x, blockDim.x, part, wide, [&](int row, int piece) {
        const int x = row % (4 * RUN), fragment = x / 8, t = x % 8 / 2;
        const int k = first_k + row - x + t * RUN + fragment * 2 + x % 2;
        copy_async<16>(rows + row * pitch + piece, weight + (size_t(k) * pieces + piece),
                       k < K && piece < pieces);
        // The bias lies in the weights' last piece, which is there for the pitch alone.
        if (piece == 0)
            *reinterpret_cast<float*>(rows + row * pitch + wide) = bias && k < K ? float(bias[k]) : 0.0f;
    });
    commit_copies();
    const auto copy_tile = [&](int tile, uint4* to) {
        if (tile < tiles)
            for_pieces(lane, 32, WARP_M, wide, [&](int row, int piece) {
                const int m = tile * WARP_M + row;
                copy_async<16>(to + row * pitch + piece, input + (size_t(m) * pieces + piece),
                               m < M && piece < pieces);
            });
        commit_copies();
    };
    // What this thread has copied itself, before the others may see it.
    const auto round_rows = [&](int first, int threads, int count, uint4* at) {
        if (sizeof(T) == 2) return;
        for_pieces(first, threads, count, wide, [&](int row, int piece) {
            uint4& place = at[row * pitch + piece];
            place = rounded(place);
        });
    };
    int tile = blockIdx.x / parts * warps + warp;
#pragma unroll
    for (int i = 0; i < STAGES; ++i) copy_tile(tile + i * tiles_on, stages + i * WARP_M * pitch);
    wait_for_copies<STAGES>();  // of the weights
    round_rows(threadIdx.x, blockDim.x, part, rows);
    __syncthreads();

    const int g = lane / 4, t = lane % 4;
    for (int stage = 0; tile < tiles; tile += tiles_on, stage = (stage + 1) % STAGES) {
        uint4* const pixels = stages + stage * WARP_M * pitch;
        wait_for_copies<STAGES - 1>();
        round_rows(lane, 32, WARP_M, pixels);
        __syncwarp();
        for (int k0 = 0; k0 < part && first_k + k0 < K; k0 += WARP_N) {
            const uint4* a_row = pixels + lane % 16 * pitch + lane / 16;
            const uint4* b_row = rows + (k0 + lane / 16 * 8 + lane % 8) * pitch + lane / 8 % 2;
            float sum[WARP_M / 16][WARP_N / 8][4];
#pragma unroll
            for (int l = 0; l < WARP_N / 8; ++l)
#pragma unroll
                for (int i = 0; i < WARP_M / 4; ++i)
                    sum[i / 4][l][i % 4] =
                        *reinterpret_cast<const float*>(rows + (k0 + l * 8 + 2 * t + i % 2) * pitch + wide);
#pragma unroll 2
            for (int step = 0; step < steps; ++step, a_row += 2, b_row += 2) {
                uint32_t a[WARP_M / 16][4], b[WARP_N / 16][4];
#pragma unroll
                for (int i = 0; i < WARP_M / 16; ++i) load_matrices(a[i], a_row + i * 16 * pitch);
#pragma unroll
                for (int l = 0; l < WARP_N / 16; ++l) load_matrices(b[l], b_row + l * 16 * pitch);
#pragma unroll
                for (int i = 0; i < WARP_M / 16; ++i)
#pragma unroll
                    for (int l = 0; l < WARP_N / 8; ++l) {
                        const uint32_t b0 = b[l / 2][l % 2 * 2], b1 = b[l / 2][l % 2 * 2 + 1];
                        if constexpr (sizeof(T) == 4)
                            mma_tf32(sum[i][l], a[i], b0, b1);
                        else
                            mma_bf16(sum[i][l], a[i], b0, b1);
                    }
            }
            // Four lanes store 64 bytes of a pixel side by side: whole sectors, and no way through shared
            // memory.
#pragma unroll
            for (int i = 0; i < WARP_M / 8; ++i)
#pragma unroll
                for (int l = 0; l < WARP_N / 8; l += FRAGMENTS) {
                    alignas(16) T run[RUN];
#pragma unroll
                    for (int f = 0; f < FRAGMENTS; ++f)
                        put(run + 2 * f, sum[i / 2][l + f][i % 2 * 2], sum[i / 2][l + f][i % 2 * 2 + 1]);
                    const int m = tile * WARP_M + i * 8 + g, k = first_k + k0 + l * 8 + t * RUN;
                    if (m >= M) continue;
                    if (K % RUN == 0 && k < K)
                        *reinterpret_cast<uint4*>(output + m * K + k) = *reinterpret_cast<uint4*>(run);
                    else
#pragma unroll
                        for (int e = 0; e < RUN; ++e)
                            if (k + e < K) output[m * K + k + e] = run[e];
                }
        }
        __syncwarp();  // nobody reads the tile any more
        copy_tile(tile + STAGES * tiles_on, pixels);
    }
}

// The tensor with its pixels gathered; where nothing has to change, the tensor itself.
template <class T>
static torch::Tensor gathered(const torch::Tensor& tensor, const Conv2d& size, int padded,
                              cudaStream_t stream) {
    const bool dense = size.stride == 1 && size.padding == 0 && padded == size.C;
    if (dense && reinterpret_cast<uintptr_t>(tensor.data_ptr()) % 16 == 0) return tensor;
    const int64_t rows = int64_t(size.N) * size.P * size.Q;
    auto copy = torch::empty({rows, padded}, tensor.options().memory_format(torch::MemoryFormat::Contiguous));
    gather<<<grid_of((rows + 15) / 16, 1, 1), dim3(16, 16), 0, stream>>>(
        static_cast<const T*>(tensor.data_ptr()), static_cast<T*>(copy.data_ptr()), size, padded);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
    return copy;
}

template <class T>
static void launch(const torch::Tensor& input, const torch::Tensor& weight,
                   const std::optional<torch::Tensor>& bias, torch::Tensor& output, const Conv2d& size) {
    const auto kernel = conv2d_mma_pointwise<T>;
    const int most = most_shared_bytes();
    int resident = 0;
    const int M = size.N * size.P * size.Q, pieces = ceil_div(size.C, int(16 / sizeof(T)));
    const int64_t row_bytes = int64_t(16) * (ceil_div(pieces, 2) * 2 + 1),
                  warp_bytes = STAGES * WARP_M * row_bytes;
    const int64_t chunks = ceil_div(size.K, WARP_N), chunk_bytes = WARP_N * row_bytes;
    // Where there are so many channels that not everything fits: as many warps as leave half of the room to
    // the weights, and several blocks for the same pixels, each with its part of the weights.
    const int64_t reserved = std::min(chunks * chunk_bytes, std::max<int64_t>(most / 2, chunk_bytes));
    int warps = WARPS;
    while (warps > 1 && warps * warp_bytes + reserved > most) warps /= 2;
    const int64_t room = std::max<int64_t>(1, (most - warps * warp_bytes) / chunk_bytes);
    const int part = ceil_div(chunks, ceil_div(chunks, room)) * WARP_N, parts = ceil_div(size.K, part);
    const int bytes = shared_bytes(kernel, part * row_bytes + warps * warp_bytes, "so many channels");
    C10_CUDA_CHECK(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&resident, kernel, 32 * warps, bytes));

    const auto stream = at::cuda::getCurrentCUDAStream();
    const int padded = pieces * 16 / sizeof(T);
    const Conv2d filters{size.K, size.C, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1};  // the weights as images of one pixel
    const auto x = gathered<T>(input, size, padded, stream), w = gathered<T>(weight, filters, padded, stream);
    const int groups =
        std::min(ceil_div(M, WARP_M * warps), std::max(1, multiprocessors() * resident / parts));
    kernel<<<grid_of(int64_t(groups) * parts, 1, 1), 32 * warps, bytes, stream>>>(
        static_cast<const uint4*>(x.data_ptr()), static_cast<const uint4*>(w.data_ptr()),
        bias ? static_cast<const T*>(bias->data_ptr()) : nullptr, static_cast<T*>(output.data_ptr()), M,
        size.K, pieces, part);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
}

torch::Tensor conv2d(torch::Tensor input, torch::Tensor weight,
                     std::optional<torch::Tensor> bias = std::nullopt, int64_t stride = 1,
                     int64_t padding = 0, int64_t dilation = 1) {
    const Conv2d size = channels_last_sizes(input, weight, bias, stride, padding, dilation);
    TORCH_CHECK(size.R == 1 && size.S == 1, "a filter of ", size.R, "x", size.S,
                " is no matrix product of the input as it lies: 1x1 is");
    const c10::cuda::CUDAGuard guard(input.device());
    require_sm(80, "conv2d_mma_pointwise");
    auto output = channels_last_output(size, input);
    if (size.N == 0) return output;  // CUDA refuses to launch a grid without blocks

    if (input.scalar_type() == torch::kFloat32)
        launch<float>(input, weight, bias, output, size);
    else
        launch<bf16>(input, weight, bias, output, size);
    return output;
}
