// Indices beyond the bounds of an array's declaration.
//
// The thread sanitizer's instrumentation leaves out what cannot be shared between host threads: local arrays
// that do not escape and constants. For these, checked cells are compiled with the check of array bounds as
// well, which calls the handler below before an index that is out of range is used. An array that is walked
// through a pointer has no bounds to check.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "faults.h"

using namespace sim;

namespace {

// What the compiler passes: g++ and clang++ agree on it.
struct TypeName {
    uint16_t kind, info;  // of an integer: info = signed | log2(bits) << 1
    char name[1];         // 'float [8][33]' with the quotation marks
};
struct OutOfBounds {
    const char* file;
    uint32_t line, column;
    const TypeName *array, *index;
};

int64_t signed_value(const TypeName* type, uintptr_t value) {
    const unsigned bits = 1u << (type->info >> 1);
    if (!(type->info & 1) || bits >= 64) return static_cast<int64_t>(value);
    return static_cast<int64_t>(value << (64 - bits)) >> (64 - bits);
}

// The first four dimensions in a type's name, 0 where there is none.
void read_extents(const char* name, size_t* extents) {
    memset(extents, 0, 4 * sizeof *extents);
    const char* p = strchr(name, '[');
    for (int i = 0; i < 4 && p && *p == '['; ++i) {
        char* end;
        extents[i] = strtoull(p + 1, &end, 10);
        p = *end == ']' ? end + 1 : nullptr;
    }
}

int dimensions(const size_t* extents) {
    int n = 0;
    while (n < 4 && extents[n]) ++n;
    return n;
}

void out_of_range(const OutOfBounds* place, uintptr_t value, uint64_t pc) {
    Context* c = current_context;
    if (!c) return;  // an initialiser that runs while the cell is loaded
    const int64_t index = signed_value(place->index, value);
    size_t extents[4];
    read_extents(place->array->name, extents);
    if (current_thread() && current_worker->is_shared_array(extents, index)) return;
    Error e = error_now(kOutOfBounds, kArrayIndex, pc);
    e.offset = index;
    snprintf(e.text, sizeof e.text, "%u:%u:%s", place->line, place->column, place->array->name);
    stop(e);
}

}  // namespace

// Whether an index of an array of this shape is the business of the check of accesses: the shape is that of a
// __shared__ array of this block or of its rows. Leaving one row for the next is legal, and who leaves the
// whole array meets the unowned bytes around it -- unless the index is so far out that it would land in
// another variable.
bool Worker::is_shared_array(const size_t* extents, int64_t index) const {
    const int n = dimensions(extents);
    if (!n) return false;
    for (size_t i = 0; i < shared_count_; ++i) {
        const Region* region = shared_pool_[i].get();
        const size_t* whole = region->site->extents;
        const int m = dimensions(whole);
        if (m < n || memcmp(whole + m - n, extents, static_cast<size_t>(n) * sizeof *extents)) continue;
        if (m > n || region == dynamic_) return true;
        const uintptr_t target = region->base + static_cast<uintptr_t>(index) * (region->bytes / extents[0]);
        for (size_t k = 0; k < shared_count_; ++k)
            if (k != i && shared_pool_[k]->contains(target)) return false;
        return true;
    }
    return false;
}

#define HERE reinterpret_cast<uint64_t>(__builtin_return_address(0))
extern "C" {
void __ubsan_handle_out_of_bounds(const OutOfBounds* place, uintptr_t index) {
    out_of_range(place, index, HERE);
}
void __ubsan_handle_out_of_bounds_abort(const OutOfBounds* place, uintptr_t index) {
    out_of_range(place, index, HERE);
}
}
