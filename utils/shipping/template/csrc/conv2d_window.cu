// A direct convolution for few input channels and large filters. As in conv2d_registers, a block's window
// of the input lies in shared memory and every thread computes a register tile; what changed:
// - A warp's lanes are 8 neighbouring pixels x 4 groups of channels. Per tap, a thread's 12 channels x 7
//   pixels take 3 float4 of weights and 7 numbers of the window for 84 products: 89% of the inner loop's
//   instructions are products. At strides below 8 the 8 pixels lie in 8 different banks.
// - The order of the products: all channels of a pixel, then the next pixel. By all measurements the
//   register file delivers two operands a cycle, one from the even and one from the odd registers, and a
//   product has three: it takes one cycle only if one is kept from the last product (".reuse" in SASS).
// - cp.async copies past the registers, 16 bytes at a time where the rows of the input allow it; a first
//   kernel packs the weight for it. While a block waits for its copies, the SM's other two compute.
// Measured on an H200, 2026-11-21, float32: alexnet_conv1 1.183 ms (conv2d_registers 2.07, cuDNN 2.21),
// resnet_conv1 0.336 (0.587, cuDNN 0.734), vgg_conv2 1.385 (2.41, cuDNN 1.42), resnet_3x3_56 0.373
// (0.732, cuDNN 0.360); 136 to 161 registers. Slower on alexnet_conv1, each against the version of its
// time: two taps of a pixel as one float2, fewer reads but registers that fit the order less well (1.33 ms
// against 1.26); 8 channels a thread (1.32 against 1.26); 8 warps a block and 1 block an SM (1.43 against
// 1.26); copies of 4 bytes (1.26 against 1.23).
// Not for narrow outputs: a warp computes 56 pixels of a row, whether they exist or not.
#include "conv.h"
#include "ptx.h"

constexpr int LANES_Q = 8, LANES_K = 4;  // lanes of a warp: neighbouring pixels x groups of channels
constexpr int PIXELS = 7;                // of a thread, LANES_Q apart: a warp computes 56 pixels of a row
constexpr int TILE_Q = LANES_Q * PIXELS, WARPS = 4;  // a block's tile: columns; a warp each for its rows
constexpr int STAGE = 14336;  // floats to stage at a time, about: input channels are added until it is full

struct Tile {
    int h, w;   // rows and columns of the window
    int depth;  // input channels staged at a time
    bool wide;  // whether four neighbours of the input can be copied at once
};

// Weight, K x C x R x S, as the kernel reads it: tile_k output channels together, and innermost.
// terms is C R S; channels beyond K are zeros.
__global__ void pack(const float* __restrict__ weight, float* __restrict__ packed, int K, int terms,
                     int tile_k, int count) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    const int k = i / (terms * tile_k) * tile_k + i % tile_k, term = i / tile_k % terms;
    packed[i] = k < K ? weight[k * terms + term] : 0.0f;
}

// A warp starts to copy `count` elements of a row, from element `first` on, WIDTH at a time; the row has
// `size` elements, and zeros on either side. WIDTH divides first, count and size.
template <int WIDTH>
__device__ void copy_row(float* to, const float* row, int first, int count, int size) {
#pragma unroll 1  // few turns: unrolled, they cost more instructions
    for (int x = WIDTH * threadIdx.x; x < count; x += WIDTH * 32) {
        const int place = first + x;
        copy_async<4 * WIDTH>(to + x, row + place, place >= 0 && place < size);
    }
}

