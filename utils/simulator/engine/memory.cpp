// The memory of a call: which tensors and allocations there are, copying and setting them.
#include "memory.h"

#include <algorithm>
#include <stdlib.h>
#include <string.h>

#include "faults.h"

using namespace sim;

std::string sim::gigabytes(size_t bytes) {
    char text[32];
    snprintf(text, sizeof text, "%.2f GB", static_cast<double>(bytes) / 1e9);
    return text;
}

namespace {

struct Owned {  // a tensor that the launcher made
    int copies;
    const void* tensor;
    uint64_t serial;  // of the call that it belongs to
};

std::string out_of_memory(const char* who, size_t wanted, size_t room) {
    return std::string(who) + " asks for " + gigabytes(wanted) + " of memory, and the simulator may take " +
           gigabytes(room) + " more on this machine (CONV_MEMORY sets the limit in GB)";
}

}  // namespace

extern "C" {

// The region that a copy of n bytes begins in; false where it would leave it, or begins in freed memory.
static bool copied_region(const void* p, size_t n, Region** region) {
    const uintptr_t address = reinterpret_cast<uintptr_t>(p);
    Context* c = current_context;
    *region = c ? c->find(address) : nullptr;
    if (*region) return n <= (*region)->bytes - (address - (*region)->base);
    const Region* off = c ? c->find_off_limits(address) : nullptr;
    return !off || off->off_limits != kFreed;
}
// What a copy writes is as good as where it came from: garbage stays garbage.
static void mark_written(Region* to, const void* d, const Region* from, const void* s, size_t n) {
    if (!to || !to->written) return;
    const size_t start = reinterpret_cast<uintptr_t>(d) - to->base;
    const size_t source = from ? reinterpret_cast<uintptr_t>(s) - from->base : 0;
    for (size_t g = start >> to->granule_shift; g <= (start + n - 1) >> to->granule_shift; ++g) {
        const size_t at = source + std::max(g << to->granule_shift, start) - start;
        const bool known = !from || !from->written || from->written[at >> from->granule_shift].load();
        to->written[g].store(known);
    }
}
int sim_memcpy(void* d, const void* s, size_t n) {
    Region *to, *from;
    if (!n) return 0;
    if (!copied_region(d, n, &to) || !copied_region(s, n, &from)) return 1;
    memmove(d, s, n);
    mark_written(to, d, from, s, n);
    return 0;
}
int sim_memset(void* d, int v, size_t n) {
    Region* to;
    if (!n) return 0;
    if (!copied_region(d, n, &to)) return 1;
    memset(d, v, n);
    mark_written(to, d, nullptr, nullptr, n);
    return 0;
}

void sim_add_region(Context* c, const void* base, size_t bytes, int itemsize, int id, int uninitialised) {
    if (!bytes) return;
    Region* r = new Region;
    r->base = reinterpret_cast<uintptr_t>(base);
    r->bytes = bytes;
    r->granule_shift = itemsize >= 4 ? 2 : itemsize >= 2 ? 1 : 0;
    r->id = id;
    if (uninitialised && c->checked) {
        size_t granules = ((bytes - 1) >> r->granule_shift) + 1;
        r->written = static_cast<std::atomic<uint8_t>*>(calloc(granules, 1));
    }
    c->add(r);
}

// A tensor of the CPU: a kernel that touches it is told so.
void sim_add_host_tensor(Context* c, const void* base, size_t bytes, int id) {
    if (!bytes) return;
    Region* r = new Region;
    r->base = reinterpret_cast<uintptr_t>(base), r->bytes = bytes, r->id = id, r->off_limits = kHostTensor;
    c->off_limits.push_back(r);
}

// Marks the elements of a tensor as written in a region that began uninitialised: what lies between the rows
// of a slice stays nobody's.
void sim_mark_elements(Context* c, const void* data, int itemsize, int dim, const int64_t* sizes,
                       const int64_t* strides) {
    Region* r = c->find(reinterpret_cast<uintptr_t>(data));
    if (!r || !r->written) return;
    if (dim) {
        for (int64_t i = 0; i < sizes[0]; ++i)
            sim_mark_elements(c, static_cast<const char*>(data) + i * strides[0] * itemsize, itemsize,
                              dim - 1, sizes + 1, strides + 1);
        return;
    }
    mark_written(r, data, nullptr, nullptr, static_cast<size_t>(itemsize));
}

// Counts memory that the call is about to take: 0, or the bytes that it may still have when those are fewer.
size_t sim_reserve(Context* c, size_t bytes) {
    const size_t room = c->memory_limit - std::min(c->memory_used, c->memory_limit);
    if (bytes > room) return std::max<size_t>(room, 1);
    c->memory_used += bytes;
    return 0;
}
void sim_set_constants(Context* c, const void* start, size_t bytes) {
    c->constants = reinterpret_cast<uintptr_t>(start), c->constant_bytes = bytes;
}
void sim_set_memory_limit(Context* c, size_t bytes) { c->memory_limit = bytes; }
void sim_memory(size_t* free, size_t* total) {
    Context* c = current_context;
    *total = c ? c->memory_limit : 0;
    *free = c ? c->memory_limit - std::min(c->memory_used, c->memory_limit) : 0;
}

int sim_malloc(void** p, size_t bytes, int written) {
    Context* c = current_context;
    *p = nullptr;
    if (!c || !bytes) return 0;
    if (size_t room = sim_reserve(c, bytes))
        stop_here(kLaunch, kOutOfMemory, out_of_memory("cudaMalloc", bytes, room).c_str(), 0,
                  reinterpret_cast<uint64_t>(__builtin_return_address(0)));
    // 1,024 spare bytes on each side, so that a step over the edge lands on nobody's memory.
    char* memory = static_cast<char*>(aligned_alloc(1024, ((bytes + 1023) & ~size_t(1023)) + 2048));
    if (!memory) return 2;
    *p = memory + 1024;
    c->allocations.push_back(memory);
    sim_add_region(c, *p, bytes, 4, 1000000 + static_cast<int>(c->allocations.size()), !written);
    return 0;
}
int sim_free(void* p) {
    Context* c = current_context;
    return !p || !c || c->release(p) ? 0 : 1;
}
int* sim_own(const void* tensor) {
    return &(new Owned{1, tensor, current_context ? current_context->serial : 0})->copies;
}
void sim_disown(int* copies) noexcept {
    if (--*copies) return;
    Owned* owned = reinterpret_cast<Owned*>(copies);
    // A tensor kept in a static variable may outlive its call and its memory.
    if (current_context && current_context->serial == owned->serial) current_context->release(owned->tensor);
    delete owned;
}
}
