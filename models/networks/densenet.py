"""DenseNet: every layer of a block reads the outputs of all layers before it."""

from __future__ import annotations

from functools import partial

from pimmodel.network.network import NetworkBuilder
from pimmodel.network.ops import BatchNorm, Concat, Op

from .blocks import RELU, avg_pool, conv2d, max_pool, pooled_classifier

GROWTH = 32
BOTTLENECK = 4 * GROWTH


def densenet(net: NetworkBuilder, image: str, classes: int, *, depths: tuple[int, int, int, int]) -> str:
    """A 7 x 7 convolution, four dense blocks with transitions between them, one fully connected layer.

    Huang et al., "Densely Connected Convolutional Networks", CVPR 2017, doi 10.1109/CVPR.2017.243; the form with
    bottlenecks and compression (DenseNet-BC), growth rate 32. Concatenations copy, as frameworks do it.
    """
    stem = {"conv0": conv2d(64, 7, 2), "norm0": BatchNorm(), "relu0": RELU, "pool0": max_pool(3, 2, 1)}
    x = _sequence(net, image, "features", stem)
    for index, depth in enumerate(depths, start=1):
        if index > 1:
            half = net.shape(x)[1] // 2
            transition = {"norm": BatchNorm(), "relu": RELU, "conv": conv2d(half, 1), "pool": avg_pool(2, 2)}
            x = _sequence(net, x, f"features.transition{index - 1}", transition)
        x = dense_block(net, x, f"features.denseblock{index}", depth)
    x = net.add(BatchNorm(), x, name="features.norm5")
    x = net.add(RELU, x, name="relu")
    return pooled_classifier(net, x, classes, "classifier")


def dense_block(net: NetworkBuilder, x: str, name: str, depth: int) -> str:
    """`depth` layers that each add GROWTH channels; returns the concatenation of all."""
    layer: dict[str, Op] = {
        "norm1": BatchNorm(), "relu1": RELU, "conv1": conv2d(BOTTLENECK, 1),
        "norm2": BatchNorm(), "relu2": RELU, "conv2": conv2d(GROWTH, 3),
    }  # fmt: skip
    features = [x]
    for index in range(1, depth + 1):
        prefix = f"{name}.denselayer{index}"
        seen = x if index == 1 else net.add(Concat(), *features, name=f"{prefix}.concat")
        features.append(_sequence(net, seen, prefix, layer))
    return net.add(Concat(), *features, name=f"{name}.concat")


def _sequence(net: NetworkBuilder, x: str, prefix: str, ops: dict[str, Op]) -> str:
    for name, op in ops.items():
        x = net.add(op, x, name=f"{prefix}.{name}")
    return x


NETWORKS = {
    "densenet121": partial(densenet, depths=(6, 12, 24, 16)),
    "densenet169": partial(densenet, depths=(6, 12, 32, 32)),
    "densenet201": partial(densenet, depths=(6, 12, 48, 32)),
}
