// What a lane does, written down as it runs: each access is checked before it happens, then leaves a word in
// the lane's trace. The fast path is in cell/hot.cpp; here is the rest.
#include <algorithm>
#include <string.h>

#include "worker.h"

namespace sim {

static inline uint64_t kind_of(Access access, unsigned size_log2) {
    return kMemory | uint64_t(size_log2) << 3 | access;
}

// The slow path of cell/hot.cpp's sim_access: a region not touched lately, memory that is not counted, or an
// error.
void Worker::record(uintptr_t address, unsigned size_log2, Access access, uint64_t pc) {
    const unsigned bytes = bytes_of_width(size_log2);
    Thread* t = current_thread();
    const SimRecent* r = nullptr;
    if (!t->stack->contains(reinterpret_cast<void*>(address)) && !context->in_module(address))
        r = lookup(address, bytes, access, pc);
    if (!r && access != kLoad && address - context->constants < context->constant_bytes) {
        Error e = error_here(kOutOfBounds, kConstant, pc);
        e.access = access, e.bytes = static_cast<int>(bytes);
        raise(e);
    }
    if (!r) {  // the thread's own stack, a constant, a parameter
        t->push(t->word_base + (pc << 24));
        return;
    }
    const size_t offset = address - r->base;
    if (offset + bytes > r->bytes) out_of_bounds(address, bytes, access, pc);
    if (address & (bytes - 1)) {
        Error e = error_here(kMisaligned, kPlain, pc);
        e.access = access, e.bytes = static_cast<int>(bytes);
        name_region(&e, table_[r->tag >> 48], static_cast<int64_t>(offset));
        raise(e);
    }
    *t->address++ = r->tag | offset;
    t->push(t->word_base + (pc << 24) + kind_of(access, size_log2) + r->kind);
}

// Writes a word into the lane's own trace. A block takes the place of an earlier one that it follows at once.
void Thread::append(uint64_t w) {
    if (!(w & kMemory) && !(word[-1] & kMemory) && word[-1] < w)
        word[-1] = w;
    else
        *word++ = w;
}

void Thread::push(uint64_t w) {
    if (follows && *word == w)
        ++word;
    else if (follows)
        return depart(w);
    else
        append(w);
    if (word >= word_end) current_worker->full();
}

// The leader did something else here. Perhaps only because a later block has taken the place of this one:
// that may yet happen to this lane too. Else it goes on with a trace of its own.
void Thread::depart(uint64_t w) {
    const uint64_t passed = passing && passing_slot == word ? passing : 0;
    if (!((w | *word) & kMemory) && passed < w && w < *word) {
        passing = w, passing_slot = word;
        return;
    }
    const size_t same = static_cast<size_t>(word - leader->word);
    memcpy(trace->word, leader->word, same * sizeof(uint64_t));
    follows = 0, word = trace->word + same, word_end = trace->word + Trace::kCapacity;
    if (passed) append(passed);
    append(w);
    if (word >= word_end) current_worker->full();
}

// A word's base has the library's address subtracted already, so that a return address needs one shift and
// one addition.
static uint64_t base_of(int depth, uint16_t path, uint64_t module_base) {
    return (uint64_t(0xff - std::min(depth, 0xff)) << 56 | uint64_t(path) << 8) - (module_base << 24);
}

void Worker::enter_function(uint64_t pc) {
    Thread* t = current_thread();
    t->push(t->word_base + (pc << 24));  // lanes that call it from here go in together
    if (t->depth < 64) t->paths[t->depth] = t->path;
    ++t->depth;
    t->path = static_cast<uint16_t>(t->path * 31 + (pc - context->module_base) * 40503u);
    t->word_base = base_of(t->depth, t->path, context->module_base);
}

void Worker::leave_function() {
    Thread* t = current_thread();
    if (t->depth == 0) return;
    --t->depth;
    t->path = t->depth < 64 ? t->paths[t->depth] : 0;
    t->word_base = base_of(t->depth, t->path, context->module_base);
}

// Finds whose memory an address is, and remembers it for the next access from this place.
const SimRecent* Worker::lookup(uintptr_t address, unsigned bytes, Access access, uint64_t pc) {
    Region* region = nullptr;
    for (size_t i = 0; i < shared_count_ && !region; ++i)
        if (shared_pool_[i]->contains(address)) region = shared_pool_[i].get();
    if (!region) region = context->find(address);
    if (!region) out_of_bounds(address, bytes, access, pc);
    auto [it, fresh] = table_index_.try_emplace(region, static_cast<uint32_t>(table_.size()));
    if (fresh) table_.push_back(region);
    SimRecent* recent = recent_ + sim_recent(pc);
    *recent =
        SimRecent{region->base, region->bytes, uint64_t(it->second) << 48, uint64_t(region->space) << 2};
    return recent;
}

// Says which memory an error is about; of shared variables also name, number of elements and index, as
// "tile:264:270".
void Worker::name_region(Error* e, const Region* region, int64_t offset) {
    e->space = region->space, e->region = region->id, e->offset = offset;
    if (!region->site) return;
    const int64_t granule = static_cast<int64_t>(region->site->granule);
    const int64_t index = offset >= 0 ? offset / granule : -((-offset + granule - 1) / granule);
    snprintf(e->text, sizeof e->text, "%s:%zu:%lld", region->site->name,
             region->site->bytes / region->site->granule, static_cast<long long>(index));
}

void Worker::out_of_bounds(uintptr_t address, unsigned bytes, Access access, uint64_t pc) {
    // Name the region whose edge is nearest: that is the one the index was meant for.
    Region* nearest = nullptr;
    uint64_t distance = ~uint64_t(0);
    auto consider = [&](Region* r) {
        uint64_t d = address < r->base ? r->base - address : address + bytes - (r->base + r->bytes);
        if (d < distance) distance = d, nearest = r;
    };
    // Shared arrays lie in the arena; an index far below zero leaves it, for what the system put below.
    const uintptr_t arena = reinterpret_cast<uintptr_t>(arena_);
    const bool in_arena = address - arena < (1 << 20);
    if (in_arena || arena - address <= (1 << 20))
        for (size_t i = 0; i < shared_count_; ++i) consider(shared_pool_[i].get());
    if (!in_arena)
        for (Region* r : context->regions) consider(r);
    Error e = error_here(kOutOfBounds, kPlain, pc);
    e.access = access, e.bytes = static_cast<int>(bytes), e.space = in_arena ? kShared : kGlobal;
    if (Region* off = in_arena ? nullptr : context->find_off_limits(address)) {
        e.detail = off->off_limits;
        name_region(&e, off, static_cast<int64_t>(address - off->base));
    } else if (address - context->host_stack_low < context->host_stack_high - context->host_stack_low) {
        e.detail = kHostVariable;
    } else if (nearest && (in_arena || (distance < (uint64_t(1) << 36) && distance < address))) {
        name_region(&e, nearest, static_cast<int64_t>(address - nearest->base));
    } else {
        e.detail = kWildPointer;
        e.offset = static_cast<int64_t>(address);
    }
    raise(e);
}

}  // namespace sim
