// The gradient of a convolution's input as a convolution of grad_output, with a register tile a thread.
// Pixel h of the input meets tap r in the output p = (h + padding - r dilation) / stride, where that divides.
// So cut the padded input into cells of stride x stride pixels: all pixels of cell a reach the outputs a,
// a - 1, ... and differ in their taps only. For one phase (a place in the cell) that is a convolution of
// stride 1 with a filter of about R / stride x S / stride taps, and no thread asks what divides what:
// - Where there are few channels, the phases of a cell's row are computed together, as if they were channels:
//   alexnet_conv1 has 3 x 4 of them. A thread computes CHANNELS such channels of 8 cells: for each tap it
//   reads 3 float4 of weights, the same for all of a warp, and 8 gradients, for 96 products.
// - Cells of all rows and images lie in one long line, with zeros between the rows that stand for the
//   padding on either side. A warp takes 256 neighbours of it, whatever the width of an image is: its reads
//   have no bank conflicts, and a tap is a constant offset in the line.
#include "gradients.h"
#include "sgemm.h"

constexpr int WARPS = 4;
#ifndef APART
#define APART 1
#endif
constexpr int STAGES = 2;
#ifndef STAGE
#define STAGE 6144
#endif
#ifndef BLOCKS
#define BLOCKS 3
#endif

// Rows or columns: which cells there are, and how they lie in the line.
struct Axis {
    int taps, step;    // the most that a pixel meets, and how many outputs lie between two of them
    int first, cells;  // the first pixel's cell, and how many have pixels
    int begin, pitch;  // the output at a row's first place; the places from one row to the next
};

struct Plan {
    Axis rows, columns;
    int merged;         // phases of a cell's row that are computed together: all, or 1
    int warps_m;        // warps side by side along the channels
    int window, depth;  // places that a block reads, output channels that it stages at a time
};

// How many taps a phase has along an axis of `size` taps.
__host__ __device__ inline int taps_of_phase(int phase, int size, const Axis& axis, int stride, int dilation) {
    const int reach = (size - 1) * dilation - phase;
    return reach < 0 ? 0 : reach / (stride * axis.step) + 1;
}

// The tap that reaches `back` outputs back from a phase's cell, or -1.
__device__ inline int tap_of_phase(int phase, int back, int size, int stride, int dilation) {
    const int distance = phase + stride * back, tap = distance / dilation;
    return distance % dilation == 0 && tap < size ? tap : -1;
}

__host__ __device__ constexpr int up4(int x) { return (x + 3) / 4 * 4; }

// The weights in the order in which the blocks read them, packed[phase][group of channels][k][tap][channel],
// zero where there is no such tap or channel. The tap that reaches back furthest comes first.
template <int CHANNELS>
__global__ void pack(const float* __restrict__ weight, float* __restrict__ packed, Conv2d size, Plan plan,
                     int groups, int count) {
    const auto [N, C, H, W, K, R, S, P, Q, stride, padding, dilation] = size;
    const int place = blockIdx.x * blockDim.x + threadIdx.x;
    if (place >= count) return;
    int rest = place / up4(CHANNELS);
    const int back_w = plan.columns.taps - 1 - rest % plan.columns.taps;
    const int back_h = plan.rows.taps - 1 - (rest /= plan.columns.taps) % plan.rows.taps;
    const int warp = (rest /= plan.rows.taps) % plan.warps_m, k = (rest /= plan.warps_m) % K;
    const int group = (rest /= K) % groups, phase = rest / groups, channel = place % up4(CHANNELS);
    const int m = (group * plan.warps_m + warp) * CHANNELS + channel, c = m / plan.merged;
    const int apart = stride / plan.merged, phase_h = phase / apart, phase_w = phase % apart + m % plan.merged;
    const int r = tap_of_phase(phase_h, back_h * plan.rows.step, R, stride, dilation);
    const int s = tap_of_phase(phase_w, back_w * plan.columns.step, S, stride, dilation);
    const bool exists = channel < CHANNELS && c < C && r >= 0 && s >= 0;
    packed[place] = exists ? weight[((k * C + c) * R + r) * S + s] : 0.0f;
}

