// What the façade itself needs of CUDA.
#pragma once

#include "facade/tensor.h"

namespace facade {

struct CudaFailed {
    cudaError_t error;
};

inline void check_cuda(cudaError_t error) {
    if (__builtin_expect(error != cudaSuccess, 0)) throw CudaFailed{error};
}

inline void warn(Items items) {
    Text text;
    for (const Item& item : items) item.write(text);
    Call* call = current_call;
    if (call != nullptr && call->host->warn(call->token, text.c_str()) != 0) throw HostFailed();
}

}  // namespace facade

// Filled by facade/stream.h; here so that a compiler names what is missing in them, and not the namespaces.
namespace c10 {
namespace cuda {}
}  // namespace c10
namespace at {
namespace cuda {}
}  // namespace at