// STRIDE and TAPS are the stride and the filter's width, where the compiler shall know them: every place in
// shared memory is then part of its load instruction. 0 stands for any. CHANNELS are a thread's.
template <int STRIDE, int TAPS, int CHANNELS, int BLOCKS>
__global__ void __launch_bounds__(32 * WARPS, BLOCKS)
    conv2d_window(const float* __restrict__ input, const float* __restrict__ packed,
                  const float* __restrict__ bias, float* __restrict__ output, Conv2d size, Tile tile) {
    const auto [N, C, H, W, K, R, any_S, P, Q, any_stride, padding, any_dilation] = size;
    const int stride = STRIDE ? STRIDE : any_stride, S = TAPS ? TAPS : any_S;
    const int dilation = TAPS ? 1 : any_dilation;
    constexpr int TILE_K = LANES_K * CHANNELS;
    const int lane = threadIdx.x, warp = threadIdx.y;
    const int lane_q = lane % LANES_Q, lane_k = lane / LANES_Q;
    extern __shared__ float4 shared[];
    float* filters = reinterpret_cast<float*>(shared);      // depth x R x S x TILE_K
    float* window = filters + tile.depth * R * S * TILE_K;  // depth x tile.h x tile.w

    const int groups = (K + TILE_K - 1) / TILE_K, n = blockIdx.z / groups, group = blockIdx.z % groups;
    const int block_p = blockIdx.y * WARPS, block_q = blockIdx.x * TILE_Q;
    const int top = block_p * stride - padding, first_w = block_q * stride - padding;
    const int left = tile.wide ? first_w & ~3 : first_w;  // the window's first column

    float sum[CHANNELS][PIXELS] = {};
    for (int first_c = 0; first_c < C; first_c += tile.depth) {
        const int depth = min(tile.depth, C - first_c);
        for (int c = 0; c < depth; ++c)
            for (int y = warp; y < tile.h; y += WARPS) {
                const int h = top + y, columns = h >= 0 && h < H ? W : 0;
                const float* from = input + ((n * C + first_c + c) * H + h) * W;
                float* to = window + (c * tile.h + y) * tile.w;
                if (tile.wide)
                    copy_row<4>(to, from, left, tile.w, columns);
                else
                    copy_row<1>(to, from, left, tile.w, columns);
            }
        const float* from = packed + (group * C + first_c) * R * S * TILE_K;
        for (int i = 4 * (warp * 32 + lane); i < depth * R * S * TILE_K; i += 4 * 32 * WARPS)
            copy_async<16>(filters + i, from + i);
        commit_copies();
        wait_for_copies<0>();
        __syncthreads();

        const float* f = filters + 4 * lane_k;
        for (int c = 0; c < depth; ++c)
            for (int r = 0; r < R; ++r) {
                const float* row = window + (c * tile.h + warp * stride + r * dilation) * tile.w +
                                   lane_q * stride + first_w - left;
#pragma unroll
                for (int s = 0; s < S; ++s) {
                    float w[CHANNELS], x[PIXELS];
#pragma unroll
                    for (int i = 0; i < CHANNELS; i += 4) {
                        const float4 four = *reinterpret_cast<const float4*>(f + s * TILE_K + i * LANES_K);
                        w[i] = four.x, w[i + 1] = four.y, w[i + 2] = four.z, w[i + 3] = four.w;
                    }
#pragma unroll
                    for (int j = 0; j < PIXELS; ++j) x[j] = row[j * LANES_Q * stride + s * dilation];
#pragma unroll
                    for (int j = 0; j < PIXELS; ++j)
#pragma unroll
                        for (int i = 0; i < CHANNELS; ++i) sum[i][j] += w[i] * x[j];
                }
                f += S * TILE_K;
            }
        __syncthreads();
    }

    const int p = block_p + warp, q = block_q + lane_q;
    if (p >= P) return;
#pragma unroll
    for (int i = 0; i < CHANNELS; ++i) {
        const int k = group * TILE_K + i / 4 * 4 * LANES_K + 4 * lane_k + i % 4;
        if (k >= K) continue;
        const float b = bias ? bias[k] : 0.0f;
        float* to = output + ((n * K + k) * P + p) * Q + q;
        if (q + (PIXELS - 1) * LANES_Q < Q) {  // all of them: nothing to compare
#pragma unroll
            for (int j = 0; j < PIXELS; ++j) to[j * LANES_Q] = sum[i][j] + b;
        } else {
#pragma unroll
            for (int j = 0; j < PIXELS; ++j)
                if (q + j * LANES_Q < Q) to[j * LANES_Q] = sum[i][j] + b;
        }
    }
}

template <int STRIDE, int TAPS, int CHANNELS, int BLOCKS>
static void launch(const torch::Tensor& input, const torch::Tensor& weight,
                   const std::optional<torch::Tensor>& bias, torch::Tensor& output, const Conv2d& size) {
    constexpr int TILE_K = LANES_K * CHANNELS;
    const int64_t h = int64_t(WARPS - 1) * size.stride + int64_t(size.R - 1) * size.dilation + 1;
    const int64_t columns = int64_t(TILE_Q - 1) * size.stride + int64_t(size.S - 1) * size.dilation + 1;
    const int64_t w = (columns + 6) / 4 * 4;  // room for up to 3 more on the left, in whole fours
    const bool wide = size.W % 4 == 0 && reinterpret_cast<uintptr_t>(input.data_ptr<float>()) % 16 == 0;
    const int64_t channel = area(h, w) + area(size.R, size.S) * TILE_K;  // floats
    const int64_t depth = std::clamp<int64_t>(STAGE / channel, 1, size.C);
    const auto kernel = conv2d_window<STRIDE, TAPS, CHANNELS, BLOCKS>;
    const int bytes = shared_bytes(kernel, depth * channel * sizeof(float), "window and filters");
    const int groups = ceil_div(size.K, TILE_K), terms = size.C * size.R * size.S;
    const dim3 grid = grid_of(ceil_div(size.Q, TILE_Q), ceil_div(size.P, WARPS), int64_t(size.N) * groups);
    TORCH_CHECK(int64_t(groups) * TILE_K <= (1 << 30) / terms,
                "the packed weight has over 2^30 elements: int indices overflow");
    const int count = groups * TILE_K * terms;
    auto packed = torch::empty({count}, weight.options());
    if (size.N == 0) return;  // CUDA refuses to launch a grid without blocks

    const auto stream = at::cuda::getCurrentCUDAStream();
    pack<<<ceil_div(count, 256), 256, 0, stream>>>(weight.data_ptr<float>(), packed.data_ptr<float>(), size.K,
                                                   terms, TILE_K, count);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
    kernel<<<grid, dim3(32, WARPS), bytes, stream>>>(input.data_ptr<float>(), packed.data_ptr<float>(),
                                                     data_or_null(bias), output.data_ptr<float>(), size,
                                                     Tile{int(h), int(w), int(depth), wide});
    C10_CUDA_KERNEL_LAUNCH_CHECK();
}

torch::Tensor conv2d(torch::Tensor input, torch::Tensor weight,
                     std::optional<torch::Tensor> bias = std::nullopt, int64_t stride = 1,
                     int64_t padding = 0, int64_t dilation = 1) {
    const Conv2d size = conv2d_sizes(input, weight, bias, stride, padding, dilation);
    const c10::cuda::CUDAGuard guard(input.device());
    require_sm(80, "cp.async");
    auto output = torch::empty({size.N, size.K, size.P, size.Q}, input.options());
    if (stride == 4 && size.S == 11 && dilation == 1)
        launch<4, 11, 12, 3>(input, weight, bias, output, size);
    else if (stride == 2 && size.S == 7 && dilation == 1)
        launch<2, 7, 16, 3>(input, weight, bias, output, size);
    else if (stride == 1 && size.S == 3 && dilation == 1)
        launch<1, 3, 16, 3>(input, weight, bias, output, size);
    else
        launch<0, 0, 8, 4>(input, weight, bias, output, size);
    return output;
}
