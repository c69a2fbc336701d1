// Winograd's F(4x4, 3x3): 4 x 4 outputs of a 3 x 3 filter g from 36 products a channel; the definition takes
// 144. With three constant matrices
//     Y = A^T [ sum over c of (G g_c G^T) . (B^T d_c B) ] A        (. multiplies element by element)
// for a 6 x 6 tile d_c of the input. The sum over the channels is a matrix product of its own for each of the
// 36 elements, filters x channels times channels x tiles: most of the time goes there, and it knows neither
// padding nor neighbours. Four kernels: transform the weight, transform the input, 36 products, transform
// back. (An infinite input or NaN spoils the whole tile.)
//
// The matrices follow from where the polynomials d and g are evaluated. The textbook's 0, +-1, +-2 give small
// integers and lose accuracy; times 3/4 every power is nearer to 1, and the errors are a quarter to a third.
//
// Measured on an H200, 2026-11-21, float32: vgg_conv2 0.677 ms (cuDNN 1.418), resnet_3x3_56 0.191 (0.359),
// resnet_3x3_28 0.143 (0.190), resnet_3x3_14 0.147 (0.222), resnet_3x3_7 0.153 (0.484); errors of 1.6e-6 to
// 3.8e-6 of the largest output, with the textbook's points 6.1e-6 to 1.3e-5. In resnet_3x3_56 the 36 products
// take 89 us (42 TFLOP/s), the transforms of input and output 50 and 44 (3.2 and 3.8 TB/s). Slower: groups of
// 13 images one after the other, for V and M to stay in L2 (0.230 ms instead of 0.196); stores of the output
// straight from the registers (30 us instead of 16 in resnet_3x3_14).
#include "conv.h"
#include "sgemm.h"

constexpr int OUT = 4, TAPS = 3, IN = OUT + TAPS - 1;  // of a tile, down and across
constexpr int PRODUCTS = IN * IN;
constexpr int DEPTH = 16, STAGES = 3;  // of the product: channels loaded at a time, and buffers for them
using Tile = SgemmTile<2, 1, 8, 8>;    // 64 filters x 64 tiles
constexpr int BLOCKS = 8;              // on an SM
constexpr int THREADS = 128;           // of a block that transforms
constexpr int FILTERS = 32, CHANNELS = THREADS / FILTERS;  // weights that a block transforms

// The transformed tensors: U is 36 x C x K, V is 36 x C x T, M is 36 x K x T, for C channels, K filters and T
// tiles, each rounded up to what the product takes at a time. So it has no edges; the transforms write zeros.
struct Plan {
    int down, across, tiles;  // tiles of an image; tiles of all images of this launch
    int C, K, T;
};

// result = matrix x matrix^T.
template <int A, int B>
__device__ __forceinline__ void sandwich(const float (&matrix)[A][B], const float (&x)[B][B],
                                         float (&result)[A][A]) {
    float left[A][B] = {};
#pragma unroll
    for (int i = 0; i < A; ++i)
#pragma unroll
        for (int j = 0; j < B; ++j)
#pragma unroll
            for (int k = 0; k < B; ++k)  // unrolled, the zeros are known to the compiler
                if (matrix[i][k] != 0) left[i][j] += matrix[i][k] * x[k][j];
#pragma unroll
    for (int i = 0; i < A; ++i)
#pragma unroll
        for (int j = 0; j < A; ++j) {
            result[i][j] = 0;
#pragma unroll
            for (int k = 0; k < B; ++k)
                if (matrix[j][k] != 0) result[i][j] += left[i][k] * matrix[j][k];
        }
}

