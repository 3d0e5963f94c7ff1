"""A network at another batch is the network that the zoo builds at that batch."""

from __future__ import annotations

import pytest
from pimmodel.models import networks

from pimmodel.errors import NetworkError
from pimmodel.network.network import NetworkBuilder
from pimmodel.network.ops import Input, Reshape
from pimmodel.network.rebatch import with_batch


@pytest.mark.parametrize("name", networks.names())
def test_as_built_at_that_batch(name: str) -> None:
    changed, built = with_batch(networks.build(name, batch=6), 4), networks.build(name, batch=4)
    assert [layer.output_shape for layer in changed] == [layer.output_shape for layer in built]
    assert [layer.name for layer in changed] == [layer.name for layer in built]
    assert changed.macs == built.macs
    assert changed.parameters == built.parameters


def test_a_shape_that_names_the_batch_goes_along() -> None:
    builder = NetworkBuilder("named")
    builder.add(Reshape((8, 12)), builder.add(Input((8, 3, 2, 2))), name="flat")
    assert with_batch(builder.build(), 2)["flat"].output_shape == (2, 12)


@pytest.mark.parametrize("batch", [0, -1, 2.5, True, "4"])
def test_bad_batches(batch: object) -> None:
    with pytest.raises(NetworkError, match="whole number, 1 or more"):
        with_batch(networks.build("alexnet", batch=2), batch)  # type: ignore[arg-type]


def test_a_shape_that_mixes_batch_and_channels_is_refused() -> None:
    builder = NetworkBuilder("mixed")
    flat = builder.add(Reshape((4, 24)), builder.add(Input((8, 3, 2, 2))), name="flat")
    builder.add(Reshape((8, 12)), flat, name="back")
    with pytest.raises(NetworkError, match="network mixed"):
        with_batch(builder.build(), 2)