// TAPS is the number of a row's taps, one output apart, where the compiler shall know it; 0 stands for any.
template <int CHANNELS, int CELLS, int TAPS>
__global__ void __launch_bounds__(32 * WARPS, BLOCKS)
    conv2d_dgrad_tiled(const float* __restrict__ grad_output, const float* __restrict__ packed,
                       float* __restrict__ grad_input, Conv2d size, Plan plan, int groups) {
    const auto [N, C, H, W, K, R, S, P, Q, stride, padding, dilation] = size;
    const Axis rows = plan.rows, columns = plan.columns;
    const int merged = plan.merged, warps_m = plan.warps_m, window = plan.window, depth = plan.depth;
    const int pixels = P * Q, channels = K, row_step = rows.step * columns.pitch;
    const int lane = threadIdx.x, warp = threadIdx.y, thread = warp * 32 + lane;
    constexpr int WIDTH = up4(CHANNELS);
    const int taps = rows.taps * columns.taps, filters = warps_m * taps * WIDTH;
    extern __shared__ float4 shared[];
    int* places = reinterpret_cast<int*>(shared);  // where the window's gradients lie in image and channel
    float* buffers = reinterpret_cast<float*>(places + window);

    // Side by side in the grid: what reads the same gradients.
    const int apart = stride / merged, phases = stride * apart, phase = blockIdx.x % phases;
    const int phase_h = phase / apart, phase_w = phase % apart;
    const int group = blockIdx.x / phases % groups;
    const int first = blockIdx.x / phases / groups * (WARPS / warps_m * 32 * CELLS);
    const int skip_h = rows.taps - taps_of_phase(phase_h, R, rows, stride, dilation);
    const int skip_w = TAPS ? 0 : columns.taps - taps_of_phase(phase_w, S, columns, stride, dilation);
    for (int i = thread; i < window; i += 32 * WARPS) {
        const int row = (first + i) / columns.pitch, n = row / rows.pitch;
        const int p = rows.begin + row % rows.pitch, q = columns.begin + (first + i) % columns.pitch;
        places[i] = n < N && p >= 0 && p < P && q >= 0 && q < Q ? (n * K * P + p) * Q + q : -1;
    }
    __syncthreads();

    const float* block_packed = packed + (phase * groups + group) * K * filters;
    const int warp_m = warp % warps_m, warp_first = warp / warps_m * 32 * CELLS + lane * (APART == 1 ? CELLS : 1);
    float sum[CHANNELS][CELLS] = {};
    const auto load = [&](int stage, int step) {
        float* to = buffers + stage * depth * (window + filters);
        const int first_k = step * depth;
        for (int i = thread; i < window; i += 32 * WARPS) {
            const int place = places[i];
            const float* from = grad_output + first_k * pixels + max(place, 0);
#pragma unroll 4
            for (int d = 0; d < depth; ++d)
                copy_async<4>(to + d * window + i, from + d * pixels, place >= 0 && first_k + d < channels);
        }
        to += depth * window;
        for (int i = 4 * thread; i < depth * filters; i += 4 * 32 * WARPS)
            copy_async<16>(to + i, block_packed + first_k * filters + i, first_k * filters + i < channels * filters);
    };
    const auto multiply = [&](int stage) {
        const float* line = buffers + stage * depth * (window + filters) + warp_first;
        const float* f = buffers + stage * depth * (window + filters) + depth * window +
                         (warp_m * taps + skip_h * columns.taps) * WIDTH;
        line += skip_h * row_step;
        for (int d = 0; d < depth; ++d) {
            const float* row = line + d * window;
            const float* row_f = f + d * filters;
#pragma unroll 1
            for (int r = skip_h; r < rows.taps; ++r) {
                float x[CELLS + (TAPS ? TAPS - 1 : 0)];
                if (TAPS && APART == 1)
#pragma unroll
                    for (int j = 0; j < CELLS + TAPS - 1; ++j) x[j] = row[j];
#pragma unroll
                for (int s = skip_w; s < (TAPS ? TAPS : columns.taps); ++s) {
                    float w[WIDTH];
#pragma unroll
                    for (int i = 0; i < CHANNELS; i += 4) load4(w + i, row_f + s * WIDTH + i);
                    if (!TAPS || APART != 1)
#pragma unroll
                    for (int j = 0; j < CELLS; ++j) x[j] = row[APART * j + s * (TAPS ? 1 : columns.step)];
#pragma unroll
                    for (int j = 0; j < CELLS; ++j)
#pragma unroll
                        for (int i = 0; i < CHANNELS; ++i) sum[i][j] += w[i] * x[j + (TAPS && APART == 1 ? s : 0)];
                }
                row += row_step;
                row_f += columns.taps * WIDTH;
            }
        }
    };
    pipeline<STAGES>((K + depth - 1) / depth, load, multiply);

    int to[CELLS], left[CELLS];  // of each cell: its first pixel, seen from the first channel; its column
#pragma unroll
    for (int j = 0; j < CELLS; ++j) {
        const int place = first + warp_first + APART * j, row = place / columns.pitch, n = row / rows.pitch;
        const int y = row % rows.pitch, x = place % columns.pitch;
        const int h = (rows.first + y) * stride + phase_h - padding;
        left[j] = (columns.first + x) * stride + phase_w - padding;
        to[j] = (n * C * H + h) * W + left[j];
        if (n >= N || y >= rows.cells || x >= columns.cells || h < 0 || h >= H) left[j] = W;  // no pixel
    }
#pragma unroll
    for (int i = 0; i < CHANNELS; ++i) {
        const int m = (group * warps_m + warp_m) * CHANNELS + i, c = m / merged, x = m % merged;
        if (c >= C) break;
#pragma unroll
        for (int j = 0; j < CELLS; ++j)
            if (left[j] + x >= 0 && left[j] + x < W) grad_input[to[j] + c * H * W + x] = sum[i][j];
    }
}

