"""Random scenarios' traces, looked at by the independent checker."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pimmodel.validation.checker import check, check_channel
from pimmodel.validation.simulator import replay, simulate
from simulator_cases import BANKS, HBM2, POLICIES, scenario
from test_simulator_properties import KERNELS, streams

CLOCKS = 5000


@settings(max_examples=40, deadline=None)
@given(
    policy=st.sampled_from(sorted(POLICIES)),
    pim=st.sampled_from(KERNELS),
    refresh=st.sampled_from(["off", "all-bank", "per-bank"]),
    stream=streams,
)
def test_every_command_is_legal(policy, pim, refresh, stream):
    if policy == "partitioned" and pim.placement == "distinct" and pim.units == 4:
        pim = pim.model_copy(update={"placement": "same"})
    one = scenario(POLICIES[policy], refresh=refresh, pim=pim, **stream)
    result = simulate(one, cycles=CLOCKS, trace=True)
    assert not check(result.trace, one, end=CLOCKS)


@pytest.mark.parametrize("queues", ["unified", "separate"])
@pytest.mark.parametrize("window", [1, None])
def test_every_replayed_command_is_legal(queues, window):
    requests = [(0, i // 5 % 2, i * 7 % 4, i * 3 % 4, i // 50, i % 32) for i in range(3000)]
    result = replay(
        HBM2, BANKS, requests, queues=queues, window=window, refresh="all-bank", activate_clocks=2, trace=True
    )
    assert not check_channel(result.trace, HBM2, BANKS, refresh="all-bank", activate_clocks=2)
