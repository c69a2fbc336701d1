// What a request of a warp costs, counted as Nsight Compute counts it: sectors of global memory, passes
// through the banks of shared memory. The rules were read off an H200 (tests/ncu).
#include <algorithm>
#include <string.h>

#include "wide.h"
#include "worker.h"

namespace sim {

// What is asked of a request by all 32 lanes: whether they stay at one address, or side by side.
SIM_WIDE static void compare_addresses(const uint64_t* addresses, uint64_t bytes, uint64_t* apart,
                                       uint64_t* uneven) {
    uint64_t a = 0, u = 0;
    for (uint64_t i = 0; i < 32; ++i) {
        a |= addresses[i] ^ addresses[0], u |= addresses[i] - addresses[0] - i * bytes;
    }
    *apart = a, *uneven = u;
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
// and rows of matrices (ldmatrix) never do. A compare-and-swap reads in one pass and writes in another.
static unsigned count_wavefronts(uint32_t mask, const uint64_t* addresses, unsigned bytes, Access access,
                                 bool rows_of_matrix, unsigned* ideal) {
    unsigned group = bytes == 16 ? 8 : bytes == 8 ? 16 : 32;
    if (group < 32 && access == kLoad && !rows_of_matrix &&
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

void Worker::process(int warp, uint32_t mask, uint64_t word, const uint64_t* addresses) {
    if ((word & kCopying) == kCopying)
        return process_copying(warp, mask, static_cast<int>(word & 7), addresses);
    const Access access = static_cast<Access>(word & 3);
    const Space space = static_cast<Space>(word >> 2 & 1);
    const unsigned width = word >> 3 & 7, bytes = bytes_of_width(width);
    const uint32_t pc = static_cast<uint32_t>(word >> 24);
    const uint32_t what = uint32_t(space) << 8 | access;

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
            wavefronts = count_wavefronts(mask, addresses, bytes, access, width == kRowOfMatrix, &ideal);
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

}  // namespace sim
