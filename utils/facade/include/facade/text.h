// Messages without <string> and <sstream>, which cost more compile time than all the rest.
#pragma once

#include <cstdint>
#include <cstdio>
#include <exception>
#include <initializer_list>

namespace facade {

constexpr int kTextSize = 2048;

class Text {
  public:
    Text() { characters_[0] = '\0'; }

    const char* c_str() const { return characters_; }

    void append(const char* text) {
        while (text != nullptr && *text != '\0' && length_ < kTextSize - 1) characters_[length_++] = *text++;
        characters_[length_] = '\0';
    }
    void append(char character) {
        const char text[2] = {character, '\0'};
        append(text);
    }
    void append_integer(long long value) { append_formatted("%lld", value); }
    void append_unsigned(unsigned long long value) { append_formatted("%llu", value); }
    void append_real(double value) { append_formatted("%g", value); }
    void append_pointer(const void* value) { append_formatted("%p", value); }

  private:
    template <class Value>
    void append_formatted(const char* format, Value value) {
        char digits[48];
        snprintf(digits, sizeof digits, format, value);
        append(digits);
    }

    char characters_[kTextSize];
    int length_ = 0;
};

inline Text& operator<<(Text& text, const char* value) { return text.append(value), text; }
inline Text& operator<<(Text& text, char value) { return text.append(value), text; }
inline Text& operator<<(Text& text, signed char value) { return text.append(static_cast<char>(value)), text; }
inline Text& operator<<(Text& text, unsigned char value) {
    return text.append(static_cast<char>(value)), text;
}
inline Text& operator<<(Text& text, bool value) { return text.append(value ? '1' : '0'), text; }
inline Text& operator<<(Text& text, short value) { return text.append_integer(value), text; }
inline Text& operator<<(Text& text, unsigned short value) { return text.append_unsigned(value), text; }
inline Text& operator<<(Text& text, int value) { return text.append_integer(value), text; }
inline Text& operator<<(Text& text, unsigned value) { return text.append_unsigned(value), text; }
inline Text& operator<<(Text& text, long value) { return text.append_integer(value), text; }
inline Text& operator<<(Text& text, unsigned long value) { return text.append_unsigned(value), text; }
inline Text& operator<<(Text& text, long long value) { return text.append_integer(value), text; }
inline Text& operator<<(Text& text, unsigned long long value) { return text.append_unsigned(value), text; }
inline Text& operator<<(Text& text, float value) { return text.append_real(value), text; }
inline Text& operator<<(Text& text, double value) { return text.append_real(value), text; }
inline Text& operator<<(Text& text, const void* value) { return text.append_pointer(value), text; }

// Anything with data() and size(): IntArrayRef and std::vector as "[1, 2]".
template <class Sequence>
auto operator<<(Text& text, const Sequence& values)
    -> decltype(values.data(), values.size(), values[0], values.front(), values.back(),
                static_cast<void>(values.begin()), text) {
    text << '[';
    for (decltype(values.size()) i = 0; i < values.size(); ++i) {
        if (i > 0) text << ", ";
        text << values[i];
    }
    return text << ']';
}

}  // namespace facade

namespace c10 {

class Error : public std::exception {
  public:
    explicit Error(const facade::Text& text, int kind = 0) : text_(text), kind_(kind) {}
    const char* what() const noexcept override { return text_.c_str(); }
    const char* what_without_backtrace() const noexcept { return text_.c_str(); }
    int kind() const { return kind_; }  // facade::Call::error_class

  private:
    facade::Text text_;
    int kind_;
};

}  // namespace c10

