// Tensor cores, straight from the window: a warp's lanes read the matrix of pixels x taps out of the staged
// input window; nobody writes that matrix anywhere. mma m16n8k8 (TF32) or m16n8k16 (BF16): M = pixels, N =
// output channels, K = taps. Lane l reads pixel l / 4, tap l % 4: with stride 4 that is word 4 (l / 4) + l %
// 4 = l of the window, a bank for each lane. Rows g and g + 8 of the matrix need not be neighbours: its 16
// pixels are any two octets, so that 55 columns cost 56, not 64. The weights are packed first, in the order
// in which lanes want them, and read through L1: no barrier in the loop. For few input channels and large
// filters. (In BF16 a filter's row is filled up to an even number of taps with zeros. Zero times infinity is
// NaN: an infinite input then also spoils outputs beside its own.)
//
// Measured on an H200, 2026-11-21, NCHW, cuDNN's best of both layouts beside it: alexnet_conv1 TF32 0.446 ms
// (1.291), BF16 0.280 (1.785); resnet_conv1 TF32 0.176 (0.406), BF16 0.136 (0.452); vgg_conv2 TF32 0.679
// (0.247). 168 registers, 2 or 3 blocks an SM. Storing the sums straight from the fragments was slower (0.673
// ms for 0.518, TF32 AlexNet), and so was padding S to 12, which saves bank conflicts and costs 4 of 50 steps
// (0.461 for 0.446).

#include "conv.h"
#include "ptx.h"

// A warp computes 2 rows of 7 octets (8 neighbours along q) x 32 channels, with mma of 16 pixels (two octets)
// x 8 channels. The warps of a block are WARPS_M x WARPS_K of these.
constexpr int ACROSS = 7, OCTETS = 2 * ACROSS, M_TILES = OCTETS / 2, N_TILES = 4, WARPS_M = 2;
constexpr int TILE_Q = 8 * ACROSS, TILE_P = 2 * WARPS_M;
constexpr int PITCH = 8 * OCTETS + 4;  // floats from channel to channel where the outputs change places

// A word is what a lane gives to an mma at a time: 1 float, or 2 bfloat16 that are neighbours along s.
template <class T>
constexpr int TAPS = 4 / sizeof(T);

struct Tile {
    int w, h, plane;  // of the window: columns, rows, elements from channel to channel
    int shift;        // columns left of the first that is needed, so that copies of 16 bytes are aligned
    int depth;        // input channels staged at a time
    int lead;         // taps of weight 0 before the first of a filter row
    int words;        // of a filter row
    int steps;        // of 8 words, for `depth` channels
    bool vectors;     // whether 16 bytes can be copied at a time
};

struct Place {
    int c, r, word;
};

// Which tap a word of a chunk of channels begins with. Channels come first where that keeps the lanes of a
// load in different banks: their planes are 8 banks apart.
__device__ Place place(int i, int R, const Tile& tile) {
    const int all = R * tile.words;
    const bool by_channel = tile.depth % 4 == 0;
    const int c = by_channel ? i % tile.depth : i / all, tap = by_channel ? i / tile.depth : i % all;
    return {tap < all ? c : tile.depth, tap / tile.words, tap % tile.words};
}

__device__ uint32_t bits(float value) { return to_tf32(value); }
__device__ uint32_t bits(__nv_bfloat16 value) { return __bfloat16_as_ushort(value); }

// The weights in the order in which the lanes want them: a lane's four words of 16 channels x 8 words are
// neighbours. Behind them, where the lanes find each step's two words of the window: bytes from a pixel's
// first.
template <class T>
__global__ void pack(const T* __restrict__ weight, uint32_t* __restrict__ packed, Conv2d size, Tile tile,
                     int channels, int chunks, int count) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count + tile.steps * 8) return;
    if (i >= count) {
        const int j = i - count;
        const Place at = place(j / 8 * 8 + j % 2 * 4 + j % 8 / 2, size.R, tile);
        const int offset = (at.r * tile.w + at.word * TAPS<T>)*size.dilation;
        packed[i] = at.c < tile.depth ? (at.c * tile.plane + offset) * sizeof(T) : 0;
        return;
    }
    const int lane = i / 4 % 32, pairs = channels / 16, step = i / 128 / pairs % tile.steps;
    const int chunk = i / 128 / pairs / tile.steps % chunks, block = i / 128 / pairs / tile.steps / chunks;
    const int k = block * channels + i / 128 % pairs * 16 + i % 4 / 2 * 8 + lane / 4;
    const Place at = place(step * 8 + i % 2 * 4 + lane % 4, size.R, tile);
    const int c = chunk * tile.depth + at.c;
    uint32_t word = 0;
    for (int j = 0; j < TAPS<T>; ++j) {
        const int s = at.word * TAPS<T> + j - tile.lead;
        if (k < size.K && at.c < tile.depth && c < size.C && s >= 0 && s < size.S)
            word |= bits(weight[((k * size.C + c) * size.R + at.r) * size.S + s]) << 16 * j;
    }
    packed[i] = word;
}

