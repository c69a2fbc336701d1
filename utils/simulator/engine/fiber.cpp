#include "fiber.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#if !defined(__x86_64__) && !defined(__aarch64__)
#include <ucontext.h>
#endif

namespace sim {

// CUDA gives a thread at most 512 KB of local memory; calls take some more. Only what is used takes memory.
static constexpr size_t kStackBytes = (512 + 64) * 1024;
static const size_t kPage = static_cast<size_t>(sysconf(_SC_PAGESIZE));

bool Stack::guard_contains(const void* p) const {
    return static_cast<size_t>(base - static_cast<const char*>(p)) <= kPage;
}

Stack* StackPool::take() {
    if (free_.empty()) {
        void* memory = mmap(nullptr, kStackBytes + kPage, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED) abort();
        mprotect(memory, kPage, PROT_NONE);
        // The tops of the stacks are what a barrier touches of each: a few lines apart, or they would all
        // fight for the same few places of the processor's cache.
        const size_t apart = all_.size() % 64 * 64;
        all_.push_back(new Stack{static_cast<char*>(memory) + kPage, kStackBytes - apart});
        return all_.back();
    }
    Stack* stack = free_.back();
    free_.pop_back();
    return stack;
}

StackPool::~StackPool() {
    for (Stack* stack : all_) {
        munmap(stack->base - kPage, kStackBytes + kPage);
        delete stack;
    }
}

const Stack* StackPool::find(const void* p) const {
    for (const Stack* stack : all_)
        if (stack->contains(p)) return stack;
    return nullptr;
}

const Stack* StackPool::find_guard(const void* p) const {
    for (const Stack* stack : all_)
        if (stack->guard_contains(p)) return stack;
    return nullptr;
}

}  // namespace sim

#if defined(__x86_64__)

asm(R"(
.text
.p2align 4
.type sim_start,@function
sim_start:
    popq %rdi
    popq %rax
    call *%rax
    ud2
.size sim_start,.-sim_start
.hidden sim_start
.globl sim_start
)");
extern "C" void sim_start();

void* sim::prepare(Stack* stack, void (*entry)(void*), void* argument) {
    uintptr_t top = reinterpret_cast<uintptr_t>(stack->base + stack->bytes) & ~uintptr_t(15);
    void** sp = reinterpret_cast<void**>(top);
    *--sp = reinterpret_cast<void*>(entry);
    *--sp = argument;
    *--sp = reinterpret_cast<void*>(&sim_start);
    return sp;
}

#elif defined(__aarch64__)

asm(R"(
.text
.p2align 4
.globl sim_switch
sim_switch:
    sub sp, sp, #160
    stp x19, x20, [sp, #0]
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mov x9, sp
    str x9, [x0]
    mov sp, x1
    ldp x19, x20, [sp, #0]
    ldp x21, x22, [sp, #16]
    ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]
    ldp x29, x30, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    add sp, sp, #160
    ret
sim_start:
    mov x0, x19
    blr x20
    brk #1
)");
extern "C" void sim_start();

void* sim::prepare(Stack* stack, void (*entry)(void*), void* argument) {
    uintptr_t top = reinterpret_cast<uintptr_t>(stack->base + stack->bytes) & ~uintptr_t(15);
    void** sp = reinterpret_cast<void**>(top - 160);
    for (int i = 0; i < 20; ++i) sp[i] = nullptr;
    sp[0] = argument;                              // x19
    sp[1] = reinterpret_cast<void*>(entry);        // x20
    sp[11] = reinterpret_cast<void*>(&sim_start);  // x30, where the first switch returns to
    return sp;
}

#else  // any other processor: the C library's slower contexts, hidden behind the same two calls

namespace {
struct Context {
    ucontext_t u;
};
void start(unsigned hi1, unsigned lo1, unsigned hi2, unsigned lo2) {
    auto entry = reinterpret_cast<void (*)(void*)>((uint64_t(hi1) << 32) | lo1);
    entry(reinterpret_cast<void*>((uint64_t(hi2) << 32) | lo2));
}
}  // namespace

extern "C" void sim_switch(void** save, void* load) {
    Context here;  // lives on the suspended stack for as long as it is suspended
    *save = &here;
    swapcontext(&here.u, &static_cast<Context*>(load)->u);
}

void* sim::prepare(Stack* stack, void (*entry)(void*), void* argument) {
    Context* c = reinterpret_cast<Context*>(stack->base);
    getcontext(&c->u);
    c->u.uc_stack.ss_sp = stack->base + sizeof(Context);
    c->u.uc_stack.ss_size = stack->bytes - sizeof(Context);
    c->u.uc_link = nullptr;
    uint64_t e = reinterpret_cast<uintptr_t>(entry), a = reinterpret_cast<uintptr_t>(argument);
    makecontext(&c->u, reinterpret_cast<void (*)()>(start), 4, unsigned(e >> 32), unsigned(e),
                unsigned(a >> 32), unsigned(a));
    return c;
}

#endif
