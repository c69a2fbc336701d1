// Implicit GEMM for Hopper: the staging of conv2d_mma, multiplied by wgmma. A tile of shared memory goes to
// the tensor cores as it lies there: no ldmatrix, no fragments, no registers but those of the sums, and while
// one step is multiplied the threads copy the next. TF32's tiles are floats whose last 13 bits the multiplier
// cuts off. So the weights are scaled by 1 + 2^-11 when they are packed: an input that is cut lies up to
// 2^-10 below its true value, then within 2^-11 on either side of it, as if it had been rounded.
// With stride and dilation 1 three neighbouring taps of the filter share the staged pixels: for tap t the
// tile begins t rows further down. So a step of three taps copies its pixels once. For that, positions are
// counted with the padding between two lines of outputs (the same for both); what is computed there, and at
// the last two positions of a tile, is dropped.
// Measured on an H200, 2026-11-21, the packing included; cuDNN's best of both layouts in brackets. TF32:
// vgg_conv2 0.247 ms (0.248), resnet_3x3_56 0.075 (0.078), _28 0.065 (0.056), _14 0.064 (0.053), _7 0.067
// (0.052), pointwise 0.096 (0.080). BF16: 0.148 (0.128), 0.046 (0.045), 0.038 (0.029), 0.034 (0.031), 0.034
// (0.031), 0.068 (0.040). With one tap a step vgg_conv2 took 0.337, copying 2.3 GB to the SMs and not 1.1,
// and _7 0.087; three make _28 and _14 no faster. At 0.253 ms vgg_conv2 had its tensor cores busy for 55 %.
// Slower: one warpgroup for 64 x 256 sums in place of two (vgg_conv2 0.255); products that go on while the
// next step's begin, with a step less being copied (_7 0.073); TF32's sums through shared memory (vgg_conv2
// 0.274). With one tap: blocks that go on to the next tile while copies are under way (_14 0.080); the sums
// of a tile shared by several blocks (_7 0.088); weights left as they are, both factors cut and the sums
// scaled by (1 + 2^-11)^2 (no packing, but _28 0.081: zeros in the low 13 bits seem to multiply faster).
#include "channels_last.h"
#include "wgmma.h"

constexpr int CHANNELS = 64;  // of a warpgroup

// A weight, scaled as the head of the file says.
struct Centred {
    __device__ float operator()(float w) const { return __uint_as_float(to_tf32(w * (1.0f + 1.0f / 2048))); }
    __device__ bf16 operator()(bf16 w) const { return w; }
};

