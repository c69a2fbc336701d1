// Tensor cores, straight from the window.
#include "conv.h"
#include "ptx.h"

constexpr int WARPS_M = 2;               // of a block along the pixels
constexpr int M_TILES = 7;               // of a warp, of 16 pixels: two octets, 8 neighbours of a row of the output
constexpr int N_TILES = 4;               // of a warp, of 8 channels
constexpr int OCTETS = WARPS_M * 2 * M_TILES;  // of a block
constexpr int PITCH = 16 * M_TILES + 4;  // floats from channel to channel where the outputs change places

// A word is what a lane gives to an mma at a time: 1 float, or 2 bfloat16 that are neighbours along s.
template <class T>
constexpr int TAPS = 4 / sizeof(T);

struct Tile {
    int across, rows;  // octets of a block along q, and rows of them
    int w, h, plane;   // of the window: columns, rows, elements from channel to channel
    int shift;         // columns left of the first that is needed, so that copies of 16 bytes are aligned
    int depth;         // input channels staged at a time
    int lead;          // taps of weight 0 before the first of a filter row
    int words;         // of a filter row
    int steps;         // of 8 words, for `depth` channels
    bool vectors;      // whether 16 bytes can be copied at a time
};

struct Place {
    int c, r, s;
};

// Which tap word i of a chunk of channels begins with. Channels come first where that keeps the lanes of a load
// in different banks: their planes are 8 banks apart.
__device__ Place place(int i, int R, const Tile& tile) {
    const int all = R * tile.words;
    const bool by_channel = tile.depth % 4 == 0;
    const int c = by_channel ? i % tile.depth : i / all, tap = by_channel ? i / tile.depth : i % all;
    return {tap < all ? c : tile.depth, tap / tile.words, tap % tile.words};
}

__device__ uint32_t bits(float value) { return to_tf32(value); }
__device__ uint32_t bits(__nv_bfloat16 value) { return __bfloat16_as_ushort(value); }

