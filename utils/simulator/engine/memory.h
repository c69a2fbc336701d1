// Memory that a call's tensors and allocations take.
#pragma once
#include <string>

namespace sim {

std::string gigabytes(size_t bytes);

}  // namespace sim
