"""Reference cycle simulator of one pseudo-channel that host and PIM share (what it means: `pimmodel.scenario`).

It shares no formula with the library, only the hardware and scenario descriptions. `engine` is the clock loop, `source`
makes the host's requests, `host` and `pim` decide what each side wants to issue, `commands` enforces the timing,
`ownership` the sharing policies.
"""

from .replay import ReplayResult, Request, replay
from .result import PairResult, SimulationResult
from .simulate import (
    Simulator,
    backlogged,
    host_alone,
    kernel_alone,
    kernel_time,
    run_pair,
    service_rate,
    simulate,
)

__all__ = [
    "PairResult",
    "ReplayResult",
    "Request",
    "SimulationResult",
    "Simulator",
    "backlogged",
    "host_alone",
    "kernel_alone",
    "kernel_time",
    "replay",
    "run_pair",
    "service_rate",
    "simulate",
]
