// The part of the CUDA runtime that launchers call. A CPU has one memory and no queue: copies are plain, a
// launch is over when it returns, and streams and events have nothing to wait for. What a kernel does wrong
// is raised by the engine; what a launcher asks wrongly comes back as CUDA's error code.
#pragma once

enum cudaError {
    cudaSuccess = 0,
    cudaErrorInvalidValue = 1,
    cudaErrorMemoryAllocation = 2,
    cudaErrorInvalidConfiguration = 9,
    cudaErrorInvalidDevice = 101,
    cudaErrorNotReady = 600,
    cudaErrorIllegalAddress = 700,
    cudaErrorLaunchFailure = 719,
    cudaErrorNotSupported = 801,
    cudaErrorUnknown = 999
};
typedef enum cudaError cudaError_t;
enum cudaMemcpyKind {
    cudaMemcpyHostToHost,
    cudaMemcpyHostToDevice,
    cudaMemcpyDeviceToHost,
    cudaMemcpyDeviceToDevice,
    cudaMemcpyDefault
};
enum cudaFuncAttribute {
    cudaFuncAttributeMaxDynamicSharedMemorySize = 8,
    cudaFuncAttributePreferredSharedMemoryCarveout = 9
};
enum cudaFuncCache {
    cudaFuncCachePreferNone,
    cudaFuncCachePreferShared,
    cudaFuncCachePreferL1,
    cudaFuncCachePreferEqual
};
enum cudaDeviceAttr {
    cudaDevAttrMaxThreadsPerBlock = 1,
    cudaDevAttrMaxSharedMemoryPerBlock = 8,
    cudaDevAttrWarpSize = 10,
    cudaDevAttrMultiProcessorCount = 16,
    cudaDevAttrMaxThreadsPerMultiProcessor = 39,
    cudaDevAttrComputeCapabilityMajor = 75,
    cudaDevAttrComputeCapabilityMinor = 76,
    cudaDevAttrMaxSharedMemoryPerMultiprocessor = 81,
    cudaDevAttrMaxSharedMemoryPerBlockOptin = 97
};
enum { cudaEventDefault = 0, cudaEventBlockingSync = 1, cudaEventDisableTiming = 2 };
enum { cudaStreamDefault = 0, cudaStreamNonBlocking = 1 };
enum { cudaHostAllocDefault = 0, cudaHostAllocPortable = 1, cudaHostAllocMapped = 2 };
enum { cudaMemAttachGlobal = 1, cudaMemAttachHost = 2 };

// The device that the simulator stands for: the limits of a Hopper GPU.
struct cudaDeviceProp {
    char name[256];
    size_t totalGlobalMem, sharedMemPerBlock;
    int regsPerBlock, warpSize;
    size_t memPitch;
    int maxThreadsPerBlock, maxThreadsDim[3], maxGridSize[3];
    size_t totalConstMem;
    int major, minor, multiProcessorCount, integrated, canMapHostMemory, concurrentKernels, unifiedAddressing,
        asyncEngineCount, l2CacheSize, maxThreadsPerMultiProcessor, maxBlocksPerMultiProcessor, managedMemory,
        regsPerMultiprocessor;
    size_t sharedMemPerMultiprocessor, sharedMemPerBlockOptin, reservedSharedMemPerBlock;
};

