// Groups of threads that wait for each other and exchange values: the block, tiles of a warp, and the lanes
// that are active together. A barrier over the whole grid or a cluster is refused.
#pragma once
#include "cuda_runtime.h"

namespace cooperative_groups {

// Any group, by the lanes it has in this thread's warp; 0 stands for the whole block.
class thread_group {
  public:
    __forceinline__ void sync(int line = __builtin_LINE()) const {
        if (lanes_)
            sim_warp(SIM_WARP_SYNC, lanes_, line, 0, 0);
        else
            sim_barrier(SIM_BARRIER_PLAIN, 0, line);
    }
    __forceinline__ unsigned long long size() const {
        return lanes_ ? __builtin_popcount(lanes_) : blockDim.x * blockDim.y * blockDim.z;
    }
    __forceinline__ unsigned long long num_threads() const { return size(); }
    __forceinline__ unsigned long long thread_rank() const {
        return lanes_ ? __builtin_popcount(lanes_ & ((1u << sim_lane()) - 1)) : rank_in_block();
    }
    __forceinline__ unsigned lanes() const { return lanes_; }

  protected:
    constexpr thread_group(unsigned lanes) : lanes_(lanes) {}
    static __forceinline__ unsigned rank_in_block() {
        return threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
    }
    static __forceinline__ unsigned lanes_around(unsigned tile) {
        return (tile == 32 ? ~0u : (1u << tile) - 1) << (sim_lane() & ~(tile - 1));
    }
    unsigned lanes_;
    friend thread_group tiled_partition(const thread_group&, unsigned);
};

class thread_block : public thread_group {
  public:
    __forceinline__ thread_block() : thread_group(0) {}
    static __forceinline__ void sync(int line = __builtin_LINE()) { sim_barrier(SIM_BARRIER_PLAIN, 0, line); }
    static __forceinline__ unsigned thread_rank() { return rank_in_block(); }
    static __forceinline__ unsigned size() { return blockDim.x * blockDim.y * blockDim.z; }
    static __forceinline__ unsigned num_threads() { return size(); }
    static __forceinline__ dim3 group_index() { return dim3(blockIdx); }
    static __forceinline__ dim3 thread_index() { return dim3(threadIdx); }
    static __forceinline__ dim3 group_dim() { return dim3(blockDim); }
    static __forceinline__ dim3 dim_threads() { return dim3(blockDim); }
    struct arrival_token {};
    static __forceinline__ arrival_token barrier_arrive() { return {}; }
    static __forceinline__ void barrier_wait(arrival_token&&, int line = __builtin_LINE()) { sync(line); }
};
__forceinline__ thread_block this_thread_block() { return thread_block(); }

class grid_group {
  public:
    [[noreturn]] static void sync(int line = __builtin_LINE()) {
        sim_unsupported(
            "grid.sync(), a barrier over all blocks (end the kernel at that place and launch a "
            "second one: it begins when all blocks of the first have ended),",
            line);
    }
    static __forceinline__ bool is_valid() { return false; }
    static __forceinline__ dim3 dim_blocks() { return dim3(gridDim); }
    static __forceinline__ dim3 group_dim() { return dim3(gridDim); }
    static __forceinline__ dim3 block_index() { return dim3(blockIdx); }
    static __forceinline__ unsigned long long num_blocks() {
        return static_cast<unsigned long long>(gridDim.x) * gridDim.y * gridDim.z;
    }
    static __forceinline__ unsigned long long block_rank() {
        return blockIdx.x +
               static_cast<unsigned long long>(gridDim.x) * (blockIdx.y + gridDim.y * blockIdx.z);
    }
    static __forceinline__ unsigned long long size() { return num_blocks() * thread_block::size(); }
    static __forceinline__ unsigned long long num_threads() { return size(); }
    static __forceinline__ unsigned long long thread_rank() {
        return block_rank() * thread_block::size() + thread_block::thread_rank();
    }
};
__forceinline__ grid_group this_grid() { return grid_group(); }

// What tiles and coalesced groups share: `Group` says which lane a rank is.
template <class Group>
class warp_group : public thread_group {
  public:
    __forceinline__ unsigned size() const { return static_cast<unsigned>(__builtin_popcount(lanes_)); }
    __forceinline__ unsigned num_threads() const { return self().size(); }
    __forceinline__ void sync(int line = __builtin_LINE()) const {
        sim_warp(SIM_WARP_SYNC, lanes_, line, 0, 0);
    }
    template <class T>
    __forceinline__ T shfl(T value, unsigned rank, int line = __builtin_LINE()) const {
        return from(value, self().lane_of(rank % self().size()), line);
    }
    template <class T>
    __forceinline__ T shfl_down(T value, unsigned delta, int line = __builtin_LINE()) const {
        const unsigned rank = self().thread_rank(), wanted = rank + delta;
        return from(value, self().lane_of(wanted < self().size() ? wanted : rank), line);
    }
    template <class T>
    __forceinline__ T shfl_up(T value, unsigned delta, int line = __builtin_LINE()) const {
        const unsigned rank = self().thread_rank();
        return from(value, self().lane_of(rank >= delta ? rank - delta : rank), line);
    }
    __forceinline__ int any(int predicate, int line = __builtin_LINE()) const {
        return sim_warp(SIM_WARP_BALLOT, lanes_, line, predicate != 0, 0) != 0;
    }
    __forceinline__ int all(int predicate, int line = __builtin_LINE()) const {
        return sim_warp(SIM_WARP_BALLOT, lanes_, line, predicate == 0, 0) == 0;
    }
    __forceinline__ unsigned ballot(int predicate, int line = __builtin_LINE()) const {
        return packed(static_cast<unsigned>(sim_warp(SIM_WARP_BALLOT, lanes_, line, predicate != 0, 0)));
    }
    template <class T>
    __forceinline__ unsigned match_any(T value, int line = __builtin_LINE()) const {
        return packed(static_cast<unsigned>(sim_warp(SIM_WARP_MATCH, lanes_, line, sim::bits(value), 0)));
    }
    template <class T>
    __forceinline__ unsigned match_all(T value, int& same, int line = __builtin_LINE()) const {
        same = sim_warp(SIM_WARP_MATCH, lanes_, line, sim::bits(value), 0) == (lanes_ & existing());
        return same ? packed(lanes_) : 0;
    }

