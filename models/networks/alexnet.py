"""AlexNet, in the one-column form of 2014."""

from __future__ import annotations

from pimmodel.network.network import NetworkBuilder
from pimmodel.network.ops import Activation, AdaptivePool, Dropout, Flatten, Linear

from .blocks import Chain, conv2d, max_pool


def alexnet(net: NetworkBuilder, image: str, classes: int) -> str:
    """Five convolutions, three fully connected layers; no groups and no local response normalisation.

    Krizhevsky, "One weird trick for parallelizing convolutional neural networks", arXiv:1404.5997 (2014); the
    original with two columns is Krizhevsky, Sutskever, Hinton, NIPS 2012.
    """
    features = Chain(net, image, "features").add(
        conv2d(64, 11, 4, padding=2, bias=True), Activation(), max_pool(3, 2),
        conv2d(192, 5, bias=True), Activation(), max_pool(3, 2),
        conv2d(384, 3, bias=True), Activation(),
        conv2d(256, 3, bias=True), Activation(),
        conv2d(256, 3, bias=True), Activation(), max_pool(3, 2),
    )  # fmt: skip
    x = net.add(AdaptivePool((6, 6)), features.x, name="avgpool")
    x = net.add(Flatten(), x, name="flatten")
    classifier = Chain(net, x, "classifier").add(
        Dropout(), Linear(4096), Activation(), Dropout(), Linear(4096), Activation(), Linear(classes)
    )
    return classifier.x


NETWORKS = {"alexnet": alexnet}
