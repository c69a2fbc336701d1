// Warp-level operations, and who has met whom within a warp by them.
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

inline __attribute__((always_inline)) uint64_t Worker::warp_operation(int op, uint32_t mask, int line,
                                                                      uint64_t value, int source_lane) {
    Thread* t = current_thread();
    t->state = kAtWarp, t->line = line, t->warp_op = op, t->mask = mask, t->value = value,
    t->source_lane = source_lane;
    yield();
    return t->value;
}

// Completes every warp-level operation all of whose lanes have arrived; lanes that have exited are not waited
// for.
void Worker::resolve_warp(int warp) {
    const int first = warp * 32, n = std::min<int>(32, static_cast<int>(threads_.size()) - first);
    Thread* lanes = &threads_[first];
    for (int i = 0; i < n; ++i) {
        if (lanes[i].state != kAtWarp) continue;
        if (lanes[i].warp_op ==
            SIM_WARP_ACTIVE) {  // all lanes have come as far as they can: who stands here goes together
            uint32_t together = 0;
            for (int j = 0; j < n; ++j)
                if (lanes[j].state == kAtWarp && lanes[j].warp_op == SIM_WARP_ACTIVE &&
                    lanes[j].line == lanes[i].line)
                    together |= 1u << j;
            for (int j = 0; j < n; ++j)
                if (together >> j & 1) lanes[j].value = together, lanes[j].state = kReady;
            continue;
        }
        uint32_t group = 0, present = 0;
        const bool whole = lanes[i].warp_op == SIM_WARP_WHOLE;
        bool complete = !whole || n == 32;
        for (int j = 0; j < n; ++j) {
            present |= 1u << j;
            if (!(lanes[i].mask >> j & 1)) continue;
            if (lanes[j].state == kDone && !whole) continue;
            complete &= lanes[j].state == kAtWarp && lanes[j].mask == lanes[i].mask &&
                        lanes[j].warp_op == lanes[i].warp_op && (!whole || lanes[j].line == lanes[i].line);
            group |= 1u << j;
        }
        if (!complete || !(group >> i & 1)) continue;
        uint64_t before[32], ballot = 0, total = 0;
        uint32_t warp_epoch =
            0;  // later than anything that one of the lanes has done, whatever their histories
        bool started = false;
        for (int j = 0; j < n; ++j) {
            before[j] = lanes[j].value;
            if (!(group >> j & 1)) continue;
            warp_epoch = std::max(warp_epoch, lanes[j].warp_epoch + 1);
            uint64_t v = before[j];
            if (v) ballot |= uint64_t(1) << j;
            auto s = [](uint64_t x) { return static_cast<int32_t>(x); };
            switch (lanes[i].warp_op) {
                case SIM_WARP_ADD:
                    total += v;
                    break;
                case SIM_WARP_MIN:
                    total = started ? std::min(total, v) : v;
                    break;
                case SIM_WARP_MAX:
                    total = started ? std::max(total, v) : v;
                    break;
                case SIM_WARP_MIN_SIGNED:
                    total = started && s(total) < s(v) ? total : v;
                    break;
                case SIM_WARP_MAX_SIGNED:
                    total = started && s(total) > s(v) ? total : v;
                    break;
                case SIM_WARP_AND:
                    total = started ? total & v : v;
                    break;
                case SIM_WARP_OR:
                    total |= v;
                    break;
                case SIM_WARP_XOR:
                    total ^= v;
                    break;
            }
            started = true;
        }
        if (whole) run_collective(before);
        meet(lanes, group, lanes[i].mask & present, present, warp_epoch);
        for (int j = 0; j < n; ++j) {
            if (!(group >> j & 1)) continue;
            Thread& t = lanes[j];
            if (t.warp_op == SIM_WARP_SHUFFLE) {
                int source = t.source_lane & 31;
                // What a lane gives that takes no part is undefined: checked runs make it show.
                t.value = group >> source & 1 ? before[source] : context->checked ? ~uint64_t(0) : before[j];
            } else if (t.warp_op == SIM_WARP_BALLOT) {
                t.value = ballot;
            } else if (t.warp_op == SIM_WARP_MATCH) {
                t.value = 0;
                for (int k = 0; k < n; ++k)
                    if ((group >> k & 1) && before[k] == before[j]) t.value |= uint64_t(1) << k;
            } else if (t.warp_op != SIM_WARP_SYNC) {
                t.value = total;
            }
            t.state = kReady;
            t.warp_epoch = warp_epoch;
        }
        // Lanes of different histories: what one has read tells nothing about what the others have.
        bool all = true;
        for (int j = 0; j < n; ++j) all &= (group >> j & 1) || lanes[j].state == kDone;
        warp_tags_[warp] = all ? ++tag_ : kNoTag;
        if (!all) all_tag_ = kNoTag;
    }
}

}  // namespace sim

extern "C" uint64_t sim_warp(int op, uint32_t mask, int line, uint64_t value, int source) {
    return sim::on_device("a warp-level function outside a kernel", line)
        ->warp_operation(op, mask, line, value, source);
}
extern "C" void sim_together(SimCollective* mine, int statement, uint64_t pc) {
    sim::Worker* w = sim::on_device("a warp-level instruction outside a kernel", 0);
    sim::current_thread()->pc = pc;
    w->warp_operation(SIM_WARP_WHOLE, 0xffffffffu, -statement, reinterpret_cast<uint64_t>(mine), 0);
}
