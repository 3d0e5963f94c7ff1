"""Who owns the memory: the conditions of the sharing policies, and the steps of a handover and of a refresh."""

from __future__ import annotations

from pimmodel.validation import trace as cmd

from . import commands, pim, source, state
from .jit import compiled


@compiled
def wanted_owner(s, clock):
    """Owner that the policy asks for at `clock`, from what is queued and what this turn has done."""
    channel, p = s.channel, s.parameters
    if p.policy in (state.CONCURRENT, state.GPU_ONLY, state.PIM_ONLY):
        return channel.owner
    if channel.owner == cmd.HOST:
        if not pim.has_work(s):
            return cmd.HOST
        if source.exhausted(s):  # a finite run flushes the host's last requests before the PIM goes on alone
            return cmd.PIM if channel.queued == 0 else cmd.HOST
        return cmd.PIM if host_turn_over(channel, p, clock) else cmd.HOST
    if channel.queued == 0:
        return cmd.PIM
    if not pim.has_work(s) or source.exhausted(s):
        return cmd.HOST
    return cmd.HOST if pim_turn_over(channel, p, clock) else cmd.PIM


@compiled
def host_turn_over(channel, p, clock):
    """Host -> PIM, given that the PIM has work."""
    if p.policy == state.EXCLUSIVE:
        return channel.queued <= p.theta_low or channel.turn_columns >= p.quota_host
    if p.policy == state.WATERMARK:
        return channel.queued <= p.theta_low
    if p.policy == state.BYPASS_CAP:
        return channel.queued == 0 or channel.turn_columns >= p.quota_host
    if p.policy == state.TIME_SLICE:
        return clock - channel.turn_began >= p.slice_host
    if p.policy == state.HOST_FIRST:
        return channel.queued == 0
    return p.policy == state.PIM_FIRST


@compiled
def pim_turn_over(channel, p, clock):
    """PIM -> host, given that a host request is queued and the PIM has work."""
    if p.policy in (state.EXCLUSIVE, state.WATERMARK):
        if p.window_ends_pim_turn and channel.queued + channel.in_flight >= p.window:
            return True
        return channel.queued >= p.theta_high or channel.turn_columns >= p.quota_pim
    if p.policy == state.BYPASS_CAP:
        return channel.turn_columns >= p.quota_pim
    if p.policy == state.TIME_SLICE:
        return clock - channel.turn_began >= p.slice_pim
    return p.policy == state.HOST_FIRST


@compiled
def refreshes_owed(s, clock):
    """All-bank refreshes that are due and not yet done."""
    p = s.parameters
    if p.refresh != state.REFRESH_ALL:
        return 0
    return clock // p.tREFI - s.channel.refreshes


@compiled
def next_refresh(s):
    """Clock from which a refresh may not wait any longer (per bank: is due)."""
    channel, p = s.channel, s.parameters
    if p.refresh == state.REFRESH_ALL:
        return (channel.refreshes + p.postpone) * p.tREFI
    if p.refresh == state.REFRESH_PER_BANK:
        return (channel.refreshes + 1) * p.tREFIpb
    return state.NEVER


@compiled
def look_at_conditions(s, clock):
    """Start a switch, or a refresh that may not wait any longer, if its condition holds."""
    channel, p = s.channel, s.parameters
    wanted = wanted_owner(s, clock)
    if wanted != channel.owner:
        channel.phase = state.DRAIN
        channel.target = wanted
        s.statistics.switches += 1
        commands.record(s, clock, cmd.SWITCH, channel.owner, -1, -1, -1, -1)
    elif p.refresh == state.REFRESH_ALL and clock >= next_refresh(s):
        channel.phase = state.DRAIN
        channel.target = -1


@compiled
def proceed(s, clock):
    """Next step of a handover or refresh: precharge all, refreshes that are owed, mode switch, new owner."""
    channel, p = s.channel, s.parameters
    if channel.phase == state.DRAIN and clock >= commands.all_may_precharge(s):
        commands.precharge_all(s, clock)
        channel.phase = state.CLOSED
        channel.wait_until = clock + p.tRP
        channel.refreshes_now = refreshes_owed(s, clock)
        finish_wait(s)
    elif channel.phase == state.CLOSED and clock >= channel.wait_until:
        if channel.refreshes_now > 0:
            commands.refresh_all(s, clock)
            channel.refreshes_now -= 1
            channel.wait_until = clock + p.tRFC
            finish_wait(s)
        else:
            hand_over(s, clock)


@compiled
def finish_wait(s):
    """After a precharge-all or refresh: wait for the next refresh that is owed, or for the mode switch."""
    channel, p = s.channel, s.parameters
    channel.host_valid = channel.pim_valid = 0
    if channel.refreshes_now > 0:
        channel.wait_until = commands.refresh_ready(s, channel.wait_until)
    elif channel.target >= 0:
        channel.wait_until += p.mode_switch


@compiled
def hand_over(s, clock):
    """The channel is free again: for the new owner if this was a switch, else for the one it had."""
    channel = s.channel
    channel.phase = state.NORMAL
    if channel.target >= 0:
        channel.owner = channel.target
        channel.target = -1
        channel.turn_began = clock
        channel.turn_columns = 0
        commands.record(s, clock, cmd.GRANT, channel.owner, -1, -1, -1, -1)


@compiled
def next_step(s, clock):
    """First clock after `clock` at which `proceed` or `look_at_conditions` can do something."""
    channel, p = s.channel, s.parameters
    if channel.phase == state.DRAIN:
        return max(clock + 1, commands.all_may_precharge(s))
    if channel.phase == state.CLOSED:
        return max(clock + 1, channel.wait_until)
    if wanted_owner(s, clock + 1) != channel.owner:
        return clock + 1
    first = state.NEVER
    if p.policy == state.TIME_SLICE:
        length = p.slice_host if channel.owner == cmd.HOST else p.slice_pim
        if channel.turn_began + length > clock:
            first = channel.turn_began + length
    if p.refresh == state.REFRESH_ALL or channel.blocked_bank < 0:
        first = min(first, next_refresh(s))
    return max(clock + 1, first)
