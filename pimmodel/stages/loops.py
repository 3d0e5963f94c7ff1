"""The stage model over blocks of N designs, as plain loops that numba compiles (`pimmodel.stages.compiled`).

Written element by element, each loop with few arrays, so that a compiler keeps a block in cache and uses vector
instructions (it must prove that the arrays do not overlap). The formulas are those of `pimmodel.roofline` and
`pimmodel.stages.formulas`: here objects that evaluate one number at a time, in the compiled module the code generated
from them. Functions fill the arrays given to them last. Rates come as reciprocals [s/clock], [s/FLOP], [s/B]: products
are cheaper than quotients.
"""

from __future__ import annotations

from typing import Any

from pimmodel.roofline.streams import stream_time
from pimmodel.roofline.tiles import kernel_time
from pimmodel.stages.formulas import (
    drain_before,
    sharing_cost,
    stage_capacity,
    stage_time,
    threshold_value,
    updates_done,
    work_done,
)

FORMULAS = (
    stream_time, kernel_time, drain_before, sharing_cost, stage_capacity, stage_time, threshold_value, updates_done,
    work_done,
)  # fmt: skip


def kernel_side(
    clock: Any, tensor: Any, dram: Any, l2: Any, launch: Any, first: Any, on_clock: Any, on_tensor: Any,
    split_bytes: Any, split_launches: Any, streamed: Any, near: Any, apart_bytes: Any, apart_launches: Any,
    kernels: Any, compute: Any, found: Any, time: Any, chosen: Any,
) -> None:  # fmt: skip
    """The fastest kernel of U tasks at N rates, see `pimmodel.roofline.menu`: time [s] and place in the menu, (U, N).

    `compute` and `found`, shape (N,), are room to work in.
    """
    count = len(clock)
    for task in range(len(first) - 1):
        best, place = time[task], chosen[task]
        for n in range(count):
            best[n] = 1e300
        for one in range(first[task], first[task + 1]):
            for n in range(count):
                compute[n] = on_clock[one] * clock[n]
            if on_tensor[one] != 0.0:
                for n in range(count):
                    compute[n] += on_tensor[one] * tensor[n]
            if split_bytes[one] != 0.0 or split_launches[one] != 0.0:
                for n in range(count):
                    compute[n] += split_bytes[one] * dram[n] + split_launches[one] * launch[n]
            for n in range(count):
                on_dram, on_l2 = streamed[one] * dram[n], near[one] * l2[n]
                found[n] = on_dram if on_dram > on_l2 else on_l2
            for n in range(count):
                found[n] = kernel_time(compute=compute[n], memory=found[n], kernels=kernels[one], launch=launch[n])
            if apart_bytes[one] != 0.0 or apart_launches[one] != 0.0:
                for n in range(count):
                    found[n] += apart_bytes[one] * dram[n] + apart_launches[one] * launch[n]
            for n in range(count):
                better = found[n] < best[n]
                place[n] = one if better else place[n]
                best[n] = found[n] if better else best[n]


def with_chunks(
    dram: Any, l2: Any, launch: Any, again: float, streamed: Any, near: Any, apart_bytes: Any, apart_launches: Any,
    kernels: Any, in_turn: Any, chosen: Any, time: Any,
) -> None:  # fmt: skip
    """Add what `again` bytes [B] more of DRAM traffic cost a chosen kernel to its `time` [s], both of shape (N,).

    As `pimmodel.roofline.conv.with_more_traffic`.
    """
    for n in range(len(time)):
        one = chosen[n]
        seconds = again * dram[n]
        launches = kernels[one] * launch[n]
        on_dram = streamed[one] * dram[n] + apart_bytes[one] * dram[n] + apart_launches[one] * launch[n]
        on_l2 = near[one] * l2[n]
        busy = time[n] - launches
        before = on_dram if on_dram > on_l2 else on_l2
        after = on_dram + seconds if on_dram + seconds > on_l2 else on_l2
        left = busy * busy - before * before
        left = left if left > 0.0 else 0.0
        grown = kernel_time(compute=left**0.5, memory=after, kernels=kernels[one], launch=launch[n])
        time[n] = time[n] + seconds if in_turn[one] else grown


