// `kernel<<<grid, block, shared, stream>>>(arguments)` arrives here as
// `SIM_LAUNCH(line, (grid, block, shared, stream), kernel)(arguments)`, or as SIM_LAUNCH_TYPED where the
// kernel is one plain function: then its parameters' types are known, and arguments convert to them as in
// CUDA (braces, 0 for a pointer). Of a template or an overloaded kernel the compiler chooses by the
// arguments' own types.
#pragma once
#include <type_traits>

typedef struct SimStream* cudaStream_t;

namespace sim {

struct Configuration {
    dim3 grid, block;
    size_t shared;
    template <class G, class B>
    Configuration(G grid, B block, size_t shared = 0, cudaStream_t = nullptr)
        : grid(to_dim3(grid)), block(to_dim3(block)), shared(shared) {}

  private:
    // A negative or huge count must not silently become another number: CUDA refuses it at launch.
    template <class T>
    static dim3 to_dim3(T v) {
        if constexpr (std::is_arithmetic_v<T> || std::is_enum_v<T>) {
            return dim3(v < T(0) || double(v) > 4294967295.0 ? 4294967295u : static_cast<unsigned int>(v));
        } else {
            return dim3(v);
        }
    }
};

template <class Kernel>
struct Launcher {
    SimLaunch launch;
    Kernel kernel;
    // Arguments are evaluated and copied once, as by a real launch; every CUDA thread then calls the kernel
    // with them.
    template <class... Arguments>
    void operator()(Arguments... arguments) {
        auto body = [this, arguments...]() SIM_RAW { kernel(arguments...); };
        using Body = decltype(body);
        sim_launch(&launch, [](void* p) SIM_RAW { (*static_cast<Body*>(p))(); }, &body);
    }
};

template <auto kernel, class... Parameters>
struct TypedLauncher {
    SimLaunch launch;
    void operator()(Parameters... arguments) {
        auto body = [arguments...]() SIM_RAW { kernel(arguments...); };
        using Body = decltype(body);
        sim_launch(&launch, [](void* p) SIM_RAW { (*static_cast<Body*>(p))(); }, &body);
    }
};

template <auto kernel, class... Parameters>
TypedLauncher<kernel, Parameters...> typed_launcher(const char* name, int line, Configuration c,
                                                    void (*)(Parameters...)) {
    return {SimLaunch{name, line, c.grid, c.block, c.shared}};
}

template <class Kernel>
Launcher<Kernel> launcher(const char* name, int line, Configuration c, Kernel kernel) {
    return Launcher<Kernel>{SimLaunch{name, line, c.grid, c.block, c.shared}, kernel};
}

template <class T>
static constexpr size_t extents[4] = {std::extent_v<T, 0>, std::extent_v<T, 1>, std::extent_v<T, 2>,
                                      std::extent_v<T, 3>};

}  // namespace sim

#define SIM_UNWRAP(...) __VA_ARGS__
#define SIM_LAUNCH(line, configuration, ...) SIM_LAUNCH_NAMED(#__VA_ARGS__, line, configuration, __VA_ARGS__)

// For a variable that holds a kernel: `name` is the kernel's.
#define SIM_LAUNCH_NAMED(name, line, configuration, ...)                    \
    sim::launcher(name, line, sim::Configuration(SIM_UNWRAP configuration), \
                  [&](auto... sim_arguments) SIM_RAW { __VA_ARGS__(sim_arguments...); })

#define SIM_LAUNCH_TYPED(line, configuration, ...)                                                      \
    sim::typed_launcher<&__VA_ARGS__>(#__VA_ARGS__, line, sim::Configuration(SIM_UNWRAP configuration), \
                                      &__VA_ARGS__)

// `__shared__ float tile[8][33];` arrives as `typedef float sim_type_tile[8][33]; SIM_SHARED(tile, line)`:
// the compiler works out the type, and the variable is a reference to the block's own storage.
#define SIM_SHARED(name, line)                                                                        \
    static const SimSharedSite sim_site_##name = {#name,                                              \
                                                  line,                                               \
                                                  sizeof(sim_type_##name),                            \
                                                  alignof(sim_type_##name),                           \
                                                  sizeof(std::remove_all_extents_t<sim_type_##name>), \
                                                  sim::extents<sim_type_##name>};                     \
    sim_type_##name& name = *static_cast<sim_type_##name*>(sim_shared(&sim_site_##name));
