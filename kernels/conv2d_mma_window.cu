// Tensor cores, straight from the window.
#include "conv.h"
#include "ptx.h"

constexpr int WARPS = 4;                 // of a block: 2 along the pixels x 2 along the channels
constexpr int M_TILES = 7;               // of a warp, of 16 pixels: two octets, 8 neighbours of a row of the output
constexpr int OCTETS = 2 * 2 * M_TILES;  // of a block
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
    if (i >= count) return;
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

#ifndef BLOCKS6
#define BLOCKS6 2
#endif
#ifndef BLOCKS4
#define BLOCKS4 3
#endif

template <class T, int N_TILES, bool PAIRS>
__global__ void __launch_bounds__(32 * WARPS, N_TILES > 4 ? BLOCKS6 : BLOCKS4)
    conv2d_mma_window(const T* __restrict__ input, const uint4* __restrict__ packed, const T* __restrict__ bias,
                      T* __restrict__ output, Conv2d size, Tile tile) {
    const auto [N, C, H, W, K, R, S, P, Q, stride, padding, dilation] = size;
    constexpr int VECTOR = 16 / sizeof(T);
    const int lane = threadIdx.x, warp = threadIdx.y, g = lane / 4, t = lane % 4;
    const int warp_m = warp % 2, warp_k = warp / 2;
    extern __shared__ float4 shared[];
    int2* offsets = reinterpret_cast<int2*>(shared);
    T* window = reinterpret_cast<T*>(shared) + (tile.steps * 4 * sizeof(int2) + 15) / 16 * 16 / sizeof(T);

    int block = blockIdx.x;
    const int blocks_k = (K + 16 * N_TILES - 1) / (16 * N_TILES), block_k = block % blocks_k;
    block /= blocks_k;
    const int blocks_q = (Q + tile.across * 8 - 1) / (tile.across * 8), blocks_p = (P + tile.rows - 1) / tile.rows;
    const int block_q = block % blocks_q * tile.across * 8, block_p = block / blocks_q % blocks_p * tile.rows;
    const int n = block / blocks_q / blocks_p;
    const int top = block_p * stride - padding, left = block_q * stride - padding - tile.lead - tile.shift;

    for (int i = warp * 32 + lane; i < tile.steps * 8; i += 32 * WARPS) {
        const Place at = place(i, R, tile);
        const int offset = at.c < tile.depth ? at.c * tile.plane + at.r * dilation * tile.w + at.s * TAPS<T> * dilation : 0;
        reinterpret_cast<int*>(offsets)[(i / 8 * 4 + i % 4) * 2 + i / 4 % 2] = offset * int(sizeof(T));
    }
    int base[2 * M_TILES];  // where the lane's pixels begin in the window, bytes
#pragma unroll
    for (int m = 0; m < 2 * M_TILES; ++m) {
        const int octet = warp_m * 2 * M_TILES + m, row = min(octet / tile.across, tile.rows - 1);
        base[m] = (row * stride * tile.w + (octet % tile.across * 8 + g) * stride + tile.shift) * int(sizeof(T));
    }

    const int chunks = (C + tile.depth - 1) / tile.depth;
    const uint4* weights = packed + block_k * chunks * tile.steps * N_TILES * 32 + warp_k * N_TILES / 2 * 32 + lane;
    uint4 next[N_TILES / 2];
#pragma unroll
    for (int j = 0; j < N_TILES / 2; ++j) next[j] = weights[j * 32];

    float sum[M_TILES][N_TILES][4] = {};
    for (int chunk = 0; chunk < chunks; ++chunk) {
        if (chunk > 0) __syncthreads();
        for (int row = warp; row < tile.depth * tile.h; row += WARPS) {
            const int c = chunk * tile.depth + row / tile.h, h = top + row % tile.h;
            const bool inside = c < C && h >= 0 && h < H;
            const T* from = input + (inside ? ((n * C + c) * H + h) * W : 0);
            T* to = window + row / tile.h * tile.plane + row % tile.h * tile.w;
            if (tile.vectors) {
                for (int x = lane * VECTOR; x < tile.w; x += 32 * VECTOR) {
                    const bool in = inside && left + x >= 0 && left + x < W;
                    copy_async<16>(to + x, from + (in ? left + x : 0), in);
                }
            } else {
                for (int x = lane; x < tile.w; x += 32) {
                    const bool in = inside && left + x >= 0 && left + x < W;
                    const T value = in ? from[left + x] : T(0.0f);
                    if constexpr (sizeof(T) == 4)
                        reinterpret_cast<uint32_t*>(to)[x] = to_tf32(value);
                    else
                        to[x] = value;
                }
            }
        }
        if (tile.vectors) {
            commit_copies();
            wait_for_copies<0>();
#ifndef NOROUND
            if constexpr (sizeof(T) == 4)
                for (int row = warp; row < tile.depth * tile.h; row += WARPS) {
                    T* to = window + row / tile.h * tile.plane + row % tile.h * tile.w;
                    for (int x = lane * VECTOR; x < tile.w; x += 32 * VECTOR) {
                        const float4 v = *reinterpret_cast<float4*>(to + x);
                        *reinterpret_cast<uint4*>(to + x) = {to_tf32(v.x), to_tf32(v.y), to_tf32(v.z), to_tf32(v.w)};
                    }
                }
#endif
        }
        __syncthreads();

        const char* bytes = reinterpret_cast<const char*>(window);
        for (int step = 0; step < tile.steps; ++step) {
            uint4 b[N_TILES / 2];
            weights += N_TILES * 32;
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
#ifdef DIRECT
#pragma unroll
    for (int m = 0; m < 2 * M_TILES; ++m) {
        const int octet = warp_m * 2 * M_TILES + m, row = octet / tile.across;
        const int p = block_p + row, q = block_q + octet % tile.across * 8 + g;
        if (row < tile.rows && p < P && q < Q)
#pragma unroll
            for (int i = 0; i < 2 * N_TILES; ++i) {
                const int k = block_k * 16 * N_TILES + warp_k * 8 * N_TILES + i / 2 * 8 + 2 * t + i % 2;
                if (k < K) store(image + (k * P + p) * Q + q, sum[m / 2][i / 2][m % 2 * 2 + i % 2] + (bias ? float(bias[k]) : 0.0f));
            }
    }
#else
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
        const int first_k = block_k * 16 * N_TILES + warp_k * 8 * N_TILES + i * 8;
#pragma unroll
        for (int c = 0; c < 8; ++c) {
            const int k = first_k + c;
            if (k >= K) break;
            const float b = bias ? float(bias[k]) : 0.0f;
#pragma unroll
            for (int j = 0; j < (16 * M_TILES + 31) / 32; ++j)
                if (where[j] >= 0) store(image + k * P * Q + where[j], turned[c * PITCH + lane + 32 * j] + b);
        }
        __syncwarp();
    }
#endif
}

constexpr int64_t round_up(int64_t value, int64_t unit) { return (value + unit - 1) / unit * unit; }

template <class T, int N_TILES, bool PAIRS>
void launch(const torch::Tensor& input, const torch::Tensor& weight, const std::optional<torch::Tensor>& bias,
            torch::Tensor& output, const Conv2d& size) {
    constexpr int VECTOR = 16 / sizeof(T);
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
    int64_t depth = std::clamp<int64_t>((N_TILES > 4 ? 100 : 68) * 1024 / bytes_c, 1, size.C);
    if (depth >= 8) {
        depth -= depth % 8;
        while (size.C % 8 == 0 && size.C % depth) depth -= 8;
    }
    tile.w = w, tile.h = h, tile.plane = plane, tile.depth = depth;
    const int64_t steps = round_up(depth * area(size.R, tile.words), 8) / 8;
    tile.steps = steps;
    tile.vectors = size.W % VECTOR == 0 && reinterpret_cast<uintptr_t>(input.data_ptr()) % 16 == 0;
    const int64_t bytes = std::max<int64_t>(round_up(steps * 32, 16) + depth * plane * sizeof(T), WARPS * 8 * PITCH * 4);
    const auto kernel = conv2d_mma_window<T, N_TILES, PAIRS>;
    const int shared = shared_bytes(kernel, bytes, "the window");

    const int chunks = ceil_div(size.C, depth), blocks_k = ceil_div(size.K, 16 * N_TILES);
    const int64_t count = int64_t(blocks_k) * chunks * steps * N_TILES * 128;
    TORCH_CHECK(count < INT_MAX, "too many weights");
    auto packed = torch::empty({count * TAPS<T>}, weight.options());
    const auto stream = at::cuda::getCurrentCUDAStream();
    pack<T><<<ceil_div(count, 256), 256, 0, stream>>>(static_cast<const T*>(weight.data_ptr()),
                                                    static_cast<uint32_t*>(packed.data_ptr()), size, tile,
                                                    16 * N_TILES, chunks, int(count));
    C10_CUDA_KERNEL_LAUNCH_CHECK();
    const dim3 grid = grid_of(int64_t(size.N) * blocks_k * ceil_div(size.Q, tile.across * 8) * ceil_div(size.P, tile.rows), 1, 1);
    kernel<<<grid, dim3(32, WARPS), shared, stream>>>(
        static_cast<const T*>(input.data_ptr()), static_cast<const uint4*>(packed.data_ptr()),
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
        (wide ? launch<float, 6, true> : launch<float, 4, true>)(input, weight, bias, output, size);
    else if (stride % 2 == 0 && dilation == 1)
        (wide ? launch<__nv_bfloat16, 6, true> : launch<__nv_bfloat16, 4, true>)(input, weight, bias, output, size);
    else
        (wide ? launch<__nv_bfloat16, 6, false> : launch<__nv_bfloat16, 4, false>)(input, weight, bias, output, size);
    return output;
}