def add_streams(
    dram: Any, launch: Any, operation: Any, sms: float, begin: int, end: int, moved: Any, operations: Any, blocks: Any,
    time: Any,
) -> None:  # fmt: skip
    """Add streaming kernels `begin` to `end` to a time [s], shape (N,).

    `moved` : bytes that take as long at the rate of `dram` as theirs do at their own [B].
    """
    for stream in range(begin, end):
        for n in range(len(time)):
            time[n] += stream_time(
                traffic=moved[stream] * dram[n], bandwidth=1.0, operations=operations[stream] * operation[n],
                operation_rate=1.0, blocks=blocks[stream], sms=sms, launch=launch[n],
            )  # fmt: skip


def place_rate(
    traffic: Any, chosen: Any, more: float, time: Any, column_time: float, least: float, most: float, first: float,
    per_step: float, last: int, room: Any, node: Any, way: Any,
) -> None:  # fmt: skip
    """Node of the table below a host task's request rate and the part of the way to the next [1], shape (N,).

    The rate is traffic over `time` [s]; traffic is that of the chosen kernel and `more` [B]. Where there is no kernel,
    `chosen` is a place of 0 bytes. `room`, shape (N,), is to work in.
    """
    for n in range(len(way)):
        room[n] = traffic[chosen[n]] + more
    for n in range(len(way)):
        rate = room[n] / time[n] * column_time
        rate = rate if rate > least else least
        rate = rate if rate < most else most
        way[n] = (rate - first) * per_step
    for n in range(len(way)):
        below = int(way[n])
        node[n] = below if below < last else last
    for n in range(len(way)):
        way[n] -= node[n]


def host_side(
    dram: Any, l2: Any, launch: Any, operation: Any, sms: float, column_time: float, least: float, most: float,
    first_rate: float, per_step: float, last: int, scale: float, first: Any, streamed: Any, near: Any, apart_bytes: Any,
    apart_launches: Any, kernels: Any, traffic: Any, in_turn: Any, kernel_of: Any, stream_first: Any, stream_moved: Any,
    stream_operations: Any, stream_blocks: Any, stream_bytes: Any, again: Any, share_first: Any, share_of: Any,
    kernel_times: Any, kernel_chosen: Any, nothing: Any, room: Any, time: Any, node: Any, way: Any, share: Any,
) -> None:  # fmt: skip
    """I kinds of host tasks at N rates, a kernel (-1: none) and streaming kernels each; arrays of shape (I, N).

    Fills time, `scale` times what the model says [s], node of the request rate and part of the way to the next [1], and
    write share, which depends on the kernel chosen.
    """
    for item in range(len(kernel_of)):
        kernel, row, begin = kernel_of[item], time[item], share_first[item]
        if kernel >= 0:
            chosen, alone = kernel_chosen[kernel], kernel_times[kernel]
            begin -= first[kernel]
            for n in range(len(row)):
                row[n] = alone[n]
            if again[item] > 0.0:
                with_chunks(dram, l2, launch, again[item], streamed, near, apart_bytes, apart_launches, kernels,
                            in_turn, chosen, row)  # fmt: skip
        else:
            chosen = nothing
            begin -= len(traffic) - 1
            for n in range(len(row)):
                row[n] = 0.0
        add_streams(dram, launch, operation, sms, stream_first[item], stream_first[item + 1], stream_moved,
                    stream_operations, stream_blocks, row)  # fmt: skip
        if scale != 1.0:
            for n in range(len(row)):
                row[n] *= scale
        place_rate(traffic, chosen, stream_bytes[item] + again[item], row, column_time, least, most, first_rate,
                   per_step, last, room, node[item], way[item])  # fmt: skip
        part = share[item]
        for n in range(len(part)):
            part[n] = share_of[begin + chosen[n]]


def memory_side(
    dram: Any, launch: Any, first: Any, streamed: Any, apart_bytes: Any, apart_launches: Any, kernel_of: Any,
    stream_first: Any, stream_moved: Any, again: Any, kernel_chosen: Any, memory: Any,
) -> None:  # fmt: skip
    """Time for which the DRAM is busy in I kinds of host tasks at N rates; fills `memory`, shape (I, N) [s]."""
    for item in range(len(kernel_of)):
        kernel, row = kernel_of[item], memory[item]
        moved = again[item]
        for stream in range(stream_first[item], stream_first[item + 1]):
            moved += stream_moved[stream]
        for n in range(len(row)):
            row[n] = moved * dram[n]
            if kernel >= 0:
                one = kernel_chosen[kernel, n]
                row[n] += (streamed[one] + apart_bytes[one]) * dram[n] + apart_launches[one] * launch[n]


