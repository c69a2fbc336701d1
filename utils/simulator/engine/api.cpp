// Launching, the device functions of abi.h, faults, and the C interface that utils/simulator/engine.py calls.
#include <algorithm>
#include <link.h>
#include <memory>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <thread>
#include <time.h>

#include "worker.h"

using namespace sim;

namespace {

// ---------------------------------------------------------------------------------------------------- faults

thread_local sigjmp_buf* host_escape = nullptr;  // set while a launcher's host code runs
constexpr int kSignals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
constexpr int kStop = SIGURG;  // ignored by default, so a late one does no harm
struct sigaction previous[65];
std::mutex handlers_mutex;
int handlers_users = 0;

Error fault(Worker* w, int signal, const siginfo_t* info) {
    Error e = w->error_here(kOutOfBounds, kSegfault);
    e.offset = reinterpret_cast<int64_t>(info->si_addr);
    if (signal == SIGFPE) e.kind = kUnsupported, e.detail = kDivisionByZero;
    if (signal == SIGILL) e.kind = kUnsupported, e.detail = kIllegalInstruction;
    if ((signal == SIGSEGV || signal == SIGBUS) && w->in_stack_guard(info->si_addr))
        e.detail = kStackOverflow;
    return e;
}

uint64_t program_counter(void* context) {
#if defined(__x86_64__) && defined(__linux__)
    return static_cast<uint64_t>(static_cast<ucontext_t*>(context)->uc_mcontext.gregs[16]) +
           1;  // REG_RIP; +1 as for a return address
#elif defined(__aarch64__) && defined(__linux__)
    return static_cast<ucontext_t*>(context)->uc_mcontext.pc + 1;
#else
    (void)context;
    return 0;
#endif
}

// A forced stop may only leave the learner's own code: torn out of the engine, the C library or Python, a
// thread would take locks and half-made structures with it. Whoever stops a call tries again until the signal
// finds it there.
bool in_cell(uint64_t pc) { return current_context->in_module(pc); }

uintptr_t stack_pointer(void* context) {
#if defined(__x86_64__) && defined(__linux__)
    return static_cast<uintptr_t>(static_cast<ucontext_t*>(context)->uc_mcontext.gregs[15]);  // REG_RSP
#elif defined(__aarch64__) && defined(__linux__)
    return static_cast<ucontext_t*>(context)->uc_mcontext.sp;
#else
    (void)context;
    return 0;
#endif
}

// Where in the learner's code a fault happened: there, or in a function that the code called (memcpy, say),
// or in a call to where no code is. Then the nearest return address on the stack tells the line.
uint64_t place_in_cell(void* context) {
    const uint64_t pc = program_counter(context);
    if (in_cell(pc)) return pc;
#if defined(__aarch64__) && defined(__linux__)
    const uint64_t link = static_cast<ucontext_t*>(context)->uc_mcontext.regs[30];
    if (in_cell(link)) return link;
#endif
    const uintptr_t from = stack_pointer(context);
    Thread* t = current_worker ? current_thread() : nullptr;
    const uintptr_t end =
        t ? reinterpret_cast<uintptr_t>(t->stack->base + t->stack->bytes) : current_context->host_stack_high;
    if (t && !t->stack->contains(reinterpret_cast<void*>(from))) return pc;
    for (uintptr_t at = from; at + sizeof(uint64_t) <= end && at < from + 4096; at += sizeof(uint64_t)) {
        const uint64_t word = *reinterpret_cast<uint64_t*>(at);
        if (in_cell(word)) return word;
    }
    return pc;
}

void locate(Error* e, int signal, const siginfo_t* info, void* context) {
    const uint64_t pc = program_counter(context);
    e->pc = place_in_cell(context);
    if (signal == SIGSEGV && pc == reinterpret_cast<uint64_t>(info->si_addr) + 1) e->detail = kWildJump;
}

void on_signal(int signal, siginfo_t* info, void* context) {
    Worker* w = current_worker;
    if (signal == kStop) {
        const uint64_t pc = program_counter(context);
        if (!current_context || !current_context->cancelled.load() || !in_cell(pc)) return;
        if (w && current_thread()) w->raise(w->error_here(kTimeout, kPlain, pc));
        if (!w && host_escape) {
            Error e{};
            e.kind = kTimeout, e.launch = -1, e.space = 2, e.region = INT32_MIN;
            current_context->fail(e);
            siglongjmp(*host_escape, 1);
        }
        return;
    }
    if (w && current_thread()) {
        Error e = fault(w, signal, info);
        locate(&e, signal, info, context);
        w->raise(e);
    }
    if (host_escape && current_context) {
        Error e{};
        e.kind = signal == SIGFPE ? kUnsupported : kOutOfBounds,
        e.detail = signal == SIGFPE ? kDivisionByZero : kSegfault;
        e.launch = -1, e.space = 2, e.region = INT32_MIN;
        e.offset = reinterpret_cast<int64_t>(info->si_addr);
        locate(&e, signal, info, context);
        current_context->fail(e);
        siglongjmp(*host_escape, 1);
    }
    // Not ours: hand it to whoever was there before.
    sigaction(signal, &previous[signal], nullptr);
    raise(signal);
}

void install_handlers() {
    std::lock_guard<std::mutex> lock(handlers_mutex);
    if (handlers_users++) return;
    struct sigaction action{};
    action.sa_sigaction = on_signal;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    for (int s : kSignals) sigaction(s, &action, &previous[s]);
    action.sa_flags |= SA_RESTART;
    sigaction(kStop, &action, &previous[kStop]);
}

void remove_handlers() {
    std::lock_guard<std::mutex> lock(handlers_mutex);
    if (--handlers_users) return;
    for (int s : kSignals) sigaction(s, &previous[s], nullptr);
    sigaction(kStop, &previous[kStop], nullptr);
}

// A stack overflow leaves no stack to handle it on: every host thread that runs fibers has another one for
// its handler.
struct AlternateStack {
    void* memory = mmap(nullptr, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    stack_t old{};
    AlternateStack() {
        stack_t s{};
        s.ss_sp = memory, s.ss_size = 65536;
        sigaltstack(&s, &old);
    }
    ~AlternateStack() {
        sigaltstack(&old, nullptr);
        munmap(memory, 65536);
    }
};

// ------------------------------------------------------------------------------------------------- launching

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

std::mutex running_mutex;
std::vector<std::pair<Context*, pthread_t>> running;  // threads to stop when a call is cancelled
struct Running {
    Running() {
        std::lock_guard<std::mutex> lock(running_mutex);
        running.emplace_back(current_context, pthread_self());
    }
    ~Running() {
        std::lock_guard<std::mutex> lock(running_mutex);
        for (size_t i = running.size(); i--;)
            if (pthread_equal(running[i].second, pthread_self())) {
                running.erase(running.begin() + static_cast<long>(i));
                break;
            }
    }
};

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

struct Owned {  // a tensor that the launcher made
    int copies;
    const void* tensor;
    uint64_t serial;  // of the call that it belongs to
};

std::string gigabytes(size_t bytes) {
    char text[32];
    snprintf(text, sizeof text, "%.2f GB", static_cast<double>(bytes) / 1e9);
    return text;
}

std::string out_of_memory(const char* who, size_t wanted, size_t room) {
    return std::string(who) + " asks for " + gigabytes(wanted) + " of memory, and the simulator may take " +
           gigabytes(room) + " more on this machine (CONV_MEMORY sets the limit in GB)";
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

void sim::leave_host(const Error& e) {
    if (current_context) current_context->fail(e);
    if (host_escape) siglongjmp(*host_escape, 1);
    throw Abort();
}

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
uint32_t sim_lane() { return on_device("a warp-level function outside a kernel", 0), current_thread()->lane; }
void sim_fence() {
    Worker* w = current_worker;
    if (w && current_thread() && w->released) w->released[w->block_linear].store(1);
}
void sim_set_dynamic_limit(const void* function, size_t bytes) {
    (void)function;
    if (!current_context) return;
    std::lock_guard<std::mutex> lock(limits_mutex);
    size_t& limit = dynamic_limits[current_context->module_base];
    limit = std::max(limit, bytes);
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

static void stop_here(Kind kind, Detail detail, const char* text, int line, uint64_t pc = 0) {
    Worker* w = current_worker;
    Error e{};
    if (w && current_thread())
        e = w->error_here(kind, detail, pc, line);
    else
        e.kind = kind, e.detail = detail, e.launch = -1, e.space = 2, e.region = INT32_MIN, e.line = line,
        e.pc = pc;
    snprintf(e.text, sizeof e.text, "%s", text);
    if (w && current_thread()) w->raise(e);
    leave_host(e);
}
void sim_unsupported(const char* what, int line) {
    stop_here(kUnsupported, kPlain, what, line);
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

// The region that a copy of n bytes begins in; false where it would leave it, or begins in freed memory.
static bool copied_region(const void* p, size_t n, Region** region) {
    const uintptr_t address = reinterpret_cast<uintptr_t>(p);
    Context* c = current_context;
    *region = c ? c->find(address) : nullptr;
    if (*region) return n <= (*region)->bytes - (address - (*region)->base);
    const Region* off = c ? c->find_off_limits(address) : nullptr;
    return !off || off->off_limits != kFreed;
}
// What a copy writes is as good as where it came from: garbage stays garbage.
static void mark_written(Region* to, const void* d, const Region* from, const void* s, size_t n) {
    if (!to || !to->written) return;
    const size_t start = reinterpret_cast<uintptr_t>(d) - to->base;
    const size_t source = from ? reinterpret_cast<uintptr_t>(s) - from->base : 0;
    for (size_t g = start >> to->granule_shift; g <= (start + n - 1) >> to->granule_shift; ++g) {
        const size_t at = source + std::max(g << to->granule_shift, start) - start;
        const bool known = !from || !from->written || from->written[at >> from->granule_shift].load();
        to->written[g].store(known);
    }
}
int sim_memcpy(void* d, const void* s, size_t n) {
    Region *to, *from;
    if (!n) return 0;
    if (!copied_region(d, n, &to) || !copied_region(s, n, &from)) return 1;
    memmove(d, s, n);
    mark_written(to, d, from, s, n);
    return 0;
}
int sim_memset(void* d, int v, size_t n) {
    Region* to;
    if (!n) return 0;
    if (!copied_region(d, n, &to)) return 1;
    memset(d, v, n);
    mark_written(to, d, nullptr, nullptr, n);
    return 0;
}

// -------------------------------------------------------------------------------------- interface for Python

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

void sim_add_region(Context* c, const void* base, size_t bytes, int itemsize, int id, int uninitialised) {
    if (!bytes) return;
    Region* r = new Region;
    r->base = reinterpret_cast<uintptr_t>(base);
    r->bytes = bytes;
    r->granule_shift = itemsize >= 4 ? 2 : itemsize >= 2 ? 1 : 0;
    r->id = id;
    if (uninitialised && c->checked) {
        size_t granules = ((bytes - 1) >> r->granule_shift) + 1;
        r->written = static_cast<std::atomic<uint8_t>*>(calloc(granules, 1));
    }
    c->add(r);
}

// A tensor of the CPU: a kernel that touches it is told so.
void sim_add_host_tensor(Context* c, const void* base, size_t bytes, int id) {
    if (!bytes) return;
    Region* r = new Region;
    r->base = reinterpret_cast<uintptr_t>(base), r->bytes = bytes, r->id = id, r->off_limits = kHostTensor;
    c->off_limits.push_back(r);
}

// Marks the elements of a tensor as written in a region that began uninitialised: what lies between the rows
// of a slice stays nobody's.
void sim_mark_elements(Context* c, const void* data, int itemsize, int dim, const int64_t* sizes,
                       const int64_t* strides) {
    Region* r = c->find(reinterpret_cast<uintptr_t>(data));
    if (!r || !r->written) return;
    if (dim) {
        for (int64_t i = 0; i < sizes[0]; ++i)
            sim_mark_elements(c, static_cast<const char*>(data) + i * strides[0] * itemsize, itemsize,
                              dim - 1, sizes + 1, strides + 1);
        return;
    }
    mark_written(r, data, nullptr, nullptr, static_cast<size_t>(itemsize));
}

// Counts memory that the call is about to take: 0, or the bytes that it may still have when those are fewer.
size_t sim_reserve(Context* c, size_t bytes) {
    const size_t room = c->memory_limit - std::min(c->memory_used, c->memory_limit);
    if (bytes > room) return std::max<size_t>(room, 1);
    c->memory_used += bytes;
    return 0;
}
void sim_set_constants(Context* c, const void* start, size_t bytes) {
    c->constants = reinterpret_cast<uintptr_t>(start), c->constant_bytes = bytes;
}
void sim_set_memory_limit(Context* c, size_t bytes) { c->memory_limit = bytes; }
void sim_memory(size_t* free, size_t* total) {
    Context* c = current_context;
    *total = c ? c->memory_limit : 0;
    *free = c ? c->memory_limit - std::min(c->memory_used, c->memory_limit) : 0;
}

int sim_malloc(void** p, size_t bytes, int written) {
    Context* c = current_context;
    *p = nullptr;
    if (!c || !bytes) return 0;
    if (size_t room = sim_reserve(c, bytes))
        stop_here(kLaunch, kOutOfMemory, out_of_memory("cudaMalloc", bytes, room).c_str(), 0,
                  reinterpret_cast<uint64_t>(__builtin_return_address(0)));
    // 1,024 spare bytes on each side, so that a step over the edge lands on nobody's memory.
    char* memory = static_cast<char*>(aligned_alloc(1024, ((bytes + 1023) & ~size_t(1023)) + 2048));
    if (!memory) return 2;
    *p = memory + 1024;
    c->allocations.push_back(memory);
    sim_add_region(c, *p, bytes, 4, 1000000 + static_cast<int>(c->allocations.size()), !written);
    return 0;
}
int sim_free(void* p) {
    Context* c = current_context;
    return !p || !c || c->release(p) ? 0 : 1;
}
int* sim_own(const void* tensor) {
    return &(new Owned{1, tensor, current_context ? current_context->serial : 0})->copies;
}
void sim_disown(int* copies) noexcept {
    if (--*copies) return;
    Owned* owned = reinterpret_cast<Owned*>(copies);
    // A tensor kept in a static variable may outlive its call and its memory.
    if (current_context && current_context->serial == owned->serial) current_context->release(owned->tensor);
    delete owned;
}

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

// Stops a running call, from another thread: kernels within a scheduling step, endless loops by a signal.
void sim_cancel(Context* c) {
    c->cancelled.store(true);
    std::lock_guard<std::mutex> lock(running_mutex);
    for (auto& [context, thread] : running)
        if (context == c) pthread_kill(thread, kStop);
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
}
