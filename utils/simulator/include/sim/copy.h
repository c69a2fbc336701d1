// Asynchronous copies, done at once: nobody may look before the wait, so a correct kernel cannot tell. A
// kernel that forgets the wait can not be told apart either: what the GPU would read too early is here
// already. Forgetting the barrier after the wait is seen, as a race with the thread that copied.
#pragma once

namespace sim {

inline SIM_RAW void copy_bytes(void* destination, const void* source, size_t bytes, size_t zeros) {
    char* to = static_cast<char*>(destination);
    __builtin_memcpy(to, source, bytes);
    __builtin_memset(to + bytes, 0, zeros);
}
// One load and one store of 1, 2, 4, 8 or 16 bytes, as the hardware's cp.async makes; both must be aligned to
// them. Where the last bytes are filled with zeros, only what is before them is read.
inline SIM_RAW void report_copy(void* destination, const void* source, size_t bytes, size_t zeros,
                                uint64_t pc) {
    if (!sim_running) return;
    const unsigned log2 = static_cast<unsigned>(__builtin_ctzll(bytes));
    if (!zeros)
        sim_access_slow(source, log2, 0, pc);
    else
        sim_access_range(source, bytes - zeros, 0, pc);
    sim_access_slow(destination, log2, 1, pc);
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

}  // namespace sim

namespace sim {

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