def gather_side(
    weight: Any, first: Any, kernel_of: Any, begin_of: Any, values: Any, kernel_chosen: Any, out: Any
) -> None:
    """Add up what the kernels chosen for I kinds of host tasks stand for, `weight` times each, to `out`, shape (N,)."""
    for item in range(len(kernel_of)):
        kernel, begin = kernel_of[item], begin_of[item]
        if weight[item] > 0.0:
            if kernel >= 0:
                begin -= first[kernel]
                for n in range(len(out)):
                    out[n] += weight[item] * values[begin + kernel_chosen[kernel, n]]
            else:
                for n in range(len(out)):
                    out[n] += weight[item] * values[begin]


def bound_side(
    task_item: Any, pim: Any, edge_first: Any, edge_task: Any, edge_barrier: Any, kind_item: Any, kind_pim: Any,
    kind_count: Any, time: Any, memory: Any, start: Any, finish: Any, ratio: Any, work: Any, turns: Any, path: Any,
) -> None:  # fmt: skip
    """The three bounds of :mod:`pimmodel.schedule.bound` at N designs: `work`, `turns` and `path`, shape (N,) [s].

    T tasks in topological order with the items that they are on the host, and their time on the PIM (1e300: never). The
    tasks of one item and PIM time are a kind. `start`, `finish`, shape (T,), and `ratio` are room to work in.
    """
    for n in range(len(work)):
        longest = 0.0
        for task in range(len(task_item)):
            begin, end = 0.0, 0.0
            for edge in range(edge_first[task], edge_first[task + 1]):
                before = edge_task[edge]
                if edge_barrier[edge]:
                    begin = max(begin, finish[before])
                else:
                    begin, end = max(begin, start[before]), max(end, finish[before])
            start[task] = begin
            finish[task] = max(begin + min(time[task_item[task], n], pim[task]), end)
            longest = max(longest, finish[task])
        path[n] = longest
        left, moved, busy = 0.0, 0.0, 0.0
        for kind in range(len(kind_item)):
            alone = time[kind_item[kind], n]
            left += kind_count[kind] * alone
            busy += kind_count[kind] * min(memory[kind_item[kind], n], kind_pim[kind])
            ratio[kind] = kind_pim[kind] / max(alone, 1e-30)
        turns[n] = busy
        for kind in ratio.argsort():
            if kind_pim[kind] > 1e299 or moved >= left:
                break
            host, other = kind_count[kind] * time[kind_item[kind], n], kind_count[kind] * kind_pim[kind]
            share = 1.0 if left - host >= moved + other else (left - moved) / (host + other)
            left -= share * host
            moved += share * other
            if share < 1.0:
                break
        work[n] = max(left, moved)


def mark(pair_item: Any, pair_mix: Any, share: Any, node: Any, needed: Any) -> None:
    """Mark the nodes that V pairs of a host item and a mix need, in `needed` of shape (mix, share, node)."""
    for pair in range(len(pair_item)):
        item, mix = pair_item[pair], pair_mix[pair]
        for n in range(share.shape[1]):
            needed[mix, share[item, n], node[item, n]] = 1
            needed[mix, share[item, n], node[item, n] + 1] = 1


def progress_side(
    one_share: Any, pair_item: Any, pair_mix: Any, pair_thresholds: Any, thresholds: Any, share: Any, node: Any,
    way: Any, cell_of: Any,
    table: Any, time: Any, host: Any, pim: Any, capacity: Any, cost: Any,
) -> float:  # fmt: skip
    """What fits beside V pairs of a host item and a mix at N designs [s], and its cost [1], both of shape (V, N).

    Thresholds are place `pair_thresholds` + `thresholds` of the table, one of them 0 throughout. `one_share` says of
    which items the write share is the same with every kernel. `host` and `pim`, of shape (N,), are room to work in.
    Returns the least number read from the table: below 0, something was not there.
    """
    least, numbers, nodes = 1.0, table.reshape(-1), table.shape[2]
    for pair in range(len(pair_item)):
        item, mix = pair_item[pair], pair_mix[pair]
        below, on = node[item], way[item]
        if one_share[item]:
            base = (cell_of[mix, share[item, 0]] * table.shape[1] + pair_thresholds[pair]) * nodes
            for n in range(len(thresholds)):
                begin = (base + thresholds[n] * nodes + below[n]) * 2
                low, low_pim = numbers[begin], numbers[begin + 1]
                high, high_pim = numbers[begin + 2], numbers[begin + 3]
                least = low if low < least else least
                least = high if high < least else least
                host[n] = low + on[n] * (high - low)
                pim[n] = low_pim + on[n] * (high_pim - low_pim)
        else:
            for n in range(len(thresholds)):
                place = cell_of[mix, share[item, n]] * table.shape[1] + pair_thresholds[pair] + thresholds[n]
                begin = (place * nodes + below[n]) * 2
                low, low_pim = numbers[begin], numbers[begin + 1]
                high, high_pim = numbers[begin + 2], numbers[begin + 3]
                least = low if low < least else least
                least = high if high < least else least
                host[n] = low + on[n] * (high - low)
                pim[n] = low_pim + on[n] * (high_pim - low_pim)
        for n in range(len(thresholds)):
            capacity[pair, n] = stage_capacity(host_work=time[item, n], host_progress=host[n], pim_progress=pim[n])
        for n in range(len(thresholds)):
            cost[pair, n] = sharing_cost(host_progress=host[n], pim_progress=pim[n])
    return least


