// cg::inclusive_scan and cg::exclusive_scan over a tile or a coalesced group.
#pragma once
#include "../cooperative_groups.h"
#include "operators.h"

namespace cooperative_groups {

template <class Group, class T, class Operator>
__forceinline__ T inclusive_scan(const Group& group, T value, Operator&& combine,
                                 int line = __builtin_LINE()) {
    for (unsigned step = 1; step < group.size(); step *= 2) {
        const T before = group.shfl_up(value, step, line);
        if (group.thread_rank() >= step) value = combine(before, value);
    }
    return value;
}
template <class Group, class T>
__forceinline__ T inclusive_scan(const Group& group, T value, int line = __builtin_LINE()) {
    return inclusive_scan(group, value, plus<T>(), line);
}
template <class Group, class T, class Operator>
__forceinline__ T exclusive_scan(const Group& group, T value, Operator&& combine,
                                 int line = __builtin_LINE()) {
    const T before = group.shfl_up(inclusive_scan(group, value, combine, line), 1, line);
    return group.thread_rank() ? before : T();
}
template <class Group, class T>
__forceinline__ T exclusive_scan(const Group& group, T value, int line = __builtin_LINE()) {
    return exclusive_scan(group, value, plus<T>(), line);
}

}  // namespace cooperative_groups
