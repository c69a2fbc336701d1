// __half and __half2, with CUDA's functions and operators on them.
#pragma once
#include "cuda_runtime.h"
#include "sim/round16.h"

struct __nv_bfloat16;
#define SIM_T __half
#define SIM_T2 __half2
#define SIM_OTHER_T __nv_bfloat16
#define SIM_FORMAT Half
#define SIM_NAME half
#define SIM_PAIR half2
#define SIM_DOUBLED 2half2
#define SIM_HALVES halves2half2
#include "sim/float16.h"

typedef __half half, nv_half, __nv_half;
typedef __half2 half2, nv_half2, __nv_half2;

#define CUDART_ZERO_FP16 __ushort_as_half((unsigned short)0x0000U)
#define CUDART_NEG_ZERO_FP16 __ushort_as_half((unsigned short)0x8000U)
#define CUDART_ONE_FP16 __ushort_as_half((unsigned short)0x3C00U)
#define CUDART_INF_FP16 __ushort_as_half((unsigned short)0x7C00U)
#define CUDART_NAN_FP16 __ushort_as_half((unsigned short)0x7FFFU)
#define CUDART_MAX_NORMAL_FP16 __ushort_as_half((unsigned short)0x7BFFU)
#define CUDART_MIN_DENORM_FP16 __ushort_as_half((unsigned short)0x0001U)
