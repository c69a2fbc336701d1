"""`profile` and `trace`: run a launcher once in the simulator and see what its kernels asked of memory."""

from __future__ import annotations

from utils.simulator import engine as sim
from utils.simulator.compile import build
from utils.simulator.messages import kernel_name
from utils.simulator.report import Counts, Launch, Profile
from utils.simulator.requests import KINDS, Trace, read_trace
from utils.simulator.run import Simulation
from utils.simulator.symbols import lines_of


def profile(fn, *args, order: str | None = None, seed: int | None = None, **kwargs) -> Profile:
    """Run a launcher once in the simulator, checked, and count its memory requests as Nsight Compute would.

    Args:
        fn: a launcher of `load_inline`, built by any backend: its source is built for the simulator.
        *args, **kwargs: the launcher's arguments; tensors are copied to the CPU.
        order, seed: as in `thread_order`, which they take the place of.

    Returns:
        A sequence of `Launch`, one for each kernel launch.

    Raises:
        KernelError: what the kernel did wrong.
    """
    with _simulate(fn, args, kwargs, order=order, seed=seed) as (simulation, result):
        return Profile(_launches(simulation), result)


def trace(fn, *args, block=(0, 0, 0), warp: int | None = 0, **kwargs) -> Trace:
    """Every memory request of one warp of one block, in order of execution; arguments as for `profile`.

    Args:
        block: the block's number, (x, y, z); a plain number is its x.
        warp: the warp's number in its block: 32 threads each, counted along x, then y, then z. None takes
            all warps of the block: up to each barrier first those of warp 0, then those of warp 1, and so on.

    Returns:
        A list of `Request`, with the block's barriers as `.barriers`. Of one call at most the first 100,000
        requests are kept; where there were more, a warning says so.

    Raises:
        ValueError: no launch has that block or that warp.
    """
    block = (block, 0, 0) if isinstance(block, int) else (*block, 0, 0)[:3]
    with _simulate(fn, args, kwargs, watch=(block, warp)) as (simulation, _):
        launches = _launches(simulation)
        if launches and not any(_holds(launch, block, warp) for launch in launches):
            shapes = "; ".join(
                f"{launch.name} has {launch.grid} blocks of {-(-_product(launch.block) // 32)} warps"
                for launch in launches
            )
            what = f"block {block}" if warp is None else f"warp {warp} of block {block}"
            raise ValueError(f"there is no {what}: {shapes}")
        return read_trace(simulation, launches)


def _product(dims) -> int:
    return dims[0] * dims[1] * dims[2]


def _holds(launch: Launch, block: tuple[int, int, int], warp: int | None) -> bool:
    inside = all(0 <= n < size for n, size in zip(block, launch.grid, strict=True))
    return inside and (warp is None or 0 <= warp * 32 < _product(launch.block))


class _simulate:
    def __init__(self, fn, args, kwargs, *, watch=None, order=None, seed=None):
        for attribute in ("signature", "source", "options"):
            if not hasattr(fn, attribute):
                raise TypeError(
                    f"profile and trace take a launcher made by load_inline and its arguments, as in "
                    f"profile(conv2d, input, weight), not a {type(fn).__name__}"
                )
        options = fn.options or {}
        library = build(
            fn.source,
            checked=True,
            extra_cflags=list(options.get("extra_cflags") or []),
            include_paths=list(options.get("extra_include_paths") or []),
        )
        self.signature = fn.signature
        self.values = fn.signature.bind(args, kwargs)
        self.simulation = Simulation(library, fn.source, checked=True, watch=watch, order=order, seed=seed)

    def __enter__(self):
        self.simulation.__enter__()
        try:
            return self.simulation, self.simulation.call(self.signature, self.values)
        except BaseException:
            self.simulation.__exit__()
            raise

    def __exit__(self, *_):
        self.simulation.__exit__()


def _launches(simulation: Simulation) -> list[Launch]:
    library, source = simulation.library, simulation.source
    launches = []
    for i in range(simulation.engine.sim_launches(simulation.context)):
        info = sim.LaunchInfo()
        simulation.engine.sim_launch_info(simulation.context, i, info)
        sites = [info.sites[k] for k in range(info.site_count)]
        lines = lines_of(library, source, [site.pc for site in sites])
        launch = Launch(
            kernel_name(info.kernel.decode()),
            tuple(info.grid),
            tuple(info.block),
            info.static_shared,
            info.dynamic_shared,
            source,
        )
        for site in sites:
            counts = getattr(launch, KINDS[site.what >> 8, site.what & 255])
            numbers = (
                site.requests,
                site.sectors,
                site.wavefronts,
                site.conflicts,
                site.bytes_requested,
                site.ideal,
                site.bytes_requested // site.bytes,
            )
            counts.add(*numbers)
            counts.by_line.setdefault(lines[site.pc], Counts()).add(*numbers)
        for kind in set(KINDS.values()):
            counts = getattr(launch, kind)
            order = sorted(counts.by_line.items(), key=lambda item: (-item[1].actual, item[0] or 0))
            counts.by_line = dict(order)
        launches.append(launch)
    return launches
