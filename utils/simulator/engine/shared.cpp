// The shared memory of the running block: one storage a worker, laid out anew for every block.
#include <string.h>

#include "worker.h"

namespace sim {

static constexpr size_t kStaticLimit = 49152;  // 48 KB of static shared memory is CUDA's limit

Region* Worker::new_shared(const SimSharedSite* site, size_t bytes, size_t alignment, size_t granule) {
    if (shared_count_ == shared_pool_.size()) shared_pool_.emplace_back(new Region);
    Region* region = shared_pool_[shared_count_++].get();
    arena_used_ = (arena_used_ + kGap + 255) & ~size_t(255);
    if (alignment > 256) arena_used_ = (arena_used_ + alignment - 1) & ~(alignment - 1);
    region->base = reinterpret_cast<uintptr_t>(arena_) + arena_used_;
    region->bytes = bytes;
    region->space = kShared;
    region->id = -static_cast<int>(shared_count_);
    region->site = site;
    region->granule_shift = granule >= 4 ? 2 : granule >= 2 ? 1 : 0;
    region->cells = arena_cells_ + cells_used_;
    region->quiet = arena_quiet_ + cells_used_;
    region->copying = arena_copying_ + cells_used_;
    cells_used_ += (bytes >> region->granule_shift) + 1;
    arena_used_ += bytes;
    if (context->checked)
        memset(reinterpret_cast<void*>(region->base), 0xff, bytes);  // NaN: garbage that shows
    return region;
}

void* Worker::shared_variable(const SimSharedSite* site) {
    for (size_t i = 0; i < shared_count_; ++i)
        if (shared_pool_[i]->site == site) return reinterpret_cast<void*>(shared_pool_[i]->base);
    static_used_ += site->bytes;
    if (static_used_ > kStaticLimit) {
        Error e = error_here(kLaunch, kBadConfiguration, 0, site->line);
        snprintf(
            e.text, sizeof e.text,
            "%zu bytes of static __shared__ memory, more than the 49,152 (48 KB) that a block may declare",
            static_used_);
        raise(e);
    }
    return reinterpret_cast<void*>(new_shared(site, site->bytes, site->alignment, site->granule)->base);
}

void* Worker::dynamic_shared(const char* name, int line, size_t granule, const size_t* row_extents) {
    if (!dynamic_) {
        dynamic_site_ = SimSharedSite{name, line, config_->dynamic_shared, 256, granule, row_extents};
        dynamic_ = new_shared(nullptr, config_->dynamic_shared, 256, granule);
        dynamic_->site = &dynamic_site_;
    }
    return reinterpret_cast<void*>(dynamic_->base);
}

}  // namespace sim
