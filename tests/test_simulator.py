"""CUDA's execution model on the CPU: results of kernels, in checked and in quick mode."""

import time

import pytest
import torch
from simulated import Kernel, compile_kernels, compile_text, read_kernels

from utils.compiling import fills_variables, find_cxx
from utils.simulator import profile

ALL = 0xFFFFFFFF

# y = name(x) for x = 0, 1, 2 ... 63, beside what it must be; two warps, or what the heading says.
KERNELS = """
//# indices_in_three_dimensions <<<dim3(2, 2, 2), dim3(2, 2, 2)>>>: lambda x: x
const int block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
const int thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
y[8 * block + thread] = x[8 * block + thread];

//# dimensions <<<dim3(3, 2), dim3(4, 5, 1)>>>: lambda x: one(32450001)
if (blockIdx.x + blockIdx.y + threadIdx.x + threadIdx.y == 0)
    y[0] = 1e7f * gridDim.x + 1e6f * gridDim.y + 1e5f * blockDim.x + 1e4f * blockDim.y + gridDim.z;

//# reversed_by_a_tile <<<1, 64>>>: lambda x: x.flip(0)
__shared__ float s[64];
s[i] = x[i];
__syncthreads();
y[i] = s[63 - i];

//# shared_is_a_blocks_own <<<4, 16>>>: lambda x: x // 16
__shared__ float s;
if (threadIdx.x == 0) s = blockIdx.x;
__syncthreads();
y[i] = s;

//# dynamic_shared <<<2, 32, 32 * sizeof(float) + 64 * sizeof(short)>>>: lambda x: x + 1
extern __shared__ float s[];
short* t = (short*)(s + 32);
s[lane] = x[i];
t[lane] = 1;
__syncthreads();
y[i] = s[lane] + t[31 - lane];

//# barrier_count <<<1, 64>>>: lambda x: 0 * x + 10
y[i] = __syncthreads_count(x[i] >= 54);

//# barrier_and <<<1, 64>>>: lambda x: 0 * x + 2
y[i] = 2 * (__syncthreads_and(i >= 0) != 0) + (__syncthreads_and(i < 63) != 0);

//# barrier_or <<<1, 64>>>: lambda x: 0 * x + 2
y[i] = 2 * (__syncthreads_or(i == 40) != 0) + (__syncthreads_or(i == 64) != 0);

//# shuffle_down <<<1, 64>>>: lambda x: torch.where(x % 32 < 27, x + 5, x)
y[i] = __shfl_down_sync(0xffffffff, x[i], 5);

//# shuffle_up <<<1, 64>>>: lambda x: torch.where(x % 32 >= 3, x - 3, x)
y[i] = __shfl_up_sync(0xffffffff, x[i], 3);

//# shuffle_xor <<<1, 64>>>: lambda x: (x.int() ^ 9).float()
y[i] = __shfl_xor_sync(0xffffffff, x[i], 9);

//# shuffle_index <<<1, 64>>>: lambda x: x // 32 * 32 + x * 7 % 32
y[i] = __shfl_sync(0xffffffff, x[i], 7 * i);

//# shuffle_down_in_segments <<<1, 64>>>: lambda x: torch.where(x % 8 < 6, x + 2, x)
y[i] = __shfl_down_sync(0xffffffff, x[i], 2, 8);

//# shuffle_up_in_segments <<<1, 64>>>: lambda x: torch.where(x % 8 >= 2, x - 2, x)
y[i] = __shfl_up_sync(0xffffffff, x[i], 2, 8);

//# shuffle_index_in_segments <<<1, 64>>>: lambda x: x // 8 * 8 + 3
y[i] = __shfl_sync(0xffffffff, x[i], 19, 8);

//# shuffle_xor_in_segments <<<1, 64>>>: lambda x: torch.where(x % 8 < 4, x, (x.int() ^ 4).float())
y[i] = __shfl_xor_sync(0xffffffff, x[i], 4, 4);

//# shuffle_of_8_bytes <<<1, 64>>>: lambda x: x + 1e-12
double d = __shfl_sync(0xffffffff, x[i] + 1e-12, lane);
long long l = __shfl_sync(0xffffffff, (1ll << 40) + i, lane);
y[i] = d + (l - i - (1ll << 40));

//# sum_of_a_warp <<<1, 64>>>: lambda x: (x // 32) * 1024 + 496
float v = x[i];
for (int k = 16; k > 0; k /= 2) v += __shfl_xor_sync(0xffffffff, v, k);
y[i] = v;

//# ballot <<<1, 64>>>: lambda x: torch.where(x < 32, 7.0, 0.0)
y[i] = __ballot_sync(0xffffffff, i < 3);

//# votes <<<1, 64>>>: lambda x: torch.where(x < 32, 110.0, 1.0)
const int some = __any_sync(0xffffffff, i == 5) != 0, early = __all_sync(0xffffffff, i < 32) != 0;
y[i] = 100 * some + 10 * early + (__all_sync(0xffffffff, i > 31) != 0);

//# match <<<1, 64>>>: lambda x: 0 * x + 8
y[i] = __popc(__match_any_sync(0xffffffff, i % 4));

//# reduce <<<1, 64>>>: lambda x: 0 * x + 496 + 31 - 31 + 31 + 0 + 31
const unsigned all = 0xffffffff;
y[i] = __reduce_add_sync(all, lane) + __reduce_max_sync(all, (unsigned)lane) + __reduce_min_sync(all, -lane) +
       __reduce_or_sync(all, lane) + __reduce_xor_sync(all, lane) + __reduce_max_sync(all, lane) +
       __reduce_and_sync(all, lane);

//# half_of_a_warp <<<1, 64>>>: lambda x: torch.where(x % 32 < 16, 1.0, 2.0)
y[i] = lane < 16 ? __popc(__ballot_sync(0x0000ffff, 1)) / 16 : 2 * __popc(__ballot_sync(0xffff0000, 1)) / 16;

//# partial_warp <<<1, 40>>>: lambda x: torch.where(x < 32, 32.0, torch.where(x < 40, 8.0, 0.0))
y[i] = __popc(__ballot_sync(0xffffffff, 1));

//# lanes_that_have_left <<<1, 64>>>: lambda x: torch.where(x % 32 < 20, 20.0, 0.0)
if (lane >= 20) return;
y[i] = __popc(__ballot_sync(0xffffffff, 1));

//# active_mask <<<1, 48>>>: lambda x: torch.where(x < 32, 32.0, torch.where(x < 48, 16.0, 0.0))
y[i] = __popc(__activemask());

//# active_mask_of_a_branch <<<1, 32>>>: lambda x: torch.where(x < 8, 255.0, torch.where(x < 32, 24.0, 0.0))
if (i < 8)
    y[i] = __activemask();
else
    y[i] = __popc(__activemask());

//# warp_size <<<1, 64>>>: lambda x: 0 * x + 32
y[i] = warpSize;

//# atomics_on_global <<<4, 16>>>: lambda x: atomics
int* z = (int*)y;
atomicAdd(&y[0], 0.5f);
atomicAdd(&z[1], 1);
atomicMax(&z[2], i);
atomicMin(&z[3], -i);
atomicSub(&z[4], 2);
atomicOr(&z[5], 1 << i % 4);
atomicXor(&z[6], i);
atomicInc((unsigned*)&z[7], 9);
int old = z[8], seen;
do {
    seen = old;
    old = atomicCAS(&z[8], seen, seen + i);
} while (old != seen);
atomicExch(&z[9], 17);
atomicAdd((double*)&y[10], 0.25);
atomicAdd((unsigned long long*)&y[12], 1ull << 33);

//# atomics_on_shared <<<1, 64>>>: lambda x: 0 * x + 64 + 63 - 32
__shared__ int sum, most;
__shared__ float total;
if (i == 0) sum = most = 0, total = 0;
__syncthreads();
atomicAdd(&sum, 1);
atomicMax(&most, i);
atomicAdd(&total, -0.5f);
__syncthreads();
y[i] = sum + most + total;

//# old_values_of_atomics <<<1, 64>>>: lambda x: one(2016)
__shared__ int count;
if (i == 0) count = 0, y[0] = 0;
__syncthreads();
atomicAdd(&y[0], (float)atomicAdd(&count, 1));

//# constants <<<1, 64>>>: lambda x: x * 3 + 7
__constant__ float factors[2] = {3, 0};
__constant__ int more = 7;
//#body
y[i] = x[i] * factors[0] + more;

//# vectors <<<1, 16>>>: lambda x: x.view(16, 4).flip(1).flatten()
float4 v = reinterpret_cast<const float4*>(x)[i];
reinterpret_cast<float4*>(y)[i] = make_float4(v.w, v.z, v.y, v.x);

//# vector_types <<<1, 1>>>: lambda x: one(1 + 2 + 3 + 4 + 5 + 6 + 7 + 8)
int2 a = make_int2(1, 2);
uchar4 b = make_uchar4(3, 0, 0, 4);
double2 c = make_double2(5, 6);
float3 d = {7, 0, 0};
uint3 e = threadIdx;
dim3 f(8);
f.y = e.x;
y[0] = a.x + a.y + b.x + b.w + c.x + c.y + d.x + f.x + f.y;

//# helpers <<<1, 64>>>: lambda x: x * x + 2 * 64 + 5
struct Shape {
    int w, h;
    __host__ __device__ int area() const { return w * h; }
};
template <class F> __device__ __forceinline__ float apply(F f, float v) { return f(v); }
__device__ constexpr int five = 5;
static __device__ int twice(int v) { return 2 * v; }
//#body
Shape shape{8, n / 8};
y[i] = apply([=](float v) { return v * x[i]; }, x[i]) + twice(shape.area()) + five;

//# device_variable <<<1, 64>>>: lambda x: x + 10
__device__ float device_table[64];
//#body
device_table[i] = 10;
__syncthreads();
y[i] = x[i] + device_table[63 - i];

//# grid_stride_loop <<<2, 8>>>: lambda x: x + 1
for (int k = i; k < n; k += gridDim.x * blockDim.x) y[k] = x[k] + 1;

//# local_arrays <<<1, 64>>>: lambda x: x + 28
int a[8];
for (int k = 0; k < 8; ++k) a[(k + i) % 8] = k;
int sum = 0;
for (int k = 0; k < 8; ++k) sum += a[k];
y[i] = x[i] + sum;

//# mathematics <<<1, 64>>>: lambda x: (x.double().sqrt() + (x.double() / 64).exp() + 3).float()
y[i] = sqrtf(x[i]) + __expf(x[i] / 64) + fminf(3, 4) + max(0, -1) + __ldg(&x[0]) + rsqrtf(1) - min(1u, 2u);

//# pointers_to_shared <<<1, 64>>>: lambda x: x + 1
__device__ void raise(float* p, const float* q) { *p = *q + 1; }
//#body
__shared__ float s[64];
raise(&s[i], &x[i]);
y[i] = s[i];

//# asynchronous_copy <<<1, 16>>>: lambda x: x
#include <cuda_pipeline.h>
//#body
__shared__ float4 s[16];
__pipeline_memcpy_async(&s[i], x + 4 * i, 16);
__pipeline_commit();
__pipeline_wait_prior(0);
__syncthreads();
((float4*)y)[15 - i] = s[15 - i];
"""
EXECUTED = read_kernels(KERNELS)


