// 1x1 filters on tensor cores, channels_last: a matrix product of pixels x channels and channels x filters, as
// both lie in memory. It is a stream: with 64 channels in and 256 out, a byte brings 26 FLOP, and the GPU can do
// 70. So nothing may wait for anything else. As many blocks as fit run, and stay: the weights are loaded once,
// into shared memory, for good. From then on every warp works for itself, tile after tile of WARP_M pixels x
// all channels; while it multiplies one, the copies of its next one arrive, and the stores of the last one leave.
#include "conv.h"
#include "ptx.h"

using bf16 = __nv_bfloat16;
constexpr int WARPS = 8, WARP_M = 32, WARP_N = 64, STAGES = 2, RESIDENT = 1;

__device__ __forceinline__ void multiply(float, float (&sum)[4], const uint32_t (&a)[4], uint32_t b0,
                                         uint32_t b1) {
    mma_tf32(sum, a, b0, b1);
}
__device__ __forceinline__ void multiply(bf16, float (&sum)[4], const uint32_t (&a)[4], uint32_t b0,
                                         uint32_t b1) {
    mma_bf16(sum, a, b0, b1);
}

// The multiplier would cut a float's last 13 bits off; rounded first, its error is smaller and has no direction.
__device__ __forceinline__ void round_piece(float, uint4& x) {
    x = {to_tf32(__uint_as_float(x.x)), to_tf32(__uint_as_float(x.y)), to_tf32(__uint_as_float(x.z)),
         to_tf32(__uint_as_float(x.w))};
}
__device__ __forceinline__ void round_piece(bf16, uint4&) {}

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

// The pixels that the output is made of (all of them, unless there are stride and padding) become rows of `padded`
// channels, the new ones 0: whole pieces of 16 bytes.
template <class T>
__global__ void pack(const T* __restrict__ from, T* __restrict__ to, Conv2d size, int padded) {
    const int64_t row = int64_t(blockIdx.x) * blockDim.y + threadIdx.y, pixels = int64_t(size.P) * size.Q;
    if (row >= size.N * pixels) return;
    const int h = int(row % pixels) / size.Q * size.stride - size.padding;
    const int w = int(row % pixels) % size.Q * size.stride - size.padding;
    const bool inside = h >= 0 && h < size.H && w >= 0 && w < size.W;
    from += (row / pixels * size.H * size.W + h * size.W + w) * size.C;
    for (int c = threadIdx.x; c < padded; c += blockDim.x)
        to[row * padded + c] = inside && c < size.C ? from[c] : T(0.0f);
}

// A block computes `part` output channels; M pixels of `pieces` pieces of 16 bytes.
template <class T>
__global__ void __launch_bounds__(32 * WARPS, RESIDENT)
    conv2d_mma_pointwise(const uint4* __restrict__ input, const uint4* __restrict__ weight,
                         const T* __restrict__ bias, T* __restrict__ output, int M, int K, int pieces,
                         int part) {
    // A lane stores RUN channels that lie side by side, 16 bytes. Its sums of FRAGMENTS products make them,
    // two of each, as the rows of the weights are put in the order for that.
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
        if (sizeof(T) == 4)
            for_pieces(first, threads, count, wide,
                       [&](int row, int piece) { round_piece(T(), at[row * pitch + piece]); });
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
                    for (int l = 0; l < WARP_N / 8; ++l)
                        multiply(T(), sum[i][l], a[i], b[l / 2][l % 2 * 2], b[l / 2][l % 2 * 2 + 1]);
            }
            // Four lanes store 64 bytes of a pixel side by side: whole sectors, and no way through shared memory.
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

// Where nothing has to change, the tensor itself.
template <class T>
static torch::Tensor packed(const torch::Tensor& tensor, const Conv2d& size, int to, cudaStream_t stream) {
    const bool dense = size.stride == 1 && size.padding == 0 && to == size.C;
    if (dense && reinterpret_cast<uintptr_t>(tensor.data_ptr()) % 16 == 0) return tensor;
    const int64_t rows = int64_t(size.N) * size.P * size.Q;
    auto copy = torch::empty({rows, to}, tensor.options().memory_format(torch::MemoryFormat::Contiguous));
    const dim3 block(16, 16);
    pack<<<grid_of((rows + block.y - 1) / block.y, 1, 1), block, 0, stream>>>(
        static_cast<const T*>(tensor.data_ptr()), static_cast<T*>(copy.data_ptr()), size, to);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
    return copy;
}