__device__ void mma(float (&sum)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1, float) {
    mma_tf32(sum, a, b0, b1);
}
__device__ void mma(float (&sum)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1, __nv_bfloat16) {
    mma_bf16(sum, a, b0, b1);
}
__device__ void store(float* to, float value) { *to = value; }
__device__ void store(__nv_bfloat16* to, float value) { *to = __float2bfloat16(value); }

// STRIDE is the stride, where the compiler shall know it: the distance of a lane's pixels in the window is
// then part of its load instructions. 0 stands for any. PAIRS: two bfloat16 that are neighbours along s are
// one aligned word of the window, whatever the pixel.
template <class T, int WARPS_K, int STRIDE, bool PAIRS>
__global__ void __launch_bounds__(32 * WARPS_M * WARPS_K, WARPS_K > 2 ? 2 : 3)
    conv2d_mma_window(const T* __restrict__ input, const uint4* __restrict__ packed,
                      const int2* __restrict__ table, const T* __restrict__ bias, T* __restrict__ output,
                      Conv2d size, Tile tile) {
    const auto [N, C, H, W, K, R, S, P, Q, any_stride, padding, dilation] = size;
    constexpr int VECTOR = 16 / sizeof(T), WARPS = WARPS_M * WARPS_K, PAIRS_K = WARPS_K * N_TILES / 2;
    constexpr int CHANNELS = 8 * N_TILES * WARPS_K;
    const int lane = threadIdx.x, warp = threadIdx.y, g = lane / 4, t = lane % 4;
    const int warp_m = warp % WARPS_M, warp_k = warp / WARPS_M, stride = STRIDE ? STRIDE : any_stride;
    extern __shared__ float4 shared[];
    int2* offsets = reinterpret_cast<int2*>(shared);                         // steps x 4
    T* window = reinterpret_cast<T*>(shared) + tile.steps * 32 / sizeof(T);  // depth x plane

    const int blocks_k = (K + CHANNELS - 1) / CHANNELS, blocks_q = (Q + TILE_Q - 1) / TILE_Q;
    const int block_k = blockIdx.x % blocks_k, block = blockIdx.x / blocks_k, n = blockIdx.y;
    const int block_q = block % blocks_q * TILE_Q, block_p = block / blocks_q * TILE_P;
    const int top = block_p * stride - padding, left = block_q * stride - padding - tile.lead - tile.shift;
    for (int i = warp * 32 + lane; i < tile.steps * 4; i += 32 * WARPS) offsets[i] = table[i];

    const int chunks = (C + tile.depth - 1) / tile.depth;
    const uint4* weights =
        packed + (block_k * chunks * tile.steps * PAIRS_K + warp_k * N_TILES / 2) * 32 + lane;
    uint4 next[N_TILES / 2];  // a step's weights are on their way while the one before is computed
#pragma unroll
    for (int j = 0; j < N_TILES / 2; ++j) next[j] = weights[j * 32];

    float sum[M_TILES][N_TILES][4] = {};
    for (int chunk = 0; chunk < chunks; ++chunk) {
        if (chunk > 0) __syncthreads();
        for (int c = 0; c < tile.depth; ++c)
            for (int y = warp; y < tile.h; y += WARPS) {
                const int real_c = chunk * tile.depth + c, h = top + y;
                const bool inside = real_c < C && h >= 0 && h < H;
                const T* from = input + (inside ? ((n * C + real_c) * H + h) * W : 0);
                T* to = window + c * tile.plane + y * tile.w;
                if (tile.vectors) {
                    for (int x = lane * VECTOR; x < tile.w; x += 32 * VECTOR) {
                        const bool in = inside && left + x >= 0 && left + x < W;
                        copy_async<16>(to + x, from + (in ? left + x : 0), in);
                    }
                } else {
                    for (int x = lane; x < tile.w; x += 32)
                        to[x] = inside && left + x >= 0 && left + x < W ? from[left + x] : T(0.0f);
                }
            }
        commit_copies();
        wait_for_copies<0>();
        __syncthreads();
        if constexpr (sizeof(T) == 4) {
            for (int c = 0; c < tile.depth; ++c) {
                float4* plane = reinterpret_cast<float4*>(window + c * tile.plane);
#pragma unroll 4
                for (int i = warp * 32 + lane; i < tile.h * tile.w / 4; i += 32 * WARPS) {
                    const float4 v = plane[i];
                    reinterpret_cast<uint4*>(plane)[i] = {to_tf32(v.x), to_tf32(v.y), to_tf32(v.z),
                                                          to_tf32(v.w)};
                }
            }
            __syncthreads();
        }

        // Where the lane's first pixel begins; the warp's second row is `row` bytes on, an octet `octet`
        // bytes.
        const char* first =
            reinterpret_cast<const char*>(window + warp_m * 2 * stride * tile.w + g * stride + tile.shift);
        const int row = stride * tile.w * sizeof(T), octet = 8 * stride * sizeof(T);
#pragma unroll 2
        for (int step = 0; step < tile.steps; ++step) {
            uint4 b[N_TILES / 2];
            weights += PAIRS_K * 32;
            const bool more = step + 1 < tile.steps || chunk + 1 < chunks;
#pragma unroll
            for (int j = 0; j < N_TILES / 2; ++j) {
                b[j] = next[j];
                if (more) next[j] = weights[j * 32];
            }
            const int2 offset = offsets[step * 4 + t];
            const char* from[2][2] = {{first + offset.x, first + offset.y},
                                      {first + offset.x + row, first + offset.y + row}};
#pragma unroll
            for (int m = 0; m < M_TILES; ++m) {
                uint32_t a[4];
#pragma unroll
                for (int i = 0; i < 4; ++i) {
                    const int o = 2 * m + i % 2;
                    const char* word = from[o / ACROSS][i / 2] + o % ACROSS * octet;
                    if constexpr (PAIRS) {
                        a[i] = *reinterpret_cast<const uint32_t*>(word);
                    } else {
                        const auto* half = reinterpret_cast<const unsigned short*>(word);
                        a[i] = half[0] | half[dilation] << 16;
                    }
                }
#pragma unroll
                for (int j = 0; j < N_TILES / 2; ++j) {
                    mma(sum[m][2 * j], a, b[j].x, b[j].y, T());
                    mma(sum[m][2 * j + 1], a, b[j].z, b[j].w, T());
                }
            }
        }
    }

    // The sums change places through shared memory, so that the lanes of a store are neighbours along q.
    __syncthreads();
    float* turned = reinterpret_cast<float*>(shared) + warp * 8 * PITCH;
    const int p = block_p + warp_m * 2;
#pragma unroll
    for (int i = 0; i < N_TILES; ++i) {
#pragma unroll
        for (int m = 0; m < M_TILES; ++m) {
            float* to = turned + 2 * t * PITCH + m * 16 + g;
            to[0] = sum[m][i][0];
            to[PITCH] = sum[m][i][1];
            to[8] = sum[m][i][2];
            to[PITCH + 8] = sum[m][i][3];
        }
        __syncwarp();
        const int k = ((block_k * WARPS_K + warp_k) * N_TILES + i) * 8;
        float b[8];
#pragma unroll
        for (int c = 0; c < 8; ++c) b[c] = bias && k + c < K ? float(bias[k + c]) : 0.0f;
#pragma unroll
        for (int row = 0; row < 2; ++row)
#pragma unroll
            for (int x = lane; x < TILE_Q; x += 32) {
                if (p + row >= P || block_q + x >= Q) continue;
                T* to = output + ((n * K + k) * P + p + row) * Q + block_q + x;
#pragma unroll
                for (int c = 0; c < 8; ++c)
                    if (k + c < K) store(to + c * P * Q, turned[c * PITCH + row * TILE_Q + x] + b[c]);
            }
        __syncwarp();
    }
}

