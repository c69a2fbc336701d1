"""From the engine's record of an error to a sentence that a beginner can act on."""

from __future__ import annotations

import re

from utils.errors import KernelError
from utils.simulator import engine as sim
from utils.simulator.symbols import lines_of

_DOING = ("reads", "writes", "updates atomically", "compares and swaps")


def kernel_name(expression: str) -> str:
    """The kernel's plain name in the expression before <<<: `ns::conv<float, 8>` -> `conv`."""
    plain = re.sub(r"<.*>", "", expression.strip("() \n"), flags=re.DOTALL)
    return plain.rpartition("::")[2].strip() or expression


def indexed_before(line: str, column: int) -> str | None:
    """What is indexed by the bracket that closes at `column`, counted from 1 in bytes: `a[k]` of `a[k][j]`.

    None where it is not a plain name with members and indices.
    """
    text = line.encode()[:column].decode(errors="replace")
    if not text.endswith("]"):
        return None
    end = start = _opening_bracket(text)
    while start > 0 and text[start - 1] == "]":
        start = _opening_bracket(text[:start])
    name = re.search(r"(?:[A-Za-z_]\w*(?:\.|->|::))*[A-Za-z_]\w*$", text[: max(start, 0)])
    return name[0] + text[start:end] if name else None


def _opening_bracket(text: str) -> int:
    """Where the bracket opens that closes at the end of the text; -1 where it does not."""
    depth = 0
    for k in reversed(range(len(text))):
        depth += (text[k] == "]") - (text[k] == "[")
        if depth == 0:
            return k
    return -1


def explain(error: sim.Error, simulation) -> KernelError:
    """The `KernelError` for what the engine recorded."""
    return _Story(error, simulation).exception()


def _triple(values) -> tuple[int, int, int]:
    return (values[0], values[1], values[2])


