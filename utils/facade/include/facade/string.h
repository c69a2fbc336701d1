// Read only where the source names std::string: <string> compiles longer than the rest of the façade.
#pragma once

#include <string>

#include "facade/call.h"

#pragma GCC visibility push(hidden)

namespace facade {

inline Text& operator<<(Text& text, const std::string& value) { return text.append(value.c_str()), text; }

template <>
struct Argument<std::string> {
    static std::string read(const Call& call, int64_t i) {
        const Value& value = expect(call, i, kText, "a str");
        return std::string(static_cast<const char*>(value.data), static_cast<size_t>(value.integer));
    }
};

}  // namespace facade

#pragma GCC visibility pop
