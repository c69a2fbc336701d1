// The gradient of a convolution's input as convolutions of grad_output, with a register tile a thread.
// Pixel h of the input meets tap r in the output p = (h + padding - r dilation) / stride, where that divides.
// So cut the padded input into cells of stride x stride pixels. All pixels of cell a meet the outputs a,
// a - 1, ...; which taps they meet there depends on their phase alone, the place in the cell. For one phase
// that is a convolution of stride 1, of about R / stride x S / stride taps: nobody asks any more what divides
// what, and the lanes of a warp always do the same.
// - Where there are few channels, the phases of a cell's row count as channels, too: alexnet_conv1 has 3 x 4.
//   A thread computes CHANNELS of them for CELLS cells, and reads two output channels at a time: for a tap 6
//   float4 of weights, the same for all of a warp, and 9 pairs of gradients make 216 products. The warps of a
//   block take different slices (channels or phases) of the same cells, and so share the gradients.
// - The cells of all rows and images lie in one line, with the zeros that stand for the padding between the
//   rows. A warp takes 32 CELLS neighbours of it, however wide an image is. A tap is a distance in the line.
// Measured on an H200, 2026-11-21, float32: alexnet_conv1 1.45 ms (conv2d_dgrad_naive 271, cuDNN 1.32),
// resnet_conv1 0.463 (cuDNN 0.971), vgg_conv2 1.52 (1.59), resnet_3x3_56 0.358 (0.229), _28 0.394 (0.188),
// _14 0.472 (0.510). Slower on alexnet_conv1, each against the version of its time: a block for each phase of
// the rows (1.66 ms against 1.53), cells of a thread next to each other (1.86 against 1.57): fewer reads, but
// the compiler then finds no registers that deliver three operands in one cycle (see conv2d_window.cu).
#include "gradients.h"
#include "sgemm.h"

constexpr int WARPS = 4, STAGES = 2;
constexpr int STAGE = 6144;  // floats to stage at a time, about: output channels are added until it is full

// Rows or columns: the cells that have pixels, and how they lie in the line.
struct Axis {
    int taps, step;    // the most that a pixel meets, and the outputs from one to the next
    int first, cells;  // the cell of the first pixel, and their number
    int begin, pitch;  // the output in a row's first place, and the places from one row to the next
};

struct Plan {
    Axis rows, columns;
    int merged;         // phases of a cell's row that count as channels: all, or 1
    int warps, groups;  // warps of a block that share cells, and how many such groups the slices make
    int window, depth;  // places that a block reads, output channels that it stages at a time
};

// What a warp computes: CHANNELS channels, from `first` on, of a phase. Channel m stands for channel m % C of
// the input and, with merged phases, for column m / C of the cell.
struct Slice {
    int phase_h, phase_w, first;
};

template <int CHANNELS>
__device__ Slice slice_of(int slice, int C, int stride, const Plan& plan) {
    const int slices = (C * plan.merged + CHANNELS - 1) / CHANNELS, across = stride / plan.merged;
    return {slice / slices / across, slice / slices % across, slice % slices * CHANNELS};
}

// The taps that a phase meets along an axis with `size` of them.
__device__ inline int taps_of(int phase, int size, const Axis& axis, int stride, int dilation) {
    const int reach = (size - 1) * dilation - phase;
    return reach < 0 || phase >= stride ? 0 : reach / (stride * axis.step) + 1;
}

// The tap that a phase meets `back` outputs before its cell, or -1.
__device__ inline int tap_at(int back, int phase, int size, int stride, int dilation) {
    const int distance = phase + stride * back, tap = distance / dilation;
    return distance % dilation == 0 && tap < size ? tap : -1;
}

__host__ __device__ constexpr int up4(int x) { return (x + 3) / 4 * 4; }

