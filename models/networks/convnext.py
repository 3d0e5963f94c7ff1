"""ConvNeXt: a convolutional network built like a vision transformer, with layer norm and few activations."""

from __future__ import annotations

from functools import partial

from pimmodel.network.network import NetworkBuilder
from pimmodel.network.ops import Activation, AdaptivePool, Flatten, LayerNorm, Linear, Permute, Scale

from .blocks import Chain, conv2d, residual

CHANNELS_LAST, CHANNELS_FIRST = Permute((0, 2, 3, 1)), Permute((0, 3, 1, 2))


def convnext(
    net: NetworkBuilder,
    image: str,
    classes: int,
    *,
    depths: tuple[int, int, int, int],
    widths: tuple[int, int, int, int],
    stochastic_depth: float,
) -> str:
    """A 4 x 4 convolution of stride 4, four stages with 2 x 2 convolutions between, one fully connected layer.

    Liu et al., "A ConvNet for the 2020s", CVPR 2022, doi 10.1109/CVPR52688.2022.01167. The drop rate of a block's
    branch grows linearly from 0 at the first block to `stochastic_depth` at the last.
    """
    features, done = Chain(net, image, "features").block(_patches, widths[0]), 0
    for stage, (width, depth) in enumerate(zip(widths, depths, strict=True)):
        if stage:
            features.block(_reduce, width)
        rates = [stochastic_depth * (done + index) / (sum(depths) - 1) for index in range(depth)]
        features.block(_stage, rates)
        done += depth
    x = net.add(AdaptivePool(), features.x, name="avgpool")
    classifier = Chain(net, x, "classifier").block(channel_norm)
    return classifier.add(Flatten(), Linear(classes)).x


def channel_norm(net: NetworkBuilder, x: str, name: str) -> str:
    """Layer norm over the channels of each position of a channels-first map."""
    x = net.add(CHANNELS_LAST, x, name=f"{name}.channels_last")
    x = net.add(LayerNorm(), x, name=name)
    return net.add(CHANNELS_FIRST, x, name=f"{name}.channels_first")


def _patches(net: NetworkBuilder, x: str, name: str, width: int) -> str:
    return Chain(net, x, name).add(conv2d(width, 4, 4, padding=0, bias=True)).block(channel_norm).x


def _reduce(net: NetworkBuilder, x: str, name: str, width: int) -> str:
    return Chain(net, x, name).block(channel_norm).add(conv2d(width, 2, 2, padding=0, bias=True)).x


def _stage(net: NetworkBuilder, x: str, name: str, rates: list[float]) -> str:
    chain = Chain(net, x, name)
    for rate in rates:
        chain.block(convnext_block, rate)
    return chain.x


def convnext_block(net: NetworkBuilder, x: str, name: str, drop_rate: float) -> str:
    """7 x 7 depthwise convolution, layer norm, two fully connected layers over the channels, layer scale, residual."""
    width = net.shape(x)[1]
    branch = Chain(net, x, f"{name}.block").add(
        conv2d(width, 7, groups=width, bias=True), CHANNELS_LAST, LayerNorm(),
        Linear(4 * width), Activation("gelu"), Linear(width), CHANNELS_FIRST,
    )  # fmt: skip
    scaled = net.add(Scale(parameters_count=width), branch.x, name=f"{name}.layer_scale")
    return residual(net, scaled, x, name, drop_rate)


NETWORKS = {"convnext_tiny": partial(convnext, depths=(3, 3, 9, 3), widths=(96, 192, 384, 768), stochastic_depth=0.1)}