// U = G g G^T for filter k and channel c.
__global__ void transform_weight(const float* __restrict__ weight, float* __restrict__ u, Conv2d size,
                                 Plan plan) {
    constexpr float G[IN][TAPS] = {{64.0f / 81, 0, 0},
                                   {-128.0f / 243, -32.0f / 81, -8.0f / 27},
                                   {-128.0f / 243, 32.0f / 81, -8.0f / 27},
                                   {32.0f / 243, 16.0f / 81, 8.0f / 27},
                                   {32.0f / 243, -16.0f / 81, 8.0f / 27},
                                   {0, 0, 1}};
    // Through shared memory: neighbours lie along c in the weight, along k in U.
    constexpr int ROW = CHANNELS * TAPS * TAPS;
    __shared__ float rows[FILTERS][ROW + 1];
    const int first_k = blockIdx.x * FILTERS, first_c = blockIdx.y * CHANNELS;
    const int row = (size.C - first_c) * TAPS * TAPS;  // what the weight has left, 0 or less beyond its end
    for (int i = threadIdx.x; i < FILTERS * ROW; i += THREADS) {
        const int k = first_k + i / ROW, x = i % ROW;
        rows[i / ROW][x] = k < size.K && x < row ? weight[(k * size.C + first_c) * TAPS * TAPS + x] : 0.0f;
    }
    __syncthreads();
    const int lane = threadIdx.x % FILTERS, warp = threadIdx.x / FILTERS;
    const int k = first_k + lane, c = first_c + warp;
    float g[TAPS][TAPS], result[IN][IN];
#pragma unroll
    for (int i = 0; i < TAPS * TAPS; ++i) g[i / TAPS][i % TAPS] = rows[lane][warp * TAPS * TAPS + i];
    sandwich(G, g, result);
#pragma unroll
    for (int i = 0; i < PRODUCTS; ++i) u[(size_t(i) * plan.C + c) * plan.K + k] = result[i / IN][i % IN];
}

// V = B^T d B for tile t and channel c. Neighbouring tiles share 2 rows and columns.
__global__ void transform_input(const float* __restrict__ input, float* __restrict__ v, Conv2d size,
                                Plan plan) {
    constexpr float B_T[IN][IN] = {
        {81.0f / 64, 0, -45.0f / 16, 0, 1, 0},        {0, -27.0f / 16, -9.0f / 4, 3.0f / 4, 1, 0},
        {0, 27.0f / 16, -9.0f / 4, -3.0f / 4, 1, 0},  {0, -27.0f / 32, -9.0f / 16, 3.0f / 2, 1, 0},
        {0, 27.0f / 32, -9.0f / 16, -3.0f / 2, 1, 0}, {0, 81.0f / 64, 0, -45.0f / 16, 0, 1}};
    const int t = blockIdx.x * blockDim.x + threadIdx.x, c = blockIdx.y;
    if (t >= plan.T) return;
    const int n = t / (plan.down * plan.across);
    const int top = t / plan.across % plan.down * OUT - size.padding;
    const int left = t % plan.across * OUT - size.padding;
    const bool exists = t < plan.tiles && c < size.C;
    const float* image = input + size_t(n * size.C + c) * size.H * size.W;
    float d[IN][IN], result[IN][IN];
#pragma unroll
    for (int y = 0; y < IN; ++y)
#pragma unroll
        for (int x = 0; x < IN; ++x) {
            const int h = top + y, w = left + x;
            const bool inside = exists && h >= 0 && h < size.H && w >= 0 && w < size.W;
            d[y][x] = inside ? image[h * size.W + w] : 0.0f;
        }
    sandwich(B_T, d, result);
#pragma unroll
    for (int i = 0; i < PRODUCTS; ++i) v[(size_t(i) * plan.C + c) * plan.T + t] = result[i / IN][i % IN];
}

