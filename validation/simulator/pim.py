"""The PIM: where it is in its kernel, and which command it wants next (see `pimmodel.scenario.PimKernel`).

A *segment* is a batch of columns of one operand: a bank index j, a row, a direction. The program order of segments
decides which row each bank should hold: that of the next segment that uses the bank, looking ahead to the end of the
present row, and through the next row where the row switch is hidden.
"""

from __future__ import annotations

import numpy as np
from pimmodel.validation import trace as cmd

from . import commands, state
from .jit import compiled

OPERANDS_PER_ROW = 4096  # row labels: room for the operands of one row


@compiled
def has_work(s):
    """True while column steps are left to do."""
    p = s.parameters
    if p.units == 0:
        return False
    return p.pim_limit < 0 or s.channel.pim_steps_total < p.pim_limit


@compiled
def bank_index(s, pass_, repetition, row, operand):
    """Bank index j within a unit that holds `row` of `operand`; rows count on when the kernel is repeated."""
    p, this = s.parameters, s.passes[pass_]
    r = repetition * this.rows + row
    if p.same_bank:
        return r % p.unit_banks if p.hidden else 0
    return (operand + this.operands * r) % p.unit_banks if p.hidden else operand % p.unit_banks


@compiled
def row_label(serial, operand):
    """Label of the row of `operand` in the pass row number `serial`."""
    return cmd.PIM_ROW_BASE + serial * OPERANDS_PER_ROW + operand


@compiled
def is_write(s, pass_, operand):
    """Direction of an operand."""
    return s.operand_writes[s.passes[pass_].first_operand + operand]


@compiled
def next_row_of(s):
    """(pass, repetition, row) that follows the present row."""
    channel = s.channel
    pass_, repetition, row = channel.pass_, channel.repetition, channel.row + 1
    if row == s.passes[pass_].rows:
        row = 0
        pass_ += 1
        if pass_ == s.parameters.n_passes:
            pass_ = 0
            repetition += 1
    return pass_, repetition, row


@compiled
def advance_position(s):
    """Go to the next column step: columns of a batch, operands, batches of a row, rows, passes, repetitions."""
    channel, p = s.channel, s.parameters
    channel.column += 1
    if channel.column < min(channel.batch + p.registers, p.pim_columns):
        return
    channel.operand += 1
    channel.column = channel.batch
    if channel.operand < s.passes[channel.pass_].operands:
        return
    channel.operand = 0
    channel.batch += p.registers
    channel.column = channel.batch
    if channel.batch < p.pim_columns:
        return
    channel.pass_, channel.repetition, channel.row = next_row_of(s)
    channel.batch = channel.column = 0
    channel.row_serial += 1


@compiled
def steps_left_in_row(s):
    """Column steps to the end of the present row, all operands."""
    channel, p = s.channel, s.parameters
    operands = s.passes[channel.pass_].operands
    width = min(p.registers, p.pim_columns - channel.batch)
    done = channel.batch * operands + channel.operand * width + (channel.column - channel.batch)
    return operands * p.pim_columns - done


@compiled
def want_bank(s, now, j, label):
    """Propose the row command that brings bank j of all units nearer to holding row `label`, if it is the earliest."""
    channel, p = s.channel, s.parameters
    holding = closed = foreign = blocked = 0
    pre_at = act_at = now
    for u in range(p.units):
        b = s.unit_banks[u, j]
        bank = s.banks[b]
        blocked += b == channel.blocked_bank
        if bank.open_row == label:
            holding += 1
        elif bank.open_row < 0:
            closed += 1
            act_at = max(act_at, commands.act_ready(s, b))
        else:
            foreign += bank.owner != cmd.PIM
            pre_at = max(pre_at, commands.pre_ready(s, b))
    if holding == p.units:
        return
    if holding == 0 and foreign == 0 and closed < p.units:
        propose(channel, cmd.PIM_PRE, pre_at, -1, j, label)
    elif p.all_bank_activate and closed == p.units and not blocked:
        propose(channel, cmd.PIM_ACT_ALL, max(act_at, channel.last_act + p.tRRD_L), -1, j, label)
    else:
        for u in range(p.units):
            b = s.unit_banks[u, j]
            bank = s.banks[b]
            if bank.open_row == label or b == channel.blocked_bank:
                continue
            if bank.open_row < 0:
                propose(channel, cmd.PIM_ACT, max(now, commands.act_ready(s, b)), u, j, label)
            elif bank.owner == cmd.PIM or bank.served > 0:
                propose(channel, cmd.PRE, max(now, commands.pre_ready(s, b)), u, j, label)


