"""One function per DRAM command: when it is allowed, and which later commands it holds back.

Constraints are kept as "first clock allowed" per bank, group and channel; a command raises those of its successors.
"""

from __future__ import annotations

from pimmodel.validation import trace as cmd

from .jit import compiled


@compiled
def record(s, clock, kind, owner, group, bank, row, column):
    """Append one command to the trace, if there is one."""
    if not s.parameters.tracing:
        return
    entry = s.trace[s.channel.trace_length]
    entry.clock = clock
    entry.kind = kind
    entry.owner = owner
    entry.bank_group = group
    entry.bank = bank
    entry.row = row
    entry.column = column
    s.channel.trace_length += 1


@compiled
def record_bank(s, clock, kind, owner, b, row, column):
    """Append a command that names one bank."""
    if not s.parameters.tracing:
        return
    groups = s.parameters.groups
    record(s, clock, kind, owner, b % groups, b // groups, row, column)


@compiled
def act_ready(s, b):
    """First clock at which bank b, which is closed, may be activated."""
    channel, bank, p = s.channel, s.banks[b], s.parameters
    four = channel.faw[channel.faw_at] + p.tFAW
    return max(bank.next_act, s.groups[bank.group].next_act, channel.next_act, four, channel.next_row)


@compiled
def pre_ready(s, b):
    """First clock at which bank b may be precharged."""
    return max(s.banks[b].next_pre, s.channel.next_row)


@compiled
def open_bank(s, clock, b, row, owner):
    """What an activate does to its bank."""
    p, bank = s.parameters, s.banks[b]
    bank.open_row = row
    bank.owner = owner
    bank.served = 0
    bank.next_act = clock + p.tRC
    bank.next_pre = clock + p.tRAS
    bank.next_rd = clock + p.tRCDRD
    bank.next_wr = clock + p.tRCDWR


@compiled
def close_bank(s, clock, b):
    """What a precharge does to its bank; nothing if the bank is closed."""
    bank = s.banks[b]
    if bank.open_row >= 0:
        bank.open_row = -1
        bank.next_act = max(bank.next_act, clock + s.parameters.tRP)
        s.statistics.precharges += 1


@compiled
def hold_activates(s, clock):
    """Four-activate window and row bus after an activate."""
    channel, p = s.channel, s.parameters
    channel.faw[channel.faw_at] = clock
    channel.faw_at = (channel.faw_at + 1) % 4
    channel.last_act = clock
    channel.next_row = clock + p.activate_clocks


@compiled
def activate(s, clock, b, row, owner):
    """ACT (host) or PIM_ACT: open one bank."""
    channel, p = s.channel, s.parameters
    open_bank(s, clock, b, row, owner)
    hold_activates(s, clock)
    channel.next_act = max(channel.next_act, clock + p.tRRD_S)
    group = s.groups[s.banks[b].group]
    group.next_act = max(group.next_act, clock + p.tRRD_L)
    if owner == cmd.HOST:
        s.statistics.activates += 1
        record_bank(s, clock, cmd.ACT, owner, b, row, -1)
    else:
        s.statistics.pim_activates += 1
        record_bank(s, clock, cmd.PIM_ACT, owner, b, row, -1)


@compiled
def activate_all(s, clock, j, row):
    """PIM_ACT_ALL: open bank j of every unit by one command."""
    channel, p = s.channel, s.parameters
    for u in range(p.units):
        open_bank(s, clock, s.unit_banks[u, j], row, cmd.PIM)
    hold_activates(s, clock)
    channel.next_act = max(channel.next_act, clock + p.tRRD_L)
    s.statistics.pim_activates += p.units
    record(s, clock, cmd.PIM_ACT_ALL, cmd.PIM, -1, j, row, -1)


@compiled
def precharge(s, clock, b, owner):
    """PRE: close one bank."""
    close_bank(s, clock, b)
    s.channel.next_row = clock + 1
    record_bank(s, clock, cmd.PRE, owner, b, -1, -1)


@compiled
def precharge_unit_bank(s, clock, j):
    """PIM_PRE: close bank j of every unit by one command."""
    for u in range(s.parameters.units):
        close_bank(s, clock, s.unit_banks[u, j])
    s.channel.next_row = clock + 1
    record(s, clock, cmd.PIM_PRE, cmd.PIM, -1, j, -1, -1)


@compiled
def all_may_precharge(s):
    """First clock at which a precharge-all is allowed."""
    first = s.channel.next_row
    for b in range(s.parameters.banks):
        if s.banks[b].open_row >= 0:
            first = max(first, s.banks[b].next_pre)
    return first


@compiled
def precharge_all(s, clock):
    """PREA."""
    for b in range(s.parameters.banks):
        close_bank(s, clock, b)
    s.channel.next_row = clock + 1
    record(s, clock, cmd.PREA, cmd.NOBODY, -1, -1, -1, -1)


@compiled
def refresh_ready(s, clock):
    """First clock, not before `clock`, at which the closed banks may be refreshed all at once."""
    channel = s.channel
    first = max(clock, channel.next_row, channel.next_refpb)
    for b in range(s.parameters.banks):
        # next_act holds tRC too, which a refresh does not need, but tRAS + tRP <= tRC: a bank precharged at its
        # earliest waits up to tRC - tRAS - tRP clocks too long here; those are 0 in the parts that we know
        first = max(first, s.banks[b].next_act)
    return first


@compiled
def refresh_all(s, clock):
    """REF."""
    channel, p = s.channel, s.parameters
    for b in range(s.parameters.banks):
        s.banks[b].next_act = max(s.banks[b].next_act, clock + p.tRFC)
    channel.next_row = clock + 1
    channel.refreshes += 1
    s.statistics.refreshes += 1
    record(s, clock, cmd.REF, cmd.NOBODY, -1, -1, -1, -1)


@compiled
def refresh_bank(s, clock, b):
    """REFPB."""
    channel, p = s.channel, s.parameters
    s.banks[b].next_act = max(s.banks[b].next_act, clock + p.tRFCpb)
    channel.next_act = max(channel.next_act, clock + p.tRREFD)
    channel.next_refpb = clock + p.tRREFD
    channel.next_row = clock + 1
    channel.refreshes += 1
    s.statistics.refreshes += 1
    record_bank(s, clock, cmd.REFPB, cmd.NOBODY, b, -1, -1)


@compiled
def column_ready(s, b, write):
    """First clock at which the host may read or write a column of the row that is open in bank b."""
    channel, bank = s.channel, s.banks[b]
    group = s.groups[bank.group]
    if write:
        return max(bank.next_wr, group.next_wr, channel.next_wr)
    return max(bank.next_rd, group.next_rd, channel.next_rd)


@compiled
def column_own_ready(s, b, write):
    """The same if the PIM's steps did not occupy the groups' column paths."""
    channel, bank = s.channel, s.banks[b]
    group = s.groups[bank.group]
    if write:
        return max(bank.next_wr, group.own_next_wr, channel.next_wr)
    return max(bank.next_rd, group.own_next_rd, channel.next_rd)


@compiled
def host_column(s, clock, b, write):
    """Timing of RD or WR; returns the clock of its last data beat."""
    channel, p, bank = s.channel, s.parameters, s.banks[b]
    group = s.groups[bank.group]
    bank.served += 1
    next_rd, next_wr = clock + (p.write_to_read_same_group if write else p.tCCD_L), clock + p.tCCD_L
    group.next_rd = max(group.next_rd, next_rd)
    group.next_wr = max(group.next_wr, next_wr)
    group.own_next_rd = max(group.own_next_rd, next_rd)
    group.own_next_wr = max(group.own_next_wr, next_wr)
    group.pim_next_rd = max(group.pim_next_rd, next_rd)
    group.pim_next_wr = max(group.pim_next_wr, next_wr)
    if write:
        channel.next_wr = max(channel.next_wr, clock + p.tCCD_S)
        channel.next_rd = max(channel.next_rd, clock + p.write_to_read_other_group)
        bank.next_pre = max(bank.next_pre, clock + p.write_to_precharge)
        return clock + p.CWL + p.tBL
    channel.next_rd = max(channel.next_rd, clock + p.tCCD_S)
    channel.next_wr = max(channel.next_wr, clock + max(p.read_to_write, p.tCCD_S))
    bank.next_pre = max(bank.next_pre, clock + p.tRTP)
    return clock + p.CL + p.tBL


@compiled
def pim_column(s, clock, j, write):
    """Timing of PIM_RD or PIM_WR: one column in bank j of every unit."""
    channel, p = s.channel, s.parameters
    recovery = p.write_to_precharge if write else p.tRTP
    for u in range(p.units):
        bank = s.banks[s.unit_banks[u, j]]
        bank.served += 1
        bank.next_pre = max(bank.next_pre, clock + recovery)
        group = s.groups[bank.group]
        group.next_wr = max(group.next_wr, clock + p.tCCD_L)
        group.next_rd = max(group.next_rd, clock + (p.write_to_read_same_group if write else p.tCCD_L))
    if write:
        channel.pim_next_wr = clock + p.cadence
        channel.pim_next_rd = clock + p.pim_write_to_read
    else:
        channel.pim_next_rd = clock + p.cadence
        channel.pim_next_wr = clock + p.pim_read_to_write