// The weights in the order in which the lanes want them: a lane's four words of 16 channels x 8 words are
// neighbours.
template <class T>
__global__ void pack(const T* __restrict__ weight, uint32_t* __restrict__ packed, Conv2d size, Tile tile, int channels,
                     int chunks, int count) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) {  // the table
        const int j = i - count, word = j / 8 * 8 + j % 2 * 4 + j % 8 / 2;
        if (j >= tile.steps * 8) return;
        const Place at = place(word, size.R, tile);
        const int offset = at.r * size.dilation * tile.w + at.s * TAPS<T> * size.dilation;
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
        const int s = at.s * TAPS<T> + j - tile.lead;
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

#ifndef UNROLL
#define UNROLL 1
#endif
constexpr int STEPS_AT_ONCE = UNROLL;
template <class T, int WARPS_K, bool PAIRS>
__global__ void __launch_bounds__(32 * WARPS_M * WARPS_K, WARPS_K > 2 ? 2 : 3)
    conv2d_mma_window(const T* __restrict__ input, const uint4* __restrict__ packed, const int2* __restrict__ table, const T* __restrict__ bias,
                      T* __restrict__ output, Conv2d size, Tile tile) {
    const auto [N, C, H, W, K, R, S, P, Q, stride, padding, dilation] = size;
    constexpr int VECTOR = 16 / sizeof(T), WARPS = WARPS_M * WARPS_K, PAIRS_K = WARPS_K * N_TILES / 2;
    const int lane = threadIdx.x, warp = threadIdx.y, g = lane / 4, t = lane % 4;
    const int warp_m = warp % WARPS_M, warp_k = warp / WARPS_M;
    extern __shared__ float4 shared[];
    int2* offsets = reinterpret_cast<int2*>(shared);
    T* window = reinterpret_cast<T*>(shared) + (tile.steps * 4 * sizeof(int2) + 15) / 16 * 16 / sizeof(T);

    const int block_k = blockIdx.x, n = blockIdx.z, blocks_q = (Q + tile.across * 8 - 1) / (tile.across * 8);
    const int block_q = blockIdx.y % blocks_q * tile.across * 8, block_p = blockIdx.y / blocks_q * tile.rows;
    const int top = block_p * stride - padding, left = block_q * stride - padding - tile.lead - tile.shift;

    for (int i = warp * 32 + lane; i < tile.steps * 4; i += 32 * WARPS) offsets[i] = table[i];
    int base[2 * M_TILES];  // where the lane's pixels begin in the window, bytes
#pragma unroll
    for (int m = 0; m < 2 * M_TILES; ++m) {
        const int octet = warp_m * 2 * M_TILES + m, row = min(octet / tile.across, tile.rows - 1);
        base[m] = (row * stride * tile.w + (octet % tile.across * 8 + g) * stride + tile.shift) * int(sizeof(T));
    }

    const int chunks = (C + tile.depth - 1) / tile.depth;
    const uint4* weights = packed + (block_k * chunks * tile.steps * PAIRS_K + warp_k * N_TILES / 2) * 32 + lane;
    uint4 next[N_TILES / 2];
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
#ifndef NOROUND
        if constexpr (sizeof(T) == 4) {
            __syncthreads();
            for (int c = 0; c < tile.depth; ++c) {
                float4* plane = reinterpret_cast<float4*>(window + c * tile.plane);
#pragma unroll 8
                for (int i = warp * 32 + lane; i < tile.h * tile.w / 4; i += 32 * WARPS) {
                    const float4 v = plane[i];
                    reinterpret_cast<uint4*>(plane)[i] = {to_tf32(v.x), to_tf32(v.y), to_tf32(v.z), to_tf32(v.w)};
                }
            }
        }
#endif
        __syncthreads();

        const char* bytes = reinterpret_cast<const char*>(window);
#pragma unroll STEPS_AT_ONCE
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
#pragma unroll
            for (int m = 0; m < M_TILES; ++m) {
                uint32_t a[4];
#pragma unroll
                for (int i = 0; i < 4; ++i) {
                    const char* from = bytes + base[2 * m + i % 2] + (i < 2 ? offset.x : offset.y);
                    if constexpr (PAIRS) {
                        a[i] = *reinterpret_cast<const uint32_t*>(from);
                    } else {
                        const auto* half = reinterpret_cast<const unsigned short*>(from);
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
    T* image = output + n * K * P * Q;
    int where[(16 * M_TILES + 31) / 32];
    for (int j = 0; j < (16 * M_TILES + 31) / 32; ++j) {
        const int pixel = lane + 32 * j, octet = warp_m * 2 * M_TILES + pixel / 8, row = octet / tile.across;
        const int p = block_p + row, q = block_q + octet % tile.across * 8 + pixel % 8;
        where[j] = pixel < 16 * M_TILES && row < tile.rows && p < P && q < Q ? p * Q + q : -1;
    }
    __syncthreads();
    float* turned = reinterpret_cast<float*>(shared) + warp * 8 * PITCH;
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
        const int first_k = ((block_k * WARPS_K + warp_k) * N_TILES + i) * 8;
#pragma unroll
        for (int c = 0; c < 8; ++c) {
            const int k = first_k + c;
            const float b = bias && k < K ? float(bias[k]) : 0.0f;
#pragma unroll
            for (int j = 0; j < (16 * M_TILES + 31) / 32; ++j)
                if (k < K && where[j] >= 0) store(image + k * P * Q + where[j], turned[c * PITCH + lane + 32 * j] + b);
        }
        __syncwarp();
    }
}

constexpr int64_t round_up(int64_t value, int64_t unit) { return (value + unit - 1) / unit * unit; }

template <class T, int WARPS_K, bool PAIRS>
void launch(const torch::Tensor& input, const torch::Tensor& weight, const std::optional<torch::Tensor>& bias,
            torch::Tensor& output, const Conv2d& size) {
    constexpr int VECTOR = 16 / sizeof(T), CHANNELS = 8 * N_TILES * WARPS_K;
    Tile tile{};
    const int octets = ceil_div(size.Q, 8);
    tile.across = ceil_div(octets, ceil_div(octets, OCTETS));
    tile.rows = std::min(OCTETS / tile.across, size.P);
    if (sizeof(T) == 4) {
        const int padded = round_up(size.S, 4);
        tile.words = padded * 7 <= size.S * 8 ? padded : size.S;
#ifdef NOPAD
        tile.words = size.S;
#endif
    } else {
        tile.lead = PAIRS ? size.padding % 2 : 0;
        tile.words = ceil_div(size.S + tile.lead, 2);
    }
    const int64_t first = size.padding + tile.lead;
    tile.shift = round_up(first, VECTOR) - first;
    const int64_t w = round_up(tile.shift + (tile.across * 8 - 1) * int64_t(size.stride) +
                                   (tile.words * TAPS<T> - 1) * int64_t(size.dilation) + 1, VECTOR);
    const int64_t h = (tile.rows - 1) * int64_t(size.stride) + (size.R - 1) * int64_t(size.dilation) + 1;
    int64_t plane = area(h, w);
    if (size.C >= 8) plane = round_up(plane - 8 * TAPS<T>, 32 * TAPS<T>) + 8 * TAPS<T>;
    const int64_t bytes_c = plane * sizeof(T) + area(size.R, tile.words) * 4;
    int64_t depth = std::clamp<int64_t>((WARPS_K > 2 ? 100 : 68) * 1024 / bytes_c, 1, size.C);
    if (depth >= 8) {
        depth -= depth % 8;
        while (size.C % 8 == 0 && size.C % depth) depth -= 8;
    }
    tile.w = w, tile.h = h, tile.plane = plane, tile.depth = depth;
    const int64_t steps = round_up(depth * area(size.R, tile.words), 8) / 8;
    tile.steps = steps;
    tile.vectors = size.W % VECTOR == 0 && reinterpret_cast<uintptr_t>(input.data_ptr()) % 16 == 0;
    const int64_t bytes = std::max<int64_t>(round_up(steps * 32, 16) + depth * plane * sizeof(T), WARPS_M * WARPS_K * 8 * PITCH * 4);
    const auto kernel = conv2d_mma_window<T, WARPS_K, PAIRS>;
    const int shared = shared_bytes(kernel, bytes, "the window");

    const int chunks = ceil_div(size.C, depth), blocks_k = ceil_div(size.K, CHANNELS);
    const int64_t count = int64_t(blocks_k) * chunks * steps * CHANNELS * 8;
    TORCH_CHECK(count < INT_MAX, "too many weights");
    auto packed = torch::empty({(count + steps * 8) * TAPS<T>}, weight.options());
    const auto stream = at::cuda::getCurrentCUDAStream();
    pack<T><<<ceil_div(count + steps * 8, 256), 256, 0, stream>>>(static_cast<const T*>(weight.data_ptr()),
                                                    static_cast<uint32_t*>(packed.data_ptr()), size, tile,
                                                    CHANNELS, chunks, int(count));
    C10_CUDA_KERNEL_LAUNCH_CHECK();
    const dim3 grid = grid_of(blocks_k, int64_t(ceil_div(size.Q, tile.across * 8)) * ceil_div(size.P, tile.rows), size.N);
    kernel<<<grid, dim3(32, WARPS_M * WARPS_K), shared, stream>>>(
        static_cast<const T*>(input.data_ptr()), static_cast<const uint4*>(packed.data_ptr()),
        reinterpret_cast<const int2*>(static_cast<uint32_t*>(packed.data_ptr()) + count),
        bias ? static_cast<const T*>(bias->data_ptr()) : nullptr, static_cast<T*>(output.data_ptr()), size, tile);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
}

int64_t tiles() { return 2; }

torch::Tensor conv2d(torch::Tensor input, torch::Tensor weight,
                     std::optional<torch::Tensor> bias = std::nullopt, int64_t stride = 1,
                     int64_t padding = 0, int64_t dilation = 1, int64_t tile = -1) {
    const auto dtype = float32_or_bfloat16(input);
    const Conv2d size = conv2d_sizes(input, weight, bias, stride, padding, dilation, false, dtype);
    const c10::cuda::CUDAGuard guard(input.device());
    require_sm(80, "mma.sync");
    TORCH_CHECK(tile >= -1 && tile < tiles(), "tile must be -1 to ", tiles() - 1);
    auto output = torch::empty({size.N, size.K, size.P, size.Q}, input.options());
    if (size.N == 0) return output;  // CUDA refuses to launch a grid without blocks
    const bool wide = tile < 0 ? ceil_div(size.K, 96) * 96 <= ceil_div(size.K, 64) * 64 : tile == 0;
    if (dtype == torch::kFloat32)
        (wide ? launch<float, 3, true> : launch<float, 2, true>)(input, weight, bias, output, size);
    else if (stride % 2 == 0 && dilation == 1)
        (wide ? launch<__nv_bfloat16, 3, true> : launch<__nv_bfloat16, 2, true>)(input, weight, bias, output, size);
    else
        (wide ? launch<__nv_bfloat16, 3, false> : launch<__nv_bfloat16, 2, false>)(input, weight, bias, output, size);
    return output;
}
