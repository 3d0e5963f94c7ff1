"""Inception v3: five kinds of blocks with factorised convolutions."""

from __future__ import annotations

from pimmodel.network.network import NetworkBuilder
from pimmodel.network.ops import Concat, Op
from pimmodel.network.shapes import Pair

from .blocks import avg_pool, basic_conv, max_pool, pooled_classifier

Step = tuple[str, int, int | Pair] | tuple[str, int, int | Pair, int]
"""Part name, channels, kernel; with a stride: no padding either."""

_STEM = (("Conv2d_1a_3x3", 32, 2, 0), ("Conv2d_2a_3x3", 32, 1, 0), ("Conv2d_2b_3x3", 64, 1, 1))


class _Block:
    """One block: branches that start at `x`, concatenated at the end."""

    def __init__(self, net: NetworkBuilder, x: str, name: str) -> None:
        self._net, self._x, self._name = net, x, name
        self._ends: list[str] = []

    def steps(self, *steps: Step, start: str | None = None) -> str:
        """Convolutions one behind another from `start` (default: the block's input); returns the last one."""
        x = start or self._x
        for part, channels, kernel, *stride in steps:
            x = basic_conv(self._net, x, f"{self._name}.{part}", channels, kernel, *(stride and (*stride, 0)))
        return x

    def branch(self, *steps: Step, start: str | None = None) -> _Block:
        """Convolutions whose end goes into the concatenation."""
        self._ends.append(self.steps(*steps, start=start))
        return self

    def fork(self, part: str, start: str) -> _Block:
        """A row and a column convolution side by side behind `start`."""
        row = self.steps((f"{part}a", 384, (1, 3)), start=start)
        column = self.steps((f"{part}b", 384, (3, 1)), start=start)
        self._ends.append(self._net.add(Concat(), row, column, name=f"{self._name}.{part}_concat"))
        return self

    def pool(self, op: Op, *steps: Step) -> _Block:
        """A pooling branch, with convolutions behind it."""
        return self.branch(*steps, start=self._net.add(op, self._x, name=f"{self._name}.pool"))

    def concat(self) -> str:
        return self._net.add(Concat(), *self._ends, name=f"{self._name}.concat")


def block_a(net: NetworkBuilder, x: str, name: str, pool_features: int) -> str:
    """35 x 35: 1 x 1, 5 x 5, two 3 x 3, pooling."""
    return (
        _Block(net, x, name)
        .branch(("branch1x1", 64, 1))
        .branch(("branch5x5_1", 48, 1), ("branch5x5_2", 64, 5))
        .branch(("branch3x3dbl_1", 64, 1), ("branch3x3dbl_2", 96, 3), ("branch3x3dbl_3", 96, 3))
        .pool(avg_pool(3, 1, 1), ("branch_pool", pool_features, 1))
        .concat()
    )


def block_b(net: NetworkBuilder, x: str, name: str) -> str:
    """35 x 35 to 17 x 17."""
    return (
        _Block(net, x, name)
        .branch(("branch3x3", 384, 3, 2))
        .branch(("branch3x3dbl_1", 64, 1), ("branch3x3dbl_2", 96, 3), ("branch3x3dbl_3", 96, 3, 2))
        .pool(max_pool(3, 2))
        .concat()
    )


def block_c(net: NetworkBuilder, x: str, name: str, width: int) -> str:
    """17 x 17: 7 x 7 convolutions factorised into rows and columns."""
    row, column = (1, 7), (7, 1)
    return (
        _Block(net, x, name)
        .branch(("branch1x1", 192, 1))
        .branch(("branch7x7_1", width, 1), ("branch7x7_2", width, row), ("branch7x7_3", 192, column))
        .branch(
            ("branch7x7dbl_1", width, 1),
            ("branch7x7dbl_2", width, column),
            ("branch7x7dbl_3", width, row),
            ("branch7x7dbl_4", width, column),
            ("branch7x7dbl_5", 192, row),
        )
        .pool(avg_pool(3, 1, 1), ("branch_pool", 192, 1))
        .concat()
    )


def block_d(net: NetworkBuilder, x: str, name: str) -> str:
    """17 x 17 to 8 x 8."""
    return (
        _Block(net, x, name)
        .branch(("branch3x3_1", 192, 1), ("branch3x3_2", 320, 3, 2))
        .branch(
            ("branch7x7x3_1", 192, 1),
            ("branch7x7x3_2", 192, (1, 7)),
            ("branch7x7x3_3", 192, (7, 1)),
            ("branch7x7x3_4", 192, 3, 2),
        )
        .pool(max_pool(3, 2))
        .concat()
    )


def block_e(net: NetworkBuilder, x: str, name: str) -> str:
    """8 x 8: rows and columns of 3 side by side."""
    block = _Block(net, x, name).branch(("branch1x1", 320, 1))
    block.fork("branch3x3_2", block.steps(("branch3x3_1", 384, 1)))
    block.fork("branch3x3dbl_3", block.steps(("branch3x3dbl_1", 448, 1), ("branch3x3dbl_2", 384, 3)))
    return block.pool(avg_pool(3, 1, 1), ("branch_pool", 192, 1)).concat()


def inception_v3(net: NetworkBuilder, image: str, classes: int) -> str:
    """Five convolutions, eleven blocks, one fully connected layer; without the auxiliary classifier.

    Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016,
    doi 10.1109/CVPR.2016.308.
    """
    x = image
    for name, channels, stride, padding in _STEM:
        x = basic_conv(net, x, name, channels, 3, stride, padding)
    x = net.add(max_pool(3, 2), x, name="maxpool1")
    x = basic_conv(net, x, "Conv2d_3b_1x1", 80, 1)
    x = basic_conv(net, x, "Conv2d_4a_3x3", 192, 3, padding=0)
    x = net.add(max_pool(3, 2), x, name="maxpool2")
    for letter, pool_features in (("b", 32), ("c", 64), ("d", 64)):
        x = block_a(net, x, f"Mixed_5{letter}", pool_features)
    x = block_b(net, x, "Mixed_6a")
    for letter, width in (("b", 128), ("c", 160), ("d", 160), ("e", 192)):
        x = block_c(net, x, f"Mixed_6{letter}", width)
    x = block_d(net, x, "Mixed_7a")
    for letter in "bc":
        x = block_e(net, x, f"Mixed_7{letter}")
    return pooled_classifier(net, x, classes, dropout=("dropout", 0.5))


NETWORKS = {"inception_v3": inception_v3}
