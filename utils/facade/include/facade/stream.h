// The stream, the device guards and the launch checks. PyTorch's own torch/extension.h lacks them too: they
// come with ATen/cuda/CUDAContext.h and the headers of c10/cuda.
#pragma once

#include <torch/extension.h>

#pragma GCC visibility push(hidden)

#define C10_CUDA_CHECK(expression) ::facade::check_cuda(expression)
#define AT_CUDA_CHECK(expression) ::facade::check_cuda(expression)
#define C10_CUDA_KERNEL_LAUNCH_CHECK() ::facade::check_cuda(cudaGetLastError())

namespace c10 {
namespace cuda {

class CUDAStream {
  public:
    explicit CUDAStream(cudaStream_t stream) : stream_(stream) {}
    cudaStream_t stream() const { return stream_; }
    operator cudaStream_t() const { return stream_; }

  private:
    cudaStream_t stream_;
};

// PyTorch's current stream on the device of the call's tensors.
inline CUDAStream getCurrentCUDAStream(int = -1) {
    facade::Call* call = facade::current_call;
    return CUDAStream(call != nullptr ? static_cast<cudaStream_t>(call->stream) : cudaStream_t());
}

class OptionalCUDAGuard {
  public:
    OptionalCUDAGuard() = default;
    explicit OptionalCUDAGuard(std::optional<Device> device) {
        if (device.has_value() && device->is_cuda() && device->has_index()) set(device->index());
    }
    explicit OptionalCUDAGuard(int index) { set(index); }
    OptionalCUDAGuard(const OptionalCUDAGuard&) = delete;
    OptionalCUDAGuard& operator=(const OptionalCUDAGuard&) = delete;
    ~OptionalCUDAGuard() {
        if (before_ >= 0) (void)cudaSetDevice(before_);
    }

  private:
    void set(int index) {
        facade::check_cuda(cudaGetDevice(&before_));
        facade::check_cuda(cudaSetDevice(index));
    }
    int before_ = -1;
};

class CUDAGuard : public OptionalCUDAGuard {
  public:
    explicit CUDAGuard(Device device) : OptionalCUDAGuard(std::optional<Device>(device)) {}
    explicit CUDAGuard(int index) : OptionalCUDAGuard(index) {}
};

}  // namespace cuda

using OptionalDeviceGuard = cuda::OptionalCUDAGuard;
using DeviceGuard = cuda::CUDAGuard;

}  // namespace c10

namespace at {
namespace cuda {
using namespace c10::cuda;
}
}  // namespace at

#pragma GCC visibility pop
