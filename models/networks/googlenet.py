"""GoogLeNet (Inception v1) with batch norm."""

from __future__ import annotations

from pimmodel.network.network import NetworkBuilder
from pimmodel.network.ops import Concat

from .blocks import Chain, basic_conv, max_pool, pooled_classifier

# 1x1; 3x3 reduction and 3x3; "5x5" reduction and "5x5"; projection behind the pooling. Table 1 of the paper.
BLOCKS = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


def inception(net: NetworkBuilder, x: str, name: str, channels: tuple[int, ...]) -> str:
    """Four branches side by side. The "5x5" branch is 3 x 3, as in torchvision's trained weights."""
    one, reduce3, three, reduce5, five, projection = channels
    branches = [
        basic_conv(net, x, f"{name}.branch1", one, 1),
        Chain(net, x, f"{name}.branch2").block(basic_conv, reduce3, 1).block(basic_conv, three, 3).x,
        Chain(net, x, f"{name}.branch3").block(basic_conv, reduce5, 1).block(basic_conv, five, 3).x,
        Chain(net, x, f"{name}.branch4").add(max_pool(3, 1, 1, ceil=True)).block(basic_conv, projection, 1).x,
    ]
    return net.add(Concat(), *branches, name=f"{name}.concat")


def googlenet(net: NetworkBuilder, image: str, classes: int) -> str:
    """Three convolutions, nine inception blocks, one fully connected layer; without auxiliary classifiers.

    Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, doi 10.1109/CVPR.2015.7298594.
    """
    x = basic_conv(net, image, "conv1", 64, 7, 2)
    x = net.add(max_pool(3, 2, ceil=True), x, name="maxpool1")
    x = basic_conv(net, x, "conv2", 64, 1)
    x = basic_conv(net, x, "conv3", 192, 3)
    x = net.add(max_pool(3, 2, ceil=True), x, name="maxpool2")
    for block, channels in BLOCKS.items():
        x = inception(net, x, f"inception{block}", channels)
        if block == "3b":
            x = net.add(max_pool(3, 2, ceil=True), x, name="maxpool3")
        elif block == "4e":
            x = net.add(max_pool(2, 2, ceil=True), x, name="maxpool4")
    return pooled_classifier(net, x, classes, dropout=("dropout", 0.2))


NETWORKS = {"googlenet": googlenet}
