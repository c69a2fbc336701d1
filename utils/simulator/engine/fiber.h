// Fibers: one stack per suspended CUDA thread and a context switch of a few instructions.
#pragma once
#include <stddef.h>
#include <vector>

namespace sim {

struct Stack {
    char* base;  // lowest usable byte; the page below it is unmapped, so that an overflow faults
    size_t bytes;
    bool contains(const void* p) const {
        return static_cast<size_t>(static_cast<const char*>(p) - base) < bytes;
    }
    bool guard_contains(const void* p) const;
};

// Stacks are mapped once per host thread and reused; a CUDA thread that never waits needs one only while it
// runs.
class StackPool {
  public:
    ~StackPool();
    Stack* take();
    void give(Stack* stack) { free_.push_back(stack); }
    const Stack* find(const void* p) const;        // the stack that holds p, or null
    const Stack* find_guard(const void* p) const;  // the stack whose guard page holds p, or null

  private:
    std::vector<Stack*> all_, free_;
};

// A fresh context on `stack` that calls `entry(argument)`, which must not return.
void* prepare(Stack* stack, void (*entry)(void*), void* argument);

#if defined(__x86_64__)
// Saves the current context in *save and continues at `load`. Written out at every place that switches: a
// call and return would lead the processor's prediction of returns astray, which costs more than the switch.
inline __attribute__((always_inline)) void switch_to(void** save, void* load) {
    asm volatile(
        "leaq -128(%%rsp), %%rsp\n\t"  // past the red zone, where a function may keep values without telling
        "pushq %%rbp\n\t"
        "leaq 1f(%%rip), %%rax\n\t"
        "pushq %%rax\n\t"
        "movq %%rsp, (%%rdi)\n\t"
        "movq %%rsi, %%rsp\n\t"
        "popq %%rax\n\t"
        "jmp *%%rax\n\t"
        "1:\n\t"
        "popq %%rbp\n\t"
        "leaq 128(%%rsp), %%rsp"
        : "+D"(save), "+S"(load)
        :
        : "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "cc", "memory",
          "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",
          "xmm12", "xmm13", "xmm14", "xmm15");
}
#else
extern "C" void sim_switch(void** save, void* load);
inline void switch_to(void** save, void* load) { sim_switch(save, load); }
#endif

}  // namespace sim
