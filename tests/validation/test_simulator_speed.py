"""Speed of the simulator: `pytest --benchmark-enable`. No assertion on wall-clock time."""

from __future__ import annotations

from pimmodel.validation.simulator import simulate
from simulator_cases import POLICIES, scenario

from pimmodel.scenario import Policy


def test_contention(benchmark):
    """One million clocks of the default contention case: the goal is 10 million clocks per second, 0.1 s here."""
    one = scenario(Policy(kind="exclusive", theta_low=12, theta_high=60))
    simulate(one, cycles=1000)
    result = benchmark(simulate, one, cycles=1_000_000)
    assert result.served > 0
    assert result.pim_steps > 0


def test_host_alone(benchmark):
    """One million clocks of the host alone."""
    simulate(scenario(POLICIES["gpu-only"]), cycles=1000)
    assert benchmark(simulate, scenario(POLICIES["gpu-only"]), cycles=1_000_000).served > 0
