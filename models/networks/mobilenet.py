"""MobileNet v1, v2 and v3: depthwise separable convolutions, then inverted bottlenecks, then excitation."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from pimmodel.network.network import NetworkBuilder
from pimmodel.network.ops import Activation, AdaptivePool, BatchNorm, Dropout, Flatten, Linear

from .blocks import (
    RELU,
    Chain,
    conv2d,
    conv_norm,
    inverted_bottleneck,
    pooled_classifier,
    residual,
    squeeze_excitation,
)

RELU6 = Activation("relu6")
HARDSWISH = Activation("hardswish")
HARDSIGMOID = Activation("hardsigmoid")

# Output channels and stride of the depthwise separable convolutions, table 1 of the v1 paper.
V1_LAYERS = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
# Expansion, output channels, repeats, stride of the first, table 2 of the v2 paper.
V2_STAGES = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]


class V3Block(NamedTuple):
    """One row of table 1 of the v3 paper."""

    kernel: int
    expanded: int
    channels: int
    excite: bool
    activation: Activation
    stride: int


V3_LARGE = [
    V3Block(3, 16, 16, False, RELU, 1),
    V3Block(3, 64, 24, False, RELU, 2),
    V3Block(3, 72, 24, False, RELU, 1),
    V3Block(5, 72, 40, True, RELU, 2),
    *[V3Block(5, 120, 40, True, RELU, 1)] * 2,
    V3Block(3, 240, 80, False, HARDSWISH, 2),
    V3Block(3, 200, 80, False, HARDSWISH, 1),
    *[V3Block(3, 184, 80, False, HARDSWISH, 1)] * 2,
    V3Block(3, 480, 112, True, HARDSWISH, 1),
    V3Block(3, 672, 112, True, HARDSWISH, 1),
    V3Block(5, 672, 160, True, HARDSWISH, 2),
    *[V3Block(5, 960, 160, True, HARDSWISH, 1)] * 2,
]


def mobilenet_v1(net: NetworkBuilder, image: str, classes: int) -> str:
    """A 3 x 3 convolution, 13 depthwise separable ones, one fully connected layer; width 1.

    Howard et al., "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications",
    arXiv:1704.04861 (2017), table 1; its last depthwise layer, printed with stride 2, keeps the size as printed.
    """
    features = Chain(net, image, "features").block(conv_norm, conv2d(32, 3, 2))
    for channels, stride in V1_LAYERS:
        features.block(_separable, channels, stride)
    return pooled_classifier(net, features.x, classes)


def _separable(net: NetworkBuilder, x: str, name: str, channels: int, stride: int) -> str:
    given = net.shape(x)[1]
    depthwise = conv2d(given, 3, stride, groups=given)
    return Chain(net, x, name).block(conv_norm, depthwise).block(conv_norm, conv2d(channels, 1)).x


def mobilenet_v2(net: NetworkBuilder, image: str, classes: int) -> str:
    """A 3 x 3 convolution, 17 inverted bottlenecks with linear outputs, a 1 x 1 convolution, one fully connected layer.

    Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018, doi 10.1109/CVPR.2018.00474.
    """
    features = Chain(net, image, "features").block(conv_norm, conv2d(32, 3, 2), RELU6)
    for expansion, channels, repeats, stride in V2_STAGES:
        for index in range(repeats):
            features.block(_linear_bottleneck, expansion, channels, 1 if index else stride)
    features.block(conv_norm, conv2d(1280, 1), RELU6)
    return pooled_classifier(net, features.x, classes, "classifier.1", ("classifier.0", 0.2))


def _linear_bottleneck(net: NetworkBuilder, x: str, name: str, expansion: int, channels: int, stride: int) -> str:
    given = net.shape(x)[1]
    expanded = expansion * given
    chain = Chain(net, x, f"{name}.conv")
    if expansion != 1:
        chain.block(conv_norm, conv2d(expanded, 1), RELU6)
    chain.block(conv_norm, conv2d(expanded, 3, stride, groups=expanded), RELU6)
    chain.add(conv2d(channels, 1), BatchNorm())
    return residual(net, chain.x, x, name) if stride == 1 and channels == given else chain.x


def mobilenet_v3(net: NetworkBuilder, image: str, classes: int, *, blocks: list[V3Block], features_last: int) -> str:
    """A 3 x 3 convolution, inverted bottlenecks, some with excitation, a 1 x 1 convolution, two fully connected layers.

    Howard et al., "Searching for MobileNetV3", ICCV 2019, doi 10.1109/ICCV.2019.00140.
    """
    features = Chain(net, image, "features").block(conv_norm, conv2d(16, 3, 2), HARDSWISH)
    for block in blocks:
        squeezed = _multiple_of_8(block.expanded // 4)
        features.block(
            inverted_bottleneck,
            expanded=block.expanded,
            channels=block.channels,
            kernel=block.kernel,
            stride=block.stride,
            activation=block.activation,
            excite=partial(squeeze_excitation, squeezed=squeezed, activation=RELU, gate=HARDSIGMOID)
            if block.excite
            else None,
        )
    features.block(conv_norm, conv2d(6 * blocks[-1].channels, 1), HARDSWISH)
    x = net.add(AdaptivePool(), features.x, name="avgpool")
    x = net.add(Flatten(), x, name="flatten")
    classifier = Chain(net, x, "classifier")
    return classifier.add(Linear(features_last), HARDSWISH, Dropout(0.2), Linear(classes)).x


def _multiple_of_8(channels: int) -> int:
    """The nearest multiple of 8 that is not more than 10 % below `channels`."""
    nearest = max(8, (channels + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * channels else nearest


NETWORKS = {
    "mobilenet_v1": mobilenet_v1,
    "mobilenet_v2": mobilenet_v2,
    "mobilenet_v3_large": partial(mobilenet_v3, blocks=V3_LARGE, features_last=1280),
}