@compiled
def propose(channel, kind, at, unit, j, label):
    """Keep the earliest proposal; the first in program order wins ties."""
    if at < channel.pim_row_at:
        channel.pim_row_at = at
        channel.pim_row_kind = kind
        channel.pim_row_unit = unit
        channel.pim_row_bank = j
        channel.pim_row_label = label


@compiled
def want_rows(s, now):
    """Propose row commands for this row's coming segments and, if hidden, for those of the next row."""
    channel, p = s.channel, s.parameters
    operands = s.passes[channel.pass_].operands
    last_batch = channel.batch + p.registers >= p.pim_columns
    seen = np.uint64(0)
    for k in range(operands):
        i = channel.operand + k
        if i >= operands:
            if last_batch:
                break
            i -= operands
        j = bank_index(s, channel.pass_, channel.repetition, channel.row, i)
        bit = np.uint64(1) << np.uint64(j)
        if not seen & bit:
            want_bank(s, now, j, row_label(channel.row_serial, i))
        seen |= bit
    if not p.hidden:
        return
    if p.pim_limit >= 0 and channel.pim_steps_total + steps_left_in_row(s) >= p.pim_limit:
        return
    pass_, repetition, row = next_row_of(s)
    for i in range(s.passes[pass_].operands):
        j = bank_index(s, pass_, repetition, row, i)
        bit = np.uint64(1) << np.uint64(j)
        if not seen & bit:
            want_bank(s, now, j, row_label(channel.row_serial + 1, i))
        seen |= bit


@compiled
def plan(s, now):
    """Find the next column step and row command and the clocks (>= now) at which they can be issued.

    `pim_col_own_at` is when the step could go if the host's columns did not occupy the groups' column paths.
    """
    channel, p = s.channel, s.parameters
    channel.pim_valid = 1
    channel.pim_col_at = channel.pim_col_own_at = channel.pim_row_at = state.NEVER
    if not has_work(s):
        return
    j = bank_index(s, channel.pass_, channel.repetition, channel.row, channel.operand)
    label = row_label(channel.row_serial, channel.operand)
    write = is_write(s, channel.pass_, channel.operand)
    own = max(now, channel.pim_next_wr if write else channel.pim_next_rd)
    path = now
    ready = True
    for u in range(p.units):
        b = s.unit_banks[u, j]
        bank = s.banks[b]
        if bank.open_row != label or b == channel.blocked_bank:
            ready = False
            break
        own = max(own, bank.next_wr if write else bank.next_rd)
        group = s.groups[bank.group]
        path = max(path, group.pim_next_wr if write else group.pim_next_rd)
    if ready:
        channel.pim_col_own_at = own
        channel.pim_col_at = max(own, path)
    want_rows(s, now)


@compiled
def issue_row(s, clock):
    """Issue the planned row command."""
    channel = s.channel
    j, label = channel.pim_row_bank, channel.pim_row_label
    if channel.pim_row_kind == cmd.PIM_PRE:
        commands.precharge_unit_bank(s, clock, j)
    elif channel.pim_row_kind == cmd.PIM_ACT_ALL:
        commands.activate_all(s, clock, j, label)
    else:
        b = s.unit_banks[channel.pim_row_unit, j]
        if channel.pim_row_kind == cmd.PRE:
            commands.precharge(s, clock, b, cmd.PIM)
        else:
            commands.activate(s, clock, b, label, cmd.PIM)
    channel.last_row_owner = cmd.PIM


@compiled
def issue_column(s, clock):
    """Issue the planned column step; True if the next one is in the same segment."""
    channel = s.channel
    operand, column = channel.operand, channel.column
    j = bank_index(s, channel.pass_, channel.repetition, channel.row, channel.operand)
    write = is_write(s, channel.pass_, channel.operand)
    commands.pim_column(s, clock, j, write)
    kind = cmd.PIM_WR if write else cmd.PIM_RD
    label = row_label(channel.row_serial, channel.operand)
    commands.record(s, clock, kind, cmd.PIM, -1, j, label, channel.column)
    channel.last_column_owner = cmd.PIM
    channel.turn_columns += 1
    channel.pim_steps_total += 1
    channel.pim_end = clock + s.parameters.cadence
    s.statistics.pim_steps += 1
    advance_position(s)
    in_segment = channel.operand == operand and channel.column == column + 1
    return in_segment and has_work(s)


@compiled
def plan_same_segment(s):
    """Keep the plan after a step, when its rows are open, none is to be opened, and nobody else issues columns."""
    channel = s.channel
    write = is_write(s, channel.pass_, channel.operand)
    channel.pim_col_at = channel.pim_next_wr if write else channel.pim_next_rd
    channel.pim_col_own_at = channel.pim_col_at
