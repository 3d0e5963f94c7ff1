"""EfficientNet: inverted bottlenecks with excitation, scaled together in depth, width and resolution."""

from __future__ import annotations

from functools import partial

from pimmodel.network.network import NetworkBuilder
from pimmodel.network.ops import Activation

from .blocks import (
    Chain,
    conv2d,
    conv_norm,
    inverted_bottleneck,
    pooled_classifier,
    squeeze_excitation,
)

SILU = Activation("silu")
SIGMOID = Activation("sigmoid")

# Expansion, kernel, stride of the first, output channels, repeats, table 1 of the paper.
B0_STAGES = [
    (1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3), (6, 5, 1, 112, 3), (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
]  # fmt: skip
STOCHASTIC_DEPTH = 0.2
"""Drop rate that the last block would have; it grows linearly from 0 at the first."""


def efficientnet_b0(net: NetworkBuilder, image: str, classes: int) -> str:
    """A 3 x 3 convolution, 16 inverted bottlenecks, a 1 x 1 convolution, one fully connected layer.

    Tan, Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019, arXiv:1905.11946.
    """
    features = Chain(net, image, "features").block(conv_norm, conv2d(32, 3, 2), SILU)
    total, done = sum(repeats for *_, repeats in B0_STAGES), 0
    for expansion, kernel, stride, channels, repeats in B0_STAGES:
        rates = [STOCHASTIC_DEPTH * (done + index) / total for index in range(repeats)]
        features.block(_stage, expansion, kernel, stride, channels, rates)
        done += repeats
    features.block(conv_norm, conv2d(1280, 1), SILU)
    return pooled_classifier(net, features.x, classes, "classifier.1", ("classifier.0", 0.2))


def _stage(
    net: NetworkBuilder, x: str, name: str, expansion: int, kernel: int, stride: int, channels: int, rates: list[float]
) -> str:
    chain = Chain(net, x, name)
    for index, rate in enumerate(rates):
        given = net.shape(chain.x)[1]
        chain.block(
            inverted_bottleneck,
            expanded=expansion * given,
            channels=channels,
            kernel=kernel,
            stride=1 if index else stride,
            activation=SILU,
            excite=partial(squeeze_excitation, squeezed=given // 4, activation=SILU, gate=SIGMOID),
            drop_rate=rate,
        )
    return chain.x


NETWORKS = {"efficientnet_b0": efficientnet_b0}
