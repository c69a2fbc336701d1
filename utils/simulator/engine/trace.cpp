// What a kernel does to memory: checked before it happens, recorded by lane, merged into warp-level requests
// and counted.
//
// Each lane runs on its own until it waits, and leaves a trace of basic blocks and accesses. Merging walks
// the 32 traces as the hardware would have executed them: of the lanes' next events, the one deepest in calls
// and lowest in the code goes first, and all lanes whose next event is that same one go together. Lanes that
// took a branch together thus make one request, and lanes that skipped a loop's body wait behind it.
#include <algorithm>
#include <string.h>

#include "worker.h"

namespace sim {

static constexpr uint64_t kMemory = 0x80;  // bit of a trace word's kind: an access, not a basic block

static inline uint64_t kind_of(Access access, unsigned size_log2) {
    return kMemory | uint64_t(size_log2) << 3 | access;
}

// ------------------------------------------------------------------------------------------------- recording

// The slow path of cell/hot.cpp's sim_access: a region not touched lately, memory that is not counted, or an
// error.
void Worker::record(uintptr_t address, unsigned size_log2, Access access, uint64_t pc) {
    const unsigned bytes = 1u << size_log2;
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

// Finds whose memory an address is and puts it first among the recent regions.
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
    const bool in_arena = address - reinterpret_cast<uintptr_t>(arena_) < (1 << 20);
    if (in_arena)
        for (size_t i = 0; i < shared_count_; ++i) consider(shared_pool_[i].get());
    else
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

// --------------------------------------------------------------------------------------------------- merging

// The two loops that everything passes through are compiled for wider vectors, too, and the processor
// chooses.
#if defined(__x86_64__) && defined(__gnu_linux__) && !defined(__clang__)
#define SIM_WIDE __attribute__((target_clones("avx2", "default"), optimize("O3")))
#else
#define SIM_WIDE
#endif

// How many words, up to `most`, two traces have in common from here on.
SIM_WIDE static size_t common(const uint64_t* a, const uint64_t* b, size_t most) {
    size_t k = 0;
    for (; k + 16 <= most; k += 16) {
        uint64_t different = 0;
        for (size_t j = 0; j < 16; ++j) different |= a[k + j] ^ b[k + j];
        if (different) break;
    }
    while (k < most && a[k] == b[k]) ++k;
    return k;
}

// What is asked of a request by all 32 lanes: whether they stay at one address, or side by side.
// Whether 32 marks of shared memory in a row are one of two.
SIM_WIDE static bool all_quiet(const uint32_t* marks, uint32_t all, uint32_t mine) {
    uint32_t loud = 0;
    for (int i = 0; i < 32; ++i) loud |= (marks[i] ^ all) && (marks[i] ^ mine) ? 1 : 0;
    return !loud;
}

SIM_WIDE static void compare_addresses(const uint64_t* addresses, uint64_t bytes, uint64_t* apart,
                                       uint64_t* uneven) {
    uint64_t a = 0, u = 0;
    for (uint64_t i = 0; i < 32; ++i) {
        a |= addresses[i] ^ addresses[0], u |= addresses[i] - addresses[0] - i * bytes;
    }
    *apart = a, *uneven = u;
}

void Worker::drain(int warp) {
    const int first = warp * 32, n = std::min<int>(32, static_cast<int>(threads_.size()) - first);
    Thread* lanes = &threads_[first];
    // Cursors into the lanes' traces, side by side.
    const uint64_t *at[32], *end[32], *address[32];
    uint64_t next[32];     // each lane's next word; all ones where it has none
    uint32_t runs_on = 0;  // lanes that will add to their traces once these are used up
    uint32_t following = 0;
    bool starved = false;
    for (int i = 0; i < 32; ++i) {
        next[i] = ~uint64_t(0);
        if (i >= n) continue;
        Thread& t = lanes[i];
        at[i] = t.first_word(), end[i] = t.word, address[i] = t.trace->address;
        if (t.state == kFull || t.state == kReady) runs_on |= 1u << i;
        following |= uint32_t(t.follows) << i;
        if (at[i] < end[i])
            next[i] = *at[i];
        else
            starved |= runs_on >> i & 1;
    }
    uint64_t addresses[32];
    while (!starved) {
        // Usually all lanes are at the same place; else the lowest word goes first.
        uint64_t lowest = next[0], different = 0;
        for (int i = 1; i < 32; ++i) different |= next[i] ^ lowest;
        uint32_t mask = ~0u;
        if (different) {
            for (int i = 1; i < 32; ++i) lowest = std::min(lowest, next[i]);
            mask = 0;
            for (int i = 0; i < 32; ++i) mask |= uint32_t(next[i] == lowest) << i;
        }
        if (lowest == ~uint64_t(0)) break;
        if (!different) {
            // As long as they stay together all go at once; the last word of a trace is left to the general
            // case below.
            size_t together = static_cast<size_t>(end[0] - at[0]) - 1;
            for (int i = 1; i < 32 && together; ++i) {
                together = std::min(together, static_cast<size_t>(end[i] - at[i]) - 1);
                if (at[i] != at[0]) together = common(at[0], at[i], together);
            }
            if (together) {
                size_t used = 0;
                for (size_t k = 0; k < together; ++k) {
                    const uint64_t word = at[0][k];
                    if (!(word & kMemory)) continue;
                    for (int i = 0; i < 32; ++i) addresses[i] = address[i][used];
                    ++used;
                    process(warp, ~0u, word, addresses);
                }
                for (int i = 0; i < 32; ++i) address[i] += used, at[i] += together, next[i] = *at[i];
                continue;
            }
        }
        const bool memory = lowest & kMemory;
        if (memory)
            for (uint32_t m = mask; m; m &= m - 1) {
                const int i = __builtin_ctz(m);
                addresses[i] = *address[i]++;
            }
        uint32_t empty = 0;
        for (uint32_t m = mask; m; m &= m - 1) {
            const int i = __builtin_ctz(m);
            if (++at[i] < end[i])
                next[i] = *at[i];
            else
                next[i] = ~uint64_t(0), empty |= 1u << i;
        }
        starved = empty & runs_on;
        if (memory) process(warp, mask, lowest, addresses);
    }
    for (bool followers : {true, false})  // who follows takes its words along before the leader moves its own
        for (int i = 0; i < n; ++i) {
            Thread& t = lanes[i];
            if ((following >> i & 1) != followers) continue;
            const size_t words = static_cast<size_t>(end[i] - at[i]),
                         kept = static_cast<size_t>(t.address - address[i]);
            if (words) memmove(t.trace->word, at[i], sizeof(uint64_t) * words);
            if (kept) memmove(t.trace->address, address[i], sizeof(uint64_t) * kept);
            t.reset_trace(words, kept);
        }
}

// How many different values there are among the first n; sorts them where they are not in order already.
static unsigned count_different(uint64_t* values, int n) {
    if (!std::is_sorted(values, values + n)) std::sort(values, values + n);
    return static_cast<unsigned>(std::unique(values, values + n) - values);
}

// The most lanes at one address, for atomic operations: they take turns there. Sorted addresses.
static unsigned most_at_one(const uint64_t* places, const uint64_t* end) {
    unsigned most = 0;
    for (const uint64_t* p = places; p < end;) {
        const uint64_t* next = std::upper_bound(p, end, *p);
        most = std::max(most, static_cast<unsigned>(next - p));
        p = next;
    }
    return most;
}

// 32-byte sectors touched together, by an atomic operation as often as the lanes at one of its addresses
// need. Tensors start at a sector, so offsets are as good as addresses. Ideal: the sectors that hold as many
// bytes as the lanes asked for, each byte counted once.
static unsigned count_sectors(uint32_t mask, const uint64_t* addresses, unsigned bytes, Access access,
                              unsigned* ideal) {
    uint64_t places[32];
    int n = 0;
    for (uint32_t m = mask; m; m &= m - 1) places[n++] = addresses[__builtin_ctz(m)];
    unsigned atomic_sectors = 0;
    if (access >= kAtomic) {
        std::sort(places, places + n);
        for (uint64_t *p = places, *next; p < places + n; p = next) {
            next = std::upper_bound(p, places + n, *p | 31);
            atomic_sectors += most_at_one(p, next);
        }
    }
    const int different = static_cast<int>(count_different(places, n));
    *ideal = (static_cast<unsigned>(different) * bytes + 31) / 32;
    if (access >= kAtomic) return atomic_sectors;
    for (int i = 0; i < different; ++i) places[i] >>= 5;  // still in order
    return static_cast<unsigned>(std::unique(places, places + different) - places);
}

// Whether every lane's partner, `step` lanes away, is off or wants the same address.
static bool partners_agree(uint32_t mask, const uint64_t* addresses, unsigned step) {
    for (uint32_t m = mask; m; m &= m - 1) {
        const unsigned lane = __builtin_ctz(m), partner = lane ^ step;
        if ((mask >> partner & 1) && addresses[partner] != addresses[lane]) return false;
    }
    return true;
}

// Passes that some lanes, served together, make through shared memory's 32 banks of 4 bytes: lanes of one
// pass may share a word but not a bank. Atomic operations do not share words either.
static unsigned count_passes(uint32_t mask, const uint64_t* addresses, unsigned bytes, bool atomic) {
    const unsigned words = std::max(bytes / 4, 1u);
    uint32_t banks = 0;
    for (uint32_t m = mask; m; m &= m - 1)
        banks |= ((1u << words) - 1) << (addresses[__builtin_ctz(m)] >> 2 & 31);
    if (__builtin_popcount(banks) == __builtin_popcount(mask) * static_cast<int>(words)) return 1;
    uint64_t wanted[32 * 4];
    size_t n = 0;
    for (uint32_t m = mask; m; m &= m - 1)
        for (unsigned k = 0; k < words; ++k) wanted[n++] = (addresses[__builtin_ctz(m)] >> 2) + k;
    if (!atomic) n = count_different(wanted, static_cast<int>(n));
    uint8_t of_bank[32] = {}, most = 0;
    for (size_t k = 0; k < n; ++k) most = std::max(most, ++of_bank[wanted[k] & 31]);
    return most;
}

// Passes through shared memory. Accesses of 8 and 16 bytes are served by half and quarter warps. Two of these
// load together where all lanes of the warp agree with their neighbours, or all with the next but one; stores
// never do. A compare-and-swap reads in one pass and writes in another.
static unsigned count_wavefronts(uint32_t mask, const uint64_t* addresses, unsigned bytes, Access access,
                                 unsigned* ideal) {
    unsigned group = bytes == 16 ? 8 : bytes == 8 ? 16 : 32;
    if (group < 32 && access == kLoad &&
        (partners_agree(mask, addresses, 1) || partners_agree(mask, addresses, 2)))
        group *= 2;
    unsigned total = 0, least = 0;
    for (unsigned from = 0; from < 32; from += group) {
        const uint32_t part = mask & (~0u >> (32 - group)) << from;
        if (!part) continue;
        total += count_passes(part, addresses, bytes, access >= kAtomic);
        ++least;
    }
    const unsigned times = access == kCompareAndSwap ? 2 : 1;
    *ideal = least * times;
    return total * times;
}

static constexpr unsigned kPcBits = 28;  // a cell's library is far below 256 MB
static constexpr uint32_t kPcMask = (1u << kPcBits) - 1;

void Worker::process(int warp, uint32_t mask, uint64_t word, const uint64_t* addresses) {
    const Access access = static_cast<Access>(word & 3);
    const Space space = static_cast<Space>(word >> 2 & 1);
    const unsigned bytes = 1u << (word >> 3 & 7);
    const uint32_t pc = static_cast<uint32_t>(word >> 24);
    const uint32_t what = uint32_t(space) << 8 | access;
    Thread* lanes = &threads_[warp * 32];

    Counts* c = counts_of(pc, what, bytes);
    unsigned sectors = 0, wavefronts = 0, ideal = 0;
    // Two shapes are by far the most common, and quickly told: all lanes at one address, or side by side.
    const uint64_t first = addresses[0];
    uint64_t apart = ~uint64_t(0), uneven = ~uint64_t(0);
    if (mask == ~0u) compare_addresses(addresses, bytes, &apart, &uneven);
    if (space == kGlobal) {
        if (!apart && access < kAtomic)
            sectors = ideal = 1;
        else if (!uneven)
            sectors = static_cast<unsigned>(((first & 31) + 32 * bytes + 31) / 32), ideal = bytes;
        else
            sectors = count_sectors(mask, addresses, bytes, access, &ideal);
    } else {
        if ((!apart || !uneven) && bytes == 4 && access < kAtomic)
            wavefronts = ideal = 1;
        else
            wavefronts = count_wavefronts(mask, addresses, bytes, access, &ideal);
    }
    c->requests += 1;
    c->sectors += sectors;
    c->wavefronts += wavefronts;
    if (space == kShared) c->conflicts += wavefronts - ideal;
    c->ideal += ideal;
    c->bytes += uint64_t(bytes) * __builtin_popcount(mask);

    // Lanes that read the same address leave the same mark as any two of them.
    Region* region = apart >> 48 ? nullptr : table_[first >> 48];  // null: not known to be one
    if (!region || access != kLoad || !is_harmless(warp, region, first, uneven ? 0 : bytes))
        check(warp, apart || access != kLoad ? mask : 0x80000001u, addresses, bytes, access, pc);
    if (tracing_warp_ && context->requests.size() == kMostRequests) {
        context->requests_dropped = true;
    } else if (tracing_warp_) {
        Request r{};
        r.pc = pc, r.what = what, r.launch = launch_index_, r.sectors = sectors, r.wavefronts = wavefronts;
        r.warp = warp, r.epoch = epoch_;
        const SimSharedSite* site = table_[addresses[__builtin_ctz(mask)] >> 48]->site;
        r.variable = site ? site->name : nullptr;
        for (int i = 0; i < 32; ++i) {
            r.lanes[i].region = INT32_MIN;
            if (!(mask >> i & 1)) continue;
            r.lanes[i] = {addresses[i] & 0xffffffffffff, table_[addresses[i] >> 48]->id,
                          static_cast<int32_t>(bytes)};
        }
        context->requests.push_back(r);
    }
}

Counts* Worker::counts_of(uint64_t pc, uint32_t what, uint32_t bytes) {
    size_t h = (pc * 2654435761u ^ what * 40503u ^ bytes * 97u) & 4095;
    for (;; h = (h + 1) & 4095) {
        int i = site_slots_[h];
        if (i < 0) break;
        Site& s = sites_[i];
        if (s.pc == pc && s.what == what && s.bytes == bytes) return &s.counts;
    }
    if (sites_.size() < 4000) site_slots_[h] = static_cast<int>(sites_.size());
    sites_.push_back(Site{pc, what, bytes, {}});
    return &sites_.back().counts;
}

void Worker::merge_into(Launch* launch) {
    for (const Site& s : sites_) {
        auto it = std::find_if(launch->sites.begin(), launch->sites.end(), [&](const Site& o) {
            return o.pc == s.pc && o.what == s.what && o.bytes == s.bytes;
        });
        if (it == launch->sites.end())
            launch->sites.push_back(s);
        else
            it->counts.add(s.counts);
    }
    sites_.clear();
    launch->static_shared = std::max(launch->static_shared, static_max_);
}

// ---------------------------------------------------------------------------- races and uninitialised memory

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
    // Another block's access is over when that block has released it by a fence and this one has done an
    // atomic operation since.
    auto released_by = [&](Id other) {
        return acquired && released && (other.block() != me.block() || other.has(Id::kBlocks)) &&
               released[other.block()].load();
    };
    // Which bytes of the granule: neighbours may write the halves of one word without touching each other's.
    const unsigned granule = 1u << region->granule_shift;
    const uint32_t part = bytes >= granule ? 0xf : ((1u << bytes) - 1) << (offset & (granule - 1));
    for (size_t g = from; g <= to; ++g) {
        Cell& cell = region->cells[g];
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
            if (writer && (unordered(writer, me) || (parts_met_ && unmet(t, writer))) &&
                (written >> kPcBits & part) && !writer.has(Id::kCompareAndSwap) && !released_by(writer))
                raise(race_error(t, region, g << region->granule_shift, bytes, access, pc, writer,
                                 written & kPcMask, true));
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
        if (writer && (unordered(writer, me) || (parts_met_ && unmet(t, writer))) &&
            (written >> kPcBits & part) && !(access >= kAtomic && writer.has(Id::kAtomic)) &&
            !released_by(writer))
            raise(race_error(t, region, g << region->granule_shift, bytes, access, pc, writer,
                             written & kPcMask, true));
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

// ----------------------------------------------- the rest of what instrumented cells call (see cell/hot.cpp)

using sim::current_worker;

#define HERE reinterpret_cast<uint64_t>(__builtin_return_address(0))

extern "C" {
void sim_trace_full() { current_worker->full(); }
void sim_depart(uint64_t word) { sim::current_thread()->depart(word); }
void sim_access_slow(const void* p, unsigned size_log2, unsigned access, uint64_t pc) {
    current_worker->record(reinterpret_cast<uintptr_t>(p), size_log2, static_cast<sim::Access>(access), pc);
}
// A copy of a whole struct: the widest accesses that its alignment allows.
void sim_access_range(const void* p, size_t bytes, unsigned access, uint64_t pc) {
    if (!sim_running) return;
    const char* c = static_cast<const char*>(p);
    while (bytes) {
        unsigned log2 = 4;
        while ((1u << log2) > bytes || (reinterpret_cast<uintptr_t>(c) & ((1u << log2) - 1))) --log2;
        sim_access_slow(c, log2, access, pc);
        c += 1u << log2, bytes -= 1u << log2;
    }
}
void sim_enter(uint64_t pc) { current_worker->enter_function(pc); }
void sim_leave() { current_worker->leave_function(); }

void __tsan_init() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}
// clang calls these where g++ calls the C library.
void* __tsan_memcpy(void* d, const void* s, size_t n) {
    sim_access_range(s, n, sim::kLoad, HERE);
    sim_access_range(d, n, sim::kStore, HERE);
    return memcpy(d, s, n);
}
void* __tsan_memmove(void* d, const void* s, size_t n) {
    sim_access_range(s, n, sim::kLoad, HERE);
    sim_access_range(d, n, sim::kStore, HERE);
    return memmove(d, s, n);
}
void* __tsan_memset(void* d, int v, size_t n) {
    sim_access_range(d, n, sim::kStore, HERE);
    return memset(d, v, n);
}

// Host code of a launcher may use std::atomic; kernels use atomicAdd and friends.
#define ATOMICS(bits, T)                                                                                    \
    T __tsan_atomic##bits##_load(const volatile T* p, int) { return __atomic_load_n(p, __ATOMIC_SEQ_CST); } \
    void __tsan_atomic##bits##_store(volatile T* p, T v, int) { __atomic_store_n(p, v, __ATOMIC_SEQ_CST); } \
    T __tsan_atomic##bits##_exchange(volatile T* p, T v, int) {                                             \
        return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST);                                                 \
    }                                                                                                       \
    T __tsan_atomic##bits##_fetch_add(volatile T* p, T v, int) {                                            \
        return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST);                                                  \
    }                                                                                                       \
    T __tsan_atomic##bits##_fetch_sub(volatile T* p, T v, int) {                                            \
        return __atomic_fetch_sub(p, v, __ATOMIC_SEQ_CST);                                                  \
    }                                                                                                       \
    T __tsan_atomic##bits##_fetch_and(volatile T* p, T v, int) {                                            \
        return __atomic_fetch_and(p, v, __ATOMIC_SEQ_CST);                                                  \
    }                                                                                                       \
    T __tsan_atomic##bits##_fetch_or(volatile T* p, T v, int) {                                             \
        return __atomic_fetch_or(p, v, __ATOMIC_SEQ_CST);                                                   \
    }                                                                                                       \
    T __tsan_atomic##bits##_fetch_xor(volatile T* p, T v, int) {                                            \
        return __atomic_fetch_xor(p, v, __ATOMIC_SEQ_CST);                                                  \
    }                                                                                                       \
    int __tsan_atomic##bits##_compare_exchange_strong(volatile T* p, T* e, T v, int, int) {                 \
        return __atomic_compare_exchange_n(p, e, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);             \
    }                                                                                                       \
    T __tsan_atomic##bits##_compare_exchange_val(volatile T* p, T e, T v, int, int) {                       \
        __atomic_compare_exchange_n(p, &e, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);                   \
        return e;                                                                                           \
    }                                                                                                       \
    int __tsan_atomic##bits##_compare_exchange_weak(volatile T* p, T* e, T v, int, int) {                   \
        return __atomic_compare_exchange_n(p, e, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);             \
    }
