// What threads do together beside barriers and shuffles: work of a whole warp (matrix operations), and
// waiting for a word of shared memory to change (cuda::barrier, cuda::pipeline).
#include <string.h>

#include "worker.h"

namespace sim {

// All 32 lanes have come: one of them does the work for all.
void run_collective(const uint64_t (&arguments)[32]) {
    SimCollective* lanes[32];
    for (int i = 0; i < 32; ++i) lanes[i] = reinterpret_cast<SimCollective*>(arguments[i]);
    if (lanes[0]) lanes[0]->work(lanes);
}

void Worker::wait_for_change(const uint32_t* word, uint32_t old, int line) {
    Thread* t = current_thread();
    t->state = kAtGate, t->line = line, t->value = reinterpret_cast<uint64_t>(word), t->mask = old;
    switch_to(&t->context, scheduler);
}

// Called when no thread can go on by itself. What was done before is over for those who pass now, hence the
// new epoch: it orders more than the gate does, so that a race may go unseen, but no correct kernel is
// accused.
bool Worker::open_gates() {
    bool opened = false;
    for (Thread& t : threads_) {
        if (t.state != kAtGate || *reinterpret_cast<const uint32_t*>(t.value) == t.mask) continue;
        t.state = kReady;
        opened = true;
    }
    if (opened) {
        report_pending();
        ++epoch_;
    }
    return opened;
}

// The rules for a matrix that a warp loads or stores: 32-byte alignment, rows 16 bytes apart or a multiple.
void Worker::check_matrix(const void* matrix, size_t stride, Access access, uint64_t pc) {
    const uintptr_t address = reinterpret_cast<uintptr_t>(matrix);
    if (address % 32 == 0 && stride % 16 == 0) return;
    const SimRecent* r = lookup(address, 1, access, pc);
    Error e = error_here(kMisaligned, address % 32 ? kPlain : kMatrixStride, pc);
    e.access = access, e.bytes = address % 32 ? 32 : static_cast<int>(stride);
    if (r) name_region(&e, table_[r->tag >> 48], static_cast<int64_t>(address - r->base));
    raise(e);
}

}  // namespace sim

extern "C" {
uint64_t sim_here() { return reinterpret_cast<uint64_t>(__builtin_return_address(0)); }
void sim_check_matrix(const void* matrix, size_t stride, int access, uint64_t pc) {
    sim::current_worker->check_matrix(matrix, stride, static_cast<sim::Access>(access), pc);
}
void sim_wait(const uint32_t* word, uint32_t old, int line) {
    sim::on_device("waiting at a cuda::barrier outside a kernel", line)->wait_for_change(word, old, line);
}
}