def step_side(
    stage_item: Any, stage_pair: Any, stage_update: Any, under: Any, behind: Any, updates: Any, passed: Any, waits: Any,
    chunks: Any, first: float, time: Any, capacity: Any, cost: Any, backlog: Any, waiting: Any, done: Any, filled: Any,
    total: Any,
) -> None:  # fmt: skip
    """The recurrence over K stages at N designs; fills `total`, shape (N,) [s]. The four before it are room to work in.

    Pair or update -1: nothing beside the stage.
    """
    count = len(total)
    for n in range(count):
        backlog[n], waiting[n], total[n] = first, 0.0, 0.0
    begun = False  # whether any update waits
    for stage in range(len(stage_item)):
        alone, pair, update = time[stage_item[stage]], stage_pair[stage], stage_update[stage]
        if waits[stage]:
            for n in range(count):
                done[n] = drain_before(backlog=backlog[n], passed_work=passed[stage])
            for n in range(count):
                total[n] += done[n]
            for n in range(count):
                backlog[n] -= done[n]
        for n in range(count):
            total[n] += alone[n]
        if pair >= 0:
            beside, price = capacity[pair], cost[pair]
            for n in range(count):
                done[n] = work_done(
                    capacity=beside[n], backlog=backlog[n], pim_work=under[stage], chunks=chunks[stage]
                )  # fmt: skip
            for n in range(count):
                total[n] += stage_time(host_work=0.0, done=done[n], filled=0.0, cost=price[n], update_cost=0.0)
            for n in range(count):
                backlog[n] -= done[n]
        if update >= 0 and begun:
            room, price = capacity[update], cost[update]
            if pair >= 0:
                beside = capacity[pair]
                for n in range(count):
                    filled[n] = updates_done(
                        capacity=beside[n], update_capacity=room[n], done=done[n], updates=waiting[n]
                    )  # fmt: skip
            else:
                for n in range(count):
                    filled[n] = updates_done(capacity=1.0, update_capacity=room[n], done=0.0, updates=waiting[n])
            for n in range(count):
                total[n] += stage_time(host_work=0.0, done=0.0, filled=filled[n], cost=0.0, update_cost=price[n])
            for n in range(count):
                waiting[n] -= filled[n]
        if under[stage] + behind[stage] > 0.0:
            for n in range(count):
                backlog[n] += under[stage] + behind[stage]
        if updates[stage] > 0.0:
            begun = True
            for n in range(count):
                waiting[n] += updates[stage]
    for n in range(count):
        total[n] += backlog[n] + waiting[n]