// M = U^T V, for each of the 36 elements: blockIdx.z.
__global__ void __launch_bounds__(Tile::THREADS, BLOCKS)
    multiply(const float* __restrict__ u, const float* __restrict__ v, float* __restrict__ m, Plan plan) {
    __shared__ __align__(16) float a[STAGES][DEPTH][Tile::M], b[STAGES][DEPTH][Tile::N];
    const size_t C = plan.C, K = plan.K, T = plan.T;
    const int block_k = blockIdx.y * Tile::M, block_t = blockIdx.x * Tile::N;
    // A thread copies four neighbours in one of every ROWS_A rows of a, and of every ROWS_B rows of b.
    constexpr int ROWS_A = 4 * Tile::THREADS / Tile::M, ROWS_B = 4 * Tile::THREADS / Tile::N;
    const int row_a = threadIdx.x / (Tile::M / 4), column_a = threadIdx.x % (Tile::M / 4) * 4;
    const int row_b = threadIdx.x / (Tile::N / 4), column_b = threadIdx.x % (Tile::N / 4) * 4;
    u += (blockIdx.z * C + row_a) * K + block_k + column_a;
    v += (blockIdx.z * C + row_b) * T + block_t + column_b;

    const auto load = [&](int stage, int) {
#pragma unroll
        for (int c = 0; c < DEPTH; c += ROWS_A) copy_async<16>(&a[stage][c + row_a][column_a], u + c * K);
#pragma unroll
        for (int c = 0; c < DEPTH; c += ROWS_B) copy_async<16>(&b[stage][c + row_b][column_b], v + c * T);
        u += DEPTH * K, v += DEPTH * T;
    };
    Tile tile;
    pipeline<STAGES>(plan.C / DEPTH, load, [&](int stage) { tile.multiply(a[stage], b[stage]); });

    m += (blockIdx.z * K + block_k) * T + block_t;
#pragma unroll
    for (int i = 0; i < Tile::ROWS; ++i)
#pragma unroll
        for (int j = 0; j < Tile::COLUMNS; j += 4)
            store4(m + tile.row(i) * T + tile.column(j), &tile.sum[i][j]);
}

// Y = A^T M A for tile t and filter k.
__global__ void transform_output(const float* __restrict__ m, const float* __restrict__ bias,
                                 float* __restrict__ output, Conv2d size, Plan plan) {
    constexpr float A_T[OUT][IN] = {{1, 1, 1, 1, 1, 0},
                                    {0, 3.0f / 4, -3.0f / 4, 3.0f / 2, -3.0f / 2, 0},
                                    {0, 9.0f / 16, 9.0f / 16, 9.0f / 4, 9.0f / 4, 0},
                                    {0, 27.0f / 64, -27.0f / 64, 27.0f / 8, -27.0f / 8, 1}};
    const int t = blockIdx.x * blockDim.x + threadIdx.x, k = blockIdx.y;
    const bool exists = t < plan.tiles;
    const int n = t / (plan.down * plan.across);
    const int p = t / plan.across % plan.down * OUT, q = t % plan.across * OUT;
    float products[IN][IN], y[OUT][OUT];
#pragma unroll
    for (int i = 0; i < PRODUCTS; ++i)
        products[i / IN][i % IN] = exists ? m[(size_t(i) * plan.K + k) * plan.T + t] : 0.0f;
    sandwich(A_T, products, y);
    const float b = bias ? bias[k] : 0.0f;

    // A lane holds 4 x 4 outputs. Through shared memory a warp's lanes change to one column each, so that
    // they store neighbours together.
    __shared__ float4 staged[THREADS / 32][OUT][32];
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
#pragma unroll
    for (int i = 0; i < OUT; ++i)
        staged[warp][i][lane] = make_float4(y[i][0] + b, y[i][1] + b, y[i][2] + b, y[i][3] + b);
    __syncwarp();
    const int first = ((n * size.K + k) * size.P + p) * size.Q + q;
    const int rows = exists ? size.P - p : 0, columns = size.Q - q;
#pragma unroll
    for (int j = 0; j < OUT; ++j) {
        const int tile = j * 32 / OUT + lane / OUT, x = lane % OUT;  // the tile of another lane
        const bool inside = x < __shfl_sync(~0u, columns, tile);
        const int height = __shfl_sync(~0u, rows, tile), to = __shfl_sync(~0u, first, tile) + x;
#pragma unroll
        for (int i = 0; i < OUT; ++i)
            if (inside && i < height)
                output[to + i * size.Q] = reinterpret_cast<float*>(&staged[warp][i][tile])[x];
    }
}

