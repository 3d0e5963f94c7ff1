r"""`uncoordinated`: host and PIM share all banks, and each closes the other's rows once a column came from them.

A *session* is what the PIM gets between two losses of a bank of its set, in mean values:

* its steps K: a row whose columns follow each other no later than their time to precharge cannot be closed in between,
  so a whole segment; else those that fit before the first bank may be precharged (tRAS). Operands in distinct banks are
  taken and taken back side by side, so the sessions of all of them are one;
* what a loss costs, T: tail, tRP, the host's row (tRAS, or tRCD and a column), tRP, the PIM's activates, each behind
  one of the host's, tRCD;
* how probable a loss is: host rows come to a bank of the set at rate A: :math:`p = 1 - e^{-A t_s}`.

Every session serves a bank's host rows h columns each, so that banks of the set pass at most h columns per session;
what waits for them fills the window, so the host as a whole gets no more either. Rows opened in advance (hidden row
switch) the host may not close before the PIM has used them: within one row of the PIM it gets no more than the requests
until the window is full of such waiting ones. A host held up that way leaves the PIM alone meanwhile.

Neglected: the order of events, refresh of a bank that is lost, direction of the host's columns, and the gaps that host
columns open between steps, in which a row may be closed early (a kernel of reads beside single random reads is two to
four times too fast). A first-order form. Known error of a pair's time on 80 random pairs (seeds 21, 22, not looked at
before): median 11 %, p90 39 %, p95 57 %, worst 165 %.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pimmodel.dram.rows import activate_interval
from pimmodel.formula import formula, sp
from pimmodel.pim.kernel import activate_ramp
from pimmodel.pim.recurrence import Recurrence
from pimmodel.scenario import Scenario
from pimmodel.sharing.column_path import column_capacity, delays_of, host_pace, progress
from pimmodel.sharing.partition import host_beside

_ROUNDS = 12  # of the two rates against each other, half a step each


@formula
def session_rate(session_steps: Any, work_rate: Any, taken: Any, lost: Any) -> Any:
    r"""Column steps per clock in sessions that a loss ends with probability p.

    .. math:: \rho = K / (K / \rho_P + p\, T)

    Symbols: K steps of a session [1], rho_P steps per clock without losses [1/clock], p [1], T clocks of a loss
    [clock]. Returns [1/clock]. Validity: losses do not overlap sessions. Known error: not measured apart, see the
    module docstring. Source: renewal-reward argument.
    """
    return session_steps / (session_steps / work_rate + taken * lost)


@formula
def loss_probability(activates: Any, turn: Any) -> Any:
    r"""Probability that the host opens a row in a bank of the PIM's set during a session.

    .. math:: p = 1 - e^{-A T}

    Symbols: A host activates in the set per clock [1/clock], T clocks of a session and a loss [clock]. Returns [1].
    Validity: host rows come independently of the PIM. Known error: exact there. Source: Poisson events.
    """
    return 1 - sp.exp(-activates * turn)


@dataclass(frozen=True)
class Session:
    """Mean steps of a session [1], clocks of a loss [clock], steps of one row of all operands [1]."""

    steps: float
    lost: float
    row_steps: float


def session_of(scenario: Scenario) -> Session:
    """Sessions of a kernel whose banks the host takes whenever it may, averaged over the kernel's operands."""
    timing, organisation, kernel = scenario.timing, scenario.organisation, scenario.kernel
    w = scenario.stream.write_share
    ramp = activate_ramp(timing, organisation, kernel)
    slots = kernel.units * float(activate_interval(tRRD=timing.tRRD_S, tFAW=timing.tFAW))
    host_row = max(
        float(timing.tRAS),
        (1 - w) * (timing.tRCDRD + timing.tRTP) + w * (timing.tRCDWR + timing.write_to_precharge) + timing.tCCD_L,
    )
    sessions = steps = lost = row_steps = rows = 0.0
    for one in kernel.passes:
        k = len(one.operands)
        together = k if kernel.placement == "distinct" else 1
        segment = kernel.columns_per_row if k == 1 else min(kernel.registers, kernel.columns_per_row)
        for operand in one.operands:
            tail = timing.write_to_precharge if operand.write else timing.tRTP
            tRCD = timing.tRCDWR if operand.write else timing.tRCDRD
            made = segment
            if kernel.cadence > tail:
                made = min(segment, 1 + max(0, timing.tRAS - ramp - tRCD) // kernel.cadence)
            count = one.rows * kernel.columns_per_row / made / together
            sessions += count
            steps += count * made * together
            lost += count * (tail + timing.tRP + host_row + timing.tRP + ramp + together * slots + tRCD)
        rows += one.rows
        row_steps += one.rows * k * kernel.columns_per_row
    return Session(steps / sessions, lost / sessions, row_steps / rows)


def columns_per_opening(scenario: Scenario, queued: float) -> float:
    """Columns that the host gets from a row before the PIM closes it: those queued for it, as far as tRAS lasts [1]."""
    timing, stream, w = scenario.timing, scenario.stream, scenario.stream.write_share
    waiting = max(1.0, queued / (stream.substreams * stream.spread))
    tRCD = (1 - w) * timing.tRCDRD + w * timing.tRCDWR
    return min(float(stream.columns), waiting, 1 + (timing.tRAS - tRCD) / (2 * timing.tCCD_L))


def uncoordinated(scenario: Scenario) -> tuple[float, float, float]:
    """Host requests per clock, column steps per clock, and host activates per request under `uncoordinated`."""
    timing, organisation, kernel = scenario.timing, scenario.organisation, scenario.kernel
    stream, refresh, banks = scenario.stream, scenario.refresh, scenario.organisation.banks
    window = scenario.queue.room
    per_unit = banks // kernel.units
    operands = max(len(one.operands) for one in kernel.passes)
    apart = Recurrence(timing, organisation, kernel, refresh).apart
    pace = host_pace(timing, stream, window)
    room = column_capacity(timing, organisation, kernel, refresh, 0, stream.write_share, pace, 1.0)
    most, activates = host_beside(scenario, timing, banks, room)
    session = session_of(scenario)
    distinct = kernel.placement == "distinct"
    in_set = kernel.units * (min(operands, per_unit) if distinct else 1)
    ahead = 0.0  # share of the banks that hold rows opened in advance
    if kernel.row_switch == "hidden" and per_unit > 1:
        ahead = min(operands, per_unit - operands) / per_unit if distinct else 1 / per_unit
    host, pim, columns = most, 1 / kernel.cadence, 1.0
    for _ in range(_ROUNDS):
        delays = delays_of(timing, apart, stream.write_share, pace, max(host, 1e-6))
        run = progress(timing, organisation, kernel, refresh, 0, delays)
        alone = run.steps / run.clocks
        stalled = host < 0.98 * stream.rate
        columns = columns_per_opening(scenario, window if stalled else min(window, host * session.lost))
        taken = loss_probability(activates=in_set * host / (banks * columns), turn=session.steps / alone + session.lost)
        disturbed = float(session_rate(session_steps=session.steps, work_rate=alone, taken=taken, lost=session.lost))
        # A host that waits for rows opened in advance leaves the PIM alone.
        active = min(1.0, host / max(most, 1e-9)) if ahead > 0 else 1.0
        pim = (pim + active * disturbed + (1 - active) * alone) / 2
        limit = banks * columns * pim / session.steps
        if ahead > 0:
            limit = min(limit, window / ahead * pim / session.row_steps)
        host = (host + min(most, limit)) / 2
    return host, pim, max(activates, 1 / columns)