  protected:
    using thread_group::thread_group;
    __forceinline__ const Group& self() const { return static_cast<const Group&>(*this); }
    template <class T>
    __forceinline__ T from(T value, unsigned lane, int line) const {
        if constexpr (sizeof(T) <= 8)
            return sim::from_bits<T>(
                sim_warp(SIM_WARP_SHUFFLE, lanes_, line, sim::bits(value), static_cast<int>(lane)));
        else
            return from_large(value, lane, line);
    }
    template <class T>
    SIM_RAW T from_large(T value, unsigned lane, int line) const {
        char* bytes = reinterpret_cast<char*>(&value);
        for (size_t at = 0; at < sizeof(T); at += 8) {
            const size_t n = sizeof(T) - at < 8 ? sizeof(T) - at : 8;
            uint64_t word = 0;
            __builtin_memcpy(&word, bytes + at, n);
            word = sim_warp(SIM_WARP_SHUFFLE, lanes_, line, word, static_cast<int>(lane));
            __builtin_memcpy(bytes + at, &word, n);
        }
        return value;
    }
    // One bit for each rank, from one bit for each lane.
    SIM_RAW unsigned packed(unsigned of_lanes) const {
        unsigned result = 0, rank = 0;
        for (unsigned rest = lanes_; rest; rest &= rest - 1, ++rank)
            result |= (of_lanes >> __builtin_ctz(rest) & 1u) << rank;
        return result;
    }
    // The lanes of this warp that the block has threads for.
    static __forceinline__ unsigned existing() {
        const unsigned threads = thread_block::size(), first = thread_block::thread_rank() & ~31u;
        return threads - first >= 32 ? ~0u : (1u << (threads - first)) - 1;
    }
};

template <unsigned Size, class Parent = void>
class thread_block_tile : public warp_group<thread_block_tile<Size, Parent>> {
    static_assert(Size >= 1 && Size <= 32 && (Size & (Size - 1)) == 0,
                  "a tile has 1, 2, 4, 8, 16 or 32 threads");
    using Base = warp_group<thread_block_tile<Size, Parent>>;