def one(value):
    return torch.tensor([float(value)] + [0.0] * 63)


def _atomics():
    z = torch.zeros(64, dtype=torch.int32)
    values = [0, 64, 63, -63, -128, 15, 0, 64 % 10, sum(range(64)), 17]
    z[: len(values)] = torch.tensor(values, dtype=torch.int32)
    z.view(torch.float32)[0] = 32
    z.view(torch.float64)[5] = 16
    z.view(torch.int64)[6] = 1 << 39
    return z.view(torch.float32)


@pytest.fixture(scope="module", params=[True, False], ids=["checked", "quick"])
def module(request):
    return compile_kernels(EXECUTED, checked=request.param)


@pytest.mark.parametrize("kernel", EXECUTED, ids=lambda kernel: kernel.name)
def test_result(module, kernel):
    x = torch.arange(64.0)
    expected = eval(kernel.notes, {"torch": torch, "one": one, "atomics": _atomics()})(x)
    y = getattr(module, kernel.name)(x)
    if kernel.name == "mathematics":
        torch.testing.assert_close(y, expected)
    else:
        assert torch.equal(y.view(torch.int32), expected.view(torch.int32)), y  # bits: some are no numbers
    assert x.tolist() == list(range(64))


@pytest.mark.parametrize(
    "name", ["reversed_by_a_tile", "sum_of_a_warp", "atomics_on_global", "constants", "match"]
)
def test_the_order_of_threads_changes_nothing(module, name):
    launcher, x = getattr(module, name), torch.arange(64.0)
    results = [
        profile(launcher, x, order=order, seed=seed).result
        for order, seed in (("forward", 0), ("reverse", 0), ("random", 1), ("random", 12345))
    ]
    assert all(torch.equal(results[0].view(torch.int32), result.view(torch.int32)) for result in results)
    with pytest.raises(ValueError, match="order must be one of"):
        profile(launcher, x, order="backwards")


