"""The host's queue and its FR-FCFS scheduling; the rules are in `pimmodel.scenario`."""

from __future__ import annotations

import numpy as np
from pimmodel.validation import trace as cmd

from . import commands, state
from .commands import act_ready, column_own_ready, column_ready, pre_ready
from .jit import compiled


@compiled
def enqueue(s, clock, b, row, column, write, arrival):
    """Put a request at the end of the queue."""
    channel = s.channel
    entry = s.queue[s.order[channel.queued]]
    entry.bank = b
    entry.row = row
    entry.column = column
    entry.write = write
    entry.born = clock
    entry.arrival = arrival
    entry.passed = 0
    entry.row_commands = 0
    channel.queued += 1
    channel.queued_writes += write
    channel.generated += 1
    s.statistics.generated += 1
    if channel.host_valid:
        plan_youngest(s, clock + 1)
    channel.busy_banks += s.banks[b].queued == 0
    s.banks[b].queued += 1


@compiled
def update_drain(channel, p):
    """Separate queues: drain writes from above the high mark, or when no read waits, to below the low mark.

    A drain that began because no read waited goes on to the low mark too, as in Ramulator.
    """
    if not p.separate:
        return
    reads = channel.queued - channel.queued_writes
    if not channel.draining:
        channel.draining = channel.queued_writes > p.drain_high or (reads == 0 and channel.queued_writes > 0)
    elif channel.queued_writes == 0 or (channel.queued_writes < p.drain_low and reads > 0):
        channel.draining = 0


@compiled
def direction(channel, p):
    """Direction that is served: 0 reads, 1 writes, -1 both."""
    if not p.separate:
        return -1
    return 1 if channel.draining or channel.queued == channel.queued_writes else 0


@compiled
def plan(s, now):
    """Find the column and the row command that FR-FCFS issues next, and the clocks (>= now) at which it does.

    `host_col_own_at` is when a column could go if the PIM's steps did not occupy the groups' column paths.

    Stays true until any command is issued or any request arrives. Ties go to the older request.
    """
    channel, p = s.channel, s.parameters
    channel.host_valid = 1
    channel.host_only = -1
    served = direction(channel, p)
    capped_bank, capped_row, only = -1, -1, -1
    seen = hit = undecided = np.uint64(0)
    found = 0
    unseen = channel.busy_banks
    soonest = max(now, min(channel.next_rd, channel.next_wr))  # no column goes earlier, so who can go then is found
    col_at, col, own_at = state.NEVER, -1, state.NEVER
    first = True
    for i in range(channel.queued):
        entry = s.queue[s.order[i]]
        write, b, row = entry.write, entry.bank, entry.row
        if served >= 0 and write != served:
            continue
        bit = np.uint64(1) << np.uint64(b)
        bank = s.banks[b]
        open_row = bank.open_row
        if first:
            first = False
            if entry.passed >= p.starvation_cap:
                capped_bank, capped_row = b, row
                if open_row == row:
                    only = channel.host_only = write
        if open_row == row:
            hit |= bit
            if col_at > soonest:
                barred = b == channel.blocked_bank or (b == capped_bank and row != capped_row)
                if not (barred or (only >= 0 and write != only)):
                    at = max(now, column_ready(s, b, write))
                    if at < col_at:
                        col_at, col = at, i
                    if p.policy == state.CONCURRENT:
                        own_at = min(own_at, max(now, column_own_ready(s, b, write)))
        elif not seen & bit:
            s.candidates[found] = i
            found += 1
            if open_row >= 0:
                undecided |= bit
        if not seen & bit:
            seen |= bit
            unseen -= 1
        if unseen == 0 and col_at <= soonest and not undecided & ~hit:
            break  # neither a better column nor another row command is to be found among the younger
    channel.host_col_at, channel.host_col, channel.host_col_own_at = col_at, col, min(own_at, col_at)
    plan_row(s, now, found, hit, capped_bank)


@compiled
def plan_row(s, now, found, hit, capped_bank):
    """Earliest row command for the oldest requests of the banks whose row is not open."""
    channel = s.channel
    row_at, row = state.NEVER, -1
    for k in range(found):
        i = s.candidates[k]
        b = s.queue[s.order[i]].bank
        if b == channel.blocked_bank:
            continue
        bank = s.banks[b]
        if bank.open_row < 0:
            at = max(now, act_ready(s, b))
        elif hit & (np.uint64(1) << np.uint64(b)) and b != capped_bank:
            continue  # the row that is open is still wanted
        elif bank.owner != cmd.HOST and bank.served == 0:
            continue  # the PIM has yet to use the row that it opened
        else:
            at = max(now, pre_ready(s, b))
        if at < row_at:
            row_at, row = at, i
    channel.host_row_at, channel.host_row = row_at, row


