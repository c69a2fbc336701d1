// The words of <c10/cuda/CUDAGuard.h> that the course's launchers use, said with PyTorch's stable ABI.
#pragma once

#include <cuda_runtime.h>
#include <torch/csrc/stable/accelerator.h>
#include <torch/csrc/stable/device.h>
#include <torch/csrc/stable/macros.h>

#define C10_CUDA_CHECK STD_CUDA_CHECK
#define C10_CUDA_KERNEL_LAUNCH_CHECK STD_CUDA_KERNEL_LAUNCH_CHECK

HIDDEN_NAMESPACE_BEGIN(c10, cuda)

struct CUDAGuard : torch::stable::accelerator::DeviceGuard {
    explicit CUDAGuard(const torch::stable::Device& device) : DeviceGuard(device.index()) {}
};

HIDDEN_NAMESPACE_END(c10, cuda)

HIDDEN_NAMESPACE_BEGIN(at, cuda)

inline cudaStream_t getCurrentCUDAStream() {
    void* stream = nullptr;
    const auto device = torch::stable::accelerator::getCurrentDeviceIndex();
    TORCH_ERROR_CODE_CHECK(aoti_torch_get_current_cuda_stream(device, &stream));
    return static_cast<cudaStream_t>(stream);
}

HIDDEN_NAMESPACE_END(at, cuda)