// The most bytes for V and M, about: so many images are worked on at a time, at least one.
constexpr int64_t SCRATCH = int64_t(1) << 30;

torch::Tensor conv2d(torch::Tensor input, torch::Tensor weight,
                     std::optional<torch::Tensor> bias = std::nullopt, int64_t stride = 1,
                     int64_t padding = 0, int64_t dilation = 1) {
    const Conv2d size = conv2d_sizes(input, weight, bias, stride, padding, dilation);
    TORCH_CHECK(size.R == TAPS && size.S == TAPS, "the matrices are those of 3x3 filters, not of ", size.R,
                "x", size.S);
    TORCH_CHECK(stride == 1 && dilation == 1, "the tiles are those of stride 1 and dilation 1");
    require_sm(80, "cp.async");
    const c10::cuda::CUDAGuard guard(input.device());
    auto output = torch::empty({size.N, size.K, size.P, size.Q}, input.options());
    if (size.N == 0) return output;  // CUDA refuses to launch a grid without blocks

    Plan plan;
    plan.down = ceil_div(size.P, OUT), plan.across = ceil_div(size.Q, OUT);
    plan.C = ceil_div(size.C, DEPTH) * DEPTH, plan.K = ceil_div(size.K, Tile::M) * Tile::M;
    const int64_t image = int64_t(plan.down) * plan.across * PRODUCTS * (plan.C + plan.K) * sizeof(float);
    const int launches = ceil_div(size.N, std::clamp<int64_t>(SCRATCH / image, 1, size.N));
    const int images = ceil_div(size.N, launches);  // of a launch
    plan.T = ceil_div(images * plan.down * plan.across, Tile::N) * Tile::N;
    const auto u = torch::empty({PRODUCTS, plan.C, plan.K}, input.options());
    const auto v = torch::empty({PRODUCTS, plan.C, plan.T}, input.options());
    const auto m = torch::empty({PRODUCTS, plan.K, plan.T}, input.options());

    const auto stream = at::cuda::getCurrentCUDAStream();
    transform_weight<<<grid_of(plan.K / FILTERS, plan.C / CHANNELS, 1), THREADS, 0, stream>>>(
        weight.data_ptr<float>(), u.data_ptr<float>(), size, plan);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
    for (int n = 0; n < size.N; n += images) {
        const float* from = input.data_ptr<float>() + int64_t(n) * size.C * size.H * size.W;
        float* to = output.data_ptr<float>() + int64_t(n) * size.K * size.P * size.Q;
        plan.tiles = std::min(images, size.N - n) * plan.down * plan.across;
        const int blocks = ceil_div(plan.T, THREADS);
        transform_input<<<grid_of(blocks, plan.C, 1), THREADS, 0, stream>>>(from, v.data_ptr<float>(), size,
                                                                            plan);
        C10_CUDA_KERNEL_LAUNCH_CHECK();
        multiply<<<grid_of(plan.T / Tile::N, plan.K / Tile::M, PRODUCTS), Tile::THREADS, 0, stream>>>(
            u.data_ptr<float>(), v.data_ptr<float>(), m.data_ptr<float>(), plan);
        C10_CUDA_KERNEL_LAUNCH_CHECK();
        transform_output<<<grid_of(blocks, size.K, 1), THREADS, 0, stream>>>(
            m.data_ptr<float>(), data_or_null(bias), to, size, plan);
        C10_CUDA_KERNEL_LAUNCH_CHECK();
    }
    return output;
}