TRAIL = Kernel("trail", 'printf("%d.%d ", blockIdx.x, threadIdx.x);', launch="3, 3")


def test_the_order_is_what_it_says(capsys):
    trail = compile_kernels([TRAIL]).trail

    def order(**options):
        profile(trail, torch.zeros(9), **options)
        return capsys.readouterr().out.split()

    forward = [f"{b}.{t}" for b in range(3) for t in range(3)]
    assert order() == order(order="forward") == forward
    assert order(order="reverse") == forward[::-1]
    shuffled = order(order="random", seed=4)
    assert sorted(shuffled) == forward and shuffled == order(order="random", seed=4)
    assert len({tuple(order(order="random", seed=seed)) for seed in range(6)}) > 2


def test_any_number_of_cores_gives_the_same(monkeypatch):
    import kernels

    conv2d = kernels.load("conv2d_naive", backend="simulator")
    quick = kernels.load("conv2d_naive", backend="simulator", checked=False)
    x, w = torch.randn(2, 3, 20, 70), torch.randn(4, 3, 3, 5)
    results, reports = [], set()
    for threads in "1", "2", "2", "5":
        monkeypatch.setenv("CONV_THREADS", threads)
        report = profile(conv2d, x, w, padding=2)
        reports.add(str(report))
        results += [report.result, conv2d(x, w, padding=2), quick(x, w, padding=2)]
    assert len(reports) == 1
    assert all(torch.equal(results[0], result) for result in results)
    torch.testing.assert_close(results[0], torch.nn.functional.conv2d(x, w, padding=2))


