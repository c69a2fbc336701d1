// Fibers: one stack per suspended CUDA thread and a context switch of a few instructions.
#pragma once
#include <stddef.h>
#include <vector>

namespace sim {

struct Stack {
    char* base;  // lowest usable byte; the page below it is unmapped, so that an overflow faults
    size_t bytes;
    bool contains(const void* p) const { return static_cast<size_t>(static_cast<const char*>(p) - base) < bytes; }
    bool guard_contains(const void* p) const;
};

// Stacks are mapped once per host thread and reused; a CUDA thread that never waits needs one only while it runs.
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

}  // namespace sim

// Saves the current context in *save and continues at `load`.
extern "C" void sim_switch(void** save, void* load);
