// __nv_bfloat16 and __nv_bfloat162, with CUDA's functions and operators on them.
#pragma once
#include "cuda_runtime.h"
#include "cuda_fp16.h"  // as CUDA's own header does

#define SIM_T __nv_bfloat16
#define SIM_T2 __nv_bfloat162
#define SIM_OTHER_T __half
#define SIM_FORMAT Bfloat16
#define SIM_NAME bfloat16
#define SIM_PAIR bfloat162
#define SIM_DOUBLED 2bfloat162
#define SIM_HALVES halves2bfloat162
#include "sim/float16.h"

typedef __nv_bfloat16 nv_bfloat16;
typedef __nv_bfloat162 nv_bfloat162;

__forceinline__ __half::__half(const __nv_bfloat16& v) : __half(static_cast<float>(v)) {}
__forceinline__ __nv_bfloat16::__nv_bfloat16(const __half& v) : __nv_bfloat16(static_cast<float>(v)) {}

#define CUDART_ZERO_BF16 __ushort_as_bfloat16((unsigned short)0x0000U)
#define CUDART_NEG_ZERO_BF16 __ushort_as_bfloat16((unsigned short)0x8000U)
#define CUDART_ONE_BF16 __ushort_as_bfloat16((unsigned short)0x3F80U)
#define CUDART_INF_BF16 __ushort_as_bfloat16((unsigned short)0x7F80U)
#define CUDART_NAN_BF16 __ushort_as_bfloat16((unsigned short)0x7FFFU)
#define CUDART_MAX_NORMAL_BF16 __ushort_as_bfloat16((unsigned short)0x7F7FU)
#define CUDART_MIN_DENORM_BF16 __ushort_as_bfloat16((unsigned short)0x0001U)
