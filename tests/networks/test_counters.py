"""Parameters and multiply-accumulates of the zoo against what nine independent counters say.

Counters differ in what they call a multiply-accumulate. Each counter's rule is written out here from its source code
and recomputed from our layers, and must give its figure to the last digit; nothing is fitted. CALLED_AS_FUNCTIONS
holds the one thing that our networks do not know: which poolings and activations torchvision's forward() calls as
functions (`F.relu(x)`) instead of as modules (`self.relu(x)`).
"""

import csv
import re
from collections.abc import Callable, Iterator
from functools import cache
from importlib.resources import files

import pytest
from pimmodel.models import networks

from pimmodel.network.network import Layer, Network, NetworkBuilder
from pimmodel.network.ops import (
    Activation,
    AdaptivePool,
    BatchNorm,
    Conv,
    Flatten,
    Input,
    Linear,
    Op,
    Pool,
)
from pimmodel.network.shapes import elements

ROWS = list(csv.DictReader((files("pimmodel.validation") / "tables" / "flops.csv").read_text().splitlines()))


def rows(*sources: str, column: str = "macs") -> list[object]:
    """Rows of these sources that have a figure in a column, as test parameters."""
    return [
        pytest.param(row, id=f"{row['network']}-{row['image_size']}-{row['source']}")
        for row in ROWS
        if row["source"].startswith(sources) and row[column]
    ]


@cache
def build(name: str, image_size: int) -> Network:
    return networks.build(name, batch=1, image_size=image_size)


def network_of(row: dict[str, str]) -> Network:
    return build(row["network"], int(row["image_size"]))


def layers(net: Network, *kinds: type[Op]) -> Iterator[Layer]:
    return (layer for layer in net if isinstance(layer.op, kinds))


def inputs(found: Iterator[Layer]) -> int:
    return sum(elements(layer.input_shapes[0]) for layer in found)


def outputs(found: Iterator[Layer]) -> int:
    return sum(layer.output_elements for layer in found)


def bias_outputs(net: Network, *kinds: type[Op]) -> int:
    """Output elements of the layers that add a bias."""
    return outputs(layer for layer in layers(net, *kinds) if layer.op.bias)  # type: ignore[attr-defined]


CALLED_AS_FUNCTIONS = {
    "densenet121": r"relu|avgpool",
    "googlenet": r".*\.relu",
    "inception_v3": r".*\.(relu|pool)",
    "mobilenet_v2": r"avgpool",
}


def is_module(net: Network, layer: Layer) -> bool:
    return re.fullmatch(CALLED_AS_FUNCTIONS.get(net.name, r"(?!)"), layer.name) is None


def activations(net: Network, *functions: str) -> Iterator[Layer]:
    return (layer for layer in layers(net, Activation) if layer.op.function in functions)  # type: ignore[attr-defined]


def fvcore(net: Network) -> int:
    """CONV, fully connected, 2 per batch-norm element, 1 per input element of adaptive pooling; any call counts."""
    return net.macs + 2 * inputs(layers(net, BatchNorm)) + inputs(layers(net, AdaptivePool))


def thop(net: Network) -> int:
    """4 per batch-norm element (2, doubled for affine), 1 per average-pool output, window + 1 per adaptive-pool output.

    Its hooks sit on modules, so poolings called as functions are free.
    """
    modules = [layer for layer in layers(net, Pool, AdaptivePool) if is_module(net, layer)]
    average = outputs(layer for layer in modules if isinstance(layer.op, Pool) and layer.op.mode == "avg")
    adaptive = [layer for layer in modules if isinstance(layer.op, AdaptivePool)]
    windows = sum(elements(layer.input_shapes[0]) + layer.output_elements for layer in adaptive)
    return net.macs + 4 * inputs(layers(net, BatchNorm)) + average + windows


def ptflops(net: Network) -> int:
    """1 per biased output, 2 per batch-norm element, 1 per ReLU, SiLU and pooling input element, some of them twice.

    It hooks modules *and* patches torch.nn.functional, and the modules ReLU, MaxPool2d, AvgPool2d and
    AdaptiveAvgPool2d call the patched functions: their work is counted twice. ReLU6 calls F.hardtanh, which is not
    patched, and SiLU has no module hook: both are counted once. Sigmoid and the sums and products written as operators
    are free.
    """
    doubled = [*activations(net, "relu"), *layers(net, Pool, AdaptivePool)]
    work = sum(elements(layer.input_shapes[0]) * (2 if is_module(net, layer) else 1) for layer in doubled)
    single = inputs(activations(net, "relu6", "silu"))
    return net.macs + bias_outputs(net, Conv, Linear) + 2 * inputs(layers(net, BatchNorm)) + work + single


def torchinfo(net: Network) -> int:
    """1 per biased CONV output; layers other than CONV count their parameters once per image."""
    once = sum(layer.parameters for layer in layers(net, BatchNorm, Linear))
    return sum(layer.macs for layer in layers(net, Conv)) + bias_outputs(net, Conv) + once


def training_step(net: Network) -> int:
    """Forward, input gradient and weight gradient of every layer; the image needs no gradient."""
    first = [layer for layer in net if layer.macs and isinstance(net[layer.inputs[0]].op, Input)]
    return 3 * net.macs - sum(layer.macs for layer in first)