namespace facade {

// Thrown where Python holds the exception, to unwind the launcher.
struct HostFailed {};

// One argument of TORCH_CHECK. Not a template over all arguments: each new combination would be compiled
// anew.
class Item {
  public:
    Item(const char* value) : pointer_(value), write_(&write_text) {}
    Item(bool value) : integer_(value), write_(&write_integer) {}
    Item(int value) : integer_(value), write_(&write_integer) {}
    Item(long value) : integer_(value), write_(&write_integer) {}
    Item(long long value) : integer_(value), write_(&write_integer) {}
    Item(double value) : real_(value), write_(&write_real) {}
    template <class Value>
    Item(const Value& value) : pointer_(&value), write_(&write_value<Value>) {}

    void write(Text& text) const { write_(text, *this); }

  private:
    static void write_text(Text& text, const Item& item) {
        text.append(static_cast<const char*>(item.pointer_));
    }
    static void write_integer(Text& text, const Item& item) { text.append_integer(item.integer_); }
    static void write_real(Text& text, const Item& item) { text.append_real(item.real_); }
    template <class Value>
    static void write_value(Text& text, const Item& item) {
        text << *static_cast<const Value*>(item.pointer_);
    }

    union {
        const void* pointer_;
        long long integer_;
        double real_;
    };
    void (*write_)(Text&, const Item&);
};

using Items = std::initializer_list<Item>;

[[noreturn, gnu::noinline, gnu::cold]] inline void fail(int kind, const char* otherwise, Items items) {
    Text text;
    if (items.size() == 0) text << otherwise;
    for (const Item& item : items) item.write(text);
    throw c10::Error(text, kind);
}

}  // namespace facade

#define FACADE_CHECK(kind, condition, ...)                                                             \
    do {                                                                                               \
        if (__builtin_expect(!(condition), 0))                                                         \
            ::facade::fail(kind, "Expected " #condition " to be true, but got false.", {__VA_ARGS__}); \
    } while (0)
#define FACADE_COMPARE(left, op, right)                                                           \
    do {                                                                                          \
        const auto& facade_left = (left);                                                         \
        const auto& facade_right = (right);                                                       \
        if (__builtin_expect(!(facade_left op facade_right), 0))                                  \
            ::facade::fail(0, "",                                                                 \
                           {"Check failed: " #left " " #op " " #right " (", facade_left, " vs. ", \
                            facade_right, "). "});                                                \
    } while (0)

#define TORCH_CHECK(condition, ...) FACADE_CHECK(0, condition, ##__VA_ARGS__)
#define TORCH_CHECK_VALUE(condition, ...) FACADE_CHECK(1, condition, ##__VA_ARGS__)
#define TORCH_CHECK_TYPE(condition, ...) FACADE_CHECK(2, condition, ##__VA_ARGS__)
#define TORCH_CHECK_INDEX(condition, ...) FACADE_CHECK(3, condition, ##__VA_ARGS__)
#define TORCH_CHECK_NOT_IMPLEMENTED(condition, ...) FACADE_CHECK(4, condition, ##__VA_ARGS__)
#define TORCH_INTERNAL_ASSERT(condition, ...) FACADE_CHECK(0, condition, ##__VA_ARGS__)
#define TORCH_CHECK_EQ(left, right) FACADE_COMPARE(left, ==, right)
#define TORCH_CHECK_NE(left, right) FACADE_COMPARE(left, !=, right)
#define TORCH_CHECK_LE(left, right) FACADE_COMPARE(left, <=, right)
#define TORCH_CHECK_LT(left, right) FACADE_COMPARE(left, <, right)
#define TORCH_CHECK_GE(left, right) FACADE_COMPARE(left, >=, right)
#define TORCH_CHECK_GT(left, right) FACADE_COMPARE(left, >, right)
#define AT_ASSERTM(condition, ...) FACADE_CHECK(0, condition, ##__VA_ARGS__)
#define AT_ASSERT(condition, ...) FACADE_CHECK(0, condition, ##__VA_ARGS__)
#define AT_ERROR(...) ::facade::fail(0, "", {__VA_ARGS__})
#define TORCH_WARN(...) ::facade::warn({__VA_ARGS__})