// The weights as the blocks read them, packed[group][k][warp][tap][channel], with zeros where there is no
// such tap or channel. The taps furthest back come first.
template <int CHANNELS>
__global__ void pack(const float* __restrict__ weight, float* __restrict__ packed, Conv2d size, Plan plan,
                     int count) {
    const auto [N, C, H, W, K, R, S, P, Q, stride, padding, dilation] = size;
    const int place = blockIdx.x * blockDim.x + threadIdx.x;
    if (place >= count) return;
    const int channel = place % up4(CHANNELS);
    int rest = place / up4(CHANNELS);
    const int x = rest % plan.columns.taps, y = (rest /= plan.columns.taps) % plan.rows.taps;
    const int warp = (rest /= plan.rows.taps) % plan.warps, k = (rest /= plan.warps) % K, group = rest / K;
    const auto [phase_h, phase_w, first] = slice_of<CHANNELS>(group * plan.warps + warp, C, stride, plan);
    const int c = (first + channel) % C, column = (first + channel) / C;
    const int back_h = (plan.rows.taps - 1 - y) * plan.rows.step;
    const int back_w = (plan.columns.taps - 1 - x) * plan.columns.step;
    const int r = tap_at(back_h, phase_h, R, stride, dilation);
    const int s = tap_at(back_w, phase_w + column, S, stride, dilation);
    const bool exists = channel < CHANNELS && column < plan.merged && phase_h < stride && r >= 0 && s >= 0;
    packed[place] = exists ? weight[((k * C + c) * R + r) * S + s] : 0.0f;
}

// The products of one tap with two output channels, whose gradients lie side by side and whose weights lie
// `apart`: for the first COUNT channels, and for every 32nd cell.
template <int COUNT, int CHANNELS, int CELLS>
__device__ __forceinline__ void add_products(float (&sum)[CHANNELS][CELLS], const float* weights, int apart,
                                             const float* gradients) {
    float w[2][up4(COUNT)];
    float2 x[CELLS];
#pragma unroll
    for (int i = 0; i < COUNT; i += 4) load4(w[0] + i, weights + i), load4(w[1] + i, weights + apart + i);
#pragma unroll
    for (int j = 0; j < CELLS; ++j) x[j] = reinterpret_cast<const float2*>(gradients)[32 * j];
#pragma unroll
    for (int j = 0; j < CELLS; ++j) {
#pragma unroll
        for (int i = 0; i < COUNT; ++i) sum[i][j] += w[0][i] * x[j].x;
#pragma unroll
        for (int i = 0; i < COUNT; ++i) sum[i][j] += w[1][i] * x[j].y;
    }
}

