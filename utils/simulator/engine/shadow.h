// Race detection: every granule of memory remembers its last writer and its readers.
//
// Two accesses of different threads are ordered when a barrier of their block lies between them (another
// epoch), or a warp-level synchronisation of their warp (another warp epoch), or when one block released its
// writes by a fence and the other has performed an atomic operation since. Anything else on the same granule,
// at least one of them a write and not both atomic, is a race.
#pragma once
#include <stdint.h>

#include "context.h"

namespace sim {

// block+1: 26 bits | epoch: 14 | warp epoch: 10 | thread: 10 | several warps | several threads | blocks |
// atomic
struct Id {
    uint64_t bits;
    static constexpr uint64_t kAtomic = 1, kBlocks = 2, kThreads = 4,
                              kWarps = 8;                        // the last three of readers
    static constexpr uint64_t kCompareAndSwap = 2, kCopied = 4;  // of a writer
    // The last epochs that can be told apart. What is so late that it shares one of these counts as ordered:
    // a race may go unseen there, but no correct kernel is accused.
    static constexpr uint32_t kLastEpoch = 0x3fff, kLastWarpEpoch = 1023;
    static Id make(uint64_t block, uint32_t epoch, uint32_t warp_epoch, uint32_t thread) {
        if (epoch > kLastEpoch) epoch = kLastEpoch;
        if (warp_epoch > kLastWarpEpoch) warp_epoch = kLastWarpEpoch;
        return {((block + 1) & 0x3ffffff) << 38 | uint64_t(epoch) << 24 | uint64_t(warp_epoch) << 14 |
                uint64_t(thread) << 4};
    }
    uint64_t block() const { return (bits >> 38) - 1; }
    uint32_t epoch() const { return (bits >> 24) & 0x3fff; }
    uint32_t warp_epoch() const { return (bits >> 14) & 1023; }
    uint32_t thread() const { return (bits >> 4) & 1023; }
    uint32_t warp() const { return thread() >> 5; }
    bool has(uint64_t flag) const { return bits & flag; }
    explicit operator bool() const { return bits != 0; }
};

// Whether an earlier access by `a` (one thread) may overlap a later one by `b`.
inline bool unordered(Id a, Id b) {
    if (a.block() != b.block()) return true;
    if (a.epoch() != b.epoch() || a.epoch() == Id::kLastEpoch || a.thread() == b.thread()) return false;
    if (a.warp() != b.warp()) return true;
    return a.warp_epoch() == b.warp_epoch() && a.warp_epoch() != Id::kLastWarpEpoch;
}

constexpr unsigned kPcBits = 28;  // a cell's library is far below 256 MB
constexpr uint32_t kPcMask = (1u << kPcBits) - 1;

// No granule bears this mark of being quiet (Worker::check).
constexpr uint32_t kNoTag = ~uint32_t(0);

// The reader word after thread `me` has read too.
inline uint64_t join_reader(uint64_t old, Id me) {
    if (!old) return me.bits;
    Id a{old};
    if (a.has(Id::kBlocks)) return old;
    if (a.block() != me.block()) return old | Id::kBlocks;
    if (a.epoch() != me.epoch()) return me.bits;
    if (a.thread() == me.thread() && !a.has(Id::kThreads | Id::kWarps)) return me.bits;
    if (a.warp() != me.warp()) return old | Id::kWarps;
    if (a.warp_epoch() != me.warp_epoch() && !a.has(Id::kWarps)) return me.bits;
    return old | Id::kThreads;
}

// Whether the readers recorded in `a` may overlap a write by `b`.
inline bool readers_unordered(Id a, Id b) {
    if (a.has(Id::kBlocks) || a.block() != b.block()) return true;
    if (a.epoch() != b.epoch() || a.epoch() == Id::kLastEpoch) return false;
    if (a.has(Id::kWarps) || a.warp() != b.warp()) return true;
    if (a.warp_epoch() != b.warp_epoch() || a.warp_epoch() == Id::kLastWarpEpoch) return false;
    return a.has(Id::kThreads) || a.thread() != b.thread();
}

}  // namespace sim
