// A seeded order that needs no memory: which of n things comes i-th.
#pragma once
#include <stdint.h>

namespace sim {

// A well-mixed function of two numbers (the finalizer of MurmurHash3).
inline uint64_t mix(uint64_t a, uint64_t b) {
    uint64_t x = a * 0x9e3779b97f4a7c15u + b;
    x = (x ^ x >> 33) * 0xff51afd7ed558ccdu;
    x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53u;
    return x ^ x >> 33;
}

// A Feistel network permutes the numbers of 2 * half bits, whatever its key; a number beyond n goes through
// it again until it falls below, so that the first n are permuted among themselves.
inline uint64_t shuffled(uint64_t i, uint64_t n, uint64_t key) {
    unsigned half = 1;
    while (half < 32 && (uint64_t(1) << 2 * half) < n) ++half;
    const uint64_t mask = (uint64_t(1) << half) - 1;
    do {
        uint64_t left = i >> half, right = i & mask;
        for (uint64_t round = 0; round < 6; ++round) {
            const uint64_t next = left ^ (mix(key + round, right) & mask);
            left = right, right = next;
        }
        i = left << half | right;
    } while (i >= n);
    return i;
}

}  // namespace sim
