// The few names of CUDA that the façade itself uses, so that it can be tested without a simulator and without
// CUDA.
#pragma once

#define __host__
#define __device__

struct CUstream_st;
using cudaStream_t = CUstream_st*;
enum cudaError_t { cudaSuccess = 0, cudaErrorInvalidConfiguration = 9 };

inline cudaError_t stub_error = cudaSuccess;
inline int stub_device = 0;

inline cudaError_t cudaGetLastError() {
    const cudaError_t error = stub_error;
    stub_error = cudaSuccess;
    return error;
}
inline const char* cudaGetErrorString(cudaError_t) { return "invalid configuration argument"; }
inline const char* cudaGetErrorName(cudaError_t) { return "cudaErrorInvalidConfiguration"; }
inline cudaError_t cudaSetDevice(int device) {
    stub_device = device;
    return cudaSuccess;
}
inline cudaError_t cudaGetDevice(int* device) {
    *device = stub_device;
    return cudaSuccess;
}
inline cudaError_t cudaDeviceSynchronize() { return cudaSuccess; }