# -------------------------------------------------------------------------------------- launchers and tensors

HOST = """
__constant__ float weights[4];
__global__ void weigh(const float* x, float* y) { y[threadIdx.x] = x[threadIdx.x] * weights[threadIdx.x]; }
torch::Tensor constant(torch::Tensor x, torch::Tensor w) {
    auto y = torch::empty_like(x);
    cudaMemcpyToSymbol(weights, w.data_ptr<float>(), 2 * sizeof(float), 2 * sizeof(float));
    cudaMemcpyToSymbol(weights, w.data_ptr<float>() + 2, 2 * sizeof(float));
    weigh<<<1, 4>>>(x.data_ptr<float>(), y.data_ptr<float>());
    return y;
}

template <class T> __global__ void scale(T* x, int rows, int columns, int down, int across) {
    const int i = threadIdx.x;
    if (i < rows * columns) x[i / columns * down + i % columns * across] *= 2;
}
template <class T> void scale_all(torch::Tensor x) {
    scale<T><<<1, 64>>>(x.data_ptr<T>(), x.size(0), x.size(1), x.stride(0), x.stride(1));
}
torch::Tensor twice(torch::Tensor x) {
    if (x.scalar_type() == torch::kFloat32) scale_all<float>(x);
    else if (x.scalar_type() == torch::kFloat64) scale_all<double>(x);
    else if (x.scalar_type() == torch::kInt64) scale_all<int64_t>(x);
    else if (x.scalar_type() == torch::kInt32) scale_all<int>(x);
    else if (x.scalar_type() == torch::kInt16) scale_all<int16_t>(x);
    else if (x.scalar_type() == torch::kUInt8) scale_all<uint8_t>(x);
    else TORCH_CHECK(false, "no such type");
    return x;
}

__global__ void bits(const uint16_t* x, uint16_t* y) { y[threadIdx.x] = x[3 - threadIdx.x]; }
torch::Tensor reverse_halves(torch::Tensor x) {
    auto y = torch::empty_like(x);
    bits<<<1, 4>>>((const uint16_t*)x.data_ptr(), (uint16_t*)y.data_ptr());
    return y;
}

__global__ void write(float* y, float v) { y[threadIdx.x] = v; }
std::vector<torch::Tensor> several(torch::Tensor x) {
    auto a = torch::empty({2}, x.options()), b = torch::zeros({3}, x.options());
    write<<<1, 2>>>(a.data_ptr<float>(), 1);
    write<<<1, 2>>>(b.data_ptr<float>(), 2);
    write<<<1, 1>>>(b.data_ptr<float>(), 3);
    return {a, b, x};
}
int64_t elements(torch::Tensor x, std::optional<torch::Tensor> y = std::nullopt) {
    return x.numel() + (y ? y->numel() : 0);
}

__global__ void big(float* y) {
    extern __shared__ float tile[];
    tile[threadIdx.x + 20000] = threadIdx.x;
    __syncthreads();
    y[threadIdx.x] = tile[20003 - threadIdx.x];
}
torch::Tensor big_tile(torch::Tensor x, bool allowed) {
    const int bytes = 100000;
    if (allowed) cudaFuncSetAttribute(big, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
    big<<<1, 4, bytes>>>(x.data_ptr<float>());
    return x;
}
int64_t too_much() { return cudaFuncSetAttribute(big, cudaFuncAttributeMaxDynamicSharedMemorySize, 300000); }
"""


