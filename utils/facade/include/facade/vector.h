// Read only where the source names std::vector: <vector> takes as long to compile as the rest of the façade.
#pragma once

#include <vector>

#include "facade/call.h"

#pragma GCC visibility push(hidden)

namespace c10 {
struct VectorOf {
    template <class T>
    using type = std::vector<T>;
};
}  // namespace c10

namespace facade {

template <class T>
struct Argument<std::vector<T>,
                std::enable_if_t<std::is_integral<T>::value && !std::is_same<T, bool>::value>> {
    static std::vector<T> read(const Call& call, int64_t i) {
        const c10::IntArrayRef list = Argument<c10::IntArrayRef>::read(call, i);
        return std::vector<T>(list.begin(), list.end());
    }
};
template <>
struct Argument<std::vector<at::Tensor>> {
    static std::vector<at::Tensor> read(const Call& call, int64_t i) {
        const Value& value = expect(call, i, kTensors, "a list of tensors");
        std::vector<at::Tensor> tensors;
        for (int64_t k = 0; k < value.integer; ++k)
            tensors.push_back(at::Tensor(static_cast<const Value*>(value.data)[k]));
        return tensors;
    }
};
template <class T>
struct Returned<std::vector<T>> {
    static constexpr Shape shape = kList;
    static void write(Call& call, const std::vector<T>& values) {
        static_assert(Returned<T>::shape == kSingle, "a launcher returns no nested lists");
        for (const T& value : values) Returned<T>::write(call, value);
    }
};

}  // namespace facade

#pragma GCC visibility pop