// Only the first FAR channels have the tap furthest back.
template <int CHANNELS, int CELLS, int FAR>
__global__ void __launch_bounds__(32 * WARPS, 3)
    conv2d_dgrad_tiled(const float* __restrict__ grad_output, const float* __restrict__ packed,
                       float* __restrict__ grad_input, Conv2d size, Plan plan) {
    const auto [N, C, H, W, K, R, S, P, Q, stride, padding, dilation] = size;
    const Axis rows = plan.rows, columns = plan.columns;
    constexpr int WIDTH = up4(CHANNELS);
    const int lane = threadIdx.x, warp = threadIdx.y, thread = warp * 32 + lane;
    const int window = plan.window, depth = plan.depth, channels = K, pixels = P * Q;
    const int taps = rows.taps * columns.taps, filters = plan.warps * taps * WIDTH;
    extern __shared__ float4 shared[];
    int* places = reinterpret_cast<int*>(shared);  // of the window's gradients in an image's first channel
    float* stages = reinterpret_cast<float*>(places + window);  // depth x window gradients, depth x filters

    const int group = blockIdx.x % plan.groups;  // side by side in the grid: what reads the same gradients
    const int first_cell = blockIdx.x / plan.groups * (WARPS / plan.warps * 32 * CELLS);
    for (int i = thread; i < window; i += 32 * WARPS) {
        const int row = (first_cell + i) / columns.pitch, n = row / rows.pitch;
        const int p = rows.begin + row % rows.pitch, q = columns.begin + (first_cell + i) % columns.pitch;
        places[i] = n < N && p >= 0 && p < P && q >= 0 && q < Q ? (n * K * P + p) * Q + q : -1;
    }
    __syncthreads();

    const float* block_packed = packed + group * K * filters;
    const auto load = [&](int stage, int step) {
        float* to = stages + stage * depth * (window + filters);
        const int first_k = step * depth;
        for (int i = thread; i < window; i += 32 * WARPS) {
            const int place = places[i];
            const float* from = grad_output + first_k * pixels + max(place, 0);
#pragma unroll 4
            for (int d = 0; d < depth; ++d)
                copy_async<4>(to + d / 2 * 2 * window + 2 * i + d % 2, from + d * pixels,
                              place >= 0 && first_k + d < channels);
        }
        to += depth * window;
        for (int i = 4 * thread; i < depth * filters; i += 4 * 32 * WARPS)
            copy_async<16>(to + i, block_packed + first_k * filters + i,
                           first_k * filters + i < channels * filters);
    };

    // Blocks give the slices to their warps in turn: some phases have fewer taps.
    const int slice = (warp + blockIdx.x) % plan.warps, my_cell = warp / plan.warps * 32 * CELLS + lane;
    const auto [phase_h, phase_w, first_m] = slice_of<CHANNELS>(group * plan.warps + slice, C, stride, plan);
    const int skip_h = rows.taps - taps_of(phase_h, R, rows, stride, dilation);
    const int skip_w = columns.taps - taps_of(phase_w, S, columns, stride, dilation);
    const int row_step = rows.step * columns.pitch;
    float sum[CHANNELS][CELLS] = {};
    const auto multiply = [&](int stage) {
        const float* gradients = stages + stage * depth * (window + filters);
        const float* weights = gradients + depth * window + (slice * taps + skip_h * columns.taps) * WIDTH;
        gradients += 2 * (my_cell + skip_h * row_step);
        for (int d = 0; d < depth; d += 2) {
            const float *row = gradients + d * window, *w = weights + d * filters;
#pragma unroll 1
            for (int r = skip_h; r < rows.taps; ++r) {
                if (FAR < CHANNELS) add_products<FAR>(sum, w, filters, row);
                for (int s = FAR < CHANNELS ? 1 : skip_w; s < columns.taps; ++s)
                    add_products<CHANNELS>(sum, w + s * WIDTH, filters, row + 2 * s * columns.step);
                row += 2 * row_step;
                w += columns.taps * WIDTH;
            }
        }
    };
    pipeline<STAGES>((K + depth - 1) / depth, load, multiply);

    if (phase_h >= stride) return;  // the last group may have too many slices
    int to[CELLS], left[CELLS];     // a cell's first pixel in its image's first channel, and its column
#pragma unroll
    for (int j = 0; j < CELLS; ++j) {
        const int cell = first_cell + my_cell + 32 * j, row = cell / columns.pitch, n = row / rows.pitch;
        const int y = row % rows.pitch, x = cell % columns.pitch;
        const int h = (rows.first + y) * stride + phase_h - padding;
        left[j] = (columns.first + x) * stride + phase_w - padding;
        to[j] = (n * C * H + h) * W + left[j];
        if (n >= N || y >= rows.cells || x >= columns.cells || h < 0 || h >= H) left[j] = W;  // no pixel
    }
#pragma unroll
    for (int i = 0; i < CHANNELS; ++i) {
        const int c = (first_m + i) % C, x = (first_m + i) / C;
        if (x >= plan.merged) break;
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
    // The zeros at the end of a row are those at the beginning of the next, too.
    axis.pitch = last - axis.begin + 1 - std::min(std::max(-axis.begin, 0), std::max(last - outputs + 1, 0));
    return axis;
}

template <int CHANNELS, int CELLS, int FAR>
static void launch(const torch::Tensor& grad_output, const torch::Tensor& weight, torch::Tensor& grad_input,
                   const Conv2d& size, Plan plan) {
    const int64_t slices =
        int64_t(ceil_div(size.C * plan.merged, CHANNELS)) * size.stride * (size.stride / plan.merged);
    plan.warps = slices > 2 ? 4 : slices;
    plan.groups = ceil_div(slices, plan.warps);
    const int cells = WARPS / plan.warps * 32 * CELLS;
    const int64_t halo = area(plan.rows.taps - 1, int64_t(plan.rows.step) * plan.columns.pitch) +
                         (plan.columns.taps - 1) * plan.columns.step;
    plan.window = std::min<int64_t>(up4(cells) + halo / 4 * 4 + 4, INT_MAX);
    const int64_t filters = area(area(plan.rows.taps, plan.columns.taps), plan.warps * up4(CHANNELS));
    const int most = std::clamp<int64_t>(STAGE / (plan.window + filters), 1, size.K);
    plan.depth =
        (ceil_div(size.K, ceil_div(size.K, most)) + 1) / 2 * 2;  // the last stage is as full as the others
    const auto kernel = conv2d_dgrad_tiled<CHANNELS, CELLS, FAR>;
    const int bytes = shared_bytes(kernel, 4 * (plan.window + STAGES * plan.depth * (plan.window + filters)),
                                   "rows of grad_output and filters");
    const int64_t line = int64_t(size.N) * plan.rows.pitch * plan.columns.pitch;
    TORCH_CHECK(line <= 1 << 30 && area(plan.groups, filters) <= (1 << 30) / size.K,
                "the padded gradients or the packed weights have over 2^30 elements: int indices overflow");
    const int count = plan.groups * size.K * filters;
    auto packed = torch::empty({count}, weight.options());

    const auto stream = at::cuda::getCurrentCUDAStream();
    pack<CHANNELS><<<ceil_div(count, 256), 256, 0, stream>>>(weight.data_ptr<float>(),
                                                             packed.data_ptr<float>(), size, plan, count);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
    kernel<<<grid_of(int64_t(ceil_div(line, cells)) * plan.groups, 1, 1), dim3(32, WARPS), bytes, stream>>>(
        grad_output.data_ptr<float>(), packed.data_ptr<float>(), grad_input.data_ptr<float>(), size, plan);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
}

torch::Tensor conv2d_dgrad(torch::Tensor grad_output, torch::Tensor weight, int64_t height, int64_t width,
                           int64_t stride = 1, int64_t padding = 0, int64_t dilation = 1) {
    const Conv2d size = conv2d_dgrad_sizes(grad_output, weight, height, width, stride, padding, dilation);
    TORCH_CHECK(stride <= 1024, "stride must be at most 1024");
    const c10::cuda::CUDAGuard guard(grad_output.device());
    require_sm(80, "cp.async");
    auto grad_input = torch::empty({size.N, size.C, size.H, size.W}, grad_output.options());
    if (size.N == 0) return grad_input;  // CUDA refuses to launch a grid without blocks

    Plan plan;
    plan.rows = axis_of(size.H, size.R, size.P, stride, padding, dilation);
    plan.columns = axis_of(size.W, size.S, size.Q, stride, padding, dilation);
    plan.merged = size.C < 8 ? stride : 1;
    const int channels = size.C * plan.merged;
    const int far = size.C * (dilation == 1 ? (size.S - 1) % stride + 1 : stride);  // have the furthest tap
    if (plan.merged == stride && channels > 8 && channels <= 12 && far <= 9)
        launch<12, 9, 9>(grad_output, weight, grad_input, size, plan);
    else if (plan.merged == stride && channels <= 6 && far <= 3)
        launch<6, 10, 3>(grad_output, weight, grad_input, size, plan);
    else
        launch<8, 11, 8>(grad_output, weight, grad_input, size, plan);
    return grad_input;
}
