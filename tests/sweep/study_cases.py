"""A small network and system for sweeps."""

from __future__ import annotations

from functools import cache

import pimmodel as pm
from pimmodel.hardware.system import System
from pimmodel.network.network import Network


@cache
def network() -> Network:
    return pm.load_network("resnet18", batch=8, image_size=64)


@cache
def system() -> System:
    return pm.load_system("v100-bankgroup-pim")
