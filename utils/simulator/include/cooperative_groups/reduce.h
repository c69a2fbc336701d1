// cg::reduce over a tile (a butterfly of shuffles, so that all lanes have one result) or a coalesced group.
#pragma once
#include "../cooperative_groups.h"
#include "operators.h"

namespace cooperative_groups {

template <unsigned Size, class Parent, class T, class Operator>
__forceinline__ T reduce(const thread_block_tile<Size, Parent>& tile, T value, Operator&& combine,
                         int line = __builtin_LINE()) {
    for (unsigned step = Size / 2; step; step /= 2) value = combine(value, tile.shfl_xor(value, step, line));
    return value;
}
template <class T, class Operator>
__forceinline__ T reduce(const coalesced_group& group, T value, Operator&& combine,
                         int line = __builtin_LINE()) {
    T result = group.shfl(value, 0, line);
    for (unsigned rank = 1; rank < group.size(); ++rank)
        result = combine(result, group.shfl(value, rank, line));
    return result;
}

}  // namespace cooperative_groups
