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

void leave_host(const Error& e) {
    if (current_context) current_context->fail(e);
    if (host_escape) siglongjmp(*host_escape, 1);
    throw Abort();
}

void stop_here(Kind kind, Detail detail, const char* text, int line, uint64_t pc) {
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

}  // namespace sim
