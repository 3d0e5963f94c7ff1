"""Entry points: a scenario, the host alone, a kernel alone, or a finite pair of both, on one simulated channel."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from pimmodel.validation import trace as cmd

from pimmodel.hardware.memory import MemoryTiming, Organisation
from pimmodel.scenario import HostQueue, HostStream, PimKernel, Policy, Rates, Scenario

from . import build, engine, state
from .result import PairResult, SimulationResult

LIMIT = 1 << 40  # clocks after which a finite run is given up


def _run(s: np.ndarray, until: int) -> list[np.ndarray]:
    """Advance to clock `until` (or to the end of the work) and return what the trace buffer held."""
    channel, pieces = s["channel"][0], []
    while channel["clock"] < until and not channel["done"]:
        engine.advance(s, until)
        if s["parameters"][0]["tracing"]:
            pieces.append(s["trace"][0, : channel["trace_length"]].copy())
            channel["trace_length"] = 0
    return pieces


def _scenario_state(scenario: Scenario, *, seed: int, skip_idle: bool, trace: bool) -> np.ndarray:
    """State of a scenario at clock 0."""
    queue, organisation, policy = scenario.queue, scenario.organisation, scenario.policy
    s = state.empty_state()
    build.set_memory(s, scenario.timing, organisation, scenario.refresh)
    p = s["parameters"][0]
    build.set_queue(s, queue.capacity, queue.window, queue.starvation_cap)
    p["skip"], p["tracing"] = skip_idle, trace
    build.set_policy(s, policy, organisation)
    if policy.kind != "gpu-only":
        build.set_kernel(s, scenario.timing, organisation, scenario.kernel, partitioned=policy.kind == "partitioned")
    build.set_stream(s, scenario.stream, seed)
    return s


def _result(s: np.ndarray, cycles: int, queued_before: int, units: int, trace: np.ndarray | None) -> SimulationResult:
    """Counts of a state as a result."""
    stats = s["statistics"][0]
    served = int(stats["served_reads"] + stats["served_writes"])
    counts = {
        name: int(stats[name])
        for name in (
            "generated", "served_reads", "served_writes", "pim_steps", "switches", "row_hits", "row_misses",
            "row_conflicts", "activates", "pim_activates", "precharges", "stall_cycles", "refreshes", "host_clocks",
            "pim_clocks",
        )
    }  # fmt: skip
    return SimulationResult(
        cycles=cycles,
        queued=int(s["channel"][0]["queued"]),
        queued_before=queued_before,
        active_units=int(s["parameters"][0]["units"]),
        units=units,
        mean_latency=float(stats["latency_sum"] / served) if served else float("nan"),
        mean_read_latency=(
            float(stats["read_latency_sum"] / stats["served_reads"]) if stats["served_reads"] else float("nan")
        ),
        latency_histogram=stats["latency_histogram"].copy(),
        trace=trace,
        **counts,
    )


def _measure(s: np.ndarray, *, cycles: int, warmup: int, units: int) -> SimulationResult:
    """Run `warmup` clocks uncounted, then `cycles` counted."""
    pieces = _run(s, warmup)
    s["statistics"] = np.zeros(1, state.STATISTICS)
    queued_before = int(s["channel"][0]["queued"])
    pieces += _run(s, warmup + cycles)
    return _result(s, cycles, queued_before, units, np.concatenate(pieces) if pieces else None)


def simulate(
    scenario: Scenario, *, cycles: int, warmup: int = 0, seed: int = 0, skip_idle: bool = True, trace: bool = False
) -> SimulationResult:
    """Simulate `warmup` clocks uncounted and then `cycles` clocks of a scenario.

    The same seed gives the same result, with and without `skip_idle`. `gpu-only` and `serial` run the host alone here:
    their PIM runs when no host work does, which only :func:`run_pair` shows.
    """
    s = _scenario_state(scenario, seed=seed, skip_idle=skip_idle, trace=trace)
    units = scenario.kernel.units if scenario.policy.kind != "gpu-only" else 0
    return _measure(s, cycles=cycles, warmup=warmup, units=units)


def host_alone(scenario: Scenario, *, cycles: int, warmup: int = 0, seed: int = 0) -> SimulationResult:
    """Host of a scenario with exclusive access to all banks, same window and queue."""
    alone = scenario.model_copy(update={"policy": Policy(kind="gpu-only")})
    return simulate(alone, cycles=cycles, warmup=warmup, seed=seed)


def _kernel_state(
    timing: MemoryTiming, organisation: Organisation, kernel: PimKernel, refresh: str, *, skip_idle: bool, trace: bool
) -> np.ndarray:
    """State of a kernel that owns the channel from clock 0 on."""
    s = state.empty_state()
    build.set_memory(s, timing, organisation, refresh)
    s["parameters"][0]["policy"] = state.PIM_ONLY
    s["parameters"][0]["skip"], s["parameters"][0]["tracing"] = skip_idle, trace
    s["channel"][0]["owner"] = cmd.PIM
    build.set_kernel(s, timing, organisation, kernel)
    return s


def kernel_alone(
    timing: MemoryTiming,
    organisation: Organisation,
    kernel: PimKernel,
    refresh: str = "off",
    *,
    cycles: int,
    warmup: int = 0,
    skip_idle: bool = True,
    trace: bool = False,
) -> SimulationResult:
    """A kernel repeated without end, with exclusive access."""
    s = _kernel_state(timing, organisation, kernel, refresh, skip_idle=skip_idle, trace=trace)
    return _measure(s, cycles=cycles, warmup=warmup, units=kernel.units)


def kernel_time(
    timing: MemoryTiming,
    organisation: Organisation,
    kernel: PimKernel,
    refresh: str = "off",
    *,
    repetitions: int = 1,
    skip_idle: bool = True,
) -> int:
    """Clocks of a kernel run alone, once through its passes: first activate to last column step + cadence [clock]."""
    s = _kernel_state(timing, organisation, kernel, refresh, skip_idle=skip_idle, trace=False)
    s["parameters"][0]["pim_limit"] = repetitions * build.kernel_steps(kernel)
    s["parameters"][0]["stop_when_done"] = 1
    _run(s, LIMIT)
    return int(s["channel"][0]["pim_end"])


def backlogged(
    timing: MemoryTiming,
    organisation: Organisation,
    stream: HostStream,
    queue: HostQueue,
    refresh: str = "off",
    *,
    cycles: int = 1_000_000,
    warmup: int = 20_000,
    seed: int = 0,
) -> float:
    """Sustained requests per clock of the host alone, one request a clock offered [1/clock].

    The stream's own rate does not matter; window and capacity of `queue` limit what the scheduler can choose from.
    """
    s = state.empty_state()
    build.set_memory(s, timing, organisation, refresh)
    build.set_queue(s, queue.capacity, queue.window, queue.starvation_cap)
    build.set_stream(s, stream.model_copy(update={"rate": 1.0, "arrival": "even"}), seed)
    return _measure(s, cycles=cycles, warmup=warmup, units=0).host_rate


def service_rate(
    scenario: Scenario, queued: int, *, cycles: int = 1_000_000, warmup: int = 20_000, seed: int = 0
) -> float:
    """mu(q): requests per clock of the host alone while exactly `queued` requests are queued [1/clock].

    A closed loop: as soon as a request issues its column, the next one is generated; the window does not limit it.
    """
    s = state.empty_state()
    build.set_memory(s, scenario.timing, scenario.organisation, scenario.refresh)
    p = s["parameters"][0]
    build.set_queue(s, queued, state.NEVER, scenario.queue.starvation_cap)
    build.set_stream(s, scenario.stream, seed)
    p["source"] = state.CLOSED_LOOP
    return _measure(s, cycles=cycles, warmup=warmup, units=0).host_rate


def run_pair(
    scenario: Scenario, host_requests: int, pim_steps: int, *, seed: int = 0, skip_idle: bool = True
) -> PairResult:
    """Run a finite amount of host and PIM work under the scenario's policy until both are complete.

    When one side has finished, the other continues with exclusive access. Once the host has generated its last
    request, those still queued are served before the PIM continues. `serial`: host first, then PIM; `gpu-only`: no PIM.
    """
    s = _scenario_state(scenario, seed=seed, skip_idle=skip_idle, trace=False)
    p = s["parameters"][0]
    # a step of fewer units does less of the work
    all_steps = -(-pim_steps * scenario.kernel.units // int(p["units"])) if p["units"] else 0
    p["host_limit"], p["pim_limit"], p["stop_when_done"] = host_requests, all_steps, 1
    if host_requests and scenario.stream.rate == 0:
        raise ValueError("a host of rate 0 never generates the requests that were asked for")
    _run(s, LIMIT)
    channel = s["channel"][0]
    return PairResult(
        host_clocks=int(channel["host_end"]),
        pim_clocks=int(channel["pim_end"]),
        switches=int(s["statistics"][0]["switches"]),
    )


class Simulator:
    """The simulator as a :class:`pimmodel.scenario.ContentionModel`.

    cycles, warmup : clocks counted and clocks before them, of every run [clock]
    seed : seed of the host's random visits
    """

    def __init__(self, cycles: int = 4_000_000, warmup: int = 100_000, seed: int = 0) -> None:
        self.cycles, self.warmup, self.seed = cycles, warmup, seed
        self._host_alone = lru_cache(maxsize=4096)(self._run_host_alone)
        self._kernel_alone = lru_cache(maxsize=4096)(self._run_kernel_alone)

    def _run_host_alone(self, scenario: Scenario) -> SimulationResult:
        return host_alone(scenario, cycles=self.cycles, warmup=self.warmup, seed=self.seed)

    def _run_kernel_alone(
        self, timing: MemoryTiming, organisation: Organisation, kernel: PimKernel, refresh: str
    ) -> float:
        # a kernel alone is periodic: a quarter of the clocks is plenty
        return kernel_alone(
            timing, organisation, kernel, refresh, cycles=max(1, self.cycles // 4), warmup=self.warmup
        ).pim_step_rate

    def rates(self, scenario: Scenario) -> Rates:
        """Progress rates of host and PIM in steady state."""
        kind = scenario.policy.kind
        # the key of the cached run must not depend on policy or kernel, which do not matter to the host alone
        key = scenario.model_copy(update={"policy": Policy(kind="gpu-only"), "kernel": _ANY_KERNEL})
        alone = self._host_alone(key)
        pim_alone = self._kernel_alone(scenario.timing, scenario.organisation, scenario.kernel, scenario.refresh)
        if kind in ("gpu-only", "serial"):
            run, pim_rate = alone, 1.0 if kind == "serial" else 0.0
        else:
            run = simulate(scenario, cycles=self.cycles, warmup=self.warmup, seed=self.seed)
            pim_rate = run.pim_step_rate / pim_alone
        return Rates(
            host_rate=run.host_rate,
            host_alone=alone.host_rate,
            pim_rate=pim_rate,
            pim_alone=pim_alone,
            switches_per_kilocycle=run.switches_per_kilocycle,
            activates_per_request=run.activates_per_request,
            host_stall_share=run.stall_share,
        )


_ANY_KERNEL = PimKernel.model_validate(
    {"passes": [{"operands": [{}]}], "units": 1, "cadence": 1 << 20, "columns_per_row": 1}
)
