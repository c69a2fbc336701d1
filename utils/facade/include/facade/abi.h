// The plain C structs that travel between Python (facade/abi.py, same order and sizes) and a launcher.
#pragma once

#include <cstdint>

namespace facade {

constexpr int kMaxDimensions = 8;
constexpr int kMaxResults = 64;
constexpr int kMessageSize = 4096;

enum Kind : int64_t { kNone, kTensor, kInteger, kReal, kBool, kIntegers, kText, kTensors };

struct Value {
    int64_t kind;
    int64_t integer;  // the number; a tensor's handle; the length of a list or text
    double real;
    const void* data;  // a tensor's first element; the first of a list or text
    int32_t dim, dtype, is_cuda, device_index;
    int64_t sizes[kMaxDimensions];
    int64_t strides[kMaxDimensions];  // in elements
};

struct Result {
    int64_t kind;
    int64_t integer;  // the number or a tensor's handle; -1 for an undefined tensor
    double real;
};

enum Fill : int32_t { kEmpty, kZeros, kOnes, kFull };

struct Request {          // for a new tensor
    int64_t fill;         // Fill
    double value;         // of kFull
    int64_t like;         // handle of the tensor whose strides are wanted, or -1
    int64_t dtype;        // ScalarType, or -1 for the default
    int64_t device_type;  // 0 CPU, 1 CUDA
    int64_t device_index;
    int64_t memory_format;
    int64_t dim;
    int64_t sizes[kMaxDimensions];
};

struct Host {  // every function returns 0, or 1 when Python holds an exception
    int32_t (*create)(int64_t call, const Request* request, Value* tensor);
    int32_t (*copy)(int64_t call, int64_t handle, int64_t memory_format, Value* tensor);
    int32_t (*warn)(int64_t call, const char* message);
};

enum Status : int32_t { kReturned, kFailed, kHostFailed, kCudaFailed, kWrongType };
enum Shape : int64_t { kNothing, kSingle, kList, kTuple };

struct Call {
    const Host* host;
    int64_t token;  // says to the host which call this is
    const Value* arguments;
    int64_t argument_count;
    void* stream;
    int64_t device_index;  // made current for the call; -1 leaves it
    int64_t shape;         // of the results
    int64_t result_count;
    int64_t cuda_error;      // of a launch, 0 when all went well
    int64_t wrong_argument;  // index, with kWrongType
    int64_t error_class;     // of kFailed: 0 RuntimeError, 1 ValueError, 2 TypeError, 3 IndexError, 4
                             // NotImplementedError
    Result results[kMaxResults];
    char cuda_name[64];
    char message[kMessageSize];
};

// One launcher runs on one thread from beginning to end.
static thread_local Call* current_call = nullptr;

}  // namespace facade
