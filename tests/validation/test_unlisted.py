"""Kernels that no line of a profile times: charged where autograd runs them, worked out by hand on small networks."""

from __future__ import annotations

from pimmodel.validation.gpu import TABLES
from pimmodel.validation.measurements import LayerTime, read_profiles
from pimmodel.validation.unlisted import Range, Unlisted, gradient_sums, unlisted_kernels

UNTIMED = ("Add", "Concat", "View")


def lines(*rows: tuple[str, float, float | None]) -> tuple[list[LayerTime], list[Range | None]]:
    """Layers and what they read from rows of op, bytes put out, and bytes read by a CONV."""
    time = dict.fromkeys(UNTIMED, 0.0)
    layers = [LayerTime("net", 1, op, op, time.get(op, 1e-3), time.get(op, 1e-3), size) for op, size, _ in rows]
    return layers, [None if read is None else (read, read) for _, _, read in rows]


def test_a_chain_has_none() -> None:
    layers, reads = lines(("Conv2d", 8, 4), ("BatchNorm2d", 8, None), ("ReLU", 8, None), ("Conv2d", 16, 8))
    assert unlisted_kernels(layers, reads)[1:] == [Unlisted()] * 3


def test_images_are_waited_for_once() -> None:
    layers, reads = lines(("Input", 12, None), ("Conv2d", 8, 12), ("ReLU", 8, None))
    assert unlisted_kernels(layers, reads) == [Unlisted(first=True), Unlisted(images=12, first=True), Unlisted()]


def test_branches_of_a_concatenation() -> None:
    """An Inception block: four consumers of one tensor, a; three sums, each in the line before a consumer but the last.

    Backward the pooling's branch runs first and gives its gradient; then the branch of d, whose sum shows in the line
    before d, c2; then that of c1 (shows in b), then that of b itself: in a, which made the tensor.
    """
    layers, reads = lines(
        ("ReLU", 40, None),  # 0: a
        ("Conv2d", 10, 40),  # 1: b
        ("Conv2d", 8, 40),  # 2: c1, from a
        ("Conv2d", 12, 8),  # 3: c2, from c1
        ("Conv2d", 6, 40),  # 4: d, from a
        ("MaxPool2d", 39, None),  # 5: puts out more than d does: from a
        ("Concat", 67, None),  # 6
        ("Conv2d", 5, 67),  # 7: from the Concat
    )
    layers[0] = LayerTime("net", 1, "MaxPool2d", "MaxPool2d", 1e-3, 1e-3, 40)
    # Two gradients of a, 40 bytes each, are read and their sum written: 120 bytes.
    assert gradient_sums(layers, reads) == {0: 120, 1: 120, 3: 120}
    found = unlisted_kernels(layers, reads)
    # The Concat reads and writes 67 bytes; its kernel shows in the CONV behind it.
    assert [one.forward for one in found] == [()] * 7 + [(134,)]


def test_sums_before_a_concatenation_show_in_the_last_module() -> None:
    layers, reads = lines(
        ("Conv2d", 7, 3), ("Conv2d", 5, 7), ("Concat", 12, None), ("Conv2d", 2, 12), ("Conv2d", 4, 12)
    )
    # The Concat has two consumers; the sum shows before the first of them, where line 1 is the last module.
    assert gradient_sums(layers, reads) == {1: 36}


def test_residual_blocks() -> None:
    """The output of a block goes to the next block's first CONV and to its Add: one sum, in the ReLU that made it."""
    block = (("Conv2d", 2, 8), ("Conv2d", 8, 2), ("Add", 8, None), ("ReLU", 8, None))
    layers, reads = lines(("MaxPool2d", 8, None), *block, *block)
    # Line 0 and line 4 (the first block's ReLU) each have two consumers; the last ReLU has none.
    assert gradient_sums(layers, reads) == {0: 24, 4: 24}
    # Forward, an Add reads two tensors and writes one; it shows in the ReLU behind it.
    assert [one.forward for one in unlisted_kernels(layers, reads)] == [()] * 4 + [(24,)] + [()] * 3 + [(24,)]


def test_a_block_with_a_projection_has_one_sum() -> None:
    layers, reads = lines(
        ("MaxPool2d", 8, None), ("Conv2d", 2, 8), ("Conv2d", 16, 2), ("Conv2d", 16, 8), ("Add", 16, None),
        ("ReLU", 16, None), ("AvgPool2d", 1, None),
    )  # fmt: skip
    assert gradient_sums(layers, reads) == {0: 24}


def test_dense_blocks() -> None:
    """Every Concat takes what the last one put out and the new maps: that tensor has two consumers."""
    layers, reads = lines(
        ("MaxPool2d", 10, None), ("BatchNorm2d", 10, None), ("Conv2d", 3, 10), ("Concat", 13, None),
        ("BatchNorm2d", 13, None), ("Conv2d", 3, 13), ("Concat", 16, None), ("BatchNorm2d", 16, None),
    )  # fmt: skip
    # The first Concat's output, 13 bytes: in the module before it, line 2. The pooling's: in itself.
    assert gradient_sums(layers, reads) == {0: 30, 2: 39}


def test_timed_adds_are_left_alone() -> None:
    layers = [LayerTime("net", 1, "Add", "Add", 1e-3, 1e-3, 8), LayerTime("net", 1, "ReLU", "ReLU", 1e-3, 1e-3, 8)]
    assert unlisted_kernels(layers, [None, None])[1] == Unlisted()


def test_sums_of_the_shipped_networks() -> None:
    """As many as the networks have: counted in their definitions."""
    from pimmodel.validation.profiles import _read_range

    def count(network: str) -> int:
        layers = [one for one in read_profiles(TABLES / "pipedream_profiles.csv").rows if one.network == network]
        return len(gradient_sums(layers, [_read_range(one) for one in layers]))

    assert count("vgg16") == 0
    # 16 blocks, each with two consumers of its input.
    assert count("resnet50") == 16
    # Inception v3: nine blocks of four branches, two reductions of three; a sum per branch but one: 9 x 3 + 2 x 2;
    # and one for the auxiliary head. Splits inside a branch, whose two parts are of one size, are not seen.
    assert count("inception_v3") == 32
