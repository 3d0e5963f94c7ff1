"""Layer groups that several families share, and layers chained and numbered as torch.nn.Sequential does it.

A *block* is a function `block(net, x, name, ...)`: it adds layers behind layer `x`, all named `name` or `name.part`,
and returns the name of its last layer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Concatenate, ParamSpec

from pimmodel.network.network import NetworkBuilder
from pimmodel.network.ops import (
    Activation,
    AdaptivePool,
    Add,
    BatchNorm,
    Conv,
    Dropout,
    Flatten,
    Linear,
    Mul,
    Op,
    Pool,
)
from pimmodel.network.shapes import Pair, pair

P = ParamSpec("P")
RELU = Activation("relu")


def conv2d(
    channels: int,
    kernel: int | Pair,
    stride: int = 1,
    padding: int | Pair | None = None,
    groups: int = 1,
    bias: bool = False,
) -> Conv:
    """Convolution; padding defaults to (kernel - 1) // 2, which keeps the size at stride 1."""
    kernel = pair(kernel)
    top, left = ((kernel[0] - 1) // 2, (kernel[1] - 1) // 2) if padding is None else pair(padding)
    return Conv(channels, kernel, pair(stride), (top, left, top, left), groups=groups, bias=bias)


def max_pool(kernel: int, stride: int, padding: int = 0, ceil: bool = False) -> Pool:
    """Square max pooling."""
    return Pool("max", pair(kernel), pair(stride), (padding,) * 4, ceil)


def avg_pool(kernel: int, stride: int, padding: int = 0) -> Pool:
    """Square average pooling."""
    return Pool("avg", pair(kernel), pair(stride), (padding,) * 4)


class Chain:
    """Layers one behind another, called `prefix.0`, `prefix.1`, ...; `x` is the last one.

    >>> from pimmodel.network.ops import Input
    >>> net = NetworkBuilder("tiny")
    >>> chain = Chain(net, net.add(Input((1, 3, 8, 8)), name="input"), "features")
    >>> chain.add(conv2d(4, 3), Activation()).x
    'features.1'
    """

    def __init__(self, net: NetworkBuilder, x: str, prefix: str) -> None:
        self.net, self.x = net, x
        self._prefix, self._next = prefix, 0

    def _name(self) -> str:
        self._next += 1
        return f"{self._prefix}.{self._next - 1}"

    def add(self, *ops: Op) -> Chain:
        """Single layers."""
        for op in ops:
            self.x = self.net.add(op, self.x, name=self._name())
        return self

    def block(
        self, build: Callable[Concatenate[NetworkBuilder, str, str, P], str], *args: P.args, **kwargs: P.kwargs
    ) -> Chain:
        """A block: `build(net, x, name, *args, **kwargs)` returns its last layer."""
        self.x = build(self.net, self.x, self._name(), *args, **kwargs)
        return self


def conv_norm(
    net: NetworkBuilder,
    x: str,
    name: str,
    conv: Conv,
    activation: Activation | None = RELU,
    parts: tuple[str, str, str] = ("0", "1", "2"),
) -> str:
    """Convolution, batch norm and (unless None) activation, called `name.part`."""
    x = net.add(conv, x, name=f"{name}.{parts[0]}")
    x = net.add(BatchNorm(), x, name=f"{name}.{parts[1]}")
    return x if activation is None else net.add(activation, x, name=f"{name}.{parts[2]}")


def basic_conv(
    net: NetworkBuilder,
    x: str,
    name: str,
    channels: int,
    kernel: int | Pair,
    stride: int = 1,
    padding: int | Pair | None = None,
) -> str:
    """Convolution, batch norm and ReLU as the Inception family names them."""
    return conv_norm(net, x, name, conv2d(channels, kernel, stride, padding), parts=("conv", "bn", "relu"))


def squeeze_excitation(
    net: NetworkBuilder, x: str, name: str, squeezed: int, activation: Activation, gate: Activation
) -> str:
    """Squeeze-and-excitation: channels scaled by a two-layer network of their means.

    Hu, Shen, Sun, "Squeeze-and-Excitation Networks", CVPR 2018, doi 10.1109/CVPR.2018.00745.
    """
    scale = net.add(AdaptivePool(), x, name=f"{name}.avgpool")
    scale = net.add(conv2d(squeezed, 1, bias=True), scale, name=f"{name}.fc1")
    scale = net.add(activation, scale, name=f"{name}.activation")
    scale = net.add(conv2d(net.shape(x)[1], 1, bias=True), scale, name=f"{name}.fc2")
    scale = net.add(gate, scale, name=f"{name}.scale_activation")
    return net.add(Mul(), scale, x, name=f"{name}.mul")


def inverted_bottleneck(
    net: NetworkBuilder,
    x: str,
    name: str,
    *,
    expanded: int,
    channels: int,
    kernel: int,
    stride: int,
    activation: Activation,
    excite: Callable[[NetworkBuilder, str, str], str] | None = None,
    drop_rate: float = 0.0,
) -> str:
    """Expand, depthwise convolution, `excite` (a squeeze-and-excitation), project; residual where shapes allow.

    The block of MobileNetV3 and EfficientNet.
    """
    given = net.shape(x)[1]
    chain = Chain(net, x, f"{name}.block")
    if expanded != given:
        chain.block(conv_norm, conv2d(expanded, 1), activation)
    chain.block(conv_norm, conv2d(expanded, kernel, stride, groups=expanded), activation)
    if excite is not None:
        chain.block(excite)
    chain.block(conv_norm, conv2d(channels, 1), None)
    if stride != 1 or channels != given:
        return chain.x
    return residual(net, chain.x, x, name, drop_rate)


def residual(net: NetworkBuilder, branch: str, shortcut: str, name: str, drop_rate: float = 0.0) -> str:
    """Sum of a branch and its shortcut, the branch under stochastic depth if `drop_rate` > 0.

    Huang et al., "Deep Networks with Stochastic Depth", ECCV 2016, doi 10.1007/978-3-319-46493-0_39.
    """
    if drop_rate:
        branch = net.add(Dropout(drop_rate, per_sample=True), branch, name=f"{name}.stochastic_depth")
    return net.add(Add(), branch, shortcut, name=f"{name}.add")


def pooled_classifier(
    net: NetworkBuilder, x: str, classes: int, name: str = "fc", dropout: tuple[str, float] | None = None
) -> str:
    """Global average pooling, dropout if a (name, rate) is given, one fully connected layer."""
    x = net.add(AdaptivePool(), x, name="avgpool")
    x = net.add(Flatten(), x, name="flatten")
    if dropout is not None:
        x = net.add(Dropout(dropout[1]), x, name=dropout[0])
    return net.add(Linear(classes), x, name=name)
