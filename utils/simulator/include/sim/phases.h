// The heart of cuda::barrier and cuda::pipeline: threads arrive, and when as many have as were expected, the
// phase ends and those who wait for it go on. It lives in shared memory; a GPU has instructions of its own
// for it, so its words are not counted as accesses.
#pragma once

namespace sim {

struct Line {  // of a call, where a plain int could be taken for another argument
    int number;
};

struct Phases {
    uint32_t expected, missing, ended;

    SIM_RAW void start(size_t threads) {
        expected = missing = static_cast<uint32_t>(threads);
        ended = 0;
    }
    SIM_RAW uint32_t arrive(size_t times = 1) {
        const uint32_t phase = ended;
        missing -= static_cast<uint32_t>(times);
        if (missing == 0) {
            missing = expected;
            ++ended;
        }
        return phase;
    }
    SIM_RAW uint32_t current() const { return ended; }
    SIM_RAW void expect_fewer() { --expected; }
    // Waits until more than `phase` phases have ended. Checked builds wait even if they have: that is where
    // the engine learns that what the others did before they arrived is over.
    SIM_RAW void wait(uint32_t phase, int line) const {
#if defined(SIM_CHECKED)
        if (has_ended(phase)) sim_wait(&ended, phase, line);
#endif
        while (!has_ended(phase)) sim_wait(&ended, ended, line);
    }
    SIM_RAW bool has_ended(uint32_t phase) const { return static_cast<int32_t>(ended - phase) > 0; }
};

}  // namespace sim

namespace cuda {
enum thread_scope { thread_scope_system, thread_scope_device, thread_scope_block, thread_scope_thread };
}