@compiled
def plan_youngest(s, now):
    """Keep a valid plan valid when a request has joined the queue, without looking at the others again."""
    channel, p = s.channel, s.parameters
    entry = s.queue[s.order[channel.queued - 1]]
    b = entry.bank
    bank = s.banks[b]
    if p.separate or channel.queued == 1 or b == channel.blocked_bank or p.policy == state.CONCURRENT:
        channel.host_valid = 0
    elif bank.open_row == entry.row:
        oldest = s.queue[s.order[0]]
        capped = oldest.passed >= p.starvation_cap
        if channel.host_row_at < state.NEVER and s.queue[s.order[channel.host_row]].bank == b:
            channel.host_valid = 0  # the bank was about to be precharged
        elif not (capped and (b == oldest.bank or (channel.host_only >= 0 and entry.write != channel.host_only))):
            at = max(now, column_ready(s, b, entry.write))
            if at < channel.host_col_at:
                channel.host_col_at = at
                channel.host_col = channel.queued - 1
        elif b == oldest.bank:
            channel.host_valid = 0
    elif bank.queued == 0:  # its bank's oldest request
        if bank.open_row < 0:
            at = max(now, act_ready(s, b))
        elif bank.owner != cmd.HOST and bank.served == 0:
            return
        else:
            at = max(now, pre_ready(s, b))
        if at < channel.host_row_at:
            channel.host_row_at = at
            channel.host_row = channel.queued - 1


@compiled
def issue_row(s, clock):
    """Issue the planned row command."""
    channel = s.channel
    entry = s.queue[s.order[channel.host_row]]
    if s.banks[entry.bank].open_row < 0:
        commands.activate(s, clock, entry.bank, entry.row, cmd.HOST)
        entry.row_commands |= 1
    else:
        commands.precharge(s, clock, entry.bank, cmd.HOST)
        entry.row_commands |= 2
    channel.last_row_owner = cmd.HOST


@compiled
def issue_column(s, clock):
    """Issue the planned column command and take its request out of the queue."""
    channel, p, stats = s.channel, s.parameters, s.statistics
    i = channel.host_col
    entry = s.queue[s.order[i]]
    served = direction(channel, p)
    done = commands.host_column(s, clock, entry.bank, entry.write)
    kind = cmd.WR if entry.write else cmd.RD
    commands.record_bank(s, clock, kind, cmd.HOST, entry.bank, entry.row, entry.column)
    channel.last_column_owner = cmd.HOST
    channel.turn_columns += 1
    channel.host_end = done
    count_request(stats, entry, done)
    if p.source == state.LIST:
        log = s.log[channel.logged]
        log.arrival, log.born, log.issued, log.done, log.write = (
            entry.arrival, entry.born, clock, done, entry.write,
        )  # fmt: skip
        channel.logged += 1
    size = state.IN_FLIGHT
    s.in_flight[(channel.ring_head + channel.in_flight) % size] = done
    channel.in_flight += 1
    s.banks[entry.bank].queued -= 1
    channel.busy_banks -= s.banks[entry.bank].queued == 0
    channel.queued_writes -= entry.write
    channel.queued -= 1
    for k in range(i):
        older = s.queue[s.order[k]]
        if served < 0 or older.write == served:
            older.passed += 1  # of the oldest request (in its direction) alone
            break
    freed = s.order[i]
    for k in range(i, channel.queued):
        s.order[k] = s.order[k + 1]
    s.order[channel.queued] = freed
    update_drain(channel, p)


@compiled
def count_request(stats, entry, done):
    """Statistics of one served request."""
    latency = done - entry.born
    stats.latency_sum += latency
    stats.latency_histogram[min(latency, state.LATENCY_BINS - 1)] += 1
    if entry.write:
        stats.served_writes += 1
    else:
        stats.served_reads += 1
        stats.read_latency_sum += latency
    if entry.row_commands & 2:
        stats.row_conflicts += 1
    elif entry.row_commands:
        stats.row_misses += 1
    else:
        stats.row_hits += 1


@compiled
def retire(s, clock):
    """Data beats that are over by `clock` free their place in the window."""
    channel = s.channel
    while channel.in_flight > 0 and s.in_flight[channel.ring_head] <= clock:
        channel.ring_head = (channel.ring_head + 1) % state.IN_FLIGHT
        channel.in_flight -= 1