static Axis axis_of(int size, int taps, int outputs, int stride, int padding, int dilation) {
    Axis axis;
    axis.step = dilation % stride == 0 ? dilation / stride : 1;
    axis.taps = (taps - 1) * dilation / (stride * axis.step) + 1;
    axis.first = padding / stride;
    const int last = (size - 1 + padding) / stride;
    axis.cells = last - axis.first + 1;
    axis.begin = axis.first - (axis.taps - 1) * axis.step;
    // Zeros at the end of a row are the next row's zeros at the beginning, too.
    axis.pitch = last - axis.begin + 1 - std::min(std::max(-axis.begin, 0), std::max(last - outputs + 1, 0));
    return axis;
}

template <int CHANNELS, int CELLS, int TAPS>
static void launch(const torch::Tensor& grad_output, const torch::Tensor& weight, torch::Tensor& grad_input,
                   const Conv2d& size, Plan plan) {
    const Axis rows = plan.rows, columns = plan.columns;
    const int warps = ceil_div(size.C * plan.merged, CHANNELS);
    plan.warps_m = warps > 2 ? 4 : warps;
    const int groups = ceil_div(warps, plan.warps_m), tile_cells = WARPS / plan.warps_m * 32 * CELLS;
    const int64_t halo = area(rows.taps - 1, int64_t(rows.step) * columns.pitch) +
                         (columns.taps - 1) * columns.step;
    const int64_t window = std::min<int64_t>(up4(tile_cells + halo), INT_MAX / 4);
    const int64_t filters = area(area(rows.taps, columns.taps), plan.warps_m * up4(CHANNELS));
    plan.window = window;
    plan.depth = std::clamp<int64_t>(STAGE / (window + filters), 1, size.K);
    const auto kernel = conv2d_dgrad_tiled<CHANNELS, CELLS, TAPS>;
    const int bytes = shared_bytes(kernel, 4 * (window + STAGES * plan.depth * (window + filters)),
                                   "rows of grad_output and filters");
    const int64_t phases = int64_t(size.stride) * (size.stride / plan.merged);
    const int64_t line = int64_t(size.N) * rows.pitch * columns.pitch;
    TORCH_CHECK(line < INT_MAX - tile_cells - halo, "the padded gradients are too large for int offsets");
    TORCH_CHECK(area(phases * groups, filters) <= INT_MAX / size.K, "the packed weights are too large for int offsets");
    const int count = phases * groups * size.K * filters;
    auto packed = torch::empty({count}, weight.options());

    const auto stream = at::cuda::getCurrentCUDAStream();
    pack<CHANNELS><<<ceil_div(count, 256), 256, 0, stream>>>(
        weight.data_ptr<float>(), packed.data_ptr<float>(), size, plan, groups, count);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
    kernel<<<grid_of(ceil_div(line, tile_cells) * groups * phases, 1, 1), dim3(32, WARPS), bytes, stream>>>(
        grad_output.data_ptr<float>(), packed.data_ptr<float>(), grad_input.data_ptr<float>(), size, plan,
        groups);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
}

torch::Tensor conv2d_dgrad(torch::Tensor grad_output, torch::Tensor weight, int64_t height, int64_t width,
                           int64_t stride = 1, int64_t padding = 0, int64_t dilation = 1) {
    const Conv2d size = conv2d_dgrad_sizes(grad_output, weight, height, width, stride, padding, dilation);
    const c10::cuda::CUDAGuard guard(grad_output.device());
    require_sm(80, "cp.async");
    auto grad_input = torch::empty({size.N, size.C, size.H, size.W}, grad_output.options());
    if (size.N == 0) return grad_input;  // CUDA refuses to launch a grid without blocks

    Plan plan;
    plan.rows = axis_of(size.H, size.R, size.P, stride, padding, dilation);
    plan.columns = axis_of(size.W, size.S, size.Q, stride, padding, dilation);
    plan.merged = size.C < 8 ? stride : 1;
    const int channels = size.C * plan.merged;
    const int taps = plan.columns.step == 1 && plan.merged == stride ? plan.columns.taps : 0;
#ifndef C12
#define C12 9
#define C6 15
#define C16 7
#define C8 11
#endif
    if (taps == 3 && channels <= 12)
        launch<12, C12, 3>(grad_output, weight, grad_input, size, plan);
    else if (taps == 4 && channels <= 6)
        launch<6, C6, 4>(grad_output, weight, grad_input, size, plan);
    else if (taps == 3)
        launch<16, C16, 3>(grad_output, weight, grad_input, size, plan);
    else
        launch<8, C8, 0>(grad_output, weight, grad_input, size, plan);
    return grad_input;
}
