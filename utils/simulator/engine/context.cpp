#include "context.h"

#include <algorithm>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

namespace sim {

thread_local Context* current_context = nullptr;

Region* Context::find(uintptr_t address) const {
    auto it = std::upper_bound(regions.begin(), regions.end(), address,
                               [](uintptr_t a, const Region* r) { return a < r->base; });
    if (it == regions.begin()) return nullptr;
    Region* region = *--it;
    return region->contains(address) ? region : nullptr;
}

void Context::add(Region* region) {
    auto it = std::upper_bound(regions.begin(), regions.end(), region->base,
                               [](uintptr_t a, const Region* r) { return a < r->base; });
    regions.insert(it, region);
}

Region* Context::find_off_limits(uintptr_t address) const {
    for (Region* region : off_limits)
        if (region->contains(address)) return region;
    return nullptr;
}

// The memory itself lives until the call ends, so that a late access is ours to explain.
bool Context::release(const void* base) {
    Region* region = find(reinterpret_cast<uintptr_t>(base));
    if (!region || region->base != reinterpret_cast<uintptr_t>(base)) return false;
    regions.erase(std::find(regions.begin(), regions.end(), region));
    region->off_limits = kFreed;
    off_limits.push_back(region);
    return true;
}

void Context::fail(const Error& e) {
    std::lock_guard<std::mutex> lock(mutex);
    if (failed.load()) return;
    error = e;
    failed.store(true);
}

void Context::append_printed() {
    std::sort(printed.begin(), printed.end());
    for (auto& [turn, text] : printed) {
        const size_t room =
            output.size() < kOutputLimit ? std::min(kOutputLimit - output.size(), text.size()) : 0;
        output.append(text, 0, room);
        output_dropped += text.size() - room;
    }
    printed.clear();
}

Context::~Context() {
    for (Region* region : regions) free_region(region);
    for (Region* region : off_limits) free_region(region);
    for (void* p : allocations) free(p);
}

void map_cells(Region* region) {
    if (region->cells || !region->bytes) return;
    region->cell_bytes = ((region->bytes - 1) >> region->granule_shift) * sizeof(Cell) + sizeof(Cell);
    void* p = mmap(nullptr, region->cell_bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    region->cells = p == MAP_FAILED ? nullptr : static_cast<Cell*>(p);
}

void drop_cells(Region* region) {
    if (region->cells) munmap(static_cast<void*>(region->cells), region->cell_bytes);
    region->cells = nullptr;
}

void free_region(Region* region) {
    drop_cells(region);
    free(region->written);
    delete region;
}

}  // namespace sim
