// Implicit GEMM for Hopper: the staging of conv2d_mma, multiplied by wgmma. A tile of shared memory goes to
// the tensor cores as it lies there: no ldmatrix, no fragments, no registers but those of the sums, and while
// one step is multiplied the threads copy the next. A warpgroup computes 64 output channels x PIXELS pixels;
// a block has GROUPS of them, which share the pixels. TF32's tiles are floats whose last 13 bits the
// multiplier cuts off. So the weights are scaled by 1 + 2^-11 when they are packed: an input that is cut lies
// up to 2^-10 below its true value, then within 2^-11 on either side of it, as if it had been rounded.
//
// Measured on an H200, 2026-11-21, the packing included; cuDNN's best of both layouts in brackets. TF32:
// vgg_conv2 0.358 ms (0.251), resnet_3x3_56 0.105 (0.078), _28 0.069 (0.057), _14 0.069 (0.054), _7 0.095
// (0.052), pointwise 0.107 (0.081). BF16: 0.211 (0.129), 0.058 (0.044), 0.037 (0.029), 0.036 (0.031), 0.042
// (0.032), 0.075 (0.041). On _7 100 blocks, on as many SMs, copy 460 MB from the L2 cache in 83 us: about 27
// bytes a cycle each. Why not more is not known: on _14, by the same count, the SMs together copy nearly
// twice as much in the same time.
// Slower: blocks that go on to the next tile while copies are under way (0.080 on _14); the sums of a tile
// shared by several blocks (0.088 on _7: no gain worth it); weights left as they are, both factors cut and
// the sums scaled by (1 + 2^-11)^2 in their place (no packing, but 0.081 on _28; BF16, which packs nothing,
// took as long as before, so numbers whose low 13 bits are zero seem to be faster to multiply).
#include "channels_last.h"
#include "wgmma.h"

constexpr int CHANNELS = 64;  // of a warpgroup

template <int SUMS>
__device__ __forceinline__ void start(float, float (&sum)[SUMS], uint64_t a, uint64_t b) {
    start_tf32(sum, a, b);
}
template <int SUMS>
__device__ __forceinline__ void start(bf16, float (&sum)[SUMS], uint64_t a, uint64_t b) {
    start_bf16(sum, a, b);
}

struct Unchanged {
    template <class T>
    __device__ T operator()(T x) const {
        return x;
    }
};

// A weight, scaled as the head of the file says.
struct Centred {
    __device__ float operator()(float w) const { return __uint_as_float(to_tf32(w * (1.0f + 1.0f / 2048))); }
    __device__ bf16 operator()(bf16 w) const { return w; }
};