@pytest.fixture(scope="module", params=[True, False], ids=["checked", "quick"])
def host(request):
    return compile_text(HOST, checked=request.param)


def test_constant_memory_is_set_by_the_launcher(host):
    assert host.constant(torch.ones(4), torch.tensor([1.0, 2, 3, 4])).tolist() == [3, 4, 1, 2]
    assert host.constant(torch.ones(4), torch.tensor([5.0, 6, 7, 8])).tolist() == [7, 8, 5, 6]


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float64, torch.int64, torch.int32, torch.int16, torch.uint8]
)
def test_arguments_are_changed_in_place(host, dtype):
    x = torch.arange(6).view(2, 3).to(dtype)
    assert host.twice(x) is x
    assert x.tolist() == [[0, 2, 4], [6, 8, 10]] and x.dtype == dtype


def test_views_are_changed_where_they_lie(host):
    whole = torch.arange(40.0).view(5, 8)
    view = whole[1:4, 2:7:2]
    assert host.twice(view) is view
    expected = torch.arange(40.0).view(5, 8)
    expected[1:4, 2:7:2] *= 2
    assert torch.equal(whole, expected)
    flipped = torch.arange(6.0).view(2, 3).t()
    assert host.twice(flipped).tolist() == [[0, 6], [2, 8], [4, 10]]


def test_a_tensor_that_repeats_itself(host):
    x = torch.tensor([1.0, 2.0]).view(2, 1).expand(2, 3)
    assert host.elements(x) == 6 and x.tolist() == [[1, 1, 1], [2, 2, 2]]


def test_two_byte_types(host):
    for dtype in torch.float16, torch.bfloat16:
        x = torch.tensor([1, 2, 3, 4], dtype=dtype)
        y = host.reverse_halves(x)
        assert y.dtype == dtype and y.tolist() == [4, 3, 2, 1]


def test_empty_tensors(host):
    assert host.elements(torch.empty(0, 3)) == 0
    assert host.elements(torch.empty(0), torch.ones(2, 2)) == 4
    a, b, x = host.several(torch.empty(0))
    assert (a.tolist(), b.tolist(), x.numel()) == ([1, 1], [3, 2, 0], 0)


def test_several_results(host):
    x = torch.ones(3)
    a, b, again = host.several(x)
    assert again is x and a.tolist() == [1, 1] and b.tolist() == [3, 2, 0]
    a.mul_(2)  # the caller's own, as any tensor
    assert host.several(x)[0].tolist() == [1, 1] and a.tolist() == [2, 2]


def test_the_same_tensor_twice(host):
    x = torch.ones(2)
    assert host.elements(x, x) == 4


def test_inputs_that_require_a_gradient(host):
    w = torch.ones(4, requires_grad=True)
    y = host.constant(torch.ones(4, requires_grad=True), w)
    assert not y.requires_grad and y.tolist() == [1, 1, 1, 1]
    assert host.several(w)[2] is w


def test_much_dynamic_shared_memory(host):
    from utils.errors import KernelError

    with pytest.raises(KernelError, match="need cudaFuncSetAttribute") as caught:
        host.big_tile(torch.ones(4), False)
    assert caught.value.kind == "launch"
    assert host.big_tile(torch.ones(4), True).tolist() == [3, 2, 1, 0]
    with pytest.raises(KernelError, match="invalid argument .cudaErrorInvalidValue"):
        host.too_much()


def test_a_changed_template_does_not_share_the_old_ones_memory():
    def version(size, value):
        return compile_text(f"""
template <class T> __global__ void fill(T* y) {{
    __shared__ T s[{size}];
    static __device__ int calls = 0;
    calls += 1;
    s[{size - 1}] = {value};
    y[0] = s[{size - 1}] + 100 * calls;
}}
torch::Tensor go(torch::Tensor x) {{ fill<<<1, 1>>>(x.data_ptr<float>()); return x; }}
""")

    first, second = version(1, 5), version(4000, 6)
    assert first.go(torch.zeros(1)).item() == 105
    assert second.go(torch.zeros(1)).item() == 106
    assert first.go(torch.zeros(1)).item() == 205


