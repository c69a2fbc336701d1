// A block's part of a matrix product in float32: a tile of sums in registers, and the pipeline that feeds it.
// Shared by conv2d_winograd.cu and conv2d_pointwise.cu, which differ in what they load and where they store.
#pragma once

#include "ptx.h"

// Four neighbours in one instruction; the address is a multiple of 16 bytes.
__device__ __forceinline__ void load4(float* to, const float* from) {
    const float4 value = *reinterpret_cast<const float4*>(from);
    to[0] = value.x, to[1] = value.y, to[2] = value.z, to[3] = value.w;
}
__device__ __forceinline__ void store4(float* to, const float* from) {
    *reinterpret_cast<float4*>(to) = make_float4(from[0], from[1], from[2], from[3]);
}

// M x N sums of a block of WARPS_M x WARPS_N warps; every thread keeps ROWS x COLUMNS of them in registers.
// For one c it reads ROWS + COLUMNS numbers and makes ROWS COLUMNS products of them. They come in groups of 4
// x 4, because four neighbours are read at once. The lanes of a warp are 4 x 8; a thread's groups lie 4 lanes
// x 4 rows and 8 lanes x 4 columns apart, so that lanes that read or store together have neighbours in a row.
template <int WARPS_M, int WARPS_N, int ROWS_, int COLUMNS_>
struct SgemmTile {
    static constexpr int ROWS = ROWS_, COLUMNS = COLUMNS_, THREADS = 32 * WARPS_M * WARPS_N;
    static constexpr int M = 4 * ROWS * WARPS_M, N = 8 * COLUMNS * WARPS_N;
    float sum[ROWS][COLUMNS] = {};
    int first_row, first_column;

    __device__ SgemmTile() {
        const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
        first_row = warp / WARPS_N * 4 * ROWS + lane / 8 * 4;
        first_column = warp % WARPS_N * 8 * COLUMNS + lane % 8 * 4;
    }

    // Where sum[i][j] belongs in the block's tile.
    __device__ int row(int i) const { return first_row + i / 4 * 16 + i % 4; }
    __device__ int column(int j) const { return first_column + j / 4 * 32 + j % 4; }

    // sum[m][n] += a[c][m] b[c][n], for every c. Rows of a and b may be longer than M and N.
    template <int DEPTH, int PITCH_A, int PITCH_B>
    __device__ __forceinline__ void multiply(const float (&a)[DEPTH][PITCH_A],
                                             const float (&b)[DEPTH][PITCH_B]) {
#pragma unroll
        for (int c = 0; c < DEPTH; ++c) {
            float x[ROWS], y[COLUMNS];
#pragma unroll
            for (int i = 0; i < ROWS; i += 4) load4(x + i, &a[c][row(i)]);
#pragma unroll
            for (int j = 0; j < COLUMNS; j += 4) load4(y + j, &b[c][column(j)]);
#pragma unroll
            for (int i = 0; i < ROWS; ++i)
#pragma unroll
                for (int j = 0; j < COLUMNS; ++j) sum[i][j] += x[i] * y[j];
        }
    }
};

// For every step load(stage, step) starts the copies into one of STAGES buffers, and multiply(stage) uses
// what has arrived there, while the next STAGES - 1 steps are under way. One barrier a step: it says that
// everybody's copies have arrived, and that everybody is done with the buffer that is filled next.
template <int STAGES, class Load, class Multiply>
__device__ __forceinline__ void pipeline(int steps, Load load, Multiply multiply) {
#pragma unroll
    for (int step = 0; step < STAGES - 1; ++step) {
        if (step < steps) load(step, step);
        commit_copies();
    }
    int used = 0, filled = STAGES - 1;
    for (int step = 0; step < steps; ++step) {
        wait_for_copies<STAGES - 2>();
        __syncthreads();
        if (step + STAGES - 1 < steps) load(filled, step + STAGES - 1);
        commit_copies();  // also where there is nothing left to load: the wait counts groups
        multiply(used);
        used = used == STAGES - 1 ? 0 : used + 1;
        filled = filled == STAGES - 1 ? 0 : filled + 1;
    }
}
