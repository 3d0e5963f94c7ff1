"""What a sweep works out, and for what: network, system, policies, outputs."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from pimmodel.errors import PimModelError, UnknownNameError
from pimmodel.estimates import MODELS, POLICIES, Model, Policy
from pimmodel.hardware.change import replace
from pimmodel.hardware.description import leaves
from pimmodel.hardware.system import System
from pimmodel.network.network import Network
from pimmodel.network.rebatch import with_batch
from pimmodel.network.training import Optimizer, Precision
from pimmodel.step import Step, prepare
from pimmodel.sweep.axes import HIGH, LOW, OWN, Designs

STAGED: tuple[Policy, ...] = ("gpu-only", "serial", "exclusive", "ideal")
OUTPUTS = ("time", "speedup", "energy", "bound", "interval")
DEFAULT = ("time", "speedup", "energy", "bound")
BASES: tuple[Policy, ...] = ("gpu-only", "serial")  # that speedups are over


@dataclass(frozen=True, eq=False)
class Study:
    """One sweep.

    network, system : the design that others differ from
    designs : which designs
    policies : of `STAGED`, or of all where `model` is "schedule"; outputs : of `OUTPUTS`
    low, high : thresholds of all host tasks, where they do not vary; None: the best for each
    chunks : of the CONV tasks, where they do not vary [1]
    model : "stages" or "schedule", as for `pimmodel.estimate`
    """

    network: Network
    system: System
    designs: Designs
    policies: tuple[str, ...] = STAGED
    outputs: tuple[str, ...] = DEFAULT
    low: int | None = None
    high: int | None = None
    chunks: int = 1
    precision: Precision = "fp32"
    optimizer: Optimizer = "sgd-momentum"
    fuse_activation: bool = False
    model: Model = "stages"
    figures: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        if self.model not in MODELS:
            raise UnknownNameError("model", self.model, MODELS)
        policies: tuple[str, ...] = STAGED if self.model == "stages" else POLICIES
        for what, wanted, known in (("policies", self.policies, policies), ("outputs", self.outputs, OUTPUTS)):
            for one in wanted:
                if one not in known:
                    raise UnknownNameError(f"one of the {what}", one, known)
            if not wanted or len(set(wanted)) < len(wanted):
                raise PimModelError(f"{what} are {list(wanted)}; allowed: one or more of {', '.join(known)}, each once")
        if self.model == "schedule" and "interval" in self.outputs:
            raise PimModelError("outputs have 'interval', which only the stage model gives; allowed: model 'stages'")
        varied = {axis.name for axis in self.designs.axes}
        given = {LOW: self.low is not None or LOW in varied, HIGH: self.high is not None or HIGH in varied}
        if given[LOW] != given[HIGH]:
            missing = LOW if given[HIGH] else HIGH
            raise PimModelError(
                f"{missing} is not given; allowed: both thresholds, or neither (then the best are taken)"
            )
        object.__setattr__(self, "figures", self._figures())

    def _figures(self) -> tuple[str, ...]:
        found = [f"time {name}" for name in self.policies] if "time" in self.outputs else []
        if "speedup" in self.outputs:
            found += [f"speedup {name} over {base}" for name in self.policies for base in BASES]
        if "energy" in self.outputs:
            found += [f"energy {name}" for name in self.policies if name != "ideal"]
        if "bound" in self.outputs:
            found.append("bound")
        if "interval" in self.outputs:
            found += [f"time_{end} {name}" for end in ("low", "high") for name in self.policies]
            found += [f"speedup_{end} {name} over {base}" for end in ("low", "high") for name in self.policies
                      for base in BASES]  # fmt: skip
        return tuple(found)

    @property
    def needed(self) -> set[str]:
        """Policies whose times must be known."""
        return {*self.policies, *(BASES if {"speedup", "interval"} & set(self.outputs) else ())}

    @property
    def simple(self) -> bool:
        """Whether anything but the exclusive policy is wanted."""
        return bool(self.needed - {"exclusive"}) or "bound" in self.outputs

    def step(self, values: Mapping[str, Any]) -> Step:
        """The training step of a design, prepared for estimates.

        Raises
        ------
        PimModelError : values that the description or the network forbids.
        """
        network = with_batch(self.network, int(values["batch"])) if "batch" in values else self.network
        changed = {name: one for name, one in values.items() if name not in OWN}
        system = replace(self.system, changed) if changed else self.system
        return prepare(network, system, precision=self.precision, optimizer=self.optimizer,
                       fuse_activation=self.fuse_activation)  # fmt: skip

    @functools.cached_property
    def fingerprint(self) -> str:
        """Changes with everything that figures depend on: parts of another study are not taken for this one's."""
        facts = {
            "version": version("pimmodel"), "system": leaves(self.system), "figures": self.figures,
            "chunks": self.chunks,
            "thresholds": [self.low, self.high], "shape": self.designs.shape, "method": self.designs.method,
            "options": [self.model, self.precision, self.optimizer, self.fuse_activation],
            "network": [[layer.name, repr(layer.op), layer.inputs, layer.output_shape] for layer in self.network],
        }  # fmt: skip
        digest = hashlib.sha256(json.dumps(facts, default=str, sort_keys=True).encode())
        for begin in range(0, len(self.designs), max(1, len(self.designs) // 64)):
            part = self.designs.part(begin, begin + 1)
            digest.update(repr([(name, one.tolist()) for name, one in part.items()]).encode())
        return digest.hexdigest()