ATOMICS(8, uint8_t)
ATOMICS(16, uint16_t)
ATOMICS(32, uint32_t)
ATOMICS(64, uint64_t)
void __tsan_atomic_thread_fence(int) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
void __tsan_atomic_signal_fence(int) {}

static void before_atomic(const void* p, int bytes, sim::Access access, uint64_t pc) {
    sim::Worker* w = current_worker;
    if (!sim_running) return;
    if (!w->context->checked) {
        static thread_local unsigned spins = 0;
        if (++spins % 64 == 0) w->full();  // somebody may wait in a loop for another thread
        return;
    }
    w->acquired = true;
    w->record(reinterpret_cast<uintptr_t>(p),
              static_cast<unsigned>(__builtin_ctz(static_cast<unsigned>(bytes))), access, pc);
}
void sim_atomic(const void* p, int bytes) { before_atomic(p, bytes, sim::kAtomic, HERE); }
void sim_compare_and_swap(const void* p, int bytes) { before_atomic(p, bytes, sim::kCompareAndSwap, HERE); }
void sim_read(const void* p, int bytes) {
    if (sim_running && current_worker->context->checked)
        sim_access_range(p, static_cast<size_t>(bytes), sim::kLoad, HERE);
}
void sim_write(void* p, int bytes) {
    if (sim_running && current_worker->context->checked)
        sim_access_range(p, static_cast<size_t>(bytes), sim::kStore, HERE);
}
}
