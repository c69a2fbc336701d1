// Races and uninitialised memory: what a request means for the granules of memory that it touches (shadow.h).
#include <string.h>

#include "shadow.h"
#include "wide.h"
#include "worker.h"

namespace sim {

// Whether 32 marks of shared memory in a row are one of two.
SIM_WIDE static bool all_quiet(const uint32_t* marks, uint32_t all, uint32_t mine) {
    uint32_t loud = 0;
    for (int i = 0; i < 32; ++i) loud |= (marks[i] ^ all) && (marks[i] ^ mine) ? 1 : 0;
    return !loud;
}

// Whether an access to a tensor can go unrecorded: only reads can, and only of what nobody writes.
bool Worker::needs_no_record(Region* region, Access access) {
    if (region->space == kShared || context->reads) return false;
    const bool load = access == kLoad;
    std::atomic<bool>&mine = load ? region->read : region->stored,
    &other = load ? region->stored : region->read;
    if (!mine.load(std::memory_order_relaxed)) mine.store(true);
    if (other.load()) raise(error_here(kReadsMatter, kPlain));
    return load;
}

// Looks at what a request means for the memory it touches. Most reads of shared memory change nothing in its
// record: since the last synchronisation several warps have read that granule, or several lanes of this warp,
// and nobody has written it. Such a granule is marked as quiet by a number that is never used again.
void Worker::check(int warp, uint32_t mask, const uint64_t* addresses, unsigned bytes, Access access,
                   uint32_t pc) {
    Thread* lanes = &threads_[warp * 32];
    const uint32_t all = all_tag_, mine = warp_tags_[warp];
    uint64_t tag = ~uint64_t(0);
    Region* region = nullptr;
    bool unrecorded = false, quiet = false;
    for (uint32_t m = mask; m; m &= m - 1) {
        const int i = __builtin_ctz(m);
        if (addresses[i] >> 48 != tag) {  // nearly always the same for all lanes
            tag = addresses[i] >> 48;
            region = table_[tag];
            unrecorded = needs_no_record(region, access);
            quiet = access == kLoad && region->quiet && region->granule_shift == 2 && bytes >= 4;
        }
        const size_t offset = addresses[i] & 0xffffffffffff;
        if (unrecorded) {
            for (size_t g = offset >> region->granule_shift;
                 region->written && g <= (offset + bytes - 1) >> region->granule_shift; ++g)
                check_written(&lanes[i], region, g, bytes, pc);
            continue;
        }
        if (quiet) {
            const uint32_t* q = region->quiet + (offset >> 2);
            unsigned k = 0;
            while (k < bytes / 4 && (q[k] == all || q[k] == mine)) ++k;
            if (k == bytes / 4) continue;
        }
        check_cells(&lanes[i], region, offset, bytes, access, pc);
    }
}

// The most common cases of the above at once: 32 lanes read a tensor that nobody writes, or 32 quiet words of
// shared memory in a row (`side_by_side` of 4 bytes).
bool Worker::is_harmless(int warp, Region* region, uint64_t first, unsigned side_by_side) {
    if (region->quiet)
        return side_by_side == 4 && region->granule_shift == 2 &&
               all_quiet(region->quiet + ((first & 0xffffffffffff) >> 2), all_tag_, warp_tags_[warp]);
    return !region->written && needs_no_record(region, kLoad);
}

// A read of what nobody has written is held back until the next barrier (report_pending).
inline void Worker::check_written(Thread* t, Region* region, size_t granule, unsigned bytes, uint32_t pc) {
    const bool written = region->space == kShared
                             ? region->cells[granule].writer.load(std::memory_order_relaxed) != 0
                             : !region->written || region->written[granule].load(std::memory_order_relaxed);
    if (!written && pending_.size() < 64) pending_.push_back({region, granule, pc, bytes, t});
}

void Worker::check_cells(Thread* t, Region* region, size_t offset, unsigned bytes, Access access,
                         uint32_t pc) {
    if (!region->cells) return;
    const size_t from = offset >> region->granule_shift, to = (offset + bytes - 1) >> region->granule_shift;
    const Id me = Id::make(region->space == kShared ? 0 : block_linear, epoch_, t->warp_epoch, t->linear);
    const bool alone = region->space == kShared || context->workers == 1;
    // Another thread's access is over when its block has released it by a fence and this block has done an
    // atomic operation since; within the block, when there was a fence and this very thread has done one.
    auto released_by = [&](Id other) {
        if (other.block() == me.block() && !other.has(Id::kBlocks)) return fenced && t->acquired;
        return acquired && released && released[other.block()].load();
    };
    auto overlaps = [&](Id writer) { return unordered(writer, me) || (parts_met_ && unmet(t, writer)); };
    auto meets_writer = [&](size_t granule, Id writer, uint32_t writer_pc) {
        Error e = race_error(t, region, granule << region->granule_shift, bytes, access, pc, writer,
                             writer_pc & kPcMask, true);
        if (writer.has(Id::kCopied)) e.detail = kCopied;
        raise(e);
    };
    // Which bytes of the granule: neighbours may write the halves of one word without touching each other's.
    const unsigned granule = 1u << region->granule_shift;
    const uint32_t part = bytes >= granule ? 0xf : ((1u << bytes) - 1) << (offset & (granule - 1));
    for (size_t g = from; g <= to; ++g) {
        Cell& cell = region->cells[g];
        if (copied_ && region->space == kShared && region->copying[g])
            raise(under_way_error(t, region, g, bytes, access, pc));
        if (access != kStore) check_written(t, region, g, bytes, pc);  // an atomic operation reads, too
        if (access == kLoad) {
            // Readers of different bytes cannot be told apart in one record: the last of them stays.
            const uint64_t old = cell.reader.load(std::memory_order_relaxed);
            const uint32_t old_part = cell.reader_pc.load(std::memory_order_relaxed) >> kPcBits;
            const uint64_t joined = old_part & part ? join_reader(old, me) : me.bits;
            const uint32_t read = joined != me.bits ? old_part & part
                                  : old == me.bits  ? old_part | part
                                                    : part;
            if (joined != old || read != old_part) {
                // Two host threads at one cell must not both miss the other; where there is one, a plain
                // store is cheaper.
                cell.reader.store(joined, alone ? std::memory_order_relaxed : std::memory_order_seq_cst);
                cell.reader_pc.store((pc & kPcMask) | read << kPcBits, std::memory_order_relaxed);
            }
            const Id writer{cell.writer.load(std::memory_order_seq_cst)};
            const uint32_t written = cell.writer_pc.load(std::memory_order_relaxed);
            if (writer && overlaps(writer) && (written >> kPcBits & part) &&
                !writer.has(Id::kCompareAndSwap) && !released_by(writer))
                meets_writer(g, writer, written);
            if (region->quiet && writer && read == 0xf) {
                const Id readers{joined};
                const uint32_t tag = readers.has(Id::kWarps)     ? all_tag_
                                     : readers.has(Id::kThreads) ? warp_tags_[t->linear / 32]
                                                                 : kNoTag;
                if (tag != kNoTag) region->quiet[g] = tag;
            }
            continue;
        }
        if (region->quiet) region->quiet[g] = 0;
        const uint64_t mine = me.bits | (access >= kAtomic ? Id::kAtomic : 0) |
                              (access == kCompareAndSwap ? Id::kCompareAndSwap : 0);
        const Id writer{alone ? cell.writer.load(std::memory_order_relaxed)
                              : cell.writer.exchange(mine, std::memory_order_seq_cst)};
        // An atomic operation after a plain write by the same thread hides that write from nobody.
        if (access >= kAtomic && writer.bits == me.bits) continue;
        if (alone) cell.writer.store(mine, std::memory_order_relaxed);
        const uint32_t written = cell.writer_pc.load(std::memory_order_relaxed),
                       read = cell.reader_pc.load(std::memory_order_relaxed);
        if (writer && overlaps(writer) && (written >> kPcBits & part) &&
            !(access >= kAtomic && writer.has(Id::kAtomic)) && !released_by(writer))
            meets_writer(g, writer, written);
        const Id reader{cell.reader.load(std::memory_order_seq_cst)};
        if (reader && access != kCompareAndSwap && readers_unordered(reader, me) &&
            (read >> kPcBits & part) && !released_by(reader)) {
            // The recorded reader may be this very thread, beside others whose names are not kept.
            const bool known = reader.block() != me.block() || reader.thread() != me.thread();
            raise(race_error(t, region, g << region->granule_shift, bytes, access, pc, reader, read & kPcMask,
                             known));
        }
        const uint32_t mine_too = writer.bits == mine ? written >> kPcBits : 0;
        cell.writer_pc.store((pc & kPcMask) | (part | mine_too) << kPcBits, std::memory_order_relaxed);
        if (region->written) region->written[g].store(1, std::memory_order_relaxed);
    }
}

Error Worker::race_error(const Thread* t, const Region* region, size_t offset, unsigned bytes, Access access,
                         uint32_t pc, Id other, uint32_t other_pc, bool other_known) const {
    Error e = error_here(kRace, kPlain, context->module_base + pc);
    memcpy(e.thread, &t->index, sizeof e.thread);
    e.access = access, e.bytes = static_cast<int>(bytes);
    name_region(&e, region, static_cast<int64_t>(offset));
    e.other_pc = context->module_base + other_pc;
    e.has_other = other_known;
    const uint3 b = config_->block, g = config_->grid;
    const unsigned n = other.thread();
    const uint64_t k = region->space == kShared ? block_linear : other.block();
    const uint3 thread{n % b.x, n / b.x % b.y, n / b.x / b.y};
    const uint3 block{unsigned(k % g.x), unsigned(k / g.x % g.y), unsigned(k / g.x / g.y)};
    memcpy(e.other_thread, &thread, sizeof thread);
    memcpy(e.other_block, &block, sizeof block);
    return e;
}

// A value was read that nobody had written. It is told at the next barrier, because a write by another thread
// before that barrier makes it a race, which is the better explanation.
void Worker::report_pending() {
    if (pending_.empty()) return;
    const Pending& p = pending_.front();
    Error e = error_here(kUninitializedRead, kPlain, context->module_base + p.pc);
    memcpy(e.thread, &p.thread->index, sizeof e.thread);
    e.access = kLoad, e.bytes = static_cast<int>(p.bytes);
    name_region(&e, p.region, static_cast<int64_t>(p.granule << p.region->granule_shift));
    raise(e);
}

}  // namespace sim
