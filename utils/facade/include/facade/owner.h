// Says when the last copy of a tensor that the launcher made is gone, as PyTorch would free its memory then.
// Only the simulator's checks ask for it; elsewhere the memory lives until the call ends.
#pragma once

#include <cuda_runtime.h>

namespace facade {

#if defined(SIM_CHECKED)

// The counting is the engine's: memory management written out here would cost every cell compile time.
class Owner {
  public:
    Owner() = default;
    explicit Owner(const void* data) : copies_(sim_own(data)) {}
    Owner(const Owner& other) noexcept : copies_(other.copies_) {
        if (copies_ != nullptr) ++*copies_;
    }
    Owner& operator=(const Owner& other) noexcept {
        if (other.copies_ != nullptr) ++*other.copies_;
        if (copies_ != nullptr) sim_disown(copies_);
        copies_ = other.copies_;
        return *this;
    }
    ~Owner() {
        if (copies_ != nullptr) sim_disown(copies_);
    }

  private:
    int* copies_ = nullptr;
};

#else

class Owner {
  public:
    Owner() = default;
    explicit Owner(const void*) {}
};

#endif

}  // namespace facade
