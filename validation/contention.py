"""`pimmodel validate contention`: the closed forms against the reference simulator on random scenarios.

Draws come from the domain of `pimmodel.validation.scenarios`, draw i of a seed being the same whatever the number of
draws. Per draw, four simulations: the host backlogged, the kernel alone, both under `exclusive`, and a finite pair of
both under any policy.
"""

from __future__ import annotations

import csv
import math
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from pimmodel.validation.processes import results
from pimmodel.validation.report import Row
from pimmodel.validation.scenarios import draw_scenario
from pimmodel.validation.simulator.build import kernel_steps
from pimmodel.validation.simulator.simulate import backlogged, kernel_alone, run_pair, simulate

from pimmodel.dram.service import row_times, service_curve, sustained_rate
from pimmodel.errors import PimModelError
from pimmodel.files import whole_file, writing
from pimmodel.pim.kernel import kernel_speed
from pimmodel.scenario import Scenario
from pimmodel.sharing.model import ClosedForm, pair_time
from pimmodel.sharing.turns import handover

Progress = Callable[[int, int], None]
QUANTITIES = (
    "sustained bandwidth",
    "PIM kernel time",
    "host rate, host stalls >= 1 %",
    "PIM rate, regular region",
    "PIM rate, other draws [share of full rate]",
    "pair time, all policies",
)
_LIMITS: dict[str, dict[str, float]] = {
    QUANTITIES[0]: {"median": 0.01, "p95": 0.04, "worst": 0.10},
    QUANTITIES[1]: {"median": 0.01, "p95": 0.03, "worst": 0.06},
    QUANTITIES[2]: {"median": 0.02, "p95": 0.08, "worst": 0.20},
    QUANTITIES[3]: {"median": 0.03, "p95": 0.10, "worst": 0.25},
    QUANTITIES[4]: {"median": 0.005, "p95": 0.03, "worst": 0.10},
    QUANTITIES[5]: {"median": 0.02, "p95": 0.06, "worst": 0.12},
}


@dataclass(frozen=True)
class Effort:
    """How long each simulation of a draw runs [clock]."""

    cycles: int = 2_000_000
    warmup: int = 50_000
    pair: int = 150_000


FULL, QUICK = Effort(), Effort(cycles=300_000, warmup=20_000, pair=40_000)


@dataclass(frozen=True)
class Comparison:
    """One quantity of one draw: formula, simulator, and the error [1]; `scenario` and `seed` re-run it."""

    draw: int
    quantity: str
    policy: str
    formula: float
    simulator: float
    error: float
    scenario: Scenario
    seed: int


def is_regular(scenario: Scenario) -> bool:
    """The regular region: mu(theta_low + 1) >= 1.2 lambda, fill time >= 1.5 x switch overhead."""
    low, high = scenario.policy.theta_low or 0, scenario.policy.theta_high or 1
    room = min(scenario.queue.window, scenario.queue.capacity)
    curve = service_curve(scenario.timing, scenario.organisation, scenario.stream, room)
    speed = kernel_speed(scenario.timing, scenario.organisation, scenario.kernel)
    mu = curve.at(np.array(low + 1.0))
    hand = handover(scenario, speed, row_times(scenario.timing, scenario.stream), mu, mu)
    fill = (min(high, room) - low) / scenario.stream.rate
    return bool(mu >= 1.2 * scenario.stream.rate and fill >= 1.5 * (hand.to_pim + hand.resume))


