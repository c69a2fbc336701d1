// The part of PyTorch's C++ interface that launchers use, in a header that compiles in a tenth of a second.
// Whatever is not here needs the real header: backend="torch".
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <cstdio>
#include <exception>
#include <initializer_list>
#include <optional>
#include <type_traits>
#include <utility>

// Without this a launcher's copy of at::Tensor could be taken for the one in libtorch, and the other way
// round.
#pragma GCC visibility push(hidden)
#include "facade/call.h"
#include "facade/cuda.h"
#include "facade/dispatch.h"
#include "facade/tensor.h"

namespace torch {
using namespace at;
constexpr auto kChannelsLast = at::MemoryFormat::ChannelsLast;
}  // namespace torch
#pragma GCC visibility pop
