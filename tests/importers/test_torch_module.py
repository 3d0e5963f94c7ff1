"""PyTorch modules as networks; PyTorch itself counts the parameters and multiply-accumulates that are expected."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: the import of torch.nn.Module is not tested")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from pimmodel.errors import NetworkError  # noqa: E402
from pimmodel.importers.torch_module import import_torch  # noqa: E402
from pimmodel.network.network import Network  # noqa: E402


def conv_bn(c: int, k: int, size: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(c, k, size, stride, size // 2, groups=groups, bias=False), nn.BatchNorm2d(k), nn.ReLU(inplace=True)
    )


class Plain(nn.Module):
    """Functional calls, tensor methods and arithmetic with sizes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 5, 2, "valid", dilation=2)
        self.norm = nn.GroupNorm(2, 8)
        self.fc = nn.Linear(8 * 4 * 4, 10)

    def forward(self, x):
        x = F.relu(self.norm(self.conv(x)))
        x = F.adaptive_avg_pool2d(F.max_pool2d(x, 3, 2, 1), 4)
        x = F.dropout(x, 0.2, self.training)
        return F.log_softmax(self.fc(x.view(x.size(0), -1)), dim=1)


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = conv_bn(3, 16, 7, 2)
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.body = nn.Sequential(conv_bn(16, 16, 3), nn.Conv2d(16, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16))
        self.short = nn.Identity()
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10))

    def forward(self, x):
        x = self.pool(self.stem(x))
        y = self.body(x)
        y += self.short(x)
        return self.head(torch.relu_(y))


class Squeeze(nn.Module):
    """Inverted residual with squeeze-and-excitation, as in MobileNet v3 and EfficientNet."""

    def __init__(self) -> None:
        super().__init__()
        self.expand = nn.Sequential(nn.Conv2d(3, 24, 1, bias=False), nn.BatchNorm2d(24), nn.Hardswish())
        self.depthwise = conv_bn(24, 24, 5, 2, groups=24)
        self.reduce, self.widen = nn.Conv2d(24, 6, 1), nn.Conv2d(6, 24, 1)
        self.project = nn.Conv2d(24, 8, 1)
        self.slope = nn.PReLU(8)

    def forward(self, x):
        x = self.depthwise(self.expand(x))
        gate = F.silu(self.reduce(x.mean((2, 3), keepdim=True)))
        gate = F.relu6(self.widen(gate) + 3.0) / 6.0
        x = self.project(gate * x)
        return self.slope(x * torch.sigmoid(x))


class Dense(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Sequential(nn.BatchNorm2d(c), nn.ReLU(), nn.Conv2d(c, 4, 3, padding=1)) for c in
                                    (3, 7, 11))  # fmt: skip

    def forward(self, x):
        features = [x]
        for layer in self.layers:
            features.append(layer(torch.cat(features, 1)))
        return F.avg_pool2d(torch.cat(features, dim=1), 2)