# ----------------------------------------------------------------------------------------------------- printf

PRINTING = r"""
__global__ void hello() {
    printf("block %d thread %2d: %.2f %s %c%%\n", blockIdx.x, threadIdx.x, 0.5f * threadIdx.x, "text", 'c');
    __syncthreads();
    if (threadIdx.x == 1) printf("after\n");
}
void greet(int64_t blocks) {
    printf("from the host\n");
    hello<<<blocks, 2>>>();
}
__global__ void chatter(int n) {
    for (int k = 0; k < n; ++k) printf("%099d\n", k);
}
void chat(int64_t n) { chatter<<<1, 100>>>(n); }
__global__ void say_all() { printf("%d %d\n", blockIdx.x, threadIdx.x); }
void everybody(int64_t blocks, int64_t threads) { say_all<<<blocks, threads>>>(); }
"""


@pytest.mark.parametrize("checked", [True, False])
def test_printf_comes_in_order(checked, capsys, monkeypatch):
    monkeypatch.setenv("CONV_THREADS", "2")
    module = compile_text(PRINTING, checked=checked)
    module.greet(3)
    block = "block {0} thread  0: 0.00 text c%\nblock {0} thread  1: 0.50 text c%\nafter\n"
    assert capsys.readouterr().out == "from the host\n" + "".join(block.format(k) for k in range(3))


def test_printf_has_a_limit(capsys):
    compile_text(PRINTING).chat(200)
    out = capsys.readouterr().out
    assert out.startswith("0" * 99 + "\n") and len(out) < 1_100_000
    assert out.endswith("... 951,424 more characters of printf output are not shown\n")


@pytest.mark.parametrize("checked", [True, False])
def test_a_million_threads_print(checked, capsys, monkeypatch):
    monkeypatch.setenv("CONV_THREADS", "2")
    module = compile_text(PRINTING, checked=checked)
    module.everybody(40, 200)
    assert capsys.readouterr().out == "".join(f"{b} {t}\n" for b in range(40) for t in range(200))
    start = time.monotonic()
    module.everybody(1000, 1000)
    assert time.monotonic() - start < 10
    out = capsys.readouterr().out
    everything = "".join(f"{b} {t}\n" for b in range(1000) for t in range(1000))
    shown, _, rest = out.rpartition("\n... ")
    assert everything.startswith(shown) and len(shown) == 1 << 20
    assert rest == f"{len(everything) - len(shown):,} more characters of printf output are not shown\n"


# ---------------------------------------------------------------------------------------- garbage that shows

GARBAGE = """
__global__ void sum_kernel(const float* x, float* y) {
    float sum;
    for (int k = 0; k < 4; ++k) sum += x[k];
    y[threadIdx.x] = sum;
}
torch::Tensor sum(torch::Tensor x) {
    auto y = torch::empty({32}, x.options());
    sum_kernel<<<1, 32>>>(x.data_ptr<float>(), y.data_ptr<float>());
    return y;
}
__global__ void shuffle_kernel(const float* x, float* y) {
    float v = x[threadIdx.x];
    if (threadIdx.x < 16) v = __shfl_sync(0x0000ffff, v, threadIdx.x + 8);
    y[threadIdx.x] = v;
}
torch::Tensor shuffle(torch::Tensor x) {
    auto y = torch::empty({32}, x.options());
    shuffle_kernel<<<1, 32>>>(x.data_ptr<float>(), y.data_ptr<float>());
    return y;
}
"""


@pytest.fixture(scope="module")
def garbage():
    return compile_text(GARBAGE)


def test_a_local_variable_without_a_value_shows(garbage):
    if not fills_variables(find_cxx()):
        pytest.skip("this compiler cannot fill variables")
    assert not any(abs(value) < 1e30 for value in garbage.sum(torch.ones(32)).tolist())  # huge, or NaN


def test_a_shuffle_from_a_lane_that_takes_no_part_shows(garbage):
    y = garbage.shuffle(torch.arange(32.0))
    assert y[:8].tolist() == list(range(8, 16)) and y[8:16].isnan().all()
    assert y[16:].tolist() == list(range(16, 32))
