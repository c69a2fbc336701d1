// Read only where the source names std::tuple or std::pair.
#pragma once

#include <tuple>

#include "facade/call.h"

#pragma GCC visibility push(hidden)

namespace facade {

template <class... Ts>
struct Returned<std::tuple<Ts...>> {
    static constexpr Shape shape = kTuple;
    static void write(Call& call, const std::tuple<Ts...>& values) {
        static_assert(((Returned<Ts>::shape == kSingle) && ...),
                      "a launcher returns no nested tuples or lists");
        std::apply([&](const Ts&... each) { (Returned<Ts>::write(call, each), ...); }, values);
    }
};
template <class A, class B>
struct Returned<std::pair<A, B>> {
    static constexpr Shape shape = kTuple;
    static void write(Call& call, const std::pair<A, B>& values) {
        Returned<A>::write(call, values.first);
        Returned<B>::write(call, values.second);
    }
};

}  // namespace facade

#pragma GCC visibility pop
