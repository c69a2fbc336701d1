"""A pytest plugin: what a run of the tests need not spend.

pyproject.toml names it first, so that it comes before anything that imports torch.
"""

import gc
import os

# Several processes share the cores, and OpenMP's threads burn what the others need while they wait for each
# other: with two processes on two cores, half of the time. Notebooks' kernels inherit this.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_collection_finish():
    """Thousands of collected tests live to the end: the garbage collector need not walk through them."""
    gc.collect()
    gc.freeze()
