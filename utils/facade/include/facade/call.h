// From the values that Python packed to a call of the launcher, and back: no signature is parsed for this.
#pragma once

#include <utility>

#include "facade/cuda.h"

namespace facade {

struct WrongType {
    int64_t index;
    const char* wanted;
};

inline const Value& expect(const Call& call, int64_t index, Kind kind, const char* wanted) {
    const Value& value = call.arguments[index];
    if (value.kind != kind) throw WrongType{index, wanted};
    return value;
}

template <class T>
struct always_false : std::false_type {};

// How one argument is read. Headers read on demand (facade/vector.h ...) add specialisations.
template <class T, class = void>
struct Argument {
    static_assert(always_false<T>::value,
                  "this parameter type is not in the course's torch header: take torch::Tensor, "
                  "std::optional<torch::Tensor>, int64_t, int, double, float, bool, std::vector<int64_t>, "
                  "std::string, or build with backend='torch'");
};

template <>
struct Argument<at::Tensor> {
    static at::Tensor read(const Call& call, int64_t i) {
        return at::Tensor(expect(call, i, kTensor, "a torch.Tensor"));
    }
};
template <>
struct Argument<bool> {
    static bool read(const Call& call, int64_t i) { return expect(call, i, kBool, "a bool").integer != 0; }
};
template <class T>
struct Argument<T, std::enable_if_t<std::is_integral<T>::value && !std::is_same<T, bool>::value>> {
    static T read(const Call& call, int64_t i) {
        const int64_t wide = expect(call, i, kInteger, "an int").integer;
        if (static_cast<int64_t>(static_cast<T>(wide)) != wide || (std::is_unsigned<T>::value && wide < 0))
            throw WrongType{
                i, sizeof(T) == 4 ? "an int that fits in 32 bits" : "an int that fits the parameter's type"};
        return static_cast<T>(wide);
    }
};
template <class T>
struct Argument<T, std::enable_if_t<std::is_floating_point<T>::value>> {
    static T read(const Call& call, int64_t i) {
        const Value& value = call.arguments[i];
        if (value.kind == kInteger) return static_cast<T>(value.integer);
        return static_cast<T>(expect(call, i, kReal, "a float").real);
    }
};
template <class T>
struct Argument<std::optional<T>> {
    static std::optional<T> read(const Call& call, int64_t i) {
        if (call.arguments[i].kind == kNone) return std::nullopt;
        return Argument<T>::read(call, i);
    }
};
template <>
struct Argument<c10::IntArrayRef> {
    static c10::IntArrayRef read(const Call& call, int64_t i) {
        const Value& value = expect(call, i, kIntegers, "a list of ints");
        return c10::IntArrayRef(static_cast<const int64_t*>(value.data), static_cast<size_t>(value.integer));
    }
};
template <>
struct Argument<c10::ScalarType> {
    static_assert(true, "");
    static c10::ScalarType read(const Call& call, int64_t i) {
        return static_cast<c10::ScalarType>(expect(call, i, kInteger, "a dtype").integer);
    }
};

// Keeps an argument alive for the call, so that a launcher may take it by value or by any reference.
template <class T>
struct Held {
    T value;
    Held(const Call& call, int64_t index) : value(Argument<T>::read(call, index)) {}
    T& get() { return value; }
};

inline void push(Call& call, Kind kind, int64_t integer, double real) {
    TORCH_CHECK(call.result_count < kMaxResults, "a launcher of the course can return at most ", kMaxResults,
                " values");
    call.results[call.result_count++] = Result{kind, integer, real};
}

template <class T, class = void>
struct Returned {
    static_assert(always_false<T>::value,
                  "this return type is not in the course's torch header: return torch::Tensor, "
                  "std::vector<torch::Tensor>, std::tuple<...>, int64_t, double, bool or void, or build with "
                  "backend='torch'");
};
template <>
struct Returned<at::Tensor> {
    static constexpr Shape shape = kSingle;
    static void write(Call& call, const at::Tensor& tensor) {
        push(call, tensor.defined() ? kTensor : kNone, tensor.handle(), 0);
    }
};
template <>
struct Returned<bool> {
    static constexpr Shape shape = kSingle;
    static void write(Call& call, bool value) { push(call, kBool, value, 0); }
};
template <class T>
struct Returned<T, std::enable_if_t<std::is_integral<T>::value && !std::is_same<T, bool>::value>> {
    static constexpr Shape shape = kSingle;
    static void write(Call& call, T value) { push(call, kInteger, static_cast<int64_t>(value), 0); }
};
template <class T>
struct Returned<T, std::enable_if_t<std::is_floating_point<T>::value>> {
    static constexpr Shape shape = kSingle;
    static void write(Call& call, T value) { push(call, kReal, 0, value); }
};
template <class T>
struct Returned<std::optional<T>> {
    static constexpr Shape shape = kSingle;
    static void write(Call& call, const std::optional<T>& value) {
        if (value.has_value())
            Returned<T>::write(call, *value);
        else
            push(call, kNone, 0, 0);
    }
};

template <class Return, class... Parameters, size_t... index>
void run(Return (*launcher)(Parameters...), Call& call, std::index_sequence<index...>) {
    using std::decay_t;
    if constexpr (std::is_void<Return>::value) {
        launcher(static_cast<Parameters>(Held<decay_t<Parameters>>(call, index).get())...);
        call.shape = kNothing;
    } else {
        using Plain = decay_t<Return>;
        Returned<Plain>::write(
            call, launcher(static_cast<Parameters>(Held<decay_t<Parameters>>(call, index).get())...));
        call.shape = Returned<Plain>::shape;
    }
}

inline void copy_text(char* to, size_t room, const char* from) {
    snprintf(to, room, "%s", from != nullptr ? from : "");
}

inline int32_t report_cuda(Call& call, cudaError_t error) {
    call.cuda_error = static_cast<int64_t>(error);
    copy_text(call.cuda_name, sizeof call.cuda_name, cudaGetErrorName(error));
    copy_text(call.message, sizeof call.message, cudaGetErrorString(error));
    return kCudaFailed;
}

inline int32_t report_failure(Call& call, const char* message, int kind) {
    copy_text(call.message, sizeof call.message, message);
    call.error_class = kind;
    return kFailed;
}

template <class Return, class... Parameters>
int32_t enter(Return (*launcher)(Parameters...), Call* call) {
    Call* const outer = current_call;
    current_call = call;
    struct Restore {
        Call* outer;
        int device;
        ~Restore() {
            current_call = outer;
            if (device >= 0) (void)cudaSetDevice(device);
        }
    } restore{outer, -1};
    try {
        if (call->argument_count != static_cast<int64_t>(sizeof...(Parameters)))
            throw WrongType{-1, "another number of arguments"};
        if (call->device_index >= 0) {
            check_cuda(cudaGetDevice(&restore.device));
            check_cuda(cudaSetDevice(static_cast<int>(call->device_index)));
        }
        (void)cudaGetLastError();  // an older error is not this launcher's
        run(launcher, *call, std::index_sequence_for<Parameters...>());
        check_cuda(cudaGetLastError());
        return kReturned;
    } catch (const HostFailed&) {
        return kHostFailed;
    } catch (const CudaFailed& failed) {
        (void)cudaGetLastError();
        return report_cuda(*call, failed.error);
    } catch (const WrongType& wrong) {
        call->wrong_argument = wrong.index;
        copy_text(call->message, sizeof call->message, wrong.wanted);
        return kWrongType;
    } catch (const c10::Error& error) {
        return report_failure(*call, error.what(), error.kind());
    } catch (const std::exception& error) {
        return report_failure(*call, error.what(), 0);
    } catch (...) {
        return report_failure(*call, "the launcher threw something that is no std::exception", 0);
    }
}

}  // namespace facade

#define FACADE_EXPORT extern "C" __attribute__((visibility("default")))
#define FACADE_BIND(launcher)                                            \
    FACADE_EXPORT int32_t facade_call_##launcher(::facade::Call* call) { \
        return ::facade::enter(&launcher, call);                         \
    }
// After the last launcher: waits for the GPU and says how it went.
#define FACADE_SYNCHRONIZE()                                                                     \
    FACADE_EXPORT int32_t facade_synchronize(::facade::Call* call) {                             \
        const cudaError_t error = cudaDeviceSynchronize();                                       \
        return error == cudaSuccess ? ::facade::kReturned : ::facade::report_cuda(*call, error); \
    }
