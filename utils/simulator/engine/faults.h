// What ends a piece of the learner's code from outside: a fault of the processor, or a call that is stopped.
#pragma once
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>

#include "worker.h"

namespace sim {

extern thread_local sigjmp_buf* host_escape;  // set while a launcher's host code runs

// Signal handlers are there as long as any call runs.
void install_handlers();
void remove_handlers();

// Signals every host thread that works for a call: whoever is in the cell's own code leaves it.
void stop_threads_of(const Context* context);

// While it lives, this host thread works for the current call.
struct Running {
    Running();
    ~Running();
};

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

// An error of the running CUDA thread, or of the launcher where none runs.
Error error_now(Kind kind, Detail detail, uint64_t pc = 0, int line = 0);
// Ends that thread, or the launcher, with it.
[[noreturn]] void stop(const Error& e);
[[noreturn]] void stop_here(Kind kind, Detail detail, const char* text, int line, uint64_t pc = 0);

}  // namespace sim
