#include "faults.h"

#include <pthread.h>
#include <string.h>

namespace sim {

thread_local sigjmp_buf* host_escape = nullptr;

namespace {

constexpr int kSignals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
constexpr int kStop = SIGURG;  // ignored by default, so a late one does no harm
struct sigaction previous[65];
std::mutex handlers_mutex;
int handlers_users = 0;

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

Error fault(int signal, const siginfo_t* info, void* context) {
    Error e = error_now(kOutOfBounds, kSegfault, place_in_cell(context));
    e.offset = reinterpret_cast<int64_t>(info->si_addr);
    if (signal == SIGFPE) e.kind = kUnsupported, e.detail = kDivisionByZero;
    if (signal == SIGILL && current_worker) e.kind = kUnsupported, e.detail = kIllegalInstruction;
    if ((signal == SIGSEGV || signal == SIGBUS) && current_worker &&
        current_worker->in_stack_guard(info->si_addr))
        e.detail = kStackOverflow;
    const uint64_t pc = program_counter(context);
    if (signal == SIGSEGV && pc == reinterpret_cast<uint64_t>(info->si_addr) + 1) e.detail = kWildJump;
    return e;
}

void on_signal(int signal, siginfo_t* info, void* context) {
    const bool in_kernel = current_worker && current_thread(), in_launcher = !current_worker && host_escape;
    if (signal == kStop) {
        const uint64_t pc = program_counter(context);
        if (!current_context || !current_context->cancelled.load() || !in_cell(pc)) return;
        if (in_kernel) stop(error_now(kTimeout, kPlain, pc));
        if (in_launcher) stop(error_now(kTimeout, kPlain));
        return;
    }
    if (in_kernel || (host_escape && current_context)) stop(fault(signal, info, context));
    // Not ours: hand it to whoever was there before.
    sigaction(signal, &previous[signal], nullptr);
    raise(signal);
}

std::mutex running_mutex;
std::vector<std::pair<Context*, pthread_t>> running;  // threads to stop when a call is cancelled

}  // namespace

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

Running::Running() {
    std::lock_guard<std::mutex> lock(running_mutex);
    running.emplace_back(current_context, pthread_self());
}

Running::~Running() {
    std::lock_guard<std::mutex> lock(running_mutex);
    for (size_t i = running.size(); i--;)
        if (pthread_equal(running[i].second, pthread_self())) {
            running.erase(running.begin() + static_cast<long>(i));
            break;
        }
}

void stop_threads_of(const Context* context) {
    std::lock_guard<std::mutex> lock(running_mutex);
    for (auto& [c, thread] : running)
        if (c == context) pthread_kill(thread, kStop);
}

[[noreturn]] static void leave_host(const Error& e) {
    if (current_context) current_context->fail(e);
    if (host_escape) siglongjmp(*host_escape, 1);
    throw Abort();
}

Error error_now(Kind kind, Detail detail, uint64_t pc, int line) {
    if (current_worker && current_thread()) return current_worker->error_here(kind, detail, pc, line);
    Error e{};
    e.kind = kind, e.detail = detail, e.launch = -1, e.space = 2, e.region = INT32_MIN, e.pc = pc,
    e.line = line;
    return e;
}

void stop(const Error& e) {
    if (current_worker && current_thread()) current_worker->raise(e);
    leave_host(e);
}

void stop_here(Kind kind, Detail detail, const char* text, int line, uint64_t pc) {
    Error e = error_now(kind, detail, pc, line);
    snprintf(e.text, sizeof e.text, "%s", text);
    stop(e);
}

}  // namespace sim