// TILE_K channels of OUTPUTS positions a block. A warpgroup has CHANNELS of them, of one of PARTS of the
// pixels.
template <class T, int TAPS, int TILE_K, int PIXELS, int PARTS, int STAGES, int RESIDENT>
__global__ void __launch_bounds__(TILE_K / CHANNELS * PARTS * 128, RESIDENT)
    conv2d_wgmma(const uint4* __restrict__ input, const uint4* __restrict__ weight,
                 const T* __restrict__ bias, T* __restrict__ output, Conv2d lines, int Q, int pieces,
                 int steps) {
    constexpr int THREADS = TILE_K / CHANNELS * PARTS * 128, ROWS = THREADS / PIECES;  // ROWS: copied at once
    constexpr int K_COPIES = TILE_K / ROWS, M_COPIES = PIXELS / ROWS, COLUMNS = PIXELS / PARTS;
    constexpr int STAGE = (PIXELS + TAPS * TILE_K) * PIECES, OUTPUTS = PIXELS - TAPS + 1;
    extern __shared__ uint4 dynamic[];
    // STAGES times: PIXELS rows of the input and, for every tap, TILE_K of the weights
    uint4* const stages =
        reinterpret_cast<uint4*>((reinterpret_cast<uintptr_t>(dynamic) + 1023) / 1024 * 1024);
    const int K = lines.K, tiles_k = (K + TILE_K - 1) / TILE_K;
    const int block_m = blockIdx.x / tiles_k * OUTPUTS, block_k = blockIdx.x % tiles_k * TILE_K;

    // What this thread copies: its piece of every ROWS-th row.
    const int piece = threadIdx.x % PIECES, row = threadIdx.x / PIECES;
    Row mine[M_COPIES];
    rows_of<ROWS>(mine, block_m + row, lines, pieces);
    const int filter_pieces = lines.R * lines.S * pieces, filters = K - block_k - row;  // filters: from here
    const uint4* const filter = weight + size_t(block_k + row) * filter_pieces;
    uint4* const to = stages + place(row, piece);
    // The next piece to copy. With one tap a step it may be the next tap's, with several it may be past C.
    const int length = TAPS == 1 ? pieces : (pieces + PIECES - 1) / PIECES * PIECES;
    int c = piece % length, s = piece / length % lines.S, r = piece / length / lines.S;
    const auto copy = [&](int stage) {
        const unsigned offset = unsigned(r * lines.W + s) * lines.dilation * pieces + c;
        const unsigned tap = 1u << min(r, MOST_TAPS) | 1u << 16 << s;
        const uint4* from = filter + ((r * lines.S + s) * pieces + c);
        const bool any = TAPS == 1 || c < pieces;
        const int left = any && r < lines.R ? filters : 0;
#pragma unroll
        for (int i = 0; i < M_COPIES; ++i)
            copy_async<16>(to + stage + i * ROWS * PIECES, input + (mine[i].begin + offset),
                           any && (mine[i].outside & tap) == 0);
#pragma unroll
        for (int i = 0; i < TAPS * K_COPIES; ++i) {
            const int t = i / K_COPIES, k = i % K_COPIES * ROWS;
            copy_async<16>(to + stage + (PIXELS + i * ROWS) * PIECES,
                           from + (size_t(k) * filter_pieces + t * pieces), k < left);
        }
        commit_copies();
        for (c += PIECES; c >= length; c -= length)
            if ((s += TAPS) >= lines.S) s = 0, ++r;
    };

    const int first_k = threadIdx.x / 128 / PARTS * CHANNELS, first_m = threadIdx.x / 128 % PARTS * COLUMNS;
    const uint64_t a = tile_descriptor(stages + (PIXELS + first_k) * PIECES);
    const uint64_t b = tile_descriptor(stages + first_m * PIECES);
    float sum[COLUMNS / 2] = {};
    constexpr int AHEAD = STAGES - 1;  // steps whose copies are under way
#pragma unroll
    for (int i = 0; i < AHEAD; ++i) copy(i * STAGE);
    int current = 0, free = AHEAD * STAGE;
    for (int step = 0; step < steps; ++step) {
        wait_for_copies<AHEAD - 1>();  // this step's have arrived,
        show_to_wgmma();
        wait_for_products<0>();  // and the last step's products are done:
        __syncthreads();         // everybody's, so that its tiles are free
        begin_products();
#pragma unroll
        for (int i = 0; i < TAPS * PIECES / 2; ++i) {
            const int t = i / (PIECES / 2), at = current + i % (PIECES / 2) * 2;
            const uint64_t weights = a + at + t * TILE_K * PIECES, window = b + at + t * PIECES;
            sizeof(T) == 4 ? start_tf32(sum, weights, window) : start_bf16(sum, weights, window);
        }
        commit_products();
        copy(free);
        current = current == (STAGES - 1) * STAGE ? 0 : current + STAGE;
        free = free == (STAGES - 1) * STAGE ? 0 : free + STAGE;
    }
    wait_for_products<0>();
    wait_for_copies<0>();  // of zeros, past the last step
    __syncthreads();

    // Where the stages were: which pixel of the output a position is, -1 for none.
    int* const pixels = reinterpret_cast<int*>(stages);
    for (int y = threadIdx.x; y < PIXELS; y += THREADS) {
        const int line = (block_m + y) / lines.Q, q = (block_m + y) % lines.Q;
        pixels[y] = y < OUTPUTS && line < lines.N * lines.P && q < Q ? line * Q + q : -1;
    }
    __syncthreads();
    // A warp has eight neighbouring channels of four pixels in one register: 32 bytes of floats, whole
    // sectors. Of bfloat16 they are half ones, and whole pieces go through shared memory.
    constexpr int PER_PIECE = 16 / sizeof(T), PITCH = TILE_K + PER_PIECE;
    const bool direct = sizeof(T) == 4 || K % PER_PIECE != 0;
    T* const staged = reinterpret_cast<T*>(pixels + PIXELS);
    const int x = first_k + threadIdx.x % 128 / 32 * 16 + threadIdx.x % 32 / 4, k = block_k + x;
    const float plus[2] = {bias && k < K ? float(bias[k]) : 0.0f,
                           bias && k + 8 < K ? float(bias[k + 8]) : 0.0f};
#pragma unroll
    for (int i = 0; i < COLUMNS / 4; ++i) {
        const int y = first_m + threadIdx.x % 4 * 2 + i / 2 * 8 + i % 2, pixel = pixels[y];
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            const T value = T(sum[i / 2 * 4 + half * 2 + i % 2] + plus[half]);
            if (!direct)
                staged[y * PITCH + x + half * 8] = value;
            else if (pixel >= 0 && k + half * 8 < K)
                output[size_t(pixel) * K + k + half * 8] = value;
        }
    }
    if (direct) return;
    __syncthreads();
