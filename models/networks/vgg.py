"""VGG: stacks of 3 x 3 convolutions between max poolings, with and without batch norm."""

from __future__ import annotations

from functools import partial

from pimmodel.network.network import NetworkBuilder
from pimmodel.network.ops import Activation, AdaptivePool, BatchNorm, Dropout, Flatten, Linear

from .blocks import Chain, conv2d, max_pool

STAGE_CHANNELS = (64, 128, 256, 512, 512)
DEPTHS = {
    "vgg11": (1, 1, 2, 2, 2),
    "vgg13": (2, 2, 2, 2, 2),
    "vgg16": (2, 2, 3, 3, 3),
    "vgg19": (2, 2, 4, 4, 4),
}
"""Convolutions per stage."""


def vgg(net: NetworkBuilder, image: str, classes: int, *, depths: tuple[int, ...], batch_norm: bool = False) -> str:
    """Five stages of convolutions, three fully connected layers.

    Simonyan, Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015,
    arXiv:1409.1556, configurations A, B, D, E. Convolutions keep their bias in front of a batch norm.
    """
    features = Chain(net, image, "features")
    for channels, depth in zip(STAGE_CHANNELS, depths, strict=True):
        for _ in range(depth):
            features.add(conv2d(channels, 3, bias=True), *[BatchNorm()] * batch_norm, Activation())
        features.add(max_pool(2, 2))
    x = net.add(AdaptivePool((7, 7)), features.x, name="avgpool")
    x = net.add(Flatten(), x, name="flatten")
    classifier = Chain(net, x, "classifier").add(
        Linear(4096), Activation(), Dropout(), Linear(4096), Activation(), Dropout(), Linear(classes)
    )
    return classifier.x


NETWORKS = {name: partial(vgg, depths=depths) for name, depths in DEPTHS.items()}
NETWORKS |= {f"{name}_bn": partial(vgg, depths=depths, batch_norm=True) for name, depths in DEPTHS.items()}
