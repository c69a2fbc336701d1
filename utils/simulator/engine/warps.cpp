// Who has met whom within a warp: the order that __syncwarp, shuffles and votes of a part of a warp make.
//
// Every warp-level operation begins a new warp epoch for the lanes that take part. Where all lanes of the
// warp do, earlier epochs are over for everybody, and a lane remembers one number. Lanes that meet in a
// smaller group learn of each other, and of whom the others have met, but of nobody else.
#include <algorithm>

#include "worker.h"

namespace sim {

// `group` are the lanes that take part; `named` those of the mask, of which some may have left the kernel;
// `present` those that the warp began with.
void Worker::meet(Thread* lanes, uint32_t group, uint32_t named, uint32_t present, uint32_t warp_epoch) {
    if (!context->checked) return;
    if (named == present) {
        for (uint32_t m = group; m; m &= m - 1) lanes[__builtin_ctz(m)].whole = warp_epoch;
        return;
    }
    parts_met_ = true;
    uint32_t met[32] = {};
    for (uint32_t m = group; m; m &= m - 1) {
        const int i = __builtin_ctz(m);
        for (int j = 0; j < 32; ++j) met[j] = std::max(met[j], lanes[i].met[j]);
    }
    for (uint32_t m = named; m; m &= m - 1) {
        const int i = __builtin_ctz(m);
        met[i] = std::max(met[i], lanes[i].warp_epoch + 1);
    }
    for (uint32_t m = group; m; m &= m - 1) std::copy(met, met + 32, lanes[__builtin_ctz(m)].met);
}

// Whether an access by another lane of the warp, in another warp epoch, may still overlap one by `me`.
bool Worker::unmet(const Thread* me, Id other) const {
    if (other.thread() == me->linear || other.warp() != me->linear / 32u) return false;
    if (other.epoch() != std::min(epoch_, Id::kLastEpoch) || other.epoch() == Id::kLastEpoch) return false;
    const uint32_t epoch = other.warp_epoch();
    return epoch != Id::kLastWarpEpoch && epoch >= std::max(me->whole, me->met[other.thread() & 31]);
}

}  // namespace sim
