// Arithmetic in roundings other than to nearest, for intrinsics such as __fadd_rz.
#include <fenv.h>
#include <math.h>

#include "../include/sim/abi.h"

namespace {

// What is volatile is computed while the rounding is set, not before or after.
class Rounding {
  public:
    explicit Rounding(int mode) {
        fesetround(mode == SIM_TOWARD_ZERO ? FE_TOWARDZERO : mode == SIM_UPWARD ? FE_UPWARD : FE_DOWNWARD);
    }
    ~Rounding() { fesetround(FE_TONEAREST); }
};

template <class T>
T compute(int operation, int mode, T x, T y, T z) {
    volatile T a = x, b = y, c = z, result = 0;
    {
        Rounding rounding(mode);
        switch (operation) {
            case SIM_ADD:
                result = a + b;
                break;
            case SIM_MULTIPLY:
                result = a * b;
                break;
            case SIM_DIVIDE:
                result = a / b;
                break;
            case SIM_ROOT:
                result = sizeof(T) == 4 ? static_cast<T>(sqrtf(static_cast<float>(a)))
                                        : static_cast<T>(sqrt(static_cast<double>(a)));
                break;
            case SIM_FUSED:
                result = sizeof(T) == 4 ? static_cast<T>(fmaf(static_cast<float>(a), static_cast<float>(b),
                                                              static_cast<float>(c)))
                                        : static_cast<T>(fma(static_cast<double>(a), static_cast<double>(b),
                                                             static_cast<double>(c)));
                break;
        }
    }
    return result;
}

template <class To, class From>
To convert(From from, int mode) {
    volatile From value = from;
    volatile To result;
    {
        Rounding rounding(mode);
        result = static_cast<To>(value);
    }
    return result;
}

}  // namespace

extern "C" {
float sim_rounded_float(int operation, int mode, float a, float b, float c) {
    return compute(operation, mode, a, b, c);
}
double sim_rounded_double(int operation, int mode, double a, double b, double c) {
    return compute(operation, mode, a, b, c);
}
float sim_rounded_float_of_ll(long long n, int mode) { return convert<float>(n, mode); }
float sim_rounded_float_of_ull(unsigned long long n, int mode) { return convert<float>(n, mode); }
float sim_rounded_float_of_double(double x, int mode) { return convert<float>(x, mode); }
double sim_rounded_double_of_ll(long long n, int mode) { return convert<double>(n, mode); }
double sim_rounded_double_of_ull(unsigned long long n, int mode) { return convert<double>(n, mode); }
}
