// A kernel launch: its configuration checked, its blocks spread over the host's threads.
#include <algorithm>
#include <memory>
#include <stdarg.h>
#include <string.h>
#include <thread>

#include "faults.h"
#include "memory.h"

using namespace sim;

namespace {

// Workers keep their stacks and buffers between launches.
std::mutex pool_mutex;
std::vector<std::unique_ptr<Worker>> pool;
std::unique_ptr<Worker> take_worker() {
    std::lock_guard<std::mutex> lock(pool_mutex);
    if (pool.empty()) return std::make_unique<Worker>();
    auto w = std::move(pool.back());
    pool.pop_back();
    return w;
}
void give_worker(std::unique_ptr<Worker> w) {
    std::lock_guard<std::mutex> lock(pool_mutex);
    pool.push_back(std::move(w));
}

std::mutex limits_mutex;
std::unordered_map<uintptr_t, size_t> dynamic_limits;  // by the library that holds the kernel

[[noreturn]] void refuse_launch(const SimLaunch* launch, int index, const char* format, ...) {
    Error e{};
    e.kind = kLaunch, e.detail = kBadConfiguration, e.launch = index, e.space = 2, e.region = INT32_MIN,
    e.line = launch->line;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(e.text, sizeof e.text, format, arguments);
    va_end(arguments);
    current_context->fail(e);
    throw Abort();
}

void check_configuration(const SimLaunch* l, int index) {
    const uint3 g = l->grid, b = l->block;
    if (!g.x || !g.y || !g.z)
        refuse_launch(l, index, "a grid of %u x %u x %u blocks: every dimension must be at least 1", g.x, g.y,
                      g.z);
    if (!b.x || !b.y || !b.z)
        refuse_launch(l, index, "a block of %u x %u x %u threads: every dimension must be at least 1", b.x,
                      b.y, b.z);
    const uint64_t threads = uint64_t(b.x) * b.y * b.z;
    if (b.x > 1024 || b.y > 1024 || b.z > 64 || threads > 1024)
        refuse_launch(
            l, index,
            "a block of %u x %u x %u = %llu threads: at most 1,024 (x and y up to 1,024, z up to 64)", b.x,
            b.y, b.z, static_cast<unsigned long long>(threads));
    if (g.x > 2147483647u || g.y > 65535 || g.z > 65535)
        refuse_launch(l, index,
                      "a grid of %u x %u x %u blocks: x may be at most 2,147,483,647, y and z at most 65,535",
                      g.x, g.y, g.z);
    size_t limit = 49152;
    {
        std::lock_guard<std::mutex> lock(limits_mutex);
        auto it = dynamic_limits.find(current_context->module_base);
        if (it != dynamic_limits.end()) limit = std::max(limit, it->second);
    }
    constexpr size_t kMost = 232448;
    if (l->dynamic_shared > kMost)
        refuse_launch(
            l, index,
            "%zu bytes of dynamic shared memory, more than the %zu (227 KB) that a block of an H100 "
            "can have; an A100 has 163 KB, a T4 64 KB",
            l->dynamic_shared, kMost);
    if (l->dynamic_shared > limit)
        refuse_launch(
            l, index,
            limit == 49152
                ? "%zu bytes of dynamic shared memory: more than 49,152 (48 KB) need "
                  "cudaFuncSetAttribute(kernel, "
                  "cudaFuncAttributeMaxDynamicSharedMemorySize, bytes) first"
                : "%zu bytes of dynamic shared memory, more than the %zu that cudaFuncSetAttribute allowed",
            l->dynamic_shared, limit);
}

// Checked runs keep a record of who touched what for every word of memory: six times the tensors' size, if
// all of it is touched.
void check_memory(Context* c, const SimLaunch* launch, int index) {
    if (!c->checked) return;
    size_t bytes = 0;
    for (const Region* r : c->regions) bytes += (r->bytes >> r->granule_shift) * sizeof(Cell);
    const size_t room = c->memory_limit - std::min(c->memory_used, c->memory_limit);
    if (bytes > room)
        refuse_launch(
            launch, index,
            "its checks need up to %s of memory (six times the tensors' size), and the simulator may "
            "take %s more on this machine (CONV_MEMORY sets the limit in GB): take a smaller shape, "
            "or checked=False",
            gigabytes(bytes).c_str(), gigabytes(room).c_str());
}

}  // namespace

extern "C" {

void sim_launch(const SimLaunch* config, void (*body)(void*), void* closure) {
    Context* c = current_context;
    if (!c) abort();
    if (current_worker) sim_unsupported("A launch from inside a kernel (dynamic parallelism)", config->line);
    const int index = static_cast<int>(c->launches.size());
    c->launches.emplace_back();
    {
        Launch& launch = c->launches.back();
        launch.kernel = config->kernel;
        launch.line = config->line;
        launch.grid = config->grid;
        launch.block = config->block;
        launch.dynamic_shared = config->dynamic_shared;
    }
    check_configuration(config, index);
    check_memory(c, config, index);
    c->host_stack_low = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
    if (c->checked)
        for (Region* r : c->regions) {
            map_cells(r);
            r->read = r->stored = false;
        }

    const uint64_t blocks = uint64_t(config->grid.x) * config->grid.y * config->grid.z;
    const int n = static_cast<int>(std::min<uint64_t>(static_cast<uint64_t>(c->workers), blocks));
    std::atomic<uint64_t> next{0};
    std::unique_ptr<std::atomic<uint8_t>[]> released;
    if (c->checked && blocks < (uint64_t(1) << 26)) released.reset(new std::atomic<uint8_t>[blocks]());
    Launch* launch = &c->launches[static_cast<size_t>(index)];
    std::vector<std::unique_ptr<Worker>> workers;
    for (int i = 0; i < n; ++i) workers.push_back(take_worker());
    auto work = [&](int i) {
        current_context = c;
        AlternateStack stack;
        Running here;
        workers[static_cast<size_t>(i)]->run(c, launch, config, index, body, closure, &next, released.get());
    };
    std::vector<std::thread> threads;
    for (int i = 1; i < n; ++i) threads.emplace_back(work, i);
    sigjmp_buf* outer = host_escape;
    host_escape = nullptr;
    work(0);
    host_escape = outer;
    for (std::thread& t : threads) t.join();
    for (auto& w : workers) {
        w->merge_into(launch);
        give_worker(std::move(w));
    }
    c->append_printed();
    if (c->checked)
        for (Region* r : c->regions) drop_cells(r);
    if (c->cancelled.load() && !c->failed.load()) {
        Error e{};
        e.kind = kTimeout, e.launch = index, e.space = 2, e.region = INT32_MIN;
        c->fail(e);
    }
    if (c->failed.load()) throw Abort();
}

void sim_set_dynamic_limit(const void* function, size_t bytes) {
    (void)function;
    if (!current_context) return;
    std::lock_guard<std::mutex> lock(limits_mutex);
    size_t& limit = dynamic_limits[current_context->module_base];
    limit = std::max(limit, bytes);
}
}
