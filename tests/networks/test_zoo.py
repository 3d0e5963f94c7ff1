"""The built-in networks as such: names, shapes, scaling, errors, speed of building."""

import subprocess
import sys
from importlib import import_module

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pimmodel.models import networks

from pimmodel.errors import NetworkError, PimModelError, UnknownNameError
from pimmodel.network.ops import BatchNorm, Conv, Input, Linear

NAMES = networks.names()


def test_names_and_family_modules_agree():
    for family, members in networks.FAMILIES.items():
        assert set(import_module(f"pimmodel.models.networks.{family}").NETWORKS) == set(members)
    assert len(NAMES) == len(set(NAMES)) == 29


def test_listing_names_imports_no_family_and_no_networkx():
    code = (
        "import sys; from pimmodel.models import networks; networks.names(); networks.usual_image_size('resnet50');"
        "print([m for m in sys.modules if m == 'networkx' or m.startswith('pimmodel.models.networks.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", NAMES)
def test_is_a_dag_with_one_output_and_consistent_shapes(name):
    net = networks.build(name, batch=2)
    assert net.name == name
    assert nx.is_directed_acyclic_graph(net.graph)
    assert [layer.name for layer in net if net.graph.out_degree(layer.name) == 0] == list(net.outputs)
    assert net[net.outputs[0]].output_shape == (2, 1000)
    seen = set()
    for layer in net:
        assert set(layer.inputs) <= seen, "layers are in topological order"
        assert layer.input_shapes == tuple(net[producer].output_shape for producer in layer.inputs)
        assert layer.output_shape == layer.op.infer(layer.input_shapes)
        seen.add(layer.name)
    size = networks.usual_image_size(name)
    assert [layer.output_shape for layer in net if isinstance(layer.op, Input)] == [(2, 3, size, size)]


@pytest.mark.parametrize("name", NAMES)
def test_batch_scales_work_and_not_parameters(name):
    one, two = networks.build(name, batch=3), networks.build(name, batch=6)
    assert two.macs == 2 * one.macs
    assert two.parameters == one.parameters
    assert (one.batch, two.batch) == (3, 6)


@pytest.mark.parametrize("name", NAMES)
def test_classes_change_only_the_last_weights(name):
    many, few = networks.build(name, batch=1), networks.build(name, batch=1, classes=10)
    assert few[few.outputs[0]].output_shape == (1, 10)
    changed = [a.name for a, b in zip(many, few, strict=True) if a.parameters != b.parameters]
    last = [layer.name for layer in many if isinstance(layer.op, (Conv, Linear))][-1]
    assert changed == [last]


@given(name=st.sampled_from(NAMES), height=st.integers(32, 512), width=st.integers(32, 512))
@settings(max_examples=60, deadline=None)
def test_any_image_size_builds_or_says_why_not(name, height, width):
    """Fixed sizes enter only behind pooling to a fixed size, so parameters never depend on the image."""
    if min(height, width) < {"alexnet": 63, "inception_v3": 75}.get(name, 0):
        with pytest.raises(NetworkError, match=f"image size {height} x {width}"):
            networks.build(name, batch=1, image_size=(height, width))
        return
    net = networks.build(name, batch=1, image_size=(height, width))
    assert net["input"].output_shape == (1, 3, height, width)
    assert net.parameters == networks.build(name, batch=1).parameters


@pytest.mark.parametrize(
    ("name", "smallest"),
    [("alexnet", 63), ("inception_v3", 75), ("vgg16", 32), ("densenet121", 29), ("squeezenet1_0", 21),
     ("squeezenet1_1", 17), ("googlenet", 15), ("resnet50", 1), ("mobilenet_v2", 1)],
)  # fmt: skip
def test_smallest_image_is_the_one_published_with_the_weights(name, smallest):
    """`min_size` of torchvision 0.28.0's weights; alexnet by hand: 63 -> 15 -> 7 -> 3 -> 1, but 62 -> 14 -> 6 -> 2."""
    networks.build(name, batch=1, image_size=smallest)
    if smallest > 1:
        with pytest.raises(NetworkError, match="too small"):
            networks.build(name, batch=1, image_size=smallest - 1)


def test_height_and_width_are_not_mixed_up():
    net = networks.build("resnet18", batch=1, image_size=(64, 96))
    assert net["layer4.1.relu"].output_shape == (1, 512, 2, 3)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"batch": 0}, ["resnet50", "batch is 0", "1 or more"]),
        ({"batch": -4}, ["batch is -4"]),
        ({"batch": 2.0}, ["batch is 2.0"]),
        ({"batch": True}, ["batch is True"]),
        ({"batch": "8"}, ["batch is '8'"]),
        ({"image_size": 0}, ["image height is 0"]),
        ({"image_size": (224, -1)}, ["image width is -1"]),
        ({"image_size": (1, 2, 3)}, ["image height is (1, 2, 3)"]),
        ({"image_size": 3.5}, ["image height is 3.5"]),
        ({"classes": 0}, ["classes is 0"]),
        ({"name": "inception_v3", "image_size": 16}, ["inception_v3", "Conv2d_4a_3x3.conv", "16 x 16", "too small"]),
        ({"name": "vgg16", "image_size": (16, 40)}, ["vgg16", "features.30", "16 x 40"]),
    ],
)  # fmt: skip
def test_bad_sizes_give_one_clear_line(arguments, words):
    with pytest.raises(NetworkError) as caught:
        networks.build(**{"name": "resnet50", "batch": 1} | arguments)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_unknown_name_suggests():
    with pytest.raises(UnknownNameError, match="did you mean resnet50") as caught:
        networks.build("resnet-50", batch=1)
    assert isinstance(caught.value, PimModelError)


def test_layer_names_are_torchvisions():
    """A spot check per family of names in the published state dictionaries."""
    expected = {
        "alexnet": "features.10",
        "vgg16_bn": "features.40",
        "googlenet": "inception4c.branch3.1.conv",
        "inception_v3": "Mixed_7b.branch3x3dbl_3a.conv",
        "resnext50_32x4d": "layer3.0.downsample.0",
        "densenet201": "features.denseblock3.denselayer48.conv2",
        "mobilenet_v2": "features.2.conv.1.0",
        "mobilenet_v3_large": "features.4.block.2.fc1",
        "squeezenet1_1": "features.12.expand3x3",
        "shufflenet_v2_x1_0": "stage3.0.branch1.0",
        "efficientnet_b0": "features.6.3.block.2.fc2",
        "convnext_tiny": "features.5.8.block.5",
    }
    for name, layer in expected.items():
        assert isinstance(networks.build(name, batch=1)[layer].op, (Conv, Linear))


@pytest.mark.parametrize("name", ["resnet50", "densenet121", "mobilenet_v3_large"])
def test_every_convolution_that_feeds_a_batch_norm_has_no_bias(name):
    net = networks.build(name, batch=1)
    fed = [net[layer.inputs[0]] for layer in net if isinstance(layer.op, BatchNorm)]
    assert not any(layer.op.bias for layer in fed if isinstance(layer.op, Conv))


@pytest.mark.parametrize("name", ["resnet50", "resnet152", "densenet201"])
def test_speed_of_building(benchmark, name):
    """A figure (`--benchmark-enable`), not an assertion."""
    assert benchmark(networks.build, name, batch=64).batch == 64
