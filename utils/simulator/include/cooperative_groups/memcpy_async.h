// cg::memcpy_async and cg::wait; each call of memcpy_async is a group of copies (sim/copy.h).
#pragma once
#include "../cooperative_groups.h"
#include "../sim/copy.h"

namespace cooperative_groups {

template <class Group, class T, class Shape>
__forceinline__ void memcpy_async(const Group& group, T* destination, const T* source, const Shape& bytes) {
    sim::copy_together(destination, source, bytes, sim::alignment_of<T, Shape>, group.thread_rank(),
                       group.size());
    sim::commit_copies();
}
template <class Group, class Shape>
__forceinline__ void memcpy_async(const Group& group, void* destination, const void* source,
                                  const Shape& bytes) {
    sim::copy_together(destination, source, bytes, sim::alignment_of<void, Shape>, group.thread_rank(),
                       group.size());
    sim::commit_copies();
}
// With numbers of elements on both sides: the smaller counts.
template <class Group, class T, class To, class From>
__forceinline__ void memcpy_async(const Group& group, T* destination, const To& to, const T* source,
                                  const From& from) {
    const size_t elements = static_cast<size_t>(to) < static_cast<size_t>(from) ? to : from;
    sim::copy_together(destination, source, elements * sizeof(T), alignof(T), group.thread_rank(),
                       group.size());
    sim::commit_copies();
}
template <class Group>
__forceinline__ void wait(const Group& group, int line = __builtin_LINE()) {
    sim::await_copies(0);
    group.sync(line);
}
template <unsigned stages, class Group>
__forceinline__ void wait_prior(const Group& group, int line = __builtin_LINE()) {
    sim::await_copies(stages);
    group.sync(line);
}

}  // namespace cooperative_groups