class Inception(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = conv_bn(3, 4, 1), nn.Sequential(conv_bn(3, 4, 1), conv_bn(4, 6, 3))
        self.c = nn.Sequential(nn.MaxPool2d(3, 1, 1, ceil_mode=True), nn.Conv2d(3, 2, (1, 3), padding=(0, 1)))

    def forward(self, x):
        return torch.cat([self.a(x), self.b(x), self.c(x)], 1)


class Shuffle(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1)
        self.right = conv_bn(4, 4, 3, groups=4)

    def forward(self, x):
        a, b = self.stem(x).chunk(2, dim=1)
        x = torch.cat((a, self.right(b)), dim=1)
        n, c, h, w = x.size()
        x = x.view(n, 2, c // 2, h, w)
        x = torch.transpose(x, 1, 2).contiguous()
        return x.view(n, -1, h, w)


class NextBlock(nn.Module):
    """A block of ConvNeXt: depthwise convolution, then channels-last layer norm and linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 4, 4)
        self.depthwise = nn.Conv2d(16, 16, 7, padding=3, groups=16)
        self.norm = nn.LayerNorm(16)
        self.up, self.down = nn.Linear(16, 64), nn.Linear(64, 16)
        self.scale = nn.Parameter(torch.ones(16, 1, 1))

    def forward(self, x):
        x = self.stem(x)
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        y = self.down(F.gelu(self.up(y))).permute(0, 3, 1, 2)
        return (x + self.scale * y)[:, :, 1:-1, 1:-1]


class ByShape(nn.Module):
    """Python code that decides by the image's size, which torch.fx cannot trace."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.drop, self.fc = nn.Dropout(0.3), nn.Linear(8, 10)

    def forward(self, x):
        x = self.norm(self.conv(x))
        while x.shape[2] > 4:
            a, b = F.relu6(x).split(4, dim=1)
            x = F.max_pool2d(torch.cat([b, F.silu(a)], 1), 2)
        x = F.hardswish(x) * 0.5 + F.pad(x, (1, 1, 1, 1))[..., 1:-1, 1:-1]
        return self.fc(self.drop(x.mean([2, 3]).flatten(1)))


MODULES = [Plain, Residual, Squeeze, Dense, Inception, Shuffle, NextBlock, ByShape]


def counted(module: nn.Module, shape: tuple[int, ...]) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module.eval()(torch.zeros(shape))
    return counter.get_total_flops() // 2


def kinds(network: Network) -> list[str]:
    return [layer.op.function if layer.op.kind == "Activation" else layer.op.kind for layer in network]


@pytest.mark.parametrize("kind", MODULES)
@pytest.mark.parametrize("batch", [1, 3])
def test_macs_parameters_and_shape_are_those_that_pytorch_counts(kind, batch):
    module = kind()
    network = import_torch(module, batch, (3, 32, 40))
    assert network.macs == counted(module, (batch, 3, 32, 40))
    assert network.parameters == sum(parameter.numel() for parameter in module.parameters())
    assert network[network.outputs[0]].output_shape == tuple(module(torch.zeros(batch, 3, 32, 40)).shape)


@pytest.mark.parametrize("kind", [k for k in MODULES if k is not ByShape])
def test_both_tracers_find_the_same_network(kind, monkeypatch):
    by_fx = import_torch(kind(), 2, (3, 32, 32))
    monkeypatch.setattr("pimmodel.importers.torch_module._fx_trace", lambda *_: None)
    by_export = import_torch(kind(), 2, (3, 32, 32))
    assert kinds(by_export) == kinds(by_fx)
    assert (by_export.macs, by_export.parameters) == (by_fx.macs, by_fx.parameters)


def test_patterns_become_one_layer():
    assert kinds(import_torch(Shuffle(), 2, (3, 8, 8)))[-1] == "ChannelShuffle"
    squeeze = kinds(import_torch(Squeeze(), 2, (3, 8, 8)))
    assert squeeze[-4:] == ["Mul", "Conv", "silu", "prelu"]
    assert "hardsigmoid" in squeeze
    assert "Scale" not in squeeze


def test_layers_keep_the_names_of_their_modules():
    for kind, name in ((Residual, "body.0.0"), (ByShape, "conv")):
        assert import_torch(kind(), 1, (3, 32, 32))[name].op.kind == "Conv"


def test_the_users_module_is_left_alone():
    module = Residual().train()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    import_torch(module, 4, (3, 32, 32))
    assert module.training
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())
    assert {parameter.device.type for parameter in module.parameters()} == {"cpu"}


@pytest.mark.parametrize("by_export", [False, True])
def test_shared_modules_and_tied_weights_count_once(by_export, monkeypatch):
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.twin = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
            self.twin.weight, self.twin.bias = self.conv.weight, self.conv.bias

        def forward(self, x):
            return self.twin(self.conv(self.conv(x)))

    if by_export:
        monkeypatch.setattr("pimmodel.importers.torch_module._fx_trace", lambda *_: None)
    network = import_torch(Shared(), 1, (3, 8, 8))
    assert network.parameters == 3 * 3 * 3 * 3 + 3
    assert network.macs == 3 * (3 * 8 * 8) * (3 * 3 * 3)


def test_dropout_stays_because_training_runs_it():
    assert "Dropout" in kinds(import_torch(Plain(), 1, (3, 32, 32)))


def test_a_network_that_would_not_fit_in_memory_is_traced_without_memory():
    with torch.device("meta"):
        module = nn.Sequential(nn.Flatten(), nn.Linear(3 * 1024 * 1024, 1_000_000))
    assert import_torch(module, 8, (3, 1024, 1024)).macs == 8 * 3 * 1024 * 1024 * 1_000_000


class Attention(nn.Module):
    def forward(self, x):
        return x @ x.transpose(-1, -2)


class Sorted(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)

    def forward(self, x):
        return torch.erfinv(self.conv(x))


class ByValue(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


@pytest.mark.parametrize(
    ("module", "shape", "message"),
    [
        (Sorted(), (3, 8, 8), "erfinv"),
        (Attention(), (3, 8, 8), "attention"),
        (ByValue(), (3, 8, 8), "neither torch.fx nor torch.export"),
        (nn.Sequential(nn.Conv2d(4, 4, 3)), (3, 8, 8), "cannot run on an input of shape"),
        (nn.Sequential(nn.Conv3d(3, 4, 1)), (3, 8, 8, 8), "3-D convolutions"),
        (nn.Sequential(nn.ConvTranspose2d(3, 4, 1)), (3, 8, 8), "transposed"),
        (nn.Sequential(nn.Upsample(scale_factor=2)), (3, 8, 8), "Upsample"),
        (nn.Sequential(nn.Conv2d(3, 4, 1)), (3, 0, 8), "at least 1"),
        (object(), (3, 8, 8), "not a torch.nn.Module"),
    ],
)
def test_what_cannot_be_imported_is_named_in_one_line(module, shape, message):
    with pytest.raises(NetworkError, match=message) as error:
        import_torch(module, 1, shape)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("batch", [0, -1])
def test_batch_must_be_positive(batch):
    with pytest.raises(NetworkError, match="at least 1"):
        import_torch(Residual(), batch)


def test_unknown_calls_count_as_one_pass_on_request():
    network = import_torch(Sorted(), 1, (3, 8, 8), unknown_ops="elementwise")
    assert kinds(network) == ["Input", "Conv", "Elementwise"]
