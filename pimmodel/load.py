"""`load_network`: a zoo name, an ONNX file or a torch module to a Network."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pimmodel.errors import NetworkError, UnknownNameError
from pimmodel.importers import UnknownOps
from pimmodel.network.network import Network
from pimmodel.network.shapes import check_size


def load_network(
    source: str | os.PathLike[str] | Any,
    batch: int | None = None,
    image_size: int | tuple[int, int] | None = None,
    unknown_ops: UnknownOps = "error",
) -> Network:
    """A network from a zoo name ("resnet50"), an .onnx file, or a torch.nn.Module.

    Parameters
    ----------
    source : what to load
    batch : N; default 64 for zoo names and torch modules, the file's own for ONNX
    image_size : H = W, or (H, W) [pixels]; default: the network's usual size
    unknown_ops : "error", or "elementwise" to take unknown operators as non-CONV elementwise layers

    Raises
    ------
    UnknownNameError, NetworkError, MissingExtraError
    """
    _check_sizes(batch, image_size)
    if unknown_ops not in ("error", "elementwise"):
        raise NetworkError(f"unknown_ops is {unknown_ops!r}; allowed: 'error', 'elementwise'")
    if isinstance(source, (str, os.PathLike)):
        return _from_name_or_file(source, batch, image_size, unknown_ops)
    from pimmodel.importers.torch_module import import_torch

    height, width = image_size if isinstance(image_size, tuple) else (image_size or 224,) * 2
    return import_torch(source, batch=batch or 64, input_shape=(3, height, width), unknown_ops=unknown_ops)


def _from_name_or_file(source: Any, batch: int | None, image_size: Any, unknown_ops: UnknownOps) -> Network:
    from pimmodel.models import networks

    text = os.fspath(source)
    if text in networks.names():
        return networks.build(text, batch=batch or 64, image_size=image_size)
    if text.endswith(".onnx") or os.sep in text or _is_file(text):
        from pimmodel.importers.onnx_graph import import_onnx

        return import_onnx(text, batch=batch, image_size=image_size, unknown_ops=unknown_ops)
    raise UnknownNameError("network", text, networks.names(), hint=" (or give an .onnx file)")


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # too long, or no name that a file could have
        return False


def _check_sizes(batch: Any, image_size: Any) -> None:
    sizes = {"batch": batch}
    if isinstance(image_size, tuple):
        if len(image_size) != 2:
            raise NetworkError(f"image size is {image_size!r}; allowed: one number, or (height, width)")
        sizes |= {"image height": image_size[0], "image width": image_size[1]}
    else:
        sizes["image size"] = image_size
    for what, value in sizes.items():
        if value is not None:
            check_size(what, value)