template <class T>
static void launch(const torch::Tensor& input, const torch::Tensor& weight,
                   const std::optional<torch::Tensor>& bias, torch::Tensor& output, const Conv2d& size) {
    constexpr int PER_PIECE = 16 / sizeof(T);
    const auto kernel = conv2d_mma_pointwise<T>;
    int device = 0, sms = 0, most = 0, resident = 0;
    C10_CUDA_CHECK(cudaGetDevice(&device));
    C10_CUDA_CHECK(cudaDeviceGetAttribute(&sms, cudaDevAttrMultiProcessorCount, device));
    C10_CUDA_CHECK(cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, device));
    const int M = size.N * size.P * size.Q, pieces = ceil_div(size.C, PER_PIECE);
    const int row_bytes = (ceil_div(pieces, 2) * 2 + 1) * 16, tile_bytes = STAGES * WARP_M * row_bytes;
    // With many channels, fewer warps have room for their tiles. The weights get what these leave.
    int warps = WARPS;
    while (warps > 1 && warps * tile_bytes > most - std::min(most / 2, size.K * row_bytes)) warps /= 2;
    const int room = std::max(1, (most - warps * tile_bytes) / row_bytes / WARP_N);
    const int chunks = ceil_div(size.K, WARP_N), least = ceil_div(chunks, room);
    const int part = ceil_div(chunks, least) * WARP_N, parts = ceil_div(size.K, part);
    const int bytes =
        shared_bytes(kernel, int64_t(part) * row_bytes + int64_t(warps) * tile_bytes, "so many channels");
    C10_CUDA_CHECK(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&resident, kernel, 32 * warps, bytes));

    const auto stream = at::cuda::getCurrentCUDAStream();
    const Conv2d filters{size.K, size.C, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1};  // the weights as images of one pixel
    const auto x = packed<T>(input, size, pieces * PER_PIECE, stream);
    const auto w = packed<T>(weight, filters, pieces * PER_PIECE, stream);
    const int groups = std::min(ceil_div(M, WARP_M * warps), std::max(1, sms * resident / parts));
    kernel<<<grid_of(int64_t(groups) * parts, 1, 1), 32 * warps, bytes, stream>>>(
        static_cast<const uint4*>(x.data_ptr()), static_cast<const uint4*>(w.data_ptr()),
        bias ? static_cast<const T*>(bias->data_ptr()) : nullptr, static_cast<T*>(output.data_ptr()), M, size.K,
        pieces, part);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
}

static void check_channels_last(const char* name, const torch::Tensor& tensor) {
    TORCH_CHECK(tensor.is_contiguous(torch::MemoryFormat::ChannelsLast), name,
                " must be channels_last: pass ", name, ".to(memory_format=torch.channels_last)");
}

torch::Tensor conv2d(torch::Tensor input, torch::Tensor weight,
                     std::optional<torch::Tensor> bias = std::nullopt, int64_t stride = 1,
                     int64_t padding = 0, int64_t dilation = 1) {
    const auto dtype = float32_or_bfloat16(input);
    const Conv2d size = conv2d_sizes_any_layout(input, weight, bias, stride, padding, dilation, false, dtype);
    check_channels_last("input", input);
    check_channels_last("weight", weight);
    TORCH_CHECK(size.R == 1 && size.S == 1, "a filter of ", size.R, "x", size.S,
                " is no matrix product of the input as it lies: 1x1 is");
    const int64_t pixels = int64_t(size.N) * size.P * size.Q, margin = 1 << 24;
    TORCH_CHECK(pixels <= INT_MAX - margin, pixels, " output pixels: int indices overflow");
    const c10::cuda::CUDAGuard guard(input.device());
    require_sm(80, "conv2d_mma_pointwise");
    auto output = torch::empty({size.N, size.K, size.P, size.Q},
                               input.options().memory_format(torch::MemoryFormat::ChannelsLast));
    if (size.N == 0) return output;  // CUDA refuses to launch a grid without blocks

    if (dtype == torch::kFloat32)
        launch<float>(input, weight, bias, output, size);
    else
        launch<bf16>(input, weight, bias, output, size);
    return output;
}