def compare_draw(seed: int, draw: int, effort: Effort) -> list[Comparison]:
    """All comparisons of one draw."""
    scenario = draw_scenario(random.Random(f"{seed}/{draw}"))
    parts = (scenario.timing, scenario.organisation)
    found: list[Comparison] = []

    def add(quantity: str, formula: float, simulator: float, error: float, what: Scenario = scenario) -> None:
        found.append(Comparison(draw, quantity, what.policy.kind, formula, simulator, error, what, draw))

    def relative(formula: float, simulator: float) -> float:
        return abs(formula - simulator) / simulator if simulator > 0 else (0.0 if formula == 0 else math.inf)

    measured = backlogged(*parts, scenario.stream, scenario.queue, scenario.refresh,
                          cycles=max(200_000, effort.cycles // 4), seed=draw)  # fmt: skip
    predicted = sustained_rate(*parts, scenario.stream, scenario.queue.window, scenario.refresh,
                               capacity=scenario.queue.capacity)  # fmt: skip
    add(QUANTITIES[0], predicted, measured, relative(predicted, measured))

    step = 1 / kernel_speed(*parts, scenario.kernel, scenario.refresh).rate
    # Whole repetitions, as a part of one is not the kernel's mean (the formula only decides how long is measured).
    repetition = step * kernel_steps(scenario.kernel)
    cycles = math.ceil(max(150_000, effort.cycles // 8) / repetition) * repetition
    kernel = kernel_alone(*parts, scenario.kernel, scenario.refresh, cycles=round(cycles), warmup=20_000)
    add(QUANTITIES[1], step, 1 / kernel.pim_step_rate, relative(step, 1 / kernel.pim_step_rate))

    run = simulate(scenario, cycles=effort.cycles, warmup=effort.warmup, seed=draw)
    rates = ClosedForm().rates(scenario)
    share = run.pim_step_rate / kernel.pim_step_rate
    if run.stall_share >= 0.01:
        add(QUANTITIES[2], rates.host_rate, run.host_rate, relative(rates.host_rate, run.host_rate))
    if is_regular(scenario):
        add(QUANTITIES[3], rates.pim_rate, share, relative(rates.pim_rate, share))
    else:
        add(QUANTITIES[4], rates.pim_rate, share, abs(rates.pim_rate - share))
    found.append(_compare_pair(seed, draw, effort))
    return found


def _compare_pair(seed: int, draw: int, effort: Effort) -> Comparison:
    """A pair under any policy: about as many clocks of host work as of PIM work, within a factor of four."""
    rng = random.Random(f"{seed}/{draw}/pair")
    scenario = draw_scenario(rng, policy="any")
    rates = ClosedForm().rates(scenario)
    requests = max(1, round(rates.host_alone * effort.pair))
    steps = max(1, round(rates.pim_alone * effort.pair * 4 ** rng.uniform(-1, 1)))
    formula = pair_time(scenario, requests, steps).clocks
    result = run_pair(scenario, requests, steps, seed=draw)
    simulator = float(max(result.host_clocks, result.pim_clocks))
    error = abs(formula - simulator) / simulator
    return Comparison(draw, QUANTITIES[5], scenario.policy.kind, formula, simulator, error, scenario, draw)


def _task(arguments: tuple[int, int, Effort]) -> list[Comparison]:
    return compare_draw(*arguments)


def validate_contention(
    n: int = 500, seed: int = 0, *, effort: Effort = FULL, workers: int = 1, progress: Progress | None = None
) -> list[Comparison]:
    """Compare formula and simulator on n random scenarios.

    Parameters
    ----------
    n : draws, 1 or more
    seed : any whole number; draw i of a seed is always the same
    effort : clocks per simulation
    workers : processes
    progress : called with (draws done, n)
    """
    if n < 1:
        raise PimModelError(f"--n is {n}; allowed: 1 or more")
    tasks = [(seed, draw, effort) for draw in range(n)]
    found: list[Comparison] = []

    for done, comparisons in enumerate(results(_task, tasks, workers, chunksize=4), start=1):
        found += comparisons
        if progress:
            progress(done, n)
    return found


def rows(comparisons: list[Comparison], seed: int) -> list[Row]:
    """Error statistics per quantity against the targets, and per policy for the pair times."""
    table = [
        Row.of(f"random scenarios, seed {seed}", quantity, [c.error for c in comparisons if c.quantity == quantity],
               _LIMITS[quantity])
        for quantity in QUANTITIES
    ]  # fmt: skip
    pairs = [c for c in comparisons if c.quantity == QUANTITIES[5]]
    for policy in sorted({c.policy for c in pairs}):
        errors = [c.error for c in pairs if c.policy == policy]
        table.append(Row.of(f"random scenarios, seed {seed}", f"pair time, {policy}", errors))
    return table


def worst(comparisons: list[Comparison]) -> list[Comparison]:
    """The worst case of each quantity."""
    return [
        max((c for c in comparisons if c.quantity == quantity), key=lambda c: c.error)
        for quantity in QUANTITIES
        if any(c.quantity == quantity for c in comparisons)
    ]


def write_csv(comparisons: list[Comparison], path: Path) -> None:
    """All comparisons, one a line."""
    with whole_file(path) as draft, draft.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["draw", "quantity", "policy", "formula", "simulator", "error", "scenario_json"])
        for c in comparisons:
            writer.writerow([c.draw, c.quantity, c.policy, c.formula, c.simulator, c.error,
                             c.scenario.model_dump_json(exclude_none=True)])  # fmt: skip


def write_worst(comparisons: list[Comparison], folder: Path) -> None:
    """The worst case of each quantity as a scenario file that `pimmodel simulate` runs."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    for case in worst(comparisons):
        content = case.scenario.model_dump(exclude_none=True, mode="json")
        memory = {"timing": content.pop("timing"), "organisation": content.pop("organisation")}
        name = re.sub(r"[^a-z0-9]+", "-", case.quantity.lower()).strip("-")
        header = f"# {case.quantity}: formula {case.formula:.6g}, simulator {case.simulator:.6g}, draw {case.draw}\n"
        document = {"memory": memory, **content, "cycles": FULL.cycles, "warmup": FULL.warmup, "seed": case.seed}
        with whole_file(folder / f"{name}.yaml") as draft:
            draft.write_text(header + yaml.safe_dump(document, sort_keys=False), encoding="utf-8")


def plot(comparisons: list[Comparison], path: Path) -> None:
    """Scatter of formula against simulator, one panel per quantity."""
    with whole_file(path) as draft:
        figure_of(comparisons).savefig(draft, dpi=120)


def figure_of(comparisons: list[Comparison]) -> Any:
    """Matplotlib figure of formula against simulator, one panel per quantity."""
    from pimmodel.plots import Compared, formula_against_simulator

    units = ("requests/clock", "clocks/step", "requests/clock", "share of full rate", "share of full rate", "clocks")
    named = {quantity: quantity.replace(" [share of full rate]", "") for quantity in QUANTITIES}
    unit_of = dict(zip(QUANTITIES, units, strict=True))
    rows = [Compared(named[c.quantity], unit_of[c.quantity], c.formula, c.simulator) for c in comparisons]
    return formula_against_simulator(rows, list(named.values()))
