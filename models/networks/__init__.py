"""The built-in networks: `names()` lists them, `build(name, batch)` makes one.

One module per family; a family is imported when one of its networks is built, so that listing names costs nothing.
Architectures and layer names are torchvision's (`layer1.0.conv1`) where it has the network, without the auxiliary
classifiers that GoogLeNet and Inception v3 can train with. A family module holds `NETWORKS`, a dictionary from the
network's name to a function `(builder, image, classes) -> output`, which adds its layers behind the layer `image`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from pimmodel.errors import NetworkError, UnknownNameError

if TYPE_CHECKING:
    from pimmodel.network.network import Network

FAMILIES: dict[str, tuple[str, ...]] = {
    "alexnet": ("alexnet",),
    "vgg": ("vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn"),
    "googlenet": ("googlenet",),
    "inception": ("inception_v3",),
    "resnet": ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d", "wide_resnet50_2"),
    "densenet": ("densenet121", "densenet169", "densenet201"),
    "mobilenet": ("mobilenet_v1", "mobilenet_v2", "mobilenet_v3_large"),
    "squeezenet": ("squeezenet1_0", "squeezenet1_1"),
    "shufflenet": ("shufflenet_v2_x1_0",),
    "efficientnet": ("efficientnet_b0",),
    "convnext": ("convnext_tiny",),
}
"""Family module -> the networks it builds."""

USUAL_IMAGE_SIZE = 224
_OTHER_IMAGE_SIZE = {"inception_v3": 299}
_FAMILY_OF = {name: family for family, members in FAMILIES.items() for name in members}


def names() -> list[str]:
    """Names of the built-in networks, family by family."""
    return list(_FAMILY_OF)


def usual_image_size(name: str) -> int:
    """Height and width that a network was designed for [pixels]."""
    return _OTHER_IMAGE_SIZE.get(_known(name), USUAL_IMAGE_SIZE)


def build(name: str, batch: int = 64, image_size: int | tuple[int, int] | None = None, classes: int = 1000) -> Network:
    """A built-in network for colour images.

    Parameters
    ----------
    name : one of `names()`
    batch : N, images per step
    image_size : H = W, or (H, W) [pixels]; default: the network's usual size
    classes : outputs of the last layer

    Raises
    ------
    UnknownNameError : no network of that name
    NetworkError : a size is not a whole number of at least 1, or the image is too small for a layer

    >>> build("resnet50", batch=64)
    Network('resnet50', 176 layers, input (64, 3, 224, 224), 25.56 M parameters)
    """
    family = _FAMILY_OF[_known(name)]
    size = usual_image_size(name) if image_size is None else image_size
    height, width = size if isinstance(size, tuple) and len(size) == 2 else (size, size)
    from pimmodel.network.network import NetworkBuilder
    from pimmodel.network.ops import Input
    from pimmodel.network.shapes import check_size

    for what, value in {"batch": batch, "image height": height, "image width": width, "classes": classes}.items():
        check_size(f"network {name}: {what}", value)
    builder = NetworkBuilder(name)
    image = builder.add(Input((batch, 3, height, width)), name="input")
    try:
        output = import_module(f"{__name__}.{family}").NETWORKS[name](builder, image, classes)
    except NetworkError as error:
        raise NetworkError(f"{error} (image size {height} x {width})") from None
    return builder.build([output])


def _known(name: str) -> str:
    if name not in _FAMILY_OF:
        raise UnknownNameError("network", str(name), names())
    return name
