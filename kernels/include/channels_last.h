// What the tensor-core kernels for channels_last tensors share. The implicit GEMM's inner index is (r, s, c),
// c fastest: channels lie side by side, so that 16 bytes of them, a piece, are copied at once.
#pragma once

#include "conv.h"
#include "ptx.h"

using bf16 = __nv_bfloat16;
constexpr int PIECES = 8;  // of 16 bytes: a row of a tile in shared memory is 128 bytes, once round the banks
// Most rows and columns of a filter: Row::outside has a bit for each, and bit 15 for what is past the end.
constexpr int MOST_TAPS = 15;

// A pixel of the tile: where its window begins, in pieces, and which taps lie in the padding: a bit for every
// r, and from bit 16 on for every s.
struct Row {
    unsigned begin, outside;
};

// The row of output pixel m, counted over n, p and q; all of it is outside past the last one.
__device__ __forceinline__ Row row_of(int m, const Conv2d& size, int pieces) {
    const auto& [N, C, H, W, K, R, S, P, Q, stride, padding, dilation] = size;
    const int n = m / (P * Q), p = m / Q % P, q = m % Q;
    const int h0 = p * stride - padding, w0 = q * stride - padding;
    unsigned outside = ~0u;
    for (int r = 0; r < R && n < N; ++r)
        if (unsigned(h0 + r * dilation) < unsigned(H)) outside -= 1u << r;
    for (int s = 0; s < S; ++s)
        if (unsigned(w0 + s * dilation) < unsigned(W)) outside -= 1u << 16 << s;
    return {((unsigned(n) * H + h0) * W + w0) * pieces, outside};
}

// Rows first, first + APART, ... The PIECES neighbouring threads that copy them share the work: each finds
// one of PIECES.
template <int APART, int COUNT>
__device__ __forceinline__ void rows_of(Row (&rows)[COUNT], int first, const Conv2d& size, int pieces) {
#pragma unroll
    for (int i = 0; i < COUNT; i += PIECES) {
        const Row own = row_of(first + (i + int(threadIdx.x) % PIECES) * APART, size, pieces);
#pragma unroll
        for (int j = 0; j < PIECES && i + j < COUNT; ++j)
            rows[i + j] = {__shfl_sync(~0u, own.begin, j, PIECES), __shfl_sync(~0u, own.outside, j, PIECES)};
    }
}

// Piece `piece` of row `row` of a tile. Neighbouring rows have their pieces in other orders, so that eight
// rows of one piece, a matrix of ldmatrix, lie in different banks.
__device__ __forceinline__ int place(int row, int piece) { return row * PIECES + (piece ^ row % PIECES); }

// How a number is prepared for a product, if it is not.
struct Unchanged {
    template <class T>
    __device__ T operator()(T x) const {
        return x;
    }
};

// Before the product: rows of C channels become rows of `pieces` whole pieces, what is past C 0, each number
// prepared. A thread makes a piece.
template <class Prepare, class T>
__global__ void pack(const T* __restrict__ from, uint4* __restrict__ to, unsigned all, int C, int pieces) {
    constexpr int PER_PIECE = 16 / sizeof(T);
    const unsigned i = blockIdx.x * blockDim.x + threadIdx.x, first = i % pieces * PER_PIECE;
    if (i >= all) return;
    from += size_t(i / pieces) * C + first;
    alignas(16) T piece[PER_PIECE];
#pragma unroll
    for (int c = 0; c < PER_PIECE; ++c) piece[c] = first + c < C ? Prepare()(from[c]) : T(0.0f);
    to[i] = *reinterpret_cast<const uint4*>(piece);
}

// The tensor with its channels in whole, aligned pieces. Where nothing has to change, the tensor itself.
template <class Prepare, class T>
torch::Tensor packed(const torch::Tensor& tensor, bool always, cudaStream_t stream) {
    constexpr int PER_PIECE = 16 / sizeof(T);
    const int C = tensor.size(1), pieces = ceil_div(C, PER_PIECE), padded = pieces * PER_PIECE;
    if (!always && padded == C && reinterpret_cast<uintptr_t>(tensor.data_ptr()) % 16 == 0) return tensor;
    const int64_t rows = tensor.numel() / C, all = rows * pieces;
    auto copy = torch::empty({rows, padded}, tensor.options().memory_format(torch::MemoryFormat::Contiguous));
    pack<Prepare><<<grid_of((all + 255) / 256, 1, 1), 256, 0, stream>>>(
        static_cast<const T*>(tensor.data_ptr()), static_cast<uint4*>(copy.data_ptr()), unsigned(all), C,
        pieces);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
    return copy;
}

// Sizes for float32 or bfloat16 tensors in channels_last. Throws as conv2d_sizes.
inline Conv2d channels_last_sizes(const torch::Tensor& input, const torch::Tensor& weight,
                                  const std::optional<torch::Tensor>& bias, int64_t stride, int64_t padding,
                                  int64_t dilation) {
    const Conv2d size = conv2d_sizes_any_layout(input, weight, bias, stride, padding, dilation, false,
                                                float32_or_bfloat16(input));
    for (const auto& [name, tensor] : {std::pair("input", &input), std::pair("weight", &weight)})
        TORCH_CHECK(tensor->is_contiguous(torch::MemoryFormat::ChannelsLast), name,
                    " must be channels_last: pass ", name, ".to(memory_format=torch.channels_last)");
    TORCH_CHECK(size.R <= MOST_TAPS && size.S <= MOST_TAPS, "a filter has at most ", MOST_TAPS, " x ",
                MOST_TAPS, " taps here, one bit each");
    TORCH_CHECK(int64_t(size.N) * size.P * size.Q <= INT_MAX - 256,
                "too many output pixels: int indices overflow");
    return size;
}

inline torch::Tensor channels_last_output(const Conv2d& size, const torch::Tensor& input) {
    return torch::empty({size.N, size.K, size.P, size.Q},
                        input.options().memory_format(torch::MemoryFormat::ChannelsLast));
}
