// The C interface that utils/simulator/engine.py calls.
#include <algorithm>
#include <link.h>
#include <string.h>

#include "faults.h"

using namespace sim;

extern "C" {

Context* sim_create(int checked, int reads, int workers, int order, uint64_t seed) {
    static std::atomic<uint64_t> calls{0};
    Context* c = new Context;
    c->serial = ++calls;
    c->checked = checked, c->reads = reads, c->workers = std::max(workers, 1), c->order = order,
    c->seed = seed;
    return c;
}
void sim_destroy(Context* c) { delete c; }

void sim_trace(Context* c, unsigned x, unsigned y, unsigned z, unsigned warp) {
    c->tracing = true;
    c->trace_block = {x, y, z};
    c->trace_warp = warp;
}

// Tells where the cell's library is loaded: its statics and constants may be read by kernels.
int sim_set_module(Context* c, const void* inside) {
    struct Search {
        Context* c;
        uintptr_t inside;
    } search{c, reinterpret_cast<uintptr_t>(inside)};
    dl_iterate_phdr(
        [](dl_phdr_info* info, size_t, void* data) {
            auto* s = static_cast<Search*>(data);
            bool mine = false;
            for (int i = 0; i < info->dlpi_phnum; ++i) {
                const auto& p = info->dlpi_phdr[i];
                if (p.p_type == PT_LOAD && s->inside - (info->dlpi_addr + p.p_vaddr) < p.p_memsz) mine = true;
            }
            if (!mine) return 0;
            s->c->module_base = info->dlpi_addr;
            for (int i = 0; i < info->dlpi_phnum; ++i) {
                const auto& p = info->dlpi_phdr[i];
                if (p.p_type == PT_LOAD) s->c->module.emplace_back(info->dlpi_addr + p.p_vaddr, p.p_memsz);
            }
            return 1;
        },
        &search);
    return c->module_base != 0;
}
uint64_t sim_module_base(Context* c) { return c->module_base; }

// Calls `function(a, b, c, d, e, f)` with faults turned into errors of the context. Returns its result, or
// -1000 after an error.
int sim_call(Context* c, int (*function)(void*, void*, void*, void*, void*, void*), void* a0, void* a1,
             void* a2, void* a3, void* a4, void* a5) {
    Context* outer = current_context;
    current_context = c;
    c->host_stack_high = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
    AlternateStack stack;
    Running here;
    install_handlers();
    sigjmp_buf escape;
    sigjmp_buf* outer_escape = host_escape;
    volatile int result = -1000;
    if (sigsetjmp(escape, 1) == 0) {
        host_escape = &escape;
        try {
            result = function(a0, a1, a2, a3, a4, a5);
        } catch (const Abort&) {
        }
    }
    host_escape = outer_escape;
    remove_handlers();
    current_context = outer;
    return c->failed.load() ? -1000 : result;
}

const Error* sim_error(Context* c) { return c->failed.load() ? &c->error : nullptr; }
const char* sim_output(Context* c, size_t* dropped) {
    *dropped = c->output_dropped;
    return c->output.c_str();
}
size_t sim_launches(Context* c) { return c->launches.size(); }

struct LaunchInfo {
    const char* kernel;
    const Site* sites;
    uint64_t site_count, dynamic_shared, static_shared;
    uint32_t grid[3], block[3];
    int32_t line;
};
void sim_launch_info(Context* c, size_t i, LaunchInfo* info) {
    const Launch& l = c->launches[i];
    *info = LaunchInfo{l.kernel.c_str(),
                       l.sites.data(),
                       l.sites.size(),
                       l.dynamic_shared,
                       l.static_shared,
                       {l.grid.x, l.grid.y, l.grid.z},
                       {l.block.x, l.block.y, l.block.z},
                       l.line};
}
const Request* sim_requests(Context* c, size_t* n, int* dropped) {
    *n = c->requests.size();
    *dropped = c->requests_dropped;
    return c->requests.data();
}
const Barrier* sim_barriers(Context* c, size_t* n) {
    *n = c->barriers.size();
    return c->barriers.data();
}

// Stops a running call, from another thread: kernels within a scheduling step, endless loops by a signal.
void sim_cancel(Context* c) {
    c->cancelled.store(true);
    stop_threads_of(c);
}
}
