#include "worker.h"

#include <algorithm>
#include <exception>
#include <iterator>
#include <string.h>
#include <sys/mman.h>

#include "shuffle.h"

extern "C" {
__thread SimIndices sim_indices __attribute__((tls_model("initial-exec")));
__thread SimLane* sim_running __attribute__((tls_model("initial-exec"))) = nullptr;
}

namespace sim {

__thread Worker* current_worker __attribute__((tls_model("initial-exec"))) = nullptr;

Worker::Worker() : traces_(new Trace[32]), site_slots_(4096, -1) {
    arena_ = static_cast<char*>(
        mmap(nullptr, kArena, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    arena_cells_ = static_cast<Cell*>(mmap(nullptr, kArena * sizeof(Cell), PROT_READ | PROT_WRITE,
                                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    for (uint32_t** marks : {&arena_quiet_, &arena_copying_})
        *marks = static_cast<uint32_t*>(mmap(nullptr, kArena * sizeof(uint32_t), PROT_READ | PROT_WRITE,
                                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
}

Worker::~Worker() {
    munmap(arena_, kArena);
    munmap(static_cast<void*>(arena_cells_), kArena * sizeof(Cell));
    munmap(arena_quiet_, kArena * sizeof(uint32_t));
    munmap(arena_copying_, kArena * sizeof(uint32_t));
}

void Worker::run(Context* c, Launch* launch, const SimLaunch* config, int launch_index, void (*body)(void*),
                 void* closure, std::atomic<uint64_t>* next_block, std::atomic<uint8_t>* released_blocks) {
    context = c, launch_ = launch, config_ = config, launch_index_ = launch_index, body_ = body,
    closure_ = closure;
    released = released_blocks;
    current_worker = this;
    sites_.clear();
    std::fill(site_slots_.begin(), site_slots_.end(), -1);
    static_max_ = 0;
    const uint64_t blocks = uint64_t(config->grid.x) * config->grid.y * config->grid.z;
    threads_.resize(size_t(config->block.x) * config->block.y * config->block.z);
    // A fault inside a fiber, and every error, comes back here; the fibers' stacks are taken back by the next
    // run.
    if (sigsetjmp(escape, 1) == 0) {
        for (;;) {
            uint64_t n = next_block->fetch_add(1);
            if (n >= blocks || context->failed.load(std::memory_order_relaxed)) break;
            if (context->cancelled.load(std::memory_order_relaxed)) break;
            turn_ = n;
            uint64_t linear = n;
            if (context->order == 1) linear = blocks - 1 - n;
            if (context->order == 2) linear = shuffled(n, blocks, context->seed);
            run_block(linear);
        }
    } else {
        for (Thread& t : threads_)
            if (t.stack) stacks_.give(t.stack), t.stack = nullptr;
        sim_running = nullptr;
        context->fail(fault_error);
    }
    if (printed_bytes_) {
        std::lock_guard<std::mutex> lock(context->mutex);
        std::move(printed_.begin(), printed_.end(), std::back_inserter(context->printed));
        context->output_dropped += dropped_bytes_;
        printed_.clear();
        printed_bytes_ = dropped_bytes_ = 0;
    }
    current_worker = nullptr;
}

void Worker::run_block(uint64_t linear) {
    const uint3 grid = config_->grid, block = config_->block;
    block_linear = linear;
    sim_indices.grid_dim = grid;
    sim_indices.block_dim = block;
    sim_indices.block = {unsigned(linear % grid.x), unsigned(linear / grid.x % grid.y),
                         unsigned(linear / grid.x / grid.y)};
    acquired = fenced = false;
    epoch_ = 0;
    arena_used_ = kGap, static_used_ = 0, shared_count_ = 0, dynamic_ = nullptr;
    forget_copies();
    if (cells_used_) memset(static_cast<void*>(arena_cells_), 0, cells_used_ * sizeof(Cell));
    cells_used_ = 0;
    pending_.clear();
    table_.clear();
    table_index_.clear();
    for (SimRecent& r : recent_) r = SimRecent{};

    const int n = static_cast<int>(threads_.size());
    live_ = n;
    arrived_ = counted_ = 0, other_barrier_ = false;
    for (int i = 0; i < n; ++i) {
        Thread& t = threads_[i];
        t.index = {unsigned(i) % block.x, unsigned(i) / block.x % block.y, unsigned(i) / block.x / block.y};
        t.linear = static_cast<uint16_t>(i);
        t.lane = i & 31;
        t.state = kReady;
        t.depth = 0, t.path = 0;
        t.word_base = (uint64_t(0xff) << 56) - (context->module_base << 24);
        t.warp_epoch = t.whole = 0;
        if (parts_met_) memset(t.met, 0, sizeof t.met);
        t.last_pc = 0;
        t.acquired = false;
        t.context = nullptr;
        t.stack = nullptr;
        t.trace = &traces_[t.lane];
        t.recent = recent_;
        t.reset_trace(0, 0);
    }
    parts_met_ = false;
    const int warps = (n + 31) / 32;
    if (tag_ > ~uint32_t(0) >> 1) {  // tags must not come round again
        memset(arena_quiet_, 0, kArena * sizeof(uint32_t));
        tag_ = 0;
    }
    new_tags();
    while (live_ > 0) {
        // In a random order also from barrier to barrier another one.
        const uint64_t key = context->order == 2 ? mix(mix(context->seed, linear), epoch_) : 0;
        for (int w = 0; w < warps; ++w)
            run_warp(context->order == 0   ? w
                     : context->order == 1 ? warps - 1 - w
                                           : static_cast<int>(shuffled(w, warps, key)));
        if (live_ > 0 && !open_gates()) release_barrier();
    }
    report_pending();
    static_max_ = std::max(static_max_, static_used_);
}

// Where a warp was when the call was stopped. (If another worker's error came first, that one is told, not
// this.)
Error Worker::stopped_at(int warp) const {
    Error e = error_here(kTimeout, kPlain);
    const bool someone_runs = std::any_of(threads_.begin() + warp * 32, threads_.end(),
                                          [](const Thread& t) { return t.state <= kFull; });
    for (size_t i = static_cast<size_t>(warp) * 32; i < threads_.size(); ++i) {
        const Thread& t = threads_[i];
        if (t.state == kDone || (someone_runs && t.state > kFull)) continue;  // who waits is not to blame
        memcpy(e.thread, &t.index, sizeof e.thread);
        if (t.last_word()) e.pc = context->module_base + static_cast<uint32_t>(t.last_word() >> 24);
        break;
    }
    return e;
}

inline __attribute__((always_inline)) void Worker::resume(Thread* t) {
    if (!t->stack) {
        t->stack = stacks_.take();
        t->context = prepare(t->stack, &Worker::thread_main, this);
    }
    sim_running = t;
    sim_indices.thread = t->index;
    switch_to(&scheduler, t->context);
    sim_running = nullptr;
    if (t->state == kDone) {
        if (t->last_word()) t->last_pc = static_cast<uint32_t>(t->last_word() >> 24);
        stacks_.give(t->stack);
        t->stack = nullptr;
        --live_;
    }
}

bool Worker::traced_block() const {
    return context->tracing && !memcmp(&context->trace_block, &sim_indices.block, sizeof(uint3));
}

// Runs a warp until all its lanes wait at a barrier of the block or are done.
void Worker::run_warp(int warp) {
    const int first = warp * 32, last = std::min<int>(first + 32, static_cast<int>(threads_.size()));
    const bool checked = context->checked;
    tracing_warp_ =
        traced_block() && (context->trace_warp == kEveryWarp || unsigned(warp) == context->trace_warp);
    const uint64_t key = context->order == 2 ? mix(mix(context->seed, block_linear), mix(epoch_, warp)) : 0;
    for (;;) {
        bool ran = false;
        unsigned seen = 0;  // the states of the lanes after they ran, a bit each
        Trace* leader = nullptr;
        for (int k = first; k < last; ++k) {
            int i = context->order == 1 ? last - 1 - (k - first) : k;
            if (context->order == 2) i = first + static_cast<int>(shuffled(k - first, last - first, key));
            Thread& t = threads_[i];
            const bool fresh = checked && t.state <= kFull && t.word == t.trace->word;
            if (fresh && leader) t.follow(leader);
            // The lane after this one: where its stack goes on is not in the nearest cache any more.
            if (const size_t next = static_cast<size_t>(i) + 1; next < threads_.size()) {
                __builtin_prefetch(threads_[next].context);
                __builtin_prefetch(static_cast<char*>(threads_[next].context) + 128);
            }
            while (t.state == kReady || (t.state == kFull && t.word < t.word_end)) {
                t.state = kReady;
                resume(&t);
                ran = true;
                if (!checked && t.state == kFull) break;  // a polite spin: let the others run
            }
            if (fresh && !leader) {
                leader = t.trace;
                *t.word = Trace::kNone;
            }
            seen |= 1u << t.state;
        }
        if (context->cancelled.load(std::memory_order_relaxed) ||
            context->failed.load(std::memory_order_relaxed))
            raise(stopped_at(warp));
        if (checked) {
            drain(warp);
            if (seen & 1u << kFull) continue;
        }
        if (!(seen & (1u << kReady | 1u << kFull | 1u << kAtWarp))) return;
        resolve_warp(warp);
        bool more = false;
        for (int i = first; i < last; ++i) more |= threads_[i].state == kReady || threads_[i].state == kFull;
        if (!more) return;
        if (!ran) raise(error_here(kDeadlock, kPlain));
    }
}

void Worker::thread_main(void* worker) {
    Worker* w = static_cast<Worker*>(worker);
    Error thrown{};
    try {
        w->body_(w->closure_);
    } catch (const std::exception& e) {
        thrown = w->error_here(kUnsupported, kPlain);
        snprintf(thrown.text, sizeof thrown.text, "A C++ exception inside a kernel (%s)", e.what());
    } catch (...) {
        thrown = w->error_here(kUnsupported, kPlain);
        snprintf(thrown.text, sizeof thrown.text, "A C++ exception inside a kernel");
    }
    if (thrown.kind) w->raise(thrown);
    current_thread()->state = kDone;
    w->yield();
    __builtin_unreachable();
}

void Worker::full() {
    current_thread()->state = kFull;
    yield();
}

Error Worker::error_here(Kind kind, Detail detail, uint64_t pc, int line) const {
    Error e{};
    e.kind = kind, e.detail = detail, e.launch = launch_index_, e.space = 2, e.region = INT32_MIN, e.pc = pc,
    e.line = line;
    memcpy(e.block, &sim_indices.block, sizeof e.block);
    const Thread* t = current_thread() ? current_thread() : &threads_[0];
    memcpy(e.thread, &t->index, sizeof e.thread);
    return e;
}

void Worker::raise(Error e) {
    fault_error = e;
    siglongjmp(escape, 1);
}

// Each worker keeps as much as the whole call may print, so that what is shown does not depend on who printed
// it.
void Worker::print(const char* text, size_t n) {
    const size_t room = std::min(n, kOutputLimit - printed_bytes_);
    if (room && (printed_.empty() || printed_.back().first != turn_)) printed_.emplace_back(turn_, "");
    if (room) printed_.back().second.append(text, room);
    printed_bytes_ += room, dropped_bytes_ += n - room;
}

// -------------------------------------------------------------------------------------------------- barriers

inline __attribute__((always_inline)) int Worker::barrier(int op, int predicate, int line) {
    Thread* t = current_thread();
    t->state = kAtBarrier, t->line = line;
    if (!arrived_++) barrier_line_ = line;
    other_barrier_ |= line != barrier_line_;
    counted_ += predicate != 0;
    yield();
    if (op == SIM_BARRIER_PLAIN) return 0;
    const int all = static_cast<int>(threads_.size());
    return op == SIM_BARRIER_COUNT ? barrier_count_
           : op == SIM_BARRIER_AND ? barrier_count_ == all
                                   : barrier_count_ > 0;
}

// Every thread of the block waits or is done: let them pass if they all wait at the same barrier, else say
// who is missing.
void Worker::release_barrier() {
    if (arrived_ != static_cast<int>(threads_.size()) || other_barrier_) explain_stall();
    report_pending();
    if (traced_block()) context->barriers.push_back({launch_index_, barrier_line_, epoch_});
    for (Thread& t : threads_) t.state = kReady;
    barrier_count_ = counted_;
    arrived_ = counted_ = 0;
    ++epoch_;
    new_tags();
}

void Worker::new_tags() {
    all_tag_ = ++tag_;
    for (size_t w = 0; w * 32 < threads_.size(); ++w) warp_tags_[w] = ++tag_;
}

void Worker::explain_stall() {
    const Thread *waits = nullptr, *at_barrier = nullptr, *done = nullptr, *elsewhere = nullptr,
                 *other_lane = nullptr;
    for (const Thread& t : threads_) {
        if ((t.state == kAtWarp || t.state == kAtGate) && !waits) waits = &t;
        if (t.state == kAtWarp && t.line != waits->line && !other_lane) other_lane = &t;
        if (t.state == kAtBarrier && !at_barrier) at_barrier = &t;
        if (t.state == kAtBarrier && at_barrier && t.line != at_barrier->line && !elsewhere) elsewhere = &t;
        if (t.state == kDone && !done) done = &t;
    }
    const Thread* named = at_barrier ? at_barrier : waits;
    const Thread* other = at_barrier ? (done ? done : elsewhere ? elsewhere : waits) : other_lane;
    Error e = error_here(at_barrier ? kBarrierDivergence : kDeadlock, kWarpWaits,
                         named->line < 0 ? named->pc : 0, std::max(named->line, 0));
    if (waits && waits->state == kAtGate)
        e.detail = kGateWaits;
    else if (waits && waits->warp_op == SIM_WARP_WHOLE)
        e.detail = kWholeWarpWaits;
    if (at_barrier && done)
        e.detail = kExitedBeforeBarrier;
    else if (at_barrier && elsewhere)
        e.detail = kOtherBarrier;
    memcpy(e.thread, &named->index, sizeof e.thread);
    if (waits) e.offset = waits->mask;
    if (other) {
        e.has_other = 1;
        memcpy(e.other_block, &sim_indices.block, sizeof e.other_block);
        memcpy(e.other_thread, &other->index, sizeof e.other_thread);
        if (other->state == kDone)
            e.other_pc = context->module_base + other->last_pc;
        else if (other->line < 0)
            e.other_pc = other->pc;
        else
            e.other_line = other->line;
    }
    raise(e);
}

}  // namespace sim

extern "C" int sim_barrier(int op, int predicate, int line) {
    return sim::on_device("__syncthreads() outside a kernel", line)->barrier(op, predicate, line);
}
