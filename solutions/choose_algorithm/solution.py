from math import ceil, inf

from kernels import WORKLOADS, Workload

# Of an H200 in a millisecond: the operations that our products in fp32 reach, the bytes that a copy moves.
FLOPS, BYTES = 45e9, 4.3e9


def direct_ms(layer):
    """Milliseconds of a kernel whose threads hold one filter: each filter reads its input channels anew."""
    # >>> gap (3 lines): arithmetic, or every number once, but the input K / groups times; whichever is longer
    image = 4 * layer.N * layer.C * layer.H * layer.W
    traffic = layer.min_bytes + image * (layer.K / layer.groups - 1)
    return max(layer.flops / FLOPS, traffic / BYTES)
    # === starter
    return layer.flops / FLOPS
    # <<< gap


def product_ms(layer):
    """Milliseconds of a matrix product in tiles of 64 filters; each group of channels has one of its own."""
    # >>> gap (3 lines): the operations of whole tiles, or every number once; whichever takes longer
    filters = layer.K / layer.groups
    computed = layer.flops * ceil(filters / 64) * 64 / filters
    return max(computed / FLOPS, layer.min_bytes / BYTES)
    # === starter
    return layer.flops / FLOPS
    # <<< gap


def winograd_ms(layer, m=4):
    """Milliseconds of F(m x m, 3 x 3): the steps of by_winograd, for any m; inf where it does not apply."""
    if (layer.R, layer.S, layer.stride, layer.dilation, layer.groups) != (3, 3, 1, 1, 1):
        return inf
    # >>> gap (8 lines): tiles, products (of K filters); the bytes of all tensors, U, V, M too; then the steps
    tiles = layer.N * ceil(layer.P / m) * ceil(layer.Q / m)
    each = (m + 2) ** 2
    image, out = 4 * layer.N * layer.C * layer.H * layer.W, 4 * layer.N * layer.K * layer.P * layer.Q
    weight, u = 4 * 9 * layer.C * layer.K, 4 * each * layer.C * layer.K
    v, result = 4 * each * layer.C * tiles, 4 * each * layer.K * tiles
    there = (image + v + weight + u) / BYTES
    products = max(2 * each * layer.C * layer.K * tiles / FLOPS, (u + v + result) / BYTES)
    return there + products + (result + out) / BYTES
    # === starter
    return layer.flops / 4 / FLOPS
    # <<< gap


def best(layer):
    """The name of the fastest of the three."""
    times = {"direct": direct_ms(layer), "product": product_ms(layer), "winograd": winograd_ms(layer)}
    return min(times, key=times.get)


NAMES = ("alexnet_conv1", "resnet_3x3_28", "resnet_3x3_7", "pointwise", "depthwise", "blur")
VGG_CONV1 = Workload("vgg_conv1", 16, 3, 224, 224, 64, 3, 3, padding=1)  # in no chart
for layer in (*(WORKLOADS[name] for name in NAMES), VGG_CONV1):
    times = [f"{model(layer):8.3f}" for model in (direct_ms, product_ms, winograd_ms)]
    print(f"{layer.name:14}{layer.intensity:6.1f} operations a byte  ms:", *times, "", best(layer))
print("F(m x m) on resnet_3x3_7:", *(f"{winograd_ms(WORKLOADS['resnet_3x3_7'], m):.3f}" for m in (2, 4, 6)))
