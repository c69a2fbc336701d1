// The device functions of abi.h that need no more than the running thread, and what ends a kernel early.
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include "faults.h"

using namespace sim;

extern "C" {

uint3 sim_thread_index() { return sim_indices.thread; }
uint3 sim_block_index() { return sim_indices.block; }
uint3 sim_block_dim() { return sim_indices.block_dim; }
uint3 sim_grid_dim() { return sim_indices.grid_dim; }

void* sim_shared(const SimSharedSite* site) {
    return on_device("__shared__ memory outside a kernel", site->line)->shared_variable(site);
}
void* sim_dynamic_shared(const char* name, int line, size_t granule, const size_t* row_extents) {
    return on_device("__shared__ memory outside a kernel", line)
        ->dynamic_shared(name, line, granule, row_extents);
}
size_t sim_shared_offset(const void* pointer) {
    if (!current_worker) return 0;
    return static_cast<size_t>(static_cast<const char*>(pointer) - current_worker->shared_memory());
}
void* sim_shared_at(uint32_t offset, uint64_t pc) {
    Worker* w = on_device("an instruction of PTX outside a kernel", 0);
    if (offset < kArena) return w->shared_memory() + offset;
    Error e = w->error_here(kOutOfBounds, kSharedAddress, pc);
    e.offset = offset;
    w->raise(e);
}
uint32_t sim_lane() { return on_device("a warp-level function outside a kernel", 0), current_thread()->lane; }
void sim_fence(int everywhere) {
    Worker* w = current_worker;
    if (!w || !current_thread()) return;
    w->fenced = true;
    if (everywhere && w->released) w->released[w->block_linear].store(1);
}
long long sim_clock() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

int sim_printf(const char* format, ...) {
    const uint64_t caller = reinterpret_cast<uint64_t>(__builtin_return_address(0));
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    Worker* w = current_worker;
    int n = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    size_t length = strlen(text);
    if (w && current_thread()) {
        w->print(text, length);
    } else if (current_context) {
        std::lock_guard<std::mutex> lock(current_context->mutex);
        current_context->output.append(text, length);
    } else {
        fwrite(text, 1, length, stdout);
    }
    // A kernel that prints and prints is nearly always in here, where a signal does not stop it.
    if (w && current_thread() && w->context->cancelled.load())
        w->raise(w->error_here(kTimeout, kPlain, caller));
    return n;
}

void sim_unsupported(const char* what, int line) {
    stop_here(kUnsupported, kPlain, what, line);
    __builtin_unreachable();
}
void sim_refuse(const char* what, uint64_t pc) {
    stop_here(kUnsupported, kPlain, what, 0, pc);
    __builtin_unreachable();
}
void sim_assert_failed(const char* expression, int line) {
    stop_here(kLaunch, kAssertion, expression, line);
    __builtin_unreachable();
}
// A cell is linked with --wrap for these, so that they end the kernel and not the notebook.
void __wrap_exit(int) {
    stop_here(kUnsupported, kExited, "exit()", 0, reinterpret_cast<uint64_t>(__builtin_return_address(0)));
}
void __wrap__exit(int) {
    stop_here(kUnsupported, kExited, "_exit()", 0, reinterpret_cast<uint64_t>(__builtin_return_address(0)));
}
void __wrap_quick_exit(int) {
    stop_here(kUnsupported, kExited, "quick_exit()", 0,
              reinterpret_cast<uint64_t>(__builtin_return_address(0)));
}
void __wrap_abort() {
    stop_here(kUnsupported, kExited, "abort()", 0, reinterpret_cast<uint64_t>(__builtin_return_address(0)));
}
void __wrap___assert_fail(const char* expression, const char*, unsigned line, const char*) {
    stop_here(kLaunch, kAssertion, expression, static_cast<int>(line));
}
}
