// The traces of a warp's lanes, merged into the requests that the warp made.
//
// Each lane runs on its own until it waits, and leaves a trace of basic blocks and accesses. Merging walks
// the 32 traces as the hardware would have executed them: of the lanes' next events, the one deepest in calls
// and lowest in the code goes first, and all lanes whose next event is that same one go together. Lanes that
// took a branch together thus make one request, and lanes that skipped a loop's body wait behind it.
#include <algorithm>
#include <string.h>

#include "wide.h"
#include "worker.h"

namespace sim {

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

}  // namespace sim
