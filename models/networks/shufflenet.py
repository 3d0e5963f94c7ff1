"""ShuffleNet v2: half of the channels pass, half are convolved, then all are shuffled."""

from __future__ import annotations

from functools import partial

from pimmodel.network.network import NetworkBuilder
from pimmodel.network.ops import BatchNorm, ChannelShuffle, Concat, Linear, ReduceMean, Slice

from .blocks import RELU, Chain, conv2d, conv_norm, max_pool

REPEATS = (4, 8, 4)


def shufflenet_v2(net: NetworkBuilder, image: str, classes: int, *, channels: tuple[int, int, int, int, int]) -> str:
    """A 3 x 3 convolution, three stages, a 1 x 1 convolution, one fully connected layer.

    Ma et al., "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design", ECCV 2018,
    doi 10.1007/978-3-030-01264-9_8.
    """
    first, *stages, last = channels
    x = conv_norm(net, image, "conv1", conv2d(first, 3, 2))
    x = net.add(max_pool(3, 2, 1), x, name="maxpool")
    for stage, (width, repeats) in enumerate(zip(stages, REPEATS, strict=True), start=2):
        chain = Chain(net, x, f"stage{stage}").block(reducing_unit, width // 2)
        for _ in range(repeats - 1):
            chain.block(unit, width // 2)
        x = chain.x
    x = conv_norm(net, x, "conv5", conv2d(last, 1))
    x = net.add(ReduceMean((2, 3)), x, name="mean")
    return net.add(Linear(classes), x, name="fc")


def unit(net: NetworkBuilder, x: str, name: str, half: int) -> str:
    """The first half of the channels passes, the second goes through three convolutions."""
    passed = net.add(Slice(0, half), x, name=f"{name}.chunk1")
    convolved = net.add(Slice(half, 2 * half), x, name=f"{name}.chunk2")
    return _shuffled(net, name, passed, _branch2(net, convolved, name, half, 1))


def reducing_unit(net: NetworkBuilder, x: str, name: str, half: int) -> str:
    """Two branches of stride 2, each of which makes half of the output channels."""
    given = net.shape(x)[1]
    branch1 = Chain(net, x, f"{name}.branch1").add(
        conv2d(given, 3, 2, groups=given), BatchNorm(), conv2d(half, 1), BatchNorm(), RELU
    )
    return _shuffled(net, name, branch1.x, _branch2(net, x, name, half, 2))


def _branch2(net: NetworkBuilder, x: str, name: str, half: int, stride: int) -> str:
    depthwise = conv2d(half, 3, stride, groups=half)
    chain = Chain(net, x, f"{name}.branch2").add(conv2d(half, 1), BatchNorm(), RELU, depthwise, BatchNorm())
    return chain.add(conv2d(half, 1), BatchNorm(), RELU).x


def _shuffled(net: NetworkBuilder, name: str, *halves: str) -> str:
    return net.add(ChannelShuffle(2), net.add(Concat(), *halves, name=f"{name}.concat"), name=f"{name}.shuffle")


NETWORKS = {"shufflenet_v2_x1_0": partial(shufflenet_v2, channels=(24, 116, 232, 464, 1024))}