namespace sim {

// The error that cudaGetLastError() gives back: the last one of any call, until somebody asks.
inline cudaError_t& last_error() {
    static thread_local cudaError_t error = cudaSuccess;
    return error;
}
inline cudaError_t result(cudaError_t error) {
    if (error != cudaSuccess) last_error() = error;
    return error;
}
inline cudaError_t result(int error) { return result(static_cast<cudaError_t>(error)); }

struct ErrorWords {
    cudaError_t error;
    const char *name, *text;
};
inline const ErrorWords& words_of(cudaError_t error) {
    static const ErrorWords all[] = {
        {cudaSuccess, "cudaSuccess", "no error"},
        {cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
        {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
        {cudaErrorInvalidConfiguration, "cudaErrorInvalidConfiguration", "invalid configuration argument"},
        {cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal"},
        {cudaErrorNotReady, "cudaErrorNotReady", "device not ready"},
        {cudaErrorIllegalAddress, "cudaErrorIllegalAddress", "an illegal memory access was encountered"},
        {cudaErrorLaunchFailure, "cudaErrorLaunchFailure", "unspecified launch failure"},
        {cudaErrorNotSupported, "cudaErrorNotSupported", "operation not supported"},
        {cudaErrorUnknown, "cudaErrorUnknown", "unknown error"}};
    for (const ErrorWords& words : all)
        if (words.error == error || words.error == cudaErrorUnknown) return words;
    return all[0];
}

constexpr int kMultiprocessors = 132, kThreadsPerMultiprocessor = 2048, kBlocksPerMultiprocessor = 32;
constexpr int kSharedPerMultiprocessor = 233472, kSharedPerBlock = 49152, kSharedPerBlockOptIn = 232448;
constexpr int kSharedReserved = 1024;  // of every block, for the system

}  // namespace sim

inline cudaError_t cudaGetLastError() {
    const cudaError_t error = sim::last_error();
    sim::last_error() = cudaSuccess;
    return error;
}
inline cudaError_t cudaPeekAtLastError() { return sim::last_error(); }
inline const char* cudaGetErrorName(cudaError_t e) { return sim::words_of(e).name; }
inline const char* cudaGetErrorString(cudaError_t e) { return sim::words_of(e).text; }

// ------------------------------------------------------------------------------------------------ the device

inline cudaError_t cudaDeviceSynchronize() { return cudaSuccess; }
inline cudaError_t cudaDeviceReset() { return cudaSuccess; }
inline cudaError_t cudaGetDeviceCount(int* n) {
    *n = 1;
    return cudaSuccess;
}
inline cudaError_t cudaSetDevice(int d) { return sim::result(d == 0 ? cudaSuccess : cudaErrorInvalidDevice); }
inline cudaError_t cudaGetDevice(int* d) {
    *d = 0;
    return cudaSuccess;
}
inline cudaError_t cudaDriverGetVersion(int* version) {
    *version = CUDART_VERSION;
    return cudaSuccess;
}
inline cudaError_t cudaRuntimeGetVersion(int* version) { return cudaDriverGetVersion(version); }
inline cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
    sim_memory(free, total);
    return cudaSuccess;
}
inline cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
    static const int known[][2] = {
        {cudaDevAttrMaxThreadsPerBlock, 1024},
        {cudaDevAttrWarpSize, 32},
        {cudaDevAttrMultiProcessorCount, sim::kMultiprocessors},
        {cudaDevAttrMaxThreadsPerMultiProcessor, sim::kThreadsPerMultiprocessor},
        {cudaDevAttrMaxSharedMemoryPerBlock, sim::kSharedPerBlock},
        {cudaDevAttrMaxSharedMemoryPerBlockOptin, sim::kSharedPerBlockOptIn},
        {cudaDevAttrMaxSharedMemoryPerMultiprocessor, sim::kSharedPerMultiprocessor},
        {cudaDevAttrComputeCapabilityMajor, 9},
        {cudaDevAttrComputeCapabilityMinor, 0}};
    if (device != 0) return sim::result(cudaErrorInvalidDevice);
    for (auto& [name, number] : known)
        if (name == attribute) {
            *value = number;
            return cudaSuccess;
        }
    return sim::result(cudaErrorInvalidValue);
}
inline cudaError_t cudaGetDeviceProperties(cudaDeviceProp* p, int device) {
    if (device != 0) return sim::result(cudaErrorInvalidDevice);
    memset(p, 0, sizeof *p);
    strcpy(p->name, "CUDA simulator on the CPU");
    size_t free;
    sim_memory(&free, &p->totalGlobalMem);
    p->sharedMemPerBlock = sim::kSharedPerBlock, p->sharedMemPerBlockOptin = sim::kSharedPerBlockOptIn;
    p->sharedMemPerMultiprocessor = sim::kSharedPerMultiprocessor;
    p->reservedSharedMemPerBlock = sim::kSharedReserved;
    p->regsPerBlock = p->regsPerMultiprocessor = 65536;
    p->warpSize = 32, p->memPitch = 2147483647;
    p->maxThreadsPerBlock = p->maxThreadsDim[0] = p->maxThreadsDim[1] = 1024, p->maxThreadsDim[2] = 64;
    p->maxGridSize[0] = 2147483647, p->maxGridSize[1] = p->maxGridSize[2] = 65535;
    p->totalConstMem = 65536;
    p->major = 9, p->minor = 0, p->multiProcessorCount = sim::kMultiprocessors;
    p->canMapHostMemory = p->concurrentKernels = p->unifiedAddressing = p->managedMemory = 1;
    p->asyncEngineCount = 3, p->l2CacheSize = 52428800;
    p->maxThreadsPerMultiProcessor = sim::kThreadsPerMultiprocessor;
    p->maxBlocksPerMultiProcessor = sim::kBlocksPerMultiprocessor;
    return cudaSuccess;
}

// ------------------------------------------------------------------------------------------ memory and
// copies

template <class T>
cudaError_t cudaMalloc(T** p, size_t bytes) {
    return sim::result(sim_malloc(reinterpret_cast<void**>(p), bytes, 0));
}
template <class T>
cudaError_t cudaMallocAsync(T** p, size_t bytes, cudaStream_t) {
    return cudaMalloc(p, bytes);
}
// Memory that the host writes too: it counts as written from the beginning.
template <class T>
cudaError_t cudaMallocManaged(T** p, size_t bytes, unsigned = cudaMemAttachGlobal) {
    return sim::result(sim_malloc(reinterpret_cast<void**>(p), bytes, 1));
}
template <class T>
cudaError_t cudaMallocHost(T** p, size_t bytes, unsigned = cudaHostAllocDefault) {
    return cudaMallocManaged(p, bytes);
}
template <class T>
cudaError_t cudaHostAlloc(T** p, size_t bytes, unsigned) {
    return cudaMallocManaged(p, bytes);
}
inline cudaError_t cudaFree(void* p) { return sim::result(sim_free(p)); }
inline cudaError_t cudaFreeAsync(void* p, cudaStream_t) { return cudaFree(p); }
inline cudaError_t cudaFreeHost(void* p) { return cudaFree(p); }
template <class T>
cudaError_t cudaMallocPitch(T** p, size_t* pitch, size_t width, size_t height) {
    *pitch = (width + 511) / 512 * 512;
    return cudaMalloc(p, *pitch * height);
}

inline cudaError_t cudaMemcpy(void* d, const void* s, size_t n, cudaMemcpyKind = cudaMemcpyDefault) {
    return sim::result(sim_memcpy(d, s, n));
}
inline cudaError_t cudaMemcpyAsync(void* d, const void* s, size_t n, cudaMemcpyKind = cudaMemcpyDefault,
                                   cudaStream_t = nullptr) {
    return cudaMemcpy(d, s, n);
}
inline cudaError_t cudaMemcpy2D(void* d, size_t d_pitch, const void* s, size_t s_pitch, size_t width,
                                size_t height, cudaMemcpyKind) {
    if (width > d_pitch || width > s_pitch) return sim::result(cudaErrorInvalidValue);
    for (size_t row = 0; row < height; ++row) {
        const cudaError_t error = cudaMemcpy(static_cast<char*>(d) + row * d_pitch,
                                             static_cast<const char*>(s) + row * s_pitch, width);
        if (error != cudaSuccess) return error;
    }
    return cudaSuccess;
}
inline cudaError_t cudaMemset(void* d, int v, size_t n) { return sim::result(sim_memset(d, v, n)); }
inline cudaError_t cudaMemsetAsync(void* d, int v, size_t n, cudaStream_t = nullptr) {
    return cudaMemset(d, v, n);
}
template <class T>
cudaError_t cudaMemcpyToSymbol(T& symbol, const void* s, size_t n, size_t offset = 0,
                               cudaMemcpyKind = cudaMemcpyHostToDevice) {
    if (offset + n > sizeof(T)) return sim::result(cudaErrorInvalidValue);
    return cudaMemcpy(reinterpret_cast<char*>(&symbol) + offset, s, n);
}
template <class T>
cudaError_t cudaMemcpyToSymbolAsync(T& symbol, const void* s, size_t n, size_t offset = 0,
                                    cudaMemcpyKind kind = cudaMemcpyHostToDevice, cudaStream_t = nullptr) {
    return cudaMemcpyToSymbol(symbol, s, n, offset, kind);
}
template <class T>
cudaError_t cudaMemcpyFromSymbol(void* d, const T& symbol, size_t n, size_t offset = 0,
                                 cudaMemcpyKind = cudaMemcpyDeviceToHost) {
    if (offset + n > sizeof(T)) return sim::result(cudaErrorInvalidValue);
    return cudaMemcpy(d, reinterpret_cast<const char*>(&symbol) + offset, n);
}
template <class P, class T>
cudaError_t cudaGetSymbolAddress(P** p, T& symbol) {
    *p = reinterpret_cast<P*>(&symbol);
    return cudaSuccess;
}

// ----------------------------------------------------------------------------------------- streams and
// events

struct SimStream {};
inline cudaError_t cudaStreamCreate(cudaStream_t* s) {
    *s = new SimStream;
    return cudaSuccess;
}
inline cudaError_t cudaStreamCreateWithFlags(cudaStream_t* s, unsigned) { return cudaStreamCreate(s); }
inline cudaError_t cudaStreamCreateWithPriority(cudaStream_t* s, unsigned, int) {
    return cudaStreamCreate(s);
}
inline cudaError_t cudaStreamDestroy(cudaStream_t s) {
    delete s;
    return cudaSuccess;
}
inline cudaError_t cudaStreamSynchronize(cudaStream_t) { return cudaSuccess; }
inline cudaError_t cudaStreamQuery(cudaStream_t) { return cudaSuccess; }

struct SimEvent {
    long long nanoseconds = -1;
};
typedef SimEvent* cudaEvent_t;
inline cudaError_t cudaEventCreate(cudaEvent_t* e) {
    *e = new SimEvent;
    return cudaSuccess;
}
inline cudaError_t cudaEventCreate(cudaEvent_t* e, unsigned) { return cudaEventCreate(e); }
inline cudaError_t cudaEventCreateWithFlags(cudaEvent_t* e, unsigned) { return cudaEventCreate(e); }
inline cudaError_t cudaEventDestroy(cudaEvent_t e) {
    delete e;
    return cudaSuccess;
}
inline cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t = nullptr) {
    e->nanoseconds = sim_clock();
    return cudaSuccess;
}
inline cudaError_t cudaEventSynchronize(cudaEvent_t) { return cudaSuccess; }
inline cudaError_t cudaEventQuery(cudaEvent_t) { return cudaSuccess; }
inline cudaError_t cudaStreamWaitEvent(cudaStream_t, cudaEvent_t, unsigned = 0) { return cudaSuccess; }
// How long the simulator took: says nothing about a GPU.
inline cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
    if (start->nanoseconds < 0 || end->nanoseconds < 0) return sim::result(cudaErrorInvalidValue);
    *milliseconds = static_cast<float>(end->nanoseconds - start->nanoseconds) * 1e-6f;
    return cudaSuccess;
}