#pragma unroll 4
    for (int i = threadIdx.x * PER_PIECE; i < PIXELS * TILE_K; i += THREADS * PER_PIECE) {
        const int y = i / TILE_K, x = i % TILE_K;
        if (pixels[y] >= 0 && block_k + x < K)
            *reinterpret_cast<uint4*>(output + size_t(pixels[y]) * K + block_k + x) =
                *reinterpret_cast<const uint4*>(staged + y * PITCH + x);
    }
}

template <class T>
struct Tile {
    decltype(&conv2d_wgmma<T, 1, 64, 128, 1, 3, 3>) kernel;
    int taps, channels, pixels, threads, bytes, resident;

    // The layer as the kernel sees it: Q is the number of positions from one line of outputs to the next.
    Conv2d lines(Conv2d size) const {
        if (taps > 1) size.Q = std::max(size.Q, size.W + size.padding);
        return size;
    }
    int64_t positions(const Conv2d& size) const { return int64_t(size.N) * size.P * lines(size).Q; }
    // Three taps are neighbouring pixels. A fourth of zeros would make NaN of an infinite input.
    bool takes(const Conv2d& size) const {
        const bool plain = size.stride == 1 && size.dilation == 1 && size.S % taps == 0;
        return taps == 1 || (plain && positions(size) <= INT_MAX - 256);
    }
    int64_t blocks(const Conv2d& size) const {
        return (positions(size) + pixels - taps) / (pixels - taps + 1) * ceil_div(size.K, channels);
    }
    int steps(const Conv2d& size, int pieces) const {
        return taps == 1 ? ceil_div(size.R * size.S * pieces, PIECES)
                         : size.R * (size.S / taps) * ceil_div(pieces, PIECES);
    }
};

template <class T, int TAPS, int TILE_K, int PIXELS, int PARTS, int STAGES, int RESIDENT>
constexpr Tile<T> tile() {
    constexpr int BYTES = STAGES * (PIXELS + TAPS * TILE_K) * PIECES * 16 + 1024;
    const auto kernel = conv2d_wgmma<T, TAPS, TILE_K, PIXELS, PARTS, STAGES, RESIDENT>;
    return {kernel, TAPS, TILE_K, PIXELS, TILE_K / CHANNELS * PARTS * 128, BYTES, RESIDENT};
}

constexpr int TILES = 5;
template <class T>
constexpr Tile<T> TABLE[TILES] = {
    tile<T, 1, 64, 128, 1, 3, 3>(), tile<T, 1, 128, 128, 1, 3, 2>(), tile<T, 3, 64, 256, 1, 3, 1>(),
    tile<T, 3, 64, 256, 2, 2, 2>(), tile<T, 3, 128, 256, 1, 2, 1>(),
};

int64_t tiles() { return TILES; }

// Without a choice: the tile that should take the least time.
template <class T>
static int choose(const Conv2d& size, int pieces) {
    int best = 0;
    double least = 1e300;
    for (int i = 0; i < TILES; ++i) {
        const Tile<T>& tile = TABLE<T>[i];
        const double waves = std::ceil(double(tile.blocks(size)) / multiprocessors());
        // Cycles of a step, as measured. To start and end takes 12 taps more, unless other blocks fill it.
        const double copies = (tile.taps * tile.channels + tile.pixels) * PIECES * 16 / 40.0;
        const double step = std::max(copies, tile.taps * tile.channels * tile.pixels / 25.0);
        const double ends = 12.0 / (tile.taps * std::min<double>(tile.resident, waves));
        const double time = waves * (tile.steps(size, pieces) + ends) * step;
        if (tile.takes(size) && time < least) least = time, best = i;
    }
    return best;
}

template <class T>
static void launch(const torch::Tensor& input, const torch::Tensor& weight,
                   const std::optional<torch::Tensor>& bias, torch::Tensor& output, const Conv2d& size,
                   int which) {
    const auto stream = at::cuda::getCurrentCUDAStream();
    const int pieces = ceil_div(size.C, int(16 / sizeof(T)));
    const auto x = packed<Unchanged, T>(input, false, stream);
    const auto w = packed<Centred, T>(weight, sizeof(T) == 4, stream);
    if (which < 0) which = choose<T>(size, pieces);
    const Tile<T>& tile = TABLE<T>[TABLE<T>[which].takes(size) ? which : 0];
    const int bytes = shared_bytes(tile.kernel, tile.bytes, "this tile");
    const auto kernel = tile.kernel;
    kernel<<<grid_of(tile.blocks(size), 1, 1), tile.threads, bytes, stream>>>(
        static_cast<const uint4*>(x.data_ptr()), static_cast<const uint4*>(w.data_ptr()),
        bias ? static_cast<const T*>(bias->data_ptr()) : nullptr, static_cast<T*>(output.data_ptr()),
        tile.lines(size), size.Q, pieces, tile.steps(size, pieces));
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
