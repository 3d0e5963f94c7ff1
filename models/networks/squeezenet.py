"""SqueezeNet: fire modules, and no fully connected layer."""

from __future__ import annotations

from functools import partial

from pimmodel.network.network import NetworkBuilder
from pimmodel.network.ops import AdaptivePool, Concat, Conv, Dropout, Flatten

from .blocks import RELU, Chain, conv2d, max_pool

FIRES = [(16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256)]
"""Squeezed channels, and expanded channels of either kernel size, of the eight fire modules."""


def squeezenet(net: NetworkBuilder, image: str, classes: int, *, stem: Conv, pool_before: tuple[int, int]) -> str:
    """One convolution, eight fire modules with poolings in front of two of them, a 1 x 1 convolution to the classes.

    Iandola et al., "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB model size",
    arXiv:1602.07360 (2016); version 1.1 is the authors' later form with 2.4 times fewer multiply-accumulates.
    """
    features = Chain(net, image, "features").add(stem, RELU, max_pool(3, 2, ceil=True))
    for index, (squeezed, expanded) in enumerate(FIRES):
        if index in pool_before:
            features.add(max_pool(3, 2, ceil=True))
        features.block(fire, squeezed, expanded)
    classifier = Chain(net, features.x, "classifier")
    classifier.add(Dropout(), conv2d(classes, 1, bias=True), RELU, AdaptivePool())
    return net.add(Flatten(), classifier.x, name="flatten")


def fire(net: NetworkBuilder, x: str, name: str, squeezed: int, expanded: int) -> str:
    """Squeeze by 1 x 1, expand by 1 x 1 and 3 x 3 side by side."""
    x = _conv_relu(net, x, f"{name}.squeeze", conv2d(squeezed, 1, bias=True))
    sides = [_conv_relu(net, x, f"{name}.expand{k}x{k}", conv2d(expanded, k, bias=True)) for k in (1, 3)]
    return net.add(Concat(), *sides, name=f"{name}.concat")


def _conv_relu(net: NetworkBuilder, x: str, name: str, conv: Conv) -> str:
    return net.add(RELU, net.add(conv, x, name=name), name=f"{name}_activation")


NETWORKS = {
    "squeezenet1_0": partial(squeezenet, stem=conv2d(96, 7, 2, padding=0, bias=True), pool_before=(3, 7)),
    "squeezenet1_1": partial(squeezenet, stem=conv2d(64, 3, 2, padding=0, bias=True), pool_before=(2, 4)),
}