  public:
    __forceinline__ thread_block_tile(unsigned meta_rank, unsigned meta_size)
        : Base(Base::lanes_around(Size)), meta_rank_(meta_rank), meta_size_(meta_size) {}
    template <class Other>
    __forceinline__ thread_block_tile(const thread_block_tile<Size, Other>& other)
        : thread_block_tile(other.meta_group_rank(), other.meta_group_size()) {}
    static constexpr unsigned size() { return Size; }
    static constexpr unsigned num_threads() { return Size; }
    static __forceinline__ unsigned thread_rank() { return sim_lane() & (Size - 1); }
    __forceinline__ unsigned meta_group_rank() const { return meta_rank_; }
    __forceinline__ unsigned meta_group_size() const { return meta_size_; }
    template <class T>
    __forceinline__ T shfl_xor(T value, unsigned lanes, int line = __builtin_LINE()) const {
        return this->from(value, lane_of((thread_rank() ^ lanes) % Size), line);
    }
    static __forceinline__ unsigned lane_of(unsigned rank) { return (sim_lane() & ~(Size - 1)) + rank; }

  private:
    unsigned meta_rank_, meta_size_;
};

template <unsigned Size>
__forceinline__ thread_block_tile<Size, thread_block> tiled_partition(const thread_block&) {
    return {thread_block::thread_rank() / Size, (thread_block::size() + Size - 1) / Size};
}
template <unsigned Size, unsigned Of, class Parent>
__forceinline__ thread_block_tile<Size, thread_block_tile<Of, Parent>> tiled_partition(
    const thread_block_tile<Of, Parent>& parent) {
    static_assert(Size <= Of, "a tile cannot be larger than what it is a part of");
    return {parent.thread_rank() / Size, Of / Size};
}
__forceinline__ thread_group tiled_partition(const thread_group& parent, unsigned size) {
    (void)parent;
    return thread_group(thread_group::lanes_around(size));
}
__forceinline__ thread_block_tile<1> this_thread() { return {0, 1}; }

class coalesced_group : public warp_group<coalesced_group> {
  public:
    explicit __forceinline__ coalesced_group(unsigned lanes, unsigned meta_rank = 0, unsigned meta_size = 1)
        : warp_group(lanes), meta_rank_(meta_rank), meta_size_(meta_size) {}
    __forceinline__ unsigned thread_rank() const {
        return static_cast<unsigned>(__builtin_popcount(lanes_ & ((1u << sim_lane()) - 1)));
    }
    __forceinline__ unsigned meta_group_rank() const { return meta_rank_; }
    __forceinline__ unsigned meta_group_size() const { return meta_size_; }
    SIM_RAW unsigned lane_of(unsigned rank) const {
        unsigned rest = lanes_;
        while (rank--) rest &= rest - 1;
        return static_cast<unsigned>(__builtin_ctz(rest));
    }

  private:
    unsigned meta_rank_, meta_size_;
};
__forceinline__ coalesced_group coalesced_threads(int line = __builtin_LINE()) {
    return coalesced_group(static_cast<unsigned>(sim_warp(SIM_WARP_ACTIVE, 0, line, 0, 0)));
}
// Those of a group whose labels, or whose predicates, are the same.
template <class Parent, class T>
__forceinline__ coalesced_group labeled_partition(const Parent& parent, T label,
                                                  int line = __builtin_LINE()) {
    return coalesced_group(
        static_cast<unsigned>(sim_warp(SIM_WARP_MATCH, parent.lanes(), line, sim::bits(label), 0)));
}
template <class Parent>
__forceinline__ coalesced_group binary_partition(const Parent& parent, bool predicate,
                                                 int line = __builtin_LINE()) {
    const unsigned yes = static_cast<unsigned>(sim_warp(SIM_WARP_BALLOT, parent.lanes(), line, predicate, 0));
    return coalesced_group(predicate ? yes : parent.lanes() & ~yes, predicate ? 0 : 1, 2);
}

template <class Group>
__forceinline__ void sync(const Group& group, int line = __builtin_LINE()) {
    group.sync(line);
}
template <class Group>
__forceinline__ auto thread_rank(const Group& group) {
    return group.thread_rank();
}
template <class Group>
__forceinline__ auto group_size(const Group& group) {
    return group.size();
}

}  // namespace cooperative_groups
