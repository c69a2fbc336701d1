// The few loops that everything passes through are compiled for wider vectors, too; the processor chooses.
#pragma once

#if defined(__x86_64__) && defined(__gnu_linux__) && !defined(__clang__)
#define SIM_WIDE __attribute__((target_clones("avx2", "default"), optimize("O3")))
#else
#define SIM_WIDE
#endif
