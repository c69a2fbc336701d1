// PyTorch's CUDA builds generate this file; its CPU builds have the other headers of CUDA, but not this one.
#pragma once
#define C10_CUDA_BUILD_SHARED_LIBS
