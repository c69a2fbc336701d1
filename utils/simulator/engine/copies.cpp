// Asynchronous copies (cp.async) under way: their bytes are there at once, but until the thread that started
// a copy has waited for it, or somebody for the barrier that it was handed to, nobody may touch where it
// goes.
//
// A granule of shared memory that a copy writes bears its number. Starting, committing and waiting leave
// words in the traces, so that they come in order with the accesses of the warp's other lanes.
#include <algorithm>

#include "worker.h"

namespace sim {

void Worker::report_copying(int event, const void* place, unsigned number, uint64_t pc) {
    Thread* t = current_thread();
    *t->address++ =
        uint64_t(std::min(number, 0xffffu)) << 48 | (reinterpret_cast<uintptr_t>(place) & 0xffffffffffff);
    t->push(t->word_base + (pc << 24) + (kMemory | kCopying | uint64_t(event)));
}

void Worker::process_copying(int warp, uint32_t mask, int event, const uint64_t* addresses) {
    if (groups_.size() < threads_.size()) groups_.resize(threads_.size());
    copied_ = true;
    for (uint32_t m = mask; m; m &= m - 1) {
        const int i = __builtin_ctz(m);
        const Thread& t = threads_[static_cast<size_t>(warp) * 32 + static_cast<size_t>(i)];
        const uintptr_t place = addresses[i] & 0xffffffffffff;
        const uint32_t number = static_cast<uint32_t>(addresses[i] >> 48);
        Groups& groups = groups_[t.linear];
        switch (event) {
            case SIM_COPY_STARTED:
                start_copy(t, place, number);
                break;
            case SIM_COPY_COMMITTED:
                ++groups.committed;
                break;
            case SIM_COPY_AWAITED:
                await_groups(t, groups.committed - std::min(groups.committed, number));
                break;
            case SIM_COPY_ALL_AWAITED:
                await_groups(t, ++groups.committed);
                break;
            case SIM_COPY_HANDED:
                hand_copies(groups, place, number);
                break;
            case SIM_COPY_GATE_PASSED:
                pass_gate(place, number);
                break;
        }
    }
}

void Worker::start_copy(const Thread& t, uintptr_t to, uint32_t bytes) {
    Region* region = nullptr;
    for (size_t i = 0; i < shared_count_ && !region; ++i)
        if (shared_pool_[i]->contains(to)) region = shared_pool_[i].get();
    // Of a part of a granule nobody could tell which copy it belongs to; no instruction copies so little.
    if (!region || bytes < 1u << region->granule_shift) return;
    const uint32_t first = static_cast<uint32_t>((to - region->base) >> region->granule_shift);
    Groups& groups = groups_[t.linear];
    uint32_t index = static_cast<uint32_t>(copies_.size());
    if (free_copies_.empty()) {
        copies_.emplace_back();
    } else {
        index = free_copies_.back();
        free_copies_.pop_back();
    }
    copies_[index] = {region, first, bytes >> region->granule_shift, t.linear, groups.committed + 1, 0, 0};
    groups.copies.push_back(index);
    for (uint32_t g = first; g < first + copies_[index].granules; ++g) {
        region->copying[g] = index + 1;
        region->cells[g].writer.fetch_or(Id::kCopied, std::memory_order_relaxed);
    }
}

// The thread knows now that its groups up to `last` have arrived. To the others they are writes of this
// moment.
void Worker::await_groups(const Thread& t, uint32_t last) {
    const uint64_t now = Id::make(0, epoch_, t.warp_epoch, t.linear).bits | Id::kCopied;
    std::vector<uint32_t>& under_way = groups_[t.linear].copies;
    size_t kept = 0;
    for (uint32_t index : under_way) {
        if (copies_[index].group <= last)
            end_copy(index, now);
        else
            under_way[kept++] = index;
    }
    under_way.resize(kept);
}

// Those of the thread's copies that it has not committed: who passes the gate, after that phase, has waited.
void Worker::hand_copies(Groups& groups, uintptr_t gate, uint32_t phase) {
    size_t kept = 0;
    for (uint32_t index : groups.copies) {
        Copy& copy = copies_[index];
        if (copy.group <= groups.committed) {
            groups.copies[kept++] = index;
        } else {
            copy.gate = gate, copy.phase = phase;
            handed_.push_back(index);
        }
    }
    groups.copies.resize(kept);
}

void Worker::pass_gate(uintptr_t gate, uint32_t phase) {
    size_t kept = 0;
    for (uint32_t index : handed_) {
        if (copies_[index].gate == gate && static_cast<int16_t>(phase - copies_[index].phase) >= 0)
            end_copy(index, 0);
        else
            handed_[kept++] = index;
    }
    handed_.resize(kept);
}

void Worker::end_copy(uint32_t index, uint64_t writer) {
    const Copy& copy = copies_[index];
    for (uint32_t g = copy.first; g < copy.first + copy.granules; ++g) {
        if (copy.region->copying[g] != index + 1) continue;
        copy.region->copying[g] = 0;
        if (writer) copy.region->cells[g].writer.store(writer, std::memory_order_relaxed);
    }
    free_copies_.push_back(index);
}

// The next block begins with nothing under way.
void Worker::forget_copies() {
    if (!copied_) return;
    copied_ = false;
    std::fill(arena_copying_, arena_copying_ + cells_used_, 0);
    copies_.clear();
    free_copies_.clear();
    handed_.clear();
    for (Groups& groups : groups_) groups.committed = 0, groups.copies.clear();
}

// An access to where a copy goes that was not waited for.
Error Worker::under_way_error(const Thread* t, const Region* region, size_t granule, unsigned bytes,
                              Access access, uint32_t pc) const {
    const Copy& copy = copies_[region->copying[granule] - 1];
    const Cell& cell = region->cells[granule];
    Error e = race_error(t, region, granule << region->granule_shift, bytes, access, pc,
                         Id{cell.writer.load()}, cell.writer_pc.load() & kPcMask, true);
    e.detail = copy.gate                                     ? kCopyHanded
               : copy.group > groups_[copy.thread].committed ? kCopyNotCommitted
                                                             : kCopyUnderWay;
    return e;
}

}  // namespace sim

extern "C" void sim_copying(int event, const void* place, unsigned number, uint64_t pc) {
    if (sim_running && sim::current_worker->context->checked)
        sim::current_worker->report_copying(event, place, number, pc);
}