constexpr int64_t round_up(int64_t value, int64_t unit) { return (value + unit - 1) / unit * unit; }

template <class T, int WARPS_K, int STRIDE, bool PAIRS>
void launch(const torch::Tensor& input, const torch::Tensor& weight, const std::optional<torch::Tensor>& bias,
            torch::Tensor& output, const Conv2d& size) {
    constexpr int VECTOR = 16 / sizeof(T), CHANNELS = 8 * N_TILES * WARPS_K, WARPS = WARPS_M * WARPS_K;
    Tile tile{};
    if (sizeof(T) == 4) {
        tile.words = size.S;
    } else {
        tile.lead = PAIRS ? size.padding % 2 : 0;
        tile.words = ceil_div(size.S + tile.lead, 2);
    }
    const int64_t first = size.padding + tile.lead;
    tile.shift = round_up(first, VECTOR) - first;
    const int64_t w = round_up(tile.shift + (TILE_Q - 1) * int64_t(size.stride) +
                                   (tile.words * TAPS<T> - 1) * int64_t(size.dilation) + 1,
                               VECTOR);
    const int64_t h = (TILE_P - 1) * int64_t(size.stride) + (size.R - 1) * int64_t(size.dilation) + 1;
    int64_t plane = area(h, w);
    if (size.C >= 8) plane = round_up(plane - 8 * TAPS<T>, 32 * TAPS<T>) + 8 * TAPS<T>;
    const int64_t words = area(size.R, tile.words), bytes_c = plane * sizeof(T) + words * 4;
    int64_t depth = std::clamp<int64_t>((WARPS_K > 2 ? 100 : 68) * 1024 / bytes_c, 1, size.C);
    if (depth >= 8) {
        depth -= depth % 8;
        while (size.C % 8 == 0 && size.C % depth) depth -= 8;
    }
    const int64_t steps = round_up(depth * words, 8) / 8;
    const auto kernel = conv2d_mma_window<T, WARPS_K, STRIDE, PAIRS>;
    const int64_t staged = steps * 32 + depth * plane * sizeof(T), turned = WARPS * 8 * PITCH * sizeof(float);
    const int bytes = shared_bytes(kernel, std::max(staged, turned), "the window");
    tile.w = w, tile.h = h, tile.plane = plane, tile.depth = depth, tile.steps = steps;
    tile.vectors = size.W % VECTOR == 0 && reinterpret_cast<uintptr_t>(input.data_ptr()) % 16 == 0;

    const int chunks = ceil_div(size.C, depth), blocks_k = ceil_div(size.K, CHANNELS);
    const int64_t count = int64_t(blocks_k) * chunks * steps * CHANNELS * 8, all = count + steps * 8;
    TORCH_CHECK(all <= INT_MAX, "the filters have over 2^31 - 1 elements when padded: int indices overflow");
    auto packed = torch::empty({all * TAPS<T>}, weight.options());
    uint32_t* words_packed = static_cast<uint32_t*>(packed.data_ptr());
    const auto stream = at::cuda::getCurrentCUDAStream();
    pack<T><<<ceil_div(all, 256), 256, 0, stream>>>(static_cast<const T*>(weight.data_ptr()), words_packed,
                                                    size, tile, CHANNELS, chunks, int(count));
    C10_CUDA_KERNEL_LAUNCH_CHECK();
    const int64_t tiles = int64_t(ceil_div(size.Q, TILE_Q)) * ceil_div(size.P, TILE_P);
    const dim3 grid = grid_of(tiles * blocks_k, size.N, 1);
    kernel<<<grid, dim3(32, WARPS), bytes, stream>>>(static_cast<const T*>(input.data_ptr()),
                                                     reinterpret_cast<const uint4*>(words_packed),
                                                     reinterpret_cast<const int2*>(words_packed + count),
                                                     bias ? static_cast<const T*>(bias->data_ptr()) : nullptr,
                                                     static_cast<T*>(output.data_ptr()), size, tile);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
}