template <class T, int GROUPS, int PIXELS, int STAGES, int RESIDENT>
__global__ void __launch_bounds__(128 * GROUPS, RESIDENT)
    conv2d_wgmma(const uint4* __restrict__ input, const uint4* __restrict__ weight,
                 const T* __restrict__ bias, T* __restrict__ output, Conv2d size, int pieces, int steps) {
    const auto [N, C, H, W, K, R, S, P, Q, stride, padding, dilation] = size;
    constexpr int THREADS = 128 * GROUPS, ROWS = THREADS / PIECES;  // rows that the block copies at once
    constexpr int TILE_K = GROUPS * CHANNELS, K_COPIES = TILE_K / ROWS, M_COPIES = PIXELS / ROWS;
    constexpr int STAGE = (TILE_K + PIXELS) * PIECES;
    extern __shared__ uint4 dynamic[];
    // STAGES times: TILE_K rows of the weights, PIXELS of the input
    uint4* const stages =
        reinterpret_cast<uint4*>((reinterpret_cast<uintptr_t>(dynamic) + 1023) / 1024 * 1024);
    const int tiles_k = (K + TILE_K - 1) / TILE_K, M = N * P * Q;
    const int block_m = blockIdx.x / tiles_k * PIXELS, block_k = blockIdx.x % tiles_k * TILE_K;

    // What this thread copies: its piece of every ROWS-th row.
    const int piece = threadIdx.x % PIECES, row = threadIdx.x / PIECES;
    Row mine[M_COPIES];
#pragma unroll
    for (int i = 0; i < M_COPIES; ++i) mine[i] = row_of(block_m + row + i * ROWS, size, pieces);
    const int filter_pieces = R * S * pieces, filters = K - block_k - row;  // filters from this row on
    const uint4* const filter = weight + size_t(block_k + row) * filter_pieces;
    uint4* const to = stages + place(row, piece);
    int c = piece % pieces, s = piece / pieces % S, r = piece / pieces / S;  // the next piece to copy
    const auto copy = [&](int stage) {
        const unsigned offset = unsigned(r * size.W + s) * size.dilation * pieces + c;
        const unsigned tap = 1u << min(r, MOST_TAPS) | 1u << 16 << s;
        const uint4* from = filter + ((r * size.S + s) * pieces + c);
        const int left = r < size.R ? filters : 0;
#pragma unroll
        for (int i = 0; i < K_COPIES; ++i)
            copy_async<16>(to + stage + i * ROWS * PIECES, from + size_t(i * ROWS) * filter_pieces,
                           i * ROWS < left);
#pragma unroll
        for (int i = 0; i < M_COPIES; ++i)
            copy_async<16>(to + stage + (TILE_K + i * ROWS) * PIECES, input + (mine[i].begin + offset),
                           (mine[i].outside & tap) == 0);
        commit_copies();
        for (c += PIECES; c >= pieces; c -= pieces)
            if (++s == size.S) s = 0, ++r;
    };

    const int group = threadIdx.x / 128;
    const uint64_t a = tile_descriptor(stages + group * CHANNELS * PIECES);
    const uint64_t b = tile_descriptor(stages + TILE_K * PIECES);
    float sum[PIXELS / 2] = {};
    // Where a block is alone on its SM, the products of the last step go on while this one's begin. Where
    // there are several, another one's fill the gap, and a stage more can be under way.
    constexpr int PENDING = RESIDENT == 1 ? 1 : 0, AHEAD = STAGES - 1 - PENDING;
#pragma unroll
    for (int i = 0; i < AHEAD; ++i) copy(i * STAGE);
    int current = 0, free = AHEAD * STAGE;
    for (int step = 0; step < steps; ++step) {
        wait_for_copies<AHEAD - 1>();  // this step's have arrived,
        show_to_wgmma();
        wait_for_products<PENDING>();  // and older products are done:
        __syncthreads();               // everybody's, so that their tiles are free
        begin_products();
#pragma unroll
        for (int i = 0; i < PIECES / 2; ++i) start(T(), sum, a + current + 2 * i, b + current + 2 * i);
        commit_products();
        copy(free);
        current = current == (STAGES - 1) * STAGE ? 0 : current + STAGE;
        free = free == (STAGES - 1) * STAGE ? 0 : free + STAGE;
    }
    wait_for_products<0>();
    wait_for_copies<0>();  // of zeros, past the last step

    // A warp has eight neighbouring channels of four pixels in one register: 32 bytes of floats, whole
    // sectors. Of bfloat16 they are half ones, and go through shared memory, where the stages were.
    const int first_k = group * CHANNELS + threadIdx.x % 128 / 32 * 16 + threadIdx.x % 32 / 4;
    const int pixel = threadIdx.x % 4 * 2;
    constexpr bool DIRECT = sizeof(T) == 4;
    constexpr int PER_PIECE = 16 / sizeof(T), PITCH = TILE_K + PER_PIECE;
    T* const staged = reinterpret_cast<T*>(stages);
    if (!DIRECT) __syncthreads();
#pragma unroll
    for (int half = 0; half < 2; ++half) {
        const int x = first_k + half * 8, k = block_k + x;
        const float plus = bias && k < K ? float(bias[k]) : 0.0f;
#pragma unroll
        for (int i = 0; i < PIXELS / 4; ++i) {
            const int y = pixel + i / 2 * 8 + i % 2;
            const T value = T(sum[i / 2 * 4 + half * 2 + i % 2] + plus);
            if (!DIRECT)
                staged[y * PITCH + x] = value;
            else if (block_m + y < M && k < K)
                output[size_t(block_m + y) * K + k] = value;
        }
    }
    if (DIRECT) return;
    __syncthreads();
    const int width = K % PER_PIECE == 0 ? PER_PIECE : 1;
#pragma unroll 4
    for (int i = threadIdx.x * width; i < PIXELS * TILE_K; i += THREADS * width) {
        const int y = i / TILE_K, x = i % TILE_K;
        if (block_m + y >= M || block_k + x >= K) continue;
        T* const at = output + size_t(block_m + y) * K + block_k + x;
        if (width > 1)
            *reinterpret_cast<uint4*>(at) = *reinterpret_cast<const uint4*>(staged + y * PITCH + x);
        else
            *at = staged[y * PITCH + x];
    }
}

