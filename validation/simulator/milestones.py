"""The clock loop with an eye on milestones: where in its work each side is when something that waits for it may go on.

The clocks themselves are those of `engine`; this loop only decides when to stop and let `step` look around.
"""

from __future__ import annotations

from . import engine, source, state
from .jit import compiled

EXTRA_BITS = 20


@compiled
def advance_to(states, until, requests, credit, born, steps, extra):
    """Simulate up to, and not including, clock `until`, or to the end of the clock that reaches a milestone.

    requests, credit : the host has generated so many requests ever, and has so much credit for the next [2^-40]
    born : no request that was generated in clock `born` or before is queued any more (-1: not looked at)
    steps : the PIM has done so many column steps ever
    extra : clocks by which its arithmetic holds up the step after each, on average [2^-20 clock]

    Returns early when the trace is full; calling again continues.
    """
    s = states[0]
    channel, p = s.channel, s.parameters
    while channel.clock < until:
        if p.tracing and channel.trace_length + engine.TRACE_RESERVE > state.TRACE_BUFFER:
            return
        clock = channel.clock
        before = channel.pim_steps_total
        engine.visit(s, clock)
        if extra > 0 and channel.pim_steps_total > before:
            hold_up_pim(channel, extra)
        if generated(s, requests, credit) or served(s, born) or channel.pim_steps_total >= steps:
            until = clock + 1
        following = clock + 1
        if p.skip:
            following = min(until, engine.next_clock(s, clock), credit_at(s, clock, requests, credit))
            if following > clock + 1:
                source.pass_idle(s, following - clock - 1)
        engine.count_owner(s, following - clock)
        channel.clock = following


@compiled
def hold_up_pim(channel, extra):
    """The step that was issued keeps the units busy for longer than its cadence, by whole clocks that add up."""
    n = channel.pim_steps_total
    clocks = ((n + 1) * extra >> EXTRA_BITS) - (n * extra >> EXTRA_BITS)
    channel.pim_next_rd += clocks
    channel.pim_next_wr += clocks
    channel.pim_end += clocks
    channel.pim_valid = 0


@compiled
def generated(s, requests, credit):
    """True once the host has come so far with its requests."""
    channel = s.channel
    return channel.generated > requests or (channel.generated == requests and channel.credit >= credit)


@compiled
def served(s, born):
    """True once all requests up to those of clock `born` have left the queue."""
    if born < 0:
        return False
    return s.channel.queued == 0 or s.queue[s.order[0]].born > born


@compiled
def credit_at(s, clock, requests, credit):
    """Clock at which the credit for the next request comes to `credit`, if the host generates on."""
    channel, p = s.channel, s.parameters
    if channel.generated != requests or p.credit == 0 or source.exhausted(s) or source.stalled(s):
        return state.NEVER
    return clock + max(1, -(-(credit - channel.credit) // p.credit))
