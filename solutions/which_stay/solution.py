# What does convert do with each of these layers? "replaced" or "left".
# a: Conv2d(3, 96, 11, stride=4, padding=2)
# b: Conv2d(96, 256, 5, padding=2, groups=2)
# c: Conv2d(64, 64, (1, 7))
# d: Conv2d(64, 64, (3, 5), padding=(1, 2))
# e: Conv2d(64, 64, 3, padding="same", dilation=2)
# f: Conv2d(64, 64, 4, padding="same")
# g: Conv2d(64, 64, 3, padding=1, padding_mode="reflect")
# h: Conv1d(64, 128, 3, stride=3, dilation=4).double()
# i: Conv2d(64, 64, 3, padding=1).bfloat16()
# j: ConvTranspose2d(64, 3, 2, stride=2)
# k: torch.nn.utils.parametrizations.weight_norm(Conv2d(64, 64, 3))
# m: class Quantized(Conv2d), with a forward of its own that rounds the weights
# >>> gap (12 lines): replace each ... by "replaced" or "left"
a = "replaced"
b = "left"
c = "replaced"
d = "left"
e = "replaced"
f = "left"
g = "left"
h = "replaced"
i = "left"
j = "left"
k = "left"
m = "left"
# === starter
a = ...
b = ...
c = ...
d = ...
e = ...
f = ...
g = ...
h = ...
i = ...
j = ...
k = ...
m = ...
# <<< gap