template <class T>
struct Tile {
    decltype(&conv2d_wgmma<T, 1, 128, 3, 3>) kernel;
    int channels, pixels, bytes, resident;
};

template <class T, int GROUPS, int PIXELS, int STAGES, int RESIDENT>
constexpr Tile<T> tile() {
    return {conv2d_wgmma<T, GROUPS, PIXELS, STAGES, RESIDENT>, GROUPS * CHANNELS, PIXELS,
            STAGES * (GROUPS * CHANNELS + PIXELS) * PIECES * 16 + 1024, RESIDENT};
}

constexpr int TILES = 5;
template <class T>
constexpr Tile<T> TABLE[TILES] = {
    tile<T, 1, 128, 3, 3>(), tile<T, 2, 128, 3, 2>(), tile<T, 2, 128, 6, 1>(),
    tile<T, 2, 256, 4, 1>(), tile<T, 4, 128, 4, 1>(),
};

int64_t tiles() { return TILES; }

// Without a choice: the tile that should take the least time.
template <class T>
static int choose(int M, int K, int steps) {
    const int sms = multiprocessors();
    int best = 0;
    double least = 1e300;
    for (int i = 0; i < TILES; ++i) {
        const Tile<T>& tile = TABLE<T>[i];
        const double blocks = double(ceil_div(M, tile.pixels)) * ceil_div(K, tile.channels);
        // Copying is the limit: about 32 bytes a cycle and SM were measured. 8 steps' time to start and end.
        const double block = double(tile.channels + tile.pixels) * (steps + 8);
        const double time = std::ceil(blocks / (sms * tile.resident)) * tile.resident * block;
        if (time < least) least = time, best = i;
    }
    return best;
}

template <class T>
static void launch(const torch::Tensor& input, const torch::Tensor& weight,
                   const std::optional<torch::Tensor>& bias, torch::Tensor& output, const Conv2d& size,
                   int which) {
    constexpr int PER_PIECE = 16 / sizeof(T);
    const auto stream = at::cuda::getCurrentCUDAStream();
    const int pieces = ceil_div(size.C, PER_PIECE), steps = ceil_div(size.R * size.S * pieces, PIECES);
    const int M = size.N * size.P * size.Q;
    const auto x = packed<Unchanged, T>(input, false, stream);
    const auto w = packed<Centred, T>(weight, sizeof(T) == 4, stream);
    const Tile<T>& tile = TABLE<T>[which < 0 ? choose<T>(M, size.K, steps) : which];
    const int bytes = shared_bytes(tile.kernel, tile.bytes, "this tile");
    const int64_t tiles = int64_t(ceil_div(M, tile.pixels)) * ceil_div(size.K, tile.channels);
    const dim3 grid = grid_of(tiles, 1, 1);
    const auto kernel = tile.kernel;
    kernel<<<grid, tile.channels * 2, bytes, stream>>>(
        static_cast<const uint4*>(x.data_ptr()), static_cast<const uint4*>(w.data_ptr()),
        bias ? static_cast<const T*>(bias->data_ptr()) : nullptr, static_cast<T*>(output.data_ptr()), size,
        pieces, steps);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
}

torch::Tensor conv2d(torch::Tensor input, torch::Tensor weight,
                     std::optional<torch::Tensor> bias = std::nullopt, int64_t stride = 1,
                     int64_t padding = 0, int64_t dilation = 1, int64_t tile = -1) {
    const Conv2d size = channels_last_sizes(input, weight, bias, stride, padding, dilation);
    TORCH_CHECK(tile >= -1 && tile < TILES, "tile must be -1 to ", TILES - 1);
    const c10::cuda::CUDAGuard guard(input.device());
    require_wgmma("conv2d_wgmma");
    auto output = channels_last_output(size, input);
    if (size.N == 0) return output;  // CUDA refuses to launch a grid without blocks

    if (input.scalar_type() == torch::kFloat32)
        launch<float>(input, weight, bias, output, size, int(tile));
    else
        launch<bf16>(input, weight, bias, output, size, int(tile));
    return output;
}
