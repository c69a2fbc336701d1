from statistics import median


def measure(call, gpu):
    """The median time of call() on the GPU in milliseconds, its data not in the L2 cache."""
    # >>> gap (10 lines): warm up, then take samples of one call each, and return their median
    call()
    samples = []
    for _ in range(30):
        gpu.flush_l2()
        start = gpu.record()
        call()
        end = gpu.record()
        gpu.synchronize()
        samples.append(gpu.elapsed(start, end))
    return median(samples)
    # === starter
    start = gpu.clock()
    call()
    return gpu.clock() - start
    # <<< gap