// -------------------------------------------------------------------------------------------- kernels'
// limits

template <class F>
cudaError_t cudaFuncSetAttribute(F* f, cudaFuncAttribute what, int value) {
    // 227 KB is what a Hopper block can have; smaller GPUs allow less (T4: 64 KB, A100: 163 KB).
    if (what == cudaFuncAttributeMaxDynamicSharedMemorySize) {
        if (value < 0 || value > sim::kSharedPerBlockOptIn) return sim::result(cudaErrorInvalidValue);
        sim_set_dynamic_limit(reinterpret_cast<const void*>(f), static_cast<size_t>(value));
    }
    return cudaSuccess;
}
template <class F>
cudaError_t cudaFuncSetCacheConfig(F*, cudaFuncCache) {
    return cudaSuccess;
}
inline cudaError_t cudaDeviceSetCacheConfig(cudaFuncCache) { return cudaSuccess; }
// From threads and dynamic shared memory alone: registers and static shared memory are not known here.
template <class F>
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, F*, int threads,
                                                          size_t dynamic_shared) {
    if (threads < 1 || threads > 1024) return sim::result(cudaErrorInvalidValue);
    const int by_threads = sim::kThreadsPerMultiprocessor / ((threads + 31) / 32 * 32);
    const int by_shared =
        static_cast<int>(sim::kSharedPerMultiprocessor / (dynamic_shared + sim::kSharedReserved));
    *blocks = by_threads < by_shared ? by_threads : by_shared;
    if (*blocks > sim::kBlocksPerMultiprocessor) *blocks = sim::kBlocksPerMultiprocessor;
    return cudaSuccess;
}
template <class F>
cudaError_t cudaOccupancyMaxPotentialBlockSize(int* grid, int* block, F* kernel, size_t dynamic_shared = 0,
                                               int limit = 0) {
    *block = limit > 0 && limit < 1024 ? limit : 1024;
    const cudaError_t error =
        cudaOccupancyMaxActiveBlocksPerMultiprocessor(grid, kernel, *block, dynamic_shared);
    *grid *= sim::kMultiprocessors;
    return error;
}
