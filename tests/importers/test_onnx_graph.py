"""ONNX files as networks: the graphs that onnx ships, the zoo written as ONNX, and files that are broken."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx_export import network_to_onnx
from pimmodel.models import networks

from pimmodel.errors import NetworkError
from pimmodel.importers.onnx_graph import import_onnx
from pimmodel.network.network import Network

SHIPPED = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"

# Multiply-accumulates of the convolutions and fully connected layers at batch 1 and 224 x 224, and their output
# elements, by onnx.shape_inference of onnx 1.23.2 (strict mode) on the shipped files.
SHIPPED_COUNTS = {
    "light_bvlc_alexnet": (654_560_384, 609_640),
    "light_densenet121": (2_834_161_664, 6_900_200),
    "light_inception_v1": (1_431_556_352, 3_014_632),
    "light_inception_v2": (2_018_851_840, 3_725_000),
    "light_resnet50": (4_089_184_256, 11_114_984),
    "light_shufflenet": (124_664_528, 3_387_880),
    "light_squeezenet": (349_151_936, 2_589_352),
    "light_vgg19": (19_632_062_464, 14_861_288),
    "light_zfnet512": (1_481_727_008, 1_527_880),
}


def kinds(network: Network) -> list[str]:
    return [layer.op.function if layer.op.kind == "Activation" else layer.op.kind for layer in network]


def heavy(network: Network) -> list[tuple[str, int, int]]:
    """Type, multiply-accumulates and parameters of the CONV and fully connected layers."""
    return sorted((layer.op.kind, layer.macs, layer.parameters) for layer in network if layer.macs)


# ---------------------------------------------------------------------- the graphs that onnx ships


def test_every_shipped_graph_is_covered():
    assert {path.stem for path in SHIPPED.glob("*.onnx")} == set(SHIPPED_COUNTS)


@pytest.mark.parametrize("batch", [1, 2, 7, 256])
@pytest.mark.parametrize("name", SHIPPED_COUNTS)
def test_shipped_graphs_load_at_any_batch_with_the_macs_of_onnx(name, batch):
    network = import_onnx(SHIPPED / f"{name}.onnx", batch=batch)
    macs, outputs = SHIPPED_COUNTS[name]
    assert network.batch == batch
    assert network.macs == batch * macs
    assert sum(layer.output_elements for layer in network if layer.macs) == batch * outputs
    assert {layer.output_shape[0] for layer in network} == {batch}
    assert network[network.outputs[0]].output_shape[:2] == (batch, 1000)


def test_the_shipped_resnet50_is_the_zoos():
    # Both stride in the 3 x 3 convolution of a stage's first block ("v1.5"); striding in the 1 x 1 would give less.
    shipped = import_onnx(SHIPPED / "light_resnet50.onnx", batch=4)
    zoo = networks.build("resnet50", batch=4)
    assert shipped.macs == zoo.macs
    assert shipped.parameters == zoo.parameters
    assert heavy(shipped) == heavy(zoo)


def test_the_shipped_densenet121_is_the_zoos_and_its_split_batch_norms_are_whole():
    shipped, zoo = import_onnx(SHIPPED / "light_densenet121.onnx", batch=2), networks.build("densenet121", batch=2)
    assert (shipped.macs, shipped.parameters) == (zoo.macs, zoo.parameters)
    assert kinds(shipped).count("BatchNorm") == kinds(zoo).count("BatchNorm") == 121
    assert not {"Scale", "Mul", "Add", "Reshape"} & set(kinds(shipped))


def test_the_shipped_shufflenet_has_channel_shuffles():
    names = kinds(import_onnx(SHIPPED / "light_shufflenet.onnx", batch=8))
    assert names.count("ChannelShuffle") == 16
    assert not {"Permute", "Reshape"} & set(names)


def test_image_size_can_be_changed_where_the_graph_permits():
    large = import_onnx(SHIPPED / "light_squeezenet.onnx", image_size=(448, 224))
    assert large[large.outputs[0]].output_shape == (1, 1000, 1, 1)
    assert large.macs > 1.9 * SHIPPED_COUNTS["light_squeezenet"][0]
    with pytest.raises(NetworkError, match="does the image size fit"):
        import_onnx(SHIPPED / "light_vgg19.onnx", image_size=256)


# ---------------------------------------------------------------------- the zoo, written and read again


@pytest.mark.parametrize("name", networks.names())
def test_zoo_networks_survive_a_round_trip(name, tmp_path):
    path = network_to_onnx(networks.build(name, batch=2), tmp_path / "net.onnx")
    onnx.checker.check_model(onnx.load(path))
    for batch in (2, 5):  # the file holds reshapes for batch 2
        zoo, read = networks.build(name, batch=batch), import_onnx(path, batch=batch)
        assert (read.macs, read.parameters) == (zoo.macs, zoo.parameters)
        assert [layer.output_shape for layer in read] == [layer.output_shape for layer in zoo]
        assert [kind.replace("Adaptive", "") for kind in kinds(read)] == [
            kind.replace("Adaptive", "") for kind in kinds(zoo)
        ]


# ---------------------------------------------------------------------- single operators


def save(
    path: Path, nodes: list, constants: dict | None = None, shape: tuple = (2, 4, 8, 8), output: str = "y",
    opset: int = 17, kind: int = TensorProto.FLOAT,
) -> Path:  # fmt: skip
    """A file with input `x` and output `y`."""
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info(output, kind, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in (constants or {}).items()],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)]), path)
    return path


def node(kind: str, inputs: str, outputs: str = "y", **attributes):
    return helper.make_node(kind, inputs.split(), outputs.split(), **attributes)


WEIGHT = {"w": np.zeros((6, 4, 3, 3), np.float16)}


@pytest.mark.parametrize(
    ("nodes", "constants", "opset", "kind", "shape"),
    [
        ([node("Conv", "x w", auto_pad="SAME_UPPER", strides=[2, 2])], WEIGHT, 17, "Conv", (2, 6, 4, 4)),
        ([node("Conv", "x w", auto_pad="SAME_LOWER", dilations=[2, 2])], WEIGHT, 17, "Conv", (2, 6, 8, 8)),
        ([node("Conv", "x w", auto_pad="VALID")], WEIGHT, 17, "Conv", (2, 6, 6, 6)),
        ([node("MaxPool", "x", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)], {}, 17, "Pool", (2, 4, 4, 4)),
        ([node("MaxPool", "x", kernel_shape=[3, 3], dilations=[2, 2])], {}, 17, "Pool", (2, 4, 4, 4)),
        ([node("AveragePool", "x", kernel_shape=[2, 2], auto_pad="SAME_UPPER")], {}, 17, "Pool", (2, 4, 8, 8)),
        ([node("GlobalMaxPool", "x")], {}, 17, "AdaptivePool", (2, 4, 1, 1)),
        ([node("ReduceMean", "x", axes=[2, 3], keepdims=0)], {}, 13, "ReduceMean", (2, 4)),
        ([node("ReduceMean", "x a")], {"a": [-1, -2]}, 18, "AdaptivePool", (2, 4, 1, 1)),
        ([node("Slice", "x", starts=[1], ends=[3], axes=[1])], {}, 9, "Slice", (2, 2, 8, 8)),
        ([node("Slice", "x s e a")], {"s": [-3], "e": [2**62], "a": [1]}, 13, "Slice", (2, 3, 8, 8)),
        ([node("Pad", "x", pads=[0, 0, 1, 2, 0, 0, 3, 4])], {}, 9, "Pad", (2, 4, 12, 14)),
        ([node("Pad", "x p")], {"p": [0, 0, 1, 2, 0, 0, 3, 4]}, 13, "Pad", (2, 4, 12, 14)),
        ([node("Unsqueeze", "x", axes=[0])], {}, 11, "Reshape", (1, 2, 4, 8, 8)),
        ([node("Unsqueeze", "x a")], {"a": [-1]}, 13, "Reshape", (2, 4, 8, 8, 1)),
        ([node("Dropout", "x", ratio=0.1)], {}, 10, "Dropout", (2, 4, 8, 8)),
        ([node("Dropout", "x r")], {"r": np.float32(0.1)}, 13, "Dropout", (2, 4, 8, 8)),
        ([node("Clip", "x", min=0.0, max=6.0)], {}, 6, "relu6", (2, 4, 8, 8)),
        ([node("PRelu", "x s")], {"s": np.zeros((4, 1, 1), np.float32)}, 17, "prelu", (2, 4, 8, 8)),
        ([node("Flatten", "x", axis=-1)], {}, 13, "Reshape", (64, 8)),
        ([node("Split", "x", "y z", axis=1)], {}, 11, "Slice", (2, 2, 8, 8)),
        ([node("Split", "x p", "y z", axis=1)], {"p": [1, 3]}, 13, "Slice", (2, 1, 8, 8)),
        ([node("Transpose", "x", perm=[0, 2, 3, 1])], {}, 17, "Permute", (2, 8, 8, 4)),
        ([node("Gather", "x i", axis=1)], {"i": np.int64(-1)}, 17, "Reshape", (2, 8, 8)),
        ([node("Div", "x c")], {"c": np.float32(2.0)}, 17, "Scale", (2, 4, 8, 8)),
        ([node("Sub", "x c")], {"c": np.zeros((1, 4, 1, 1), np.float32)}, 17, "Scale", (2, 4, 8, 8)),
        ([node("LRN", "x", size=5)], {}, 17, "LocalResponseNorm", (2, 4, 8, 8)),
        ([node("LogSoftmax", "x", axis=1)], {}, 17, "Softmax", (2, 4, 8, 8)),
        ([node("Erf", "x")], {}, 17, "Elementwise", (2, 4, 8, 8)),
    ],
)
def test_operators_become_layers(nodes, constants, opset, kind, shape, tmp_path):
    network = import_onnx(save(tmp_path / "a.onnx", nodes, constants, opset=opset))
    layer = network[network.outputs[0]]
    assert (kinds(network)[-1], layer.output_shape) == (kind, shape)


FLOAT = np.float32
PATTERNS = {
    "silu": ([node("Sigmoid", "x", "g"), node("Mul", "x g")], {}),
    "hardswish": ([node("HardSigmoid", "x", "g"), node("Mul", "g x")], {}),
    "hardsigmoid": ([node("Add", "x t", "a"), node("Clip", "a z s", "b"), node("Div", "b s")],
                    {"t": FLOAT(3), "z": FLOAT(0), "s": FLOAT(6)}),
    "hardswish ": ([node("Add", "x t", "a"), node("Clip", "a z s", "b"), node("Mul", "x b", "c"), node("Div", "c s")],
                   {"t": FLOAT(3), "z": FLOAT(0), "s": FLOAT(6)}),
    "gelu": ([node("Div", "x r", "a"), node("Erf", "a", "b"), node("Add", "b o", "c"), node("Mul", "x c", "d"),
              node("Mul", "d h")], {"r": FLOAT(2**0.5), "o": FLOAT(1), "h": FLOAT(0.5)}),
    "gelu ": ([node("Mul", "x h", "e"), node("Div", "x r", "a"), node("Erf", "a", "b"), node("Add", "b o", "c"),
               node("Mul", "e c")], {"r": FLOAT(2**0.5), "o": FLOAT(1), "h": FLOAT(0.5)}),
    "GroupNorm": ([node("Reshape", "x p", "a"), node("InstanceNormalization", "a s t", "b"), node("Shape", "x", "q"),
                   node("Reshape", "b q", "c"), node("Mul", "c g", "d"), node("Add", "d g")],
                  {"p": [0, 2, -1], "s": np.ones(2, FLOAT), "t": np.zeros(2, FLOAT), "g": np.ones((4, 1, 1), FLOAT)}),
    "LayerNorm": ([node("ReduceMean", "x", "m", axes=[-1]), node("Sub", "x m", "c"), node("Pow", "c k", "p"),
                   node("ReduceMean", "p", "v", axes=[-1]), node("Add", "v e", "w"), node("Sqrt", "w", "r"),
                   node("Div", "c r", "n"), node("Mul", "n g", "o"), node("Add", "o b")],
                  {"k": FLOAT(2), "e": FLOAT(1e-5), "g": np.ones(8, FLOAT), "b": np.ones(8, FLOAT)}),
}  # fmt: skip


@pytest.mark.parametrize("name", PATTERNS)
def test_patterns_of_several_nodes_become_one_layer(name, tmp_path):
    nodes, constants = PATTERNS[name]
    network = import_onnx(save(tmp_path / "a.onnx", nodes, constants), batch=3)
    assert kinds(network) == ["Input", name.strip()]
    expected = {"GroupNorm": 2 * 4, "LayerNorm": 2 * 8}
    assert network.parameters == expected.get(name, 0)


def test_a_matmul_takes_its_bias_and_a_convolution_too(tmp_path):
    nodes = [node("Conv", "x w", "a"), node("Add", "a c", "b"), node("Flatten", "b", "f"), node("MatMul", "f m", "d"),
             node("Add", "d e")]  # fmt: skip
    constants = WEIGHT | {"c": np.zeros((1, 6, 1, 1)), "m": np.zeros((216, 5)), "e": np.zeros(5)}
    network = import_onnx(save(tmp_path / "a.onnx", nodes, constants))
    assert kinds(network) == ["Input", "Conv", "Flatten", "Linear"]
    assert network.parameters == 6 * 4 * 9 + 6 + 216 * 5 + 5
    assert network.macs == 2 * (6 * 6 * 6 * 4 * 9 + 216 * 5)


def test_a_constant_is_not_folded_into_a_tensor_that_others_read(tmp_path):
    nodes = [node("Conv", "x w", "a"), node("Add", "a c", "b"), node("Mul", "a b")]
    network = import_onnx(save(tmp_path / "a.onnx", nodes, WEIGHT | {"c": np.zeros((6, 1, 1), FLOAT)}))
    assert kinds(network) == ["Input", "Conv", "Scale", "Mul"]


def test_shapes_that_the_graph_computes_follow_the_batch(tmp_path):
    nodes = [
        node("Shape", "x", "s"), node("Gather", "s zero", "n"), node("Unsqueeze", "n ax", "n1"),
        node("Gather", "s one", "c"), node("Mul", "c area", "f"), node("Cast", "f", "fi", to=TensorProto.INT64),
        node("Unsqueeze", "fi ax", "f1"), node("Concat", "n1 f1", "t", axis=0), node("Reshape", "x t", "r"),
        node("Gemm", "r w"),
    ]  # fmt: skip
    constants = {"zero": np.int64(0), "one": np.int64(1), "ax": [0], "area": np.int64(64), "w": np.zeros((256, 3))}
    path = save(tmp_path / "a.onnx", nodes, constants, shape=("N", 4, 8, 8))
    assert import_onnx(path, batch=9)["y"].output_shape == (9, 3)
    assert import_onnx(path).batch == 1


def test_shared_weights_count_once(tmp_path):
    nodes = [node("Conv", "x w", "a", pads=[1] * 4), node("Conv", "a w", pads=[1] * 4)]
    network = import_onnx(save(tmp_path / "a.onnx", nodes, {"w": np.zeros((4, 4, 3, 3), FLOAT)}))
    assert network.parameters == 4 * 4 * 9
    assert len(heavy(network)) == 2


def test_nodes_may_come_in_any_order_and_weights_may_be_elsewhere(tmp_path):
    path = save(tmp_path / "a.onnx", [node("Conv", "a w"), node("Relu", "x", "a")], WEIGHT, kind=TensorProto.FLOAT16)
    model = onnx.load(path)
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="absent.bin")
    path.write_bytes(model.SerializeToString())
    assert kinds(import_onnx(path)) == ["Input", "relu", "Conv"]


# ---------------------------------------------------------------------- what cannot be imported


def refused(path: Path | str, message: str, **options) -> None:
    with pytest.raises(NetworkError, match=message) as error:
        import_onnx(path, **options)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)


def test_files_that_are_no_onnx_files(tmp_path):
    refused(tmp_path / "absent.onnx", "no such file")
    refused(tmp_path, "directory")
    for name, content, message in (
        ("empty.onnx", b"", "empty"),
        ("text.onnx", b"this is no protobuf", "not an ONNX"),
        ("zeros.onnx", bytes(100), "not an ONNX"),
        ("cut.onnx", (SHIPPED / "light_vgg19.onnx").read_bytes()[:3000], "not an ONNX file, or cut short"),
    ):
        (tmp_path / name).write_bytes(content)
        refused(tmp_path / name, message)


@pytest.mark.parametrize(
    ("nodes", "constants", "message"),
    [
        ([], {}, "no nodes"),
        ([node("Frobnicate", "x", name="n7")], {}, r"node 'n7' \(Frobnicate\): this operator is not known"),
        ([node("ConvTranspose", "x w")], WEIGHT, "transposed"),
        ([node("Conv", "x w")], {"w": np.zeros((6, 3, 3, 3))}, "for 3 input channels, its input has 4"),
        ([node("Conv", "x w")], {"w": np.zeros((6, 4, 9, 9))}, "image too small"),
        ([node("Conv", "x w")], {"w": np.zeros((6, 4, 3))}, "2-D convolution"),
        ([node("Conv", "x x")], {}, "only a constant"),
        ([node("MatMul", "x x")], {}, "attention"),
        ([node("Relu", "z", "a"), node("Relu", "a", "z"), node("Add", "x z")], {}, "cycle"),
        ([node("Add", "x nowhere")], {}, "'nowhere', which nothing makes"),
        ([node("Relu", "x", "z")], {}, "no output"),
        ([node("Reshape", "x s")], {"s": [7, -1]}, "cannot take the shape"),
        ([node("MaxPool", "x", "z i", kernel_shape=[2, 2]), node("Relu", "i")], {}, "does not model"),
        ([node("Slice", "x s e a t")], {"s": [0], "e": [8], "a": [2], "t": [2]}, "step of 2"),
        ([node("Gemm", "f w"), node("Flatten", "x", "f")], {"w": np.zeros((9, 9))}, "for 9 input features"),
    ],
)
def test_graphs_that_are_not_modelled(nodes, constants, message, tmp_path):
    refused(save(tmp_path / "a.onnx", nodes, constants), message)


def test_volumes_and_sequences_are_refused(tmp_path):
    for shape, message in (((1, 4, 8), "1-D windows"), ((1, 4, 8, 8, 8), "3-D windows")):
        weight = {"w": np.zeros((6, 4) + (3,) * (len(shape) - 2), FLOAT)}
        refused(save(tmp_path / "a.onnx", [node("Conv", "x w")], weight, shape=shape), message)


def test_open_image_sizes_need_a_size(tmp_path):
    path = save(tmp_path / "a.onnx", [node("Conv", "x w")], WEIGHT, shape=("N", 4, "height", "width"))
    refused(path, r"input 'x': dimension 2 \('height'\) has no fixed size; give the image size .*--image-size")
    assert import_onnx(path, image_size=(10, 12)).outputs == ("y",)
    refused(path, "at least 1", image_size=0)
    path = save(tmp_path / "b.onnx", [node("Relu", "x")], {}, shape=(1, "channels", 8, 8))
    refused(path, r"dimension 1 \('channels'\) has no fixed size; fix")


@pytest.mark.parametrize("batch", [0, -3])
def test_batch_must_be_positive(batch):
    refused(SHIPPED / "light_vgg19.onnx", "at least 1", batch=batch)


def test_unknown_operators_count_as_one_pass_on_request(tmp_path):
    path = save(tmp_path / "a.onnx", [node("Frobnicate", "x", "a"), node("Conv", "a w")], WEIGHT)
    assert kinds(import_onnx(path, unknown_ops="elementwise")) == ["Input", "Elementwise", "Conv"]


def test_importing_the_importers_imports_no_framework():
    code = (
        "import sys, pimmodel.importers.onnx_graph, pimmodel.importers.torch_module;"
        "assert not {'onnx', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