class _Story:
    def __init__(self, error: sim.Error, simulation):
        self.e, self.simulation = error, simulation
        self.kind, self.detail = sim.KINDS[error.kind], sim.DETAILS[error.detail]
        if self.kind == "uninitialized-read" and self._in_a_gap():
            self.kind, self.detail = "out-of-bounds", "gap"
        base = simulation.base
        found = lines_of(
            simulation.library, simulation.source, [pc - base for pc in (error.pc, error.other_pc) if pc]
        )
        self.line = error.line or found.get(error.pc - base) or None
        self.other_line = error.other_line or found.get(error.other_pc - base) or None
        self.source = simulation.source.line(self.line).strip() if self.line else None
        self.kernel = None
        if error.launch >= 0:
            info = sim.LaunchInfo()
            simulation.engine.sim_launch_info(simulation.context, error.launch, info)
            self.kernel = kernel_name(info.kernel.decode())
            self.info = info
        self.on_thread = error.launch >= 0 and self.kind not in ("launch",) or self.detail == "assertion"

    def _in_a_gap(self) -> bool:
        """Whether the memory is a tensor's that was passed in: only between the rows of a slice is it so."""
        return (
            self.e.space == 0
            and 0 <= self.e.region < 1_000_000
            and bool(self.simulation.regions[self.e.region][0])
        )

    def exception(self) -> KernelError:
        where = ", ".join(filter(None, [self.kernel, f"line {self.line}" if self.line else None]))
        message = f"{self.kind}: {self.sentence()}"
        if where:
            message = f"{where}: {message}"
        if self.source:
            message += f"\n    {self.line:>4} | {self.source}"
        on_thread = self.on_thread and self.kernel is not None
        return KernelError(
            message,
            kind=self.kind,
            kernel=self.kernel,
            block=_triple(self.e.block) if on_thread else None,
            thread=_triple(self.e.thread) if on_thread else None,
            line=self.line,
            source=self.source or None,
        )

    @property
    def who(self) -> str:
        return f"thread {_triple(self.e.thread)} of block {_triple(self.e.block)}"

    @property
    def other(self) -> str:
        if not self.e.has_other:
            return "another thread"
        text = f"thread {_triple(self.e.other_thread)}"
        if _triple(self.e.other_block) != _triple(self.e.block):
            text += f" of block {_triple(self.e.other_block)}"
        return text

    @property
    def at_other_line(self) -> str:
        return f" at line {self.other_line}" if self.other_line else ""

    def sentence(self) -> str:
        method = getattr(self, "_" + self.kind.replace("-", "_"))
        return method()

    # --------------------------------------------------------------------------------------------- the memory

    def _place(self) -> tuple[str, str, int, int]:
        """(name, description, index of the element, number of elements) of the memory concerned."""
        e = self.e
        if e.region >= 1_000_000:
            return "memory", "memory of a cudaMalloc", e.offset, -1
        if e.region >= 0:
            name, tensor = self.simulation.regions[e.region]
            size = tensor.element_size()
            shape = "x".join(str(n) for n in tensor.shape) or "a scalar"
            dtype = str(tensor.dtype).removeprefix("torch.")
            if name:
                description = f"{name} ({dtype}, shape {shape})"
            else:
                name, description = (
                    "output",
                    f"the tensor that the launcher allocated ({dtype}, shape {shape})",
                )
            extent = 1 + sum((n - 1) * s for n, s in zip(tensor.shape, tensor.stride(), strict=True))
            return name, description, e.offset // size, extent
        return "shared memory", "shared memory", e.offset, -1

    def _shared(self) -> tuple[str, int, int]:
        match = re.fullmatch(r"(\w+):(\d+):(-?\d+)", self.e.text.decode(errors="replace"))
        if match:
            name, count, index = match.groups()
            return name, int(count), int(index)
        return "shared memory", -1, self.e.offset

    def _out_of_bounds(self) -> str:
        e = self.e
        if self.detail == "stack-overflow":
            return (
                f"{self.who} overflowed its stack: endless recursion, or large local arrays. "
                "CUDA gives a thread at most 512 KB of local memory."
            )
        if self.detail == "array-index":
            return self._array_index()
        if self.detail == "wild-jump":
            who = self.who if self.kernel else "the launcher (host code, not a kernel)"
            address = f"{e.offset & (2**64 - 1):#x}"
            return f"{who} calls a function at address {address}, where there is none: a wrong pointer."
        if self.detail == "segfault":
            where = self.who if self.kernel else "the launcher (host code, not a kernel)"
            more = (
                " Build it with checked=True to see which index was wrong."
                if self.kernel and not self.simulation.checked
                else ""
            )
            return f"{where} touched address {e.offset & (2**64 - 1):#x}, which is nobody's memory.{more}"
        doing = _DOING[e.access]
        if self.detail == "wild-pointer":
            return (
                f"{self.who} {doing} {e.bytes} bytes at address {e.offset & (2**64 - 1):#x}, far from "
                "every tensor. "
                "Is the pointer null, from the CPU, or of a tensor that was not passed in?"
            )
        if self.detail == "constant":
            return (
                f"{self.who} {doing} __constant__ memory, which kernels can only read. "
                "The launcher fills it with cudaMemcpyToSymbol; a kernel's own variable is a __device__ one."
            )
        if self.detail == "host-variable":
            return (
                f"{self.who} {doing} a variable of the launcher, which is in the CPU's memory: pass values "
                "as arguments of the kernel, and arrays in a tensor or by cudaMalloc and cudaMemcpy."
            )
        if self.detail == "shared-address":
            return (
                f"{self.who} takes {e.offset:#x} for an address of shared memory: PTX wants the 32 bits of "
                "__cvta_generic_to_shared(pointer), of a pointer to shared memory."
            )
        if e.space == 1:
            name, count, index = self._shared()
            size = (
                f"which has {count} elements (0 to {count - 1})."
                if count
                else "which has none: the launch asks for no dynamic shared memory. Its size in bytes is the "
                "third argument, as in kernel<<<blocks, threads, bytes>>>(...)."
            )
            return f"{self.who} {doing} element {index} of {name} in shared memory, {size}"
        name, description, index, count = self._place()
        if self.detail == "gap":
            stride = "x".join(str(n) for n in self.simulation.regions[e.region][1].stride())
            return (
                f"{self.who} {doing} {name}[{index}], which lies between the rows of {description}: "
                f"its strides are {stride}. Use them, or refuse what is not contiguous."
            )
        if self.detail == "freed" and count < 0:
            return (
                f"{self.who} {doing} byte {index} of {description} that cudaFree gave back before the launch."
            )
        if self.detail == "host-tensor":
            return (
                f"{self.who} {doing} {name}[{index}] of {description}, which is on the CPU, "
                "where no kernel can reach it: make it with the options of an input, as in "
                "torch::empty(sizes, input.options())."
            )
        if self.detail == "freed":
            return (
                f"{self.who} {doing} {name}[{index}] of {description}, which is freed: "
                "the last torch::Tensor that owned it went out of scope before the launch. "
                "Keep the tensor in a variable for as long as a kernel uses its pointer."
            )
        if count < 0:
            return f"{self.who} {doing} {e.bytes} bytes at byte {index} of {description}, outside of it."
        side = f"{index - count + 1} past the last" if index >= count else f"{-index} before the first"
        what = f"{name}[{index}]"
        if 0 <= index < count:  # a wide access that begins inside
            last = (e.offset + e.bytes - 1) // self.simulation.regions[e.region][1].element_size()
            what = f"{e.bytes} bytes from {name}[{index}] on, up to {name}[{last}]"
            side = f"{last - count + 1} past the last"
        return f"{self.who} {doing} {what}, {side} of the {count} elements of {description}."

    def _array_index(self) -> str:
        line, column, kind = self.e.text.decode(errors="replace").split(":", 2)
        kind = kind.strip("'").replace(" [", "[")
        count, index = int(re.search(r"\[(\d+)\]", kind)[1]), self.e.offset
        here = self.simulation.source.line(self.line) if self.line == int(line) else ""
        array = indexed_before(here, int(column)) or "an array"
        side = f"{index - count + 1} past the last" if index >= count else f"{-index} before the first"
        who = self.who if self.kernel else "the launcher (host code, not a kernel)"
        return (
            f"{who} uses index {index} of {array}, {side} of its {count} elements "
            f"({kind}: indices 0 to {count - 1})."
        )

    def _misaligned(self) -> str:
        e = self.e
        if self.detail == "matrix-stride":
            return (
                f"{self.who} {_DOING[e.access]} a matrix whose rows (or columns) are {e.bytes} bytes apart: "
                "the leading dimension of wmma's loads and stores must be a multiple of 16 bytes (8 halfs, "
                "4 floats)."
            )
        name, description, _, _ = self._place() if e.space == 0 else (*([self._shared()[0]] * 2), 0, 0)
        text = f"{self.who} {_DOING[e.access]} {e.bytes} bytes at byte {e.offset} of {description}"
        rule = f"an access of {e.bytes} bytes must start at a multiple of {e.bytes}"
        if e.offset % e.bytes == 0 and e.space == 0 and 0 <= e.region < 1_000_000:
            behind = self.simulation.regions[e.region][1].data_ptr() % e.bytes
            return f"{text}, which itself begins {behind} bytes behind a multiple of {e.bytes}: {rule}."
        return f"{text}: {rule} ({e.offset} % {e.bytes} = {e.offset % e.bytes})."

    def _uninitialized_read(self) -> str:
        if self.e.space == 1:
            name, count, index = self._shared()
            return (
                f"{self.who} reads element {index} of {name} in shared memory, which no thread of the "
                "block has written. "
                "Shared memory starts as garbage."
            )
        name, description, index, count = self._place()
        if count < 0:
            return f"{self.who} reads byte {index} of {description}, which nobody has written since."
        return (
            f"{self.who} reads {name}[{index}] of {description}, "
            "which nobody has written: torch::empty is garbage until then."
        )

    def _copy(self) -> str:
        """A race with an asynchronous copy."""
        e = self.e
        name, _, index = self._shared()
        what = f"element {index} of {name} in shared memory"
        own = _triple(e.thread) == _triple(e.other_thread)
        copy = f"the copy (cp.async){'' if own else f' of {self.other}'} issued{self.at_other_line}"
        early = "Where others still read what was there, __syncthreads() comes before the copy."
        if self.detail == "copied":
            return (
                f"{self.who} {_DOING[e.access]} {what}, which {copy} writes, with nothing to order the two: "
                "a wait for a copy tells its own thread alone that it has arrived. Put __syncthreads() "
                f"between the wait and what others read. {early}"
            )
        text = f"{self.who} {_DOING[e.access]} {what}, but {copy} was not waited for:"
        comes = f"comes before {'reading' if e.access == 0 else 'writing'}"
        if self.detail == "copy-handed":
            text += f" a wait of the cuda::barrier or cuda::pipeline that it was made with {comes}."
        else:
            then = "" if own else " by the thread that copies, and then __syncthreads(),"
            text += f" cp.async.wait_group / __pipeline_wait_prior(N){then} {comes}."
        if self.detail == "copy-not-committed":
            text += (
                " Waits are for groups of copies, and no cp.async.commit_group / __pipeline_commit() has put "
                "this one into a group."
            )
        elif self.detail == "copy-under-way":
            text += " It leaves out the latest N groups: N is 0 where the last one is needed."
        return text if own else f"{text} {early}"

    def _race(self) -> str:
        e = self.e
        if self.detail.startswith("cop"):
            return self._copy()
        if e.space == 1:
            name, _, index = self._shared()
            what = f"element {index} of {name} in shared memory"
            same_warp = (
                e.has_other
                and _linear(e.thread, self.info.block) // 32 == _linear(e.other_thread, self.info.block) // 32
            )
            cure = "Put __syncthreads() between the two."
            if e.has_other and self.other_line == self.line and e.access == 1:
                cure = (
                    "Both run this line: let one thread write the element, or give each its own; where "
                    "they add up, use atomicAdd(); where one reads what the other writes, put a barrier "
                    "between reading and writing."
                )
            elif same_warp and _threads(self.info.block) > 32:
                cure = (
                    "The two are lanes of one warp, which do not wait for each other either: put "
                    "__syncthreads() between them, or __syncwarp() if no other warp is concerned."
                )
            elif same_warp:
                cure = (
                    "The two are lanes of one warp, which do not wait for each other: put __syncwarp() "
                    "between them."
                )
        else:
            name, description, index, _ = self._place()
            what = f"{name}[{index}] of {description}"
            same_block = _triple(e.block) == _triple(e.other_block) or _threads(self.info.grid) == 1
            cure = (
                "Give each thread its own element, or use an atomic operation such as atomicAdd()."
                if same_block and (self.other_line == self.line or not e.has_other)
                else "Put __syncthreads() between the two, or give each thread its own element."
                if same_block
                else "Blocks run in any order: give each thread its own element, or use an atomic operation."
            )
        return (
            f"{self.who} {_DOING[e.access]} {what}, which {self.other} touched{self.at_other_line} "
            f"with nothing to order the two, and at least one of them writes. {cure}"
        )

    # ------------------------------------------------------------------------------------------- the barriers

    def _barrier_divergence(self) -> str:
        if self.detail == "exited-before-barrier":
            left = f" (it was last at line {self.other_line})" if self.other_line else ""
            return (
                f"{self.who} waits at this barrier, but {self.other} has already left the kernel{left}. "
                "Every thread of the block must reach every __syncthreads(): do not return early, skip the "
                "work instead."
            )
        if self.detail == "other-barrier":
            return (
                f"{self.who} waits at this barrier while {self.other} of the same block waits at another "
                f"one{self.at_other_line}. "
                "A __syncthreads() inside an if must be reached by all threads of the block or by none."
            )
        where = {
            "whole-warp-waits": "in a matrix operation of its warp",
            "gate-waits": "for others at a cuda::barrier or cuda::pipeline",
        }.get(self.detail, "in a warp-level operation")
        return (
            f"{self.who} waits at this barrier while {self.other} waits {where}{self.at_other_line}: "
            "neither can go on."
        )

    def _deadlock(self) -> str:
        if self.detail == "whole-warp-waits":
            return (
                f"{self.who} waits in a matrix operation (wmma, or ldmatrix and mma in PTX), to which not "
                "all 32 lanes of its warp come. "
                "A warp loads, multiplies and stores a matrix together: let all of its lanes make the same "
                "call, and blocks have a multiple of 32 threads."
            )
        if self.detail == "gate-waits":
            return (
                f"{self.who} waits for a phase of a cuda::barrier or cuda::pipeline that never ends: fewer "
                "threads arrive at it (or commit to it) than it was initialised for."
            )
        elsewhere = f" ({self.other} waits{self.at_other_line})" if self.e.has_other else ""
        return (
            f"{self.who} waits in a warp-level operation with mask {self.e.offset & 0xFFFFFFFF:#010x}, but "
            f"not all lanes of that mask come to it with the same mask{elsewhere}. "
            "Each lane named in the mask must execute the same call."
        )

    def _timeout(self) -> str:
        return (
            f"{self.who + ' was' if self.kernel else 'the launcher was'} still running when the time was "
            "up: a loop that "
            "never ends? (CONV_TIMEOUT sets the limit in seconds; a smaller shape or checked=False needs "
            "less.)"
        )

    # ----------------------------------------------------------------------------------------------- the rest

    def _launch(self) -> str:
        text = self.e.text.decode(errors="replace")
        if self.detail == "assertion":
            return f"{self.who}: assertion failed: {text}"
        if self.detail == "out-of-memory":
            return f"{text}."
        return f"the launch is impossible: {text}."

    def _unsupported(self) -> str:
        if self.detail == "division-by-zero":
            who = self.who if self.kernel else "the launcher"
            return (
                f"{who} divides an integer by zero, or takes a remainder of it: "
                "a GPU would go on with a meaningless number."
            )
        if self.detail == "exited":
            called = self.e.text.decode()
            return f"{called} was called: it would end the whole notebook. In a kernel, use return."
        if self.detail == "illegal-instruction":
            return f"{self.who} ran off the end of a function that should return a value."
        text = self.e.text.decode(errors="replace")
        instead = (
            " Let the launcher launch both, one after the other." if "dynamic parallelism" in text else ""
        )
        return f"{text} is not supported.{instead}"


def _threads(block) -> int:
    return block[0] * block[1] * block[2]


def _linear(thread, block) -> int:
    return thread[0] + block[0] * (thread[1] + block[1] * thread[2])
