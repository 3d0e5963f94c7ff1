"""Modules of torch.nn that torch.fx leaves whole: each is the call of a function with the module's settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pimmodel.importers import torch_views  # noqa: F401  (it registers its converters)
from pimmodel.importers.torch_ops import FUNCTIONS, Call, Weight

Named = Callable[[Any, str], Weight | None]
"""Makes a weight of a module's tensor and its path."""

PLAIN = {
    "ReLU": "relu", "ReLU6": "relu6", "Sigmoid": "sigmoid", "SiLU": "silu", "Hardswish": "hardswish",
    "Hardsigmoid": "hardsigmoid", "GELU": "gelu", "Tanh": "tanh", "LeakyReLU": "leaky_relu", "ELU": "elu",
    "Hardtanh": "hardtanh", "CELU": "celu", "SELU": "selu", "Mish": "mish", "Softplus": "softplus",
    "Softsign": "softsign", "LogSigmoid": "logsigmoid", "Softmax": "softmax", "Softmax2d": "softmax",
    "LogSoftmax": "log_softmax", "Identity": "identity", "Flatten": "flatten", "Unflatten": "unflatten",
    "AdaptiveAvgPool2d": "adaptive_avg_pool2d", "AdaptiveMaxPool2d": "adaptive_max_pool2d",
}  # fmt: skip
"""Modules without weights whose function needs nothing but the input and the result's shape."""

SETTINGS: dict[str, tuple[str, tuple[str, ...]]] = {
    "MaxPool2d": ("max_pool2d", ("kernel_size", "stride", "padding", "dilation", "ceil_mode")),
    "AvgPool2d": ("avg_pool2d", ("kernel_size", "stride", "padding", "ceil_mode")),
    "Dropout": ("dropout", ("p",)),
    "Dropout2d": ("dropout", ("p",)),
    "AlphaDropout": ("dropout", ("p",)),
    "FeatureAlphaDropout": ("dropout", ("p",)),
    "StochasticDepth": ("stochastic_depth", ("p",)),
    "LocalResponseNorm": ("local_response_norm", ("size",)),
    "ZeroPad2d": ("pad", ("padding",)),
    "ConstantPad2d": ("pad", ("padding",)),
    "ReflectionPad2d": ("pad", ("padding",)),
    "ReplicationPad2d": ("pad", ("padding",)),
    "ChannelShuffle": ("channel_shuffle", ("groups",)),
}
"""Modules without weights: their function, and the attributes that are its further arguments, in order."""

UNSUPPORTED = {
    "Conv1d": "1-D convolutions are not supported",
    "Conv3d": "3-D convolutions are not supported",
    "ConvTranspose1d": "transposed convolutions are not supported",
    "ConvTranspose2d": "transposed convolutions are not supported",
    "ConvTranspose3d": "transposed convolutions are not supported",
    "MultiheadAttention": "attention is not supported",
}


def convert_module(call: Call, module: Any, named: Named, *args: Any, **kwargs: Any) -> Any:
    """Layers of one module call; `NotImplemented` where the class is not known."""
    for kind in (base.__name__ for base in type(module).__mro__):
        if kind in UNSUPPORTED:
            raise call.error(UNSUPPORTED[kind])
        if kind in WEIGHTED:
            weight = named(module.weight, f"{call.name}.weight")
            return WEIGHTED[kind](call, module, weight, *args, **kwargs)
        if kind in PLAIN:
            return FUNCTIONS[PLAIN[kind]](call, *args, **kwargs)
        if kind in SETTINGS:
            function, attributes = SETTINGS[kind]
            return FUNCTIONS[function](call, *args, *(getattr(module, name) for name in attributes))
    return NotImplemented


def _conv(call: Call, module: Any, weight: Weight, input: Any) -> Any:
    settings = (module.bias, module.stride, module.padding, module.dilation, module.groups)
    return FUNCTIONS["conv2d"](call, input, weight, *settings)


WEIGHTED: dict[str, Callable[..., Any]] = {
    "Conv2d": _conv,
    "Linear": lambda call, module, weight, input: FUNCTIONS["linear"](call, input, weight, module.bias),
    "_BatchNorm": lambda call, module, weight, input: FUNCTIONS["batch_norm"](call, input, None, None, weight),
    "LayerNorm": lambda call, module, weight, input: FUNCTIONS["layer_norm"](
        call, input, module.normalized_shape, weight
    ),
    "GroupNorm": lambda call, module, weight, input: FUNCTIONS["group_norm"](call, input, module.num_groups, weight),
    "_InstanceNorm": lambda call, module, weight, input: FUNCTIONS["instance_norm"](call, input, None, None, weight),
    "PReLU": lambda call, module, weight, input: FUNCTIONS["prelu"](call, input, weight),
}
"""Modules with weights; batch norm of any rank has one base class."""