def plain(net: Network) -> int:
    """CONV and fully connected layers, nothing else: what we count too."""
    return net.macs


RULES: dict[str, Callable[[Network], int]] = {
    "layer hooks training step": training_step,
    "layer hooks": plain,
    "torch 2": plain,
    "onnx": plain,
    "calflops": plain,
    "deepspeed": plain,
    "fvcore": fvcore,
    "thop": thop,
    "ptflops": ptflops,
    "torchinfo": torchinfo,
}


@pytest.mark.parametrize("row", rows(*RULES))
def test_multiply_accumulates_by_the_counters_own_rule(row):
    rule = next(rule for source, rule in RULES.items() if row["source"].startswith(source))
    assert rule(network_of(row)) == int(row["macs"])


@pytest.mark.parametrize("row", rows(*RULES, column="parameters"))
def test_parameters(row):
    assert network_of(row).parameters == int(row["parameters"])


@pytest.mark.parametrize("row", rows("calflops", "deepspeed", column="flops"))
def test_operations_of_calflops_and_deepspeed(row):
    """2 per multiply-accumulate and batch-norm element, 1 per biased CONV output and ReLU, SiLU and pooling input.

    They patch torch.nn.functional only, so modules and functions count once; ReLU6 is F.hardtanh, which is not patched
    and free, and so is the bias of fully connected layers.
    """
    net = network_of(row)
    extra = bias_outputs(net, Conv) + inputs(activations(net, "relu", "silu"))
    extra += 2 * inputs(layers(net, BatchNorm)) + inputs(layers(net, Pool, AdaptivePool))
    assert 2 * net.macs + extra == int(row["flops"])


@pytest.mark.parametrize("row", rows("layer hooks", "fvcore", "onnx", column="activations"))
def test_activations_are_outputs_of_conv_and_fully_connected_layers(row):
    assert outputs(layers(network_of(row), Conv, Linear)) == int(row["activations"])


@pytest.mark.parametrize("row", rows("torchinfo", column="activations"))
def test_activations_of_torchinfo_are_outputs_of_layers_with_parameters_twice(row):
    """Twice: it reports the forward and backward pass together."""
    assert 2 * outputs(layers(network_of(row), Conv, Linear, BatchNorm)) == int(row["activations"])


def inception_v3_auxiliary_parameters() -> int:
    """The auxiliary classifier that the published weights hold and that we leave out."""
    net = NetworkBuilder("auxiliary")
    x = net.add(Input((1, 768, 17, 17)))
    x = net.add(Pool("avg", (5, 5), (3, 3)), x)
    for conv in (Conv(128, (1, 1), bias=False), Conv(768, (5, 5), bias=False)):
        x = net.add(BatchNorm(), net.add(conv, x))
    net.add(Linear(1000), net.add(Flatten(), net.add(AdaptivePool(), x)))
    return net.build().parameters


@pytest.mark.parametrize("row", rows("torchvision"))
def test_published_with_the_weights_of_torchvision(row):
    """The figures are printed in units of 10^9 with three decimals."""
    net = network_of(row)
    auxiliary = inception_v3_auxiliary_parameters() if net.name == "inception_v3" else 0
    assert net.parameters + auxiliary == int(row["parameters"])
    assert abs(net.macs - int(row["macs"])) <= 500_000


def keras_macs(net: Network) -> int:
    """Keras' ResNet50 is the paper's: the first 1 x 1 convolution of stages 2 to 4 has the stride.

    So it works on a quarter of the positions; 224 halves evenly, so that is exact.
    """
    if net.name != "resnet50":
        return net.macs
    return net.macs - sum(3 * net[f"layer{stage}.0.conv1"].macs // 4 for stage in (2, 3, 4))


def keras_trainable(net: Network) -> int:
    """Keras' ResNet50 has biases in its convolutions; its InceptionV3 has no scale in its batch norms."""
    channels = {kind: sum(layer.output_shape[1] for layer in layers(net, kind)) for kind in (Conv, BatchNorm)}
    return net.parameters + {"resnet50": channels[Conv], "inception_v3": -channels[BatchNorm]}.get(net.name, 0)


@pytest.mark.parametrize("row", rows("keras"))
def test_keras_variants(row):
    """Keras counts the running mean and variance of batch norm as parameters that are not trained."""
    net = network_of(row)
    running = 2 * sum(layer.output_shape[1] for layer in layers(net, BatchNorm))
    assert keras_macs(net) == int(row["macs"])
    assert keras_trainable(net) == int(row["trainable"])
    assert keras_trainable(net) + running == int(row["parameters"])


@pytest.mark.parametrize("row", rows("arXiv"))
def test_mobilenet_v1_paper(row):
    """Printed as 569 million multiply-adds and 4.2 million parameters."""
    net = network_of(row)
    assert abs(net.macs - int(row["macs"])) <= 500_000
    assert abs(net.parameters - int(row["parameters"])) <= 50_000


def test_every_row_of_the_table_is_tested():
    tested = (*RULES, "torchvision", "keras", "arXiv")
    assert [row["source"] for row in ROWS if not row["source"].startswith(tested)] == []
    assert {row["network"] for row in ROWS} == set(networks.names())
