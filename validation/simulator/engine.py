"""The clock loop.

In a clock: data of earlier columns complete; the conditions of the policy are looked at; the owner issues at most one
row and one column command; the host generates. With `skip`, the clock then jumps to the first one at which anything
can happen. Each part names a lower bound of its next clock; visiting a clock too many changes nothing.
"""

from __future__ import annotations

from pimmodel.validation import trace as cmd

from . import commands, host, ownership, pim, source, state
from .jit import compiled

TRACE_RESERVE = 16  # most entries that one clock can add


@compiled
def advance(states, until):
    """Simulate up to, and not including, clock `until`.

    Returns early when all work is done, when the trace is full, or when the loaded requests run short; calling again
    continues.
    """
    s = states[0]
    channel, p = s.channel, s.parameters
    while channel.clock < until and not channel.done:
        if p.tracing and channel.trace_length + TRACE_RESERVE > state.TRACE_BUFFER:
            return
        if channel.list_more and channel.list_loaded - channel.list_next < p.window:
            return
        clock = channel.clock
        visit(s, clock)
        if p.stop_when_done and all_done(s):
            channel.done = 1
            until = clock + 1
        following = clock + 1
        if p.skip:
            following = min(until, next_clock(s, clock))
            if following > clock + 1:
                source.pass_idle(s, following - clock - 1)
        count_owner(s, following - clock)
        channel.clock = following


@compiled
def visit(s, clock):
    """All that happens in one clock."""
    channel = s.channel
    host.retire(s, clock)
    if channel.phase == state.NORMAL:
        ownership.look_at_conditions(s, clock)
    if channel.phase != state.NORMAL:
        ownership.proceed(s, clock)
    if channel.phase == state.NORMAL:
        issue(s, clock)
    source.generate(s, clock)


@compiled
def start(states):
    """Place the sub-streams of the host; once, before the first `advance`."""
    source.start(states[0])


@compiled
def count_owner(s, clocks):
    """Clocks in which each side owned the channel (switches count for neither)."""
    channel = s.channel
    if channel.phase == state.NORMAL:
        if channel.owner == cmd.HOST:
            s.statistics.host_clocks += clocks
        else:
            s.statistics.pim_clocks += clocks


@compiled
def all_done(s):
    """True when neither side has anything left to do."""
    channel, p = s.channel, s.parameters
    if channel.queued > 0 or pim.has_work(s):
        return False
    if p.source == state.LIST:
        return channel.list_next == channel.list_loaded and not channel.list_more
    return p.source == state.NO_HOST or source.exhausted(s)


@compiled
def needs_host(s):
    """True while the host may issue."""
    return s.parameters.policy == state.CONCURRENT or s.channel.owner == cmd.HOST


@compiled
def needs_pim(s):
    """True while the PIM may issue."""
    return s.parameters.policy == state.CONCURRENT or s.channel.owner == cmd.PIM


@compiled
def make_plans(s, now):
    """Plan for whoever may issue, where what was planned before does not hold any more."""
    channel = s.channel
    if needs_host(s) and not channel.host_valid:
        host.plan(s, now)
    if needs_pim(s) and not channel.pim_valid:
        pim.plan(s, now)


@compiled
def forget_plans(s):
    """A command changed the state of the channel."""
    s.channel.host_valid = 0
    s.channel.pim_valid = 0


@compiled
def issue(s, clock):
    """Issue at most one column and one row command."""
    channel, p = s.channel, s.parameters
    if not p.skip:
        forget_plans(s)
    row_bus_taken = p.refresh == state.REFRESH_PER_BANK and refresh_one_bank(s, clock)
    make_plans(s, clock)
    if p.policy == state.CONCURRENT:
        issue_both(s, clock, row_bus_taken)
        forget_plans(s)  # who had to give way plans anew: an older request may be ready by then
        return
    acted = False
    if channel.owner == cmd.HOST:
        # the row command was planned beside the column and never concerns its bank
        if channel.host_row_at <= clock and not row_bus_taken:
            acted = True
            host.issue_row(s, clock)
        if channel.host_col_at <= clock:
            acted = True
            host.issue_column(s, clock)
    else:
        if channel.pim_row_at <= clock and not row_bus_taken:
            acted = True
            pim.issue_row(s, clock)
        if channel.pim_col_at <= clock:
            if pim.issue_column(s, clock) and channel.pim_row_at == state.NEVER:
                pim.plan_same_segment(s)
            else:
                acted = True
    if acted:
        forget_plans(s)


@compiled
def issue_both(s, clock, row_bus_taken):
    """Host and PIM without turns: on each bus, whoever did not go last goes first.

    A PIM step needs the column path of all its groups at once, which a host that keeps some group busy would never
    leave it. So a step that waits for nothing but host columns lets the host issue no second one. A host read behind
    PIM writes waits longer than a step takes: a column that waits for nothing but steps lets the PIM issue no second.
    """
    channel = s.channel
    host_can = channel.host_col_at <= clock
    pim_can = channel.pim_col_at <= clock
    pim_next = channel.last_column_owner == cmd.HOST
    if pim_can and (pim_next or not (host_can or channel.host_col_own_at <= clock)):
        pim.issue_column(s, clock)
        forget_plans(s)
    elif host_can and not (pim_next and channel.pim_col_own_at <= clock):
        host.issue_column(s, clock)
        forget_plans(s)
    if row_bus_taken:
        return
    make_plans(s, clock)
    host_can = channel.host_row_at <= clock
    pim_can = channel.pim_row_at <= clock
    if pim_can and (channel.last_row_owner == cmd.HOST or not host_can):
        pim.issue_row(s, clock)
        forget_plans(s)
    elif host_can:
        host.issue_row(s, clock)
        forget_plans(s)


@compiled
def refresh_one_bank(s, clock):
    """Per-bank refresh: claim the bank that is due, close it, refresh it; True if the row bus was used."""
    channel, p = s.channel, s.parameters
    if channel.blocked_bank < 0:
        if clock < ownership.next_refresh(s):
            return False
        channel.blocked_bank = channel.refreshes % p.banks
        forget_plans(s)
    b = channel.blocked_bank
    if clock < refresh_step_at(s, b):
        return False
    if s.banks[b].open_row >= 0:
        commands.precharge(s, clock, b, cmd.NOBODY)
    else:
        commands.refresh_bank(s, clock, b)
        channel.blocked_bank = -1
    forget_plans(s)
    return True


@compiled
def refresh_step_at(s, b):
    """First clock of the next row command for the per-bank refresh of bank b."""
    channel, bank = s.channel, s.banks[b]
    if bank.open_row >= 0:
        return commands.pre_ready(s, b)
    return max(bank.next_act, channel.next_refpb, channel.next_row)


@compiled
def next_clock(s, clock):
    """First clock after `clock` at which anything can happen."""
    channel = s.channel
    following = min(ownership.next_step(s, clock), source.next_arrival(s, clock))
    if channel.phase == state.NORMAL and following > clock + 1:
        if channel.blocked_bank >= 0:
            following = min(following, refresh_step_at(s, channel.blocked_bank))
        make_plans(s, clock + 1)
        if needs_host(s):
            following = min(following, channel.host_col_at, channel.host_row_at)
        if needs_pim(s):
            following = min(following, channel.pim_col_at, channel.pim_row_at)
    return max(following, clock + 1)
