// Asynchronous copies, done at once: nobody may look before the wait, so a correct kernel cannot tell.
// Checked builds tell the engine what is under way until somebody waits for it (engine/copies.cpp).
#pragma once

namespace sim {

inline SIM_RAW void copy_bytes(void* destination, const void* source, size_t bytes, size_t zeros) {
    char* to = static_cast<char*>(destination);
    __builtin_memcpy(to, source, bytes);
    __builtin_memset(to + bytes, 0, zeros);
}
// One load and one store of 1, 2, 4, 8 or 16 bytes, as the hardware's cp.async makes; both must be aligned to
// all of them. Where the last bytes are filled with zeros, only what is before them is read.
inline SIM_RAW void report_copy(void* destination, const void* source, size_t bytes, size_t zeros,
                                uint64_t pc) {
    if (!sim_running) return;
    const unsigned log2 = static_cast<unsigned>(__builtin_ctzll(bytes));
    const bool misaligned = reinterpret_cast<size_t>(source) & (bytes - 1);
    if (!zeros || (misaligned && zeros < bytes))
        sim_access_slow(source, log2, 0, pc);
    else
        sim_access_range(source, bytes - zeros, 0, pc);
    sim_access_slow(destination, log2, 1, pc);
    sim_copying(SIM_COPY_STARTED, destination, static_cast<unsigned>(bytes), pc);
}
// Of the thread's own copies: closing a group, and waiting for all groups but the latest few.
__forceinline__ void commit_copies() {
#if defined(SIM_CHECKED)
    sim_copying(SIM_COPY_COMMITTED, nullptr, 0, sim_here());
#endif
}
__forceinline__ void await_copies(unsigned still_under_way) {
#if defined(SIM_CHECKED)
    sim_copying(SIM_COPY_AWAITED, nullptr, still_under_way, sim_here());
#endif
}
__forceinline__ void await_all_copies() {
#if defined(SIM_CHECKED)
    sim_copying(SIM_COPY_ALL_AWAITED, nullptr, 0, sim_here());
#endif
}
// The end of a barrier's phase is the end of copies that were handed to it.
__forceinline__ void hand_copies(const void* barrier, uint32_t phase) {
#if defined(SIM_CHECKED)
    sim_copying(SIM_COPY_HANDED, barrier, phase & 0xffff, sim_here());
#endif
}
__forceinline__ void pass_gate(const void* barrier, uint32_t phase) {
#if defined(SIM_CHECKED)
    sim_copying(SIM_COPY_GATE_PASSED, barrier, phase & 0xffff, sim_here());
#endif
}

__forceinline__ void copy_piece(void* destination, const void* source, size_t bytes, size_t zeros = 0) {
#if defined(SIM_CHECKED)
    report_copy(destination, source, bytes, zeros, sim_here());
#endif
    copy_bytes(destination, source, bytes - zeros, zeros);
}

// A copy by `size` threads, of which this is number `rank`: pieces of 4, 8 or 16 bytes in turn, as the hint
// says that both addresses are aligned; with a smaller hint the widest that the two addresses allow, and
// single bytes before and behind.
__forceinline__ void copy_together(void* destination, const void* source, size_t bytes, size_t hint,
                                   size_t rank, size_t size) {
    char* to = static_cast<char*>(destination);
    const char* from = static_cast<const char*>(source);
    size_t width = hint > 16 ? 16 : hint, before = 0;
    if (width < 4) {
        const size_t differ = (reinterpret_cast<size_t>(to) ^ reinterpret_cast<size_t>(from)) | 16;
        width = size_t(1) << __builtin_ctzll(differ);
        before = -reinterpret_cast<size_t>(to) & (width - 1);
        if (width < 4 || bytes < width) width = 1, before = 0;
    }
    for (size_t k = rank; k < before; k += size) copy_piece(to + k, from + k, 1);
    const size_t pieces = (bytes - before) / width;
    for (size_t k = rank; k < pieces; k += size)
        copy_piece(to + before + k * width, from + before + k * width, width);
    for (size_t k = before + pieces * width + rank; k < bytes; k += size) copy_piece(to + k, from + k, 1);
}

// The alignment that a copy may count on: of cuda::aligned_size_t what it says, else that of the elements.
template <class T>
struct Alignment {
    template <class Shape>
    static constexpr auto of(const Shape*) -> decltype(Shape::align) {
        return Shape::align;
    }
    static constexpr size_t of(...) {
        if constexpr (std::is_void_v<T>)
            return 1;
        else
            return alignof(T);
    }
};
template <class T, class Shape>
constexpr size_t alignment_of = Alignment<T>::of(static_cast<const Shape*>(nullptr));

}  // namespace sim