def given_side(
    block: int, rates: Any, menu: Any, host: Any, limits: Any, beside: Any, stages: Any, cells: Any, table: Any,
    thresholds: Any, room: Any, total: Any,
) -> float:  # fmt: skip
    """All of the above for N designs at given thresholds, `block` at a time, so that what they share stays in cache.

    Tuples hold the arguments of `kernel_side`, `host_side`, `progress_side` and `step_side` in their order; `room`
    theirs to work in, for `block` designs. Fills `total`, shape (N,) [s], N >= block; returns as `progress_side`.
    """
    least, begin = 1.0, 0
    clock, tensor, dram, l2, launch, operation = rates
    compute, found, kernel_time, kernel_place, nothing, work, time, node, way, share = room[:10]
    progress, other, capacity, cost, backlog, waiting, done, filled = room[10:]
    while begin < len(total):
        begin = min(begin, len(total) - block)
        end = begin + block
        kernel_side(
            clock[begin:end], tensor[begin:end], dram[begin:end], l2[begin:end], launch[begin:end], menu[0], menu[1],
            menu[2], menu[3], menu[4], menu[5], menu[6], menu[7], menu[8], menu[9], compute, found, kernel_time,
            kernel_place,
        )  # fmt: skip
        host_side(
            dram[begin:end], l2[begin:end], launch[begin:end], operation[begin:end], limits[0], limits[1], limits[2],
            limits[3], limits[4], limits[5], limits[6], 1.0, menu[0], menu[5], menu[6], menu[7], menu[8], menu[9],
            host[0], host[1], host[2], host[3], host[4], host[5], host[6], host[7], host[8], host[9], host[10],
            kernel_time, kernel_place, nothing, work, time, node, way, share,
        )  # fmt: skip
        read = progress_side(
            stages[8], beside[0], beside[1], beside[2], thresholds[begin:end], share, node, way, cells, table, time,
            progress, other, capacity, cost,
        )  # fmt: skip
        least = min(least, read)
        step_side(
            stages[0], beside[3], beside[4], stages[1], stages[2], stages[3], stages[4], stages[5], stages[6],
            stages[7], time, capacity, cost, backlog, waiting, done, filled, total[begin:end],
        )  # fmt: skip
        begin = end
    return least


def best_side(
    stage_item: Any, stage_mix: Any, has_mix: Any, under: Any, behind: Any, updates: Any, passed: Any, waits: Any,
    chunks: Any, first: float, time: Any, share: Any, node: Any, way: Any, list_first: Any, lists: Any, total: Any,
) -> None:  # fmt: skip
    """The recurrence over K stages at N designs, thresholds of every stage the best of those in its list.

    The list of (mix, share, node) is rows `list_first[..., 0]` to `list_first[..., 1]` of `lists`, which has eight
    columns: progress of host and PIM beside the mix at the node and at the next, then the same beside the updates.
    """
    for n in range(len(total)):
        backlog, waiting, whole = first, 0.0, 0.0
        for stage in range(len(stage_item)):
            item, mix = stage_item[stage], stage_mix[stage]
            alone = time[item, n]
            if waits[stage]:
                wait = drain_before(backlog=backlog, passed_work=passed[stage])
                backlog -= wait
                whole += wait
            best, best_done, best_filled, best_time = -1e300, 0.0, 0.0, alone
            if mix >= 0 and backlog + under[stage] + waiting > 0.0:
                part, below, on = share[item, n], node[item, n], way[item, n]
                for one in range(list_first[mix, part, below, 0], list_first[mix, part, below, 1]):
                    r = lists[one, 0] + on * (lists[one, 2] - lists[one, 0])
                    rho = lists[one, 1] + on * (lists[one, 3] - lists[one, 1])
                    capacity = stage_capacity(host_work=alone, host_progress=r, pim_progress=rho)
                    cost = sharing_cost(host_progress=r, pim_progress=rho)
                    done, filled, update_cost = 0.0, 0.0, 0.0
                    if has_mix[stage]:
                        done = work_done(
                            capacity=capacity, backlog=backlog, pim_work=under[stage], chunks=chunks[stage]
                        )  # fmt: skip
                    if waiting > 0.0:
                        r = lists[one, 4] + on * (lists[one, 6] - lists[one, 4])
                        rho = lists[one, 5] + on * (lists[one, 7] - lists[one, 5])
                        room = stage_capacity(host_work=alone, host_progress=r, pim_progress=rho)
                        update_cost = sharing_cost(host_progress=r, pim_progress=rho)
                        filled = updates_done(capacity=capacity, update_capacity=room, done=done, updates=waiting)
                    value = threshold_value(done=done, cost=cost) + threshold_value(done=filled, cost=update_cost)
                    if value > best:
                        best, best_done, best_filled = value, done, filled
                        best_time = stage_time(
                            host_work=alone, done=done, filled=filled, cost=cost, update_cost=update_cost
                        )  # fmt: skip
            whole += best_time
            backlog += under[stage] - best_done + behind[stage]
            waiting += updates[stage] - best_filled
        total[n] = whole + backlog + waiting


LOOPS = (
    kernel_side, with_chunks, add_streams, place_rate, host_side, memory_side, gather_side, bound_side, mark,
    progress_side, step_side, given_side, best_side,
)  # fmt: skip
