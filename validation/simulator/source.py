"""Where the host's requests come from: reference stream, closed loop or list; the rules are in `pimmodel.scenario`."""

from __future__ import annotations

import numpy as np

from . import host, state
from .jit import compiled


@compiled
def random_bits(channel):
    """Next 64 random bits (splitmix64)."""
    channel.random += np.uint64(0x9E3779B97F4A7C15)
    z = channel.random
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@compiled
def random_below(channel, n):
    """Uniform integer in 0 .. n - 1 (n < 2^31; the bias is below 2^-32)."""
    return np.int64(((random_bits(channel) >> np.uint64(32)) * np.uint64(n)) >> np.uint64(32))


@compiled
def start_visit(s, i):
    """Sub-stream i turns to fresh rows."""
    channel, p, sub = s.channel, s.parameters, s.substreams[i]
    sub.first_bank = random_below(channel, p.host_banks)
    sub.label = channel.next_row_label
    channel.next_row_label += 1
    sub.write = np.int64(np.int64(random_bits(channel) >> np.uint64(11)) < p.write_threshold)
    sub.step = sub.column = 0


@compiled
def start(s):
    """Put every sub-stream at a random place of its first visit."""
    channel, p = s.channel, s.parameters
    for i in range(p.substreams):
        start_visit(s, i)
        place = random_below(channel, p.spread * p.columns)
        s.substreams[i].step = place % p.spread
        s.substreams[i].column = place // p.spread
    draw_need(s)


@compiled
def draw_need(s):
    """Credit that the next arrival needs: 1, or an exponential variate of mean 1 for Poisson arrivals."""
    channel = s.channel
    if s.parameters.poisson:
        uniform = (np.float64(random_bits(channel) >> np.uint64(11)) + 0.5) * 2.0**-53
        channel.need = max(1, np.int64(-np.log(uniform) * state.CREDIT_ONE))
    else:
        channel.need = state.CREDIT_ONE


@compiled
def next_of_stream(s, clock):
    """Generate the next request of the reference stream: sub-streams in turn, banks in turn within a visit."""
    channel, p = s.channel, s.parameters
    sub = s.substreams[channel.next_substream]
    b = sub.first_bank + sub.step
    while b >= p.host_banks:  # spread may exceed the banks that a partition leaves
        b -= p.host_banks
    column = sub.column if sub.column < p.columns_per_row else sub.column % p.columns_per_row
    host.enqueue(s, clock, b, sub.label, column, sub.write, clock)
    sub.step += 1
    if sub.step == p.spread:
        sub.step = 0
        sub.column += 1
        if sub.column == p.columns:
            start_visit(s, channel.next_substream)
    channel.next_substream += 1
    if channel.next_substream == p.substreams:
        channel.next_substream = 0


@compiled
def stalled(s):
    """True while the host may not generate: window or queue full."""
    channel, p = s.channel, s.parameters
    outstanding = channel.queued if p.window_counts_queued else channel.queued + channel.in_flight
    return outstanding >= p.window or channel.queued >= p.capacity


@compiled
def exhausted(s):
    """True once the host has generated all it ever will."""
    limit = s.parameters.host_limit
    return limit >= 0 and s.channel.generated >= limit


@compiled
def list_has_room(s):
    """True if the next request of the list finds room (in the queue of its direction)."""
    channel, p = s.channel, s.parameters
    if channel.queued >= p.window:
        return False
    if not p.separate:
        return channel.queued < p.capacity
    if s.requests[channel.list_next].write:
        return channel.queued_writes < p.capacity
    return channel.queued - channel.queued_writes < p.capacity


@compiled
def generate(s, clock):
    """The host's part of a clock: generate what the credit, the window and the queue allow."""
    channel, p = s.channel, s.parameters
    if p.source == state.LIST:
        while channel.list_next < channel.list_loaded and s.requests[channel.list_next].arrival <= clock:
            if not list_has_room(s):
                break
            r = s.requests[channel.list_next]
            host.enqueue(s, clock, r.bank, r.row, r.column, r.write, r.arrival)
            channel.list_next += 1
        host.update_drain(channel, p)
        return
    if p.source == state.CLOSED_LOOP:
        while channel.queued < p.capacity:
            next_of_stream(s, clock)
        return
    if p.source == state.NO_HOST or exhausted(s):
        return
    if stalled(s):
        stall(s, 1)
        return
    channel.was_stalled = 0
    channel.credit += p.credit
    while channel.credit >= channel.need:
        channel.credit -= channel.need
        next_of_stream(s, clock)
        draw_need(s)
        if stalled(s) or exhausted(s):
            break


@compiled
def stall(s, clocks):
    """Account for clocks in which the host is held up: it keeps no credit."""
    channel = s.channel
    channel.credit = 0
    if not channel.was_stalled:
        channel.was_stalled = 1
        draw_need(s)  # memoryless: what was left of an exponential gap is exponential again
    s.statistics.stall_cycles += clocks


@compiled
def pass_idle(s, clocks):
    """Account for `clocks` skipped clocks, in which nothing arrives."""
    channel, p = s.channel, s.parameters
    if p.source != state.STREAM or exhausted(s):
        return
    if stalled(s):
        stall(s, clocks)
    else:
        channel.credit += p.credit * clocks
        channel.was_stalled = 0


@compiled
def next_arrival(s, clock):
    """First clock after `clock` at which the source may do something, if nothing else changes before."""
    channel, p = s.channel, s.parameters
    if p.source == state.LIST:
        if channel.list_next < channel.list_loaded and list_has_room(s):
            return max(clock + 1, s.requests[channel.list_next].arrival)
        return state.NEVER
    if p.source != state.STREAM or exhausted(s):
        return state.NEVER
    if stalled(s):
        if channel.in_flight > 0:
            return max(clock + 1, s.in_flight[channel.ring_head])
        return state.NEVER
    if p.credit == 0:
        return state.NEVER
    missing = channel.need - channel.credit
    return clock + max(1, -(-missing // p.credit))
