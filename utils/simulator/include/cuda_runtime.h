// CUDA C++ for a CPU compiler: the keywords, built-in variables, types and functions that kernels and
// launchers use.
// `__shared__` declarations and `<<<...>>>` are rewritten before compilation (utils/simulator/rewriting).
#pragma once
// The C library's math.h: the C++ one reads all of <cmath>, a third of a second that sources without
// mathematics need not pay. Sources that name a function of it get the C++ header from the façade.
#define _GLIBCXX_INCLUDE_NEXT_C_HEADERS
#include <math.h>
#include <stdlib.h>
#undef _GLIBCXX_INCLUDE_NEXT_C_HEADERS
#include <stdint.h>
#include <cstdio>  // once and first: it takes the macro printf of device.h away
#include <string.h>
#include <time.h>  // clock() is the C library's

#include "sim/abi.h"

#define __CUDA_SIMULATOR__ 1
#define __CUDACC__ 1
#ifndef __CUDA_ARCH__
#define __CUDA_ARCH__ 900
#endif
#define CUDART_VERSION 13000

#define __global__
#define __device__
#define __host__
#define __constant__
// What __constant__ becomes where the variable is not const: together in memory, so that a kernel's writes to
// it are seen.
#if defined(SIM_CHECKED)
#define SIM_CONSTANT __attribute__((section("sim_constant")))
#else
#define SIM_CONSTANT
#endif
#define __managed__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __maxnreg__(n)
#define __align__(n) __attribute__((aligned(n)))
#define __grid_constant__
#if !defined(__clang__)
#define __builtin_assume(condition) ((void)0)
#endif
#define __assume(condition) ((void)0)
#ifndef __restrict__
#define __restrict__ __restrict
#endif

#include "sim/types.h"
#include "sim/launch.h"
#include "sim/device.h"
#include "sim/intrinsics.h"
#include "sim/math.h"
#include "sim/host.h"