// 96 channels a block and stride 4, or 64 and stride 2, or 64 and any. (sizeof(T) == 4 is true where it is
// not run: no kernel of unpaired floats is compiled.)
template <class T>
auto launcher(const Conv2d& size) {
    const bool wide = ceil_div(size.K, 96) * 96 <= ceil_div(size.K, 64) * 64;
    if (sizeof(T) == 2 && (size.stride % 2 || size.dilation > 1)) return launch<T, 2, 0, sizeof(T) == 4>;
    if (size.stride == 4 && wide) return launch<T, 3, 4, true>;
    return size.stride == 2 ? launch<T, 2, 2, true> : launch<T, 2, 0, true>;
}

torch::Tensor conv2d(torch::Tensor input, torch::Tensor weight,
                     std::optional<torch::Tensor> bias = std::nullopt, int64_t stride = 1,
                     int64_t padding = 0, int64_t dilation = 1) {
    const auto dtype = float32_or_bfloat16(input);
    const Conv2d size = conv2d_sizes(input, weight, bias, stride, padding, dilation, false, dtype);
    const c10::cuda::CUDAGuard guard(input.device());
    require_sm(80, "mma.sync");
    auto output = torch::empty({size.N, size.K, size.P, size.Q}, input.options());
    if (size.N == 0) return output;  // CUDA refuses to launch a grid without blocks
    const auto run = dtype == torch::kFloat32 ? launcher<float>(size) : launcher<__nv_bfloat16>(size);
    run(input, weight, bias, output, size);
    return output;
}
