"""The stage model at many designs at once: one structure, N sets of GPU rates, bandwidths and thresholds.

Everything that depends on more than rates and thresholds (network, batch, memory timing, PIM, SMs) is the same for all
designs of a batch; `pimmodel.sweep` sorts designs into batches. Gives the numbers of `StageModel` to rounding.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pimmodel.roofline.menu import KernelMenu, Rates, kernel_menu
from pimmodel.schedule.tasks import Floats, Ints
from pimmodel.sharing.pairs import LEAST_RATE, WRITE_STEPS, near_share
from pimmodel.stages.compiled import compiled
from pimmodel.stages.envelope import node_pairs
from pimmodel.stages.items import HostItems, host_items
from pimmodel.stages.model import StageModel
from pimmodel.stages.progress import NODES, Mix

BLOCK = 1024  # designs worked on at once: their arrays fit into a core's cache
_MISSING = -1.0


@dataclass(frozen=True, eq=False)
class HostSide:
    """I kinds of host tasks at N designs, arrays of shape (I, N).

    time : alone [s]; place : of the request rate among the table's nodes [1]; share : write share in parts of
    `WRITE_STEPS`
    """

    time: Floats
    place: Floats
    share: NDArray[np.int32]


class StageBatch:
    """Evaluator of one stage model. It fills its tables of progress as they are needed: keep it."""

    def __init__(self, model: StageModel) -> None:
        self.model, self.loops = model, compiled()
        work, pim, structure = model.work, model.pim, model.structure
        self.items: HostItems = host_items(work, model.task_chunks())
        self.menu: KernelMenu = kernel_menu(
            work.host_tasks.shapes, work.host_tasks.phases, work.system.gpu, work.precision,
            channels_last=work.precision == "fp16",
        )  # fmt: skip
        self.mixes: list[Mix] = list(dict.fromkeys(one for one in (*pim.mixes, pim.update_mix) if one))
        self._places = _Places(self, structure.host)
        self._stages = (
            pim.under, pim.behind, pim.updates, pim.passed, structure.waits, model.chunks.astype(np.int64), pim.first,
        )  # fmt: skip
        self._cells = np.full((len(self.mixes), WRITE_STEPS + 1), 0, dtype=np.int32)
        self._table = np.full((1, 1, NODES, 2), _MISSING)
        self._pairs = np.zeros(0, dtype=np.int64)
        self._lists = _Lists(self)

    def host(self, rates: Rates) -> HostSide:
        """The host's side at N sets of rates, of the kinds of tasks that the model has on the host."""
        gpu, memory = self.model.work.system.gpu, self.model.work.system.memory
        columns = np.broadcast_arrays(*(
            np.atleast_1d(np.asarray(one, dtype=float))
            for one in (rates.clock, rates.tensor_peak, rates.bandwidth, rates.l2_bandwidth, rates.launch)
        ))  # fmt: skip
        clock, tensor, dram, l2 = (1 / one for one in columns[:4])
        launch, count = np.ascontiguousarray(columns[4]), len(clock)
        menu, places, grid = self.menu, self._places, self.model.table.grid
        times, chosen = np.empty((len(menu), count)), np.zeros((len(menu), count), dtype=np.int64)
        self.loops["kernel_side"](
            clock, tensor, dram, l2, launch, menu.first, menu.on_clock, menu.on_tensor, menu.split_bytes,
            menu.split_launches, menu.streamed, menu.near, menu.apart_bytes, menu.apart_launches, menu.kernels,
            *np.empty((2, count)), times, chosen,
        )  # fmt: skip
        kinds = len(places.kernel_of)
        time, place = np.empty((kinds, count)), np.empty((kinds, count))
        share = np.empty((kinds, count), dtype=np.int32)
        channels = self.model.work.system.memory_channels
        self.loops["host_side"](
            dram, l2, launch, clock / (2 * gpu.sm_count * gpu.fp32_lanes_per_sm), float(gpu.sm_count),
            1 / (channels * memory.organisation.bytes_per_column * memory.clock), LEAST_RATE,
            1 / memory.timing.tCCD_S, grid.first, 1 / grid.step, menu.first, menu.streamed, menu.near,
            menu.apart_bytes, menu.apart_launches, menu.kernels, places.traffic, menu.in_turn, places.kernel_of,
            places.stream_first, places.stream_moved, places.stream_operations, places.stream_blocks,
            places.stream_bytes, places.again, places.share_first, places.share_of, times, chosen,
            np.full(count, len(places.traffic) - 1), np.empty(count), time, place, share,
        )  # fmt: skip
        return HostSide(time, place, share)

    def times(self, host: HostSide, thresholds: Ints | None = None, pairs: Ints | None = None) -> Floats:
        """Time of the step at N designs, shape (N,) [s].

        Parameters
        ----------
        host : from `host`
        thresholds : place in the table's grid of the pair that all stages of a design have, shape (N,)
        pairs : or that each stage has in all designs, shape (K,). With neither, every stage has the best
        """
        total = np.empty(host.time.shape[1])
        none = np.zeros(1, dtype=np.int64)
        if thresholds is not None:
            self._given(host, thresholds, none, thresholds, total)
        elif pairs is not None:
            self._given(host, none, pairs, pairs, total)
        else:
            self._best(host, total)
        return total

    def _given(self, host: HostSide, thresholds: Ints, pairs: Ints, used: Ints, total: Floats) -> None:
        """`times` at the thresholds `used`: `thresholds` per design, shape (N,), or `pairs` per stage, shape (K,)."""
        of, count = self._places, len(total)
        wanted = np.unique(used)
        if not np.isin(wanted, self._pairs).all():
            self._pairs = np.union1d(self._pairs, wanted)
            self._cells[:] = 0
            self._table = np.full((1, len(self._pairs), NODES, 2), _MISSING)
        by_design = used is thresholds
        each = np.zeros(len(self.model.structure), dtype=np.int64) if by_design else self._at(pairs)
        both = self._at(thresholds) if by_design else np.zeros(count, dtype=np.int64)
        pair_item, pair_mix, pair_thresholds, stage_pair, stage_update = of.pairs(each)
        capacity, cost = (np.empty((len(pair_item), count)) for _ in range(2))
        for _ in range(2):
            least: Any = self.loops["progress_side"](
                pair_item, pair_mix, pair_thresholds, both, host.share, host.place, NODES - 2, self._cells,
                self._table, host.time, *np.empty((2, count)), capacity, cost,
            )  # fmt: skip
            if least >= 0:
                break
            self._fill(host, pair_item, pair_mix)
        self.loops["step_side"](
            of.stage_item, stage_pair, stage_update, *self._stages, host.time, capacity, cost,
            *np.empty((4, count)), total,
        )  # fmt: skip

    def _at(self, pairs: Ints) -> Ints:
        return np.searchsorted(self._pairs, pairs)

    def _needed(self, host: HostSide, pair_item: Ints, pair_mix: Ints) -> Any:
        needed = np.zeros((len(self.mixes), WRITE_STEPS + 1, NODES), dtype=np.uint8)
        self.loops["mark"](pair_item, pair_mix, host.share, host.place, NODES - 2, needed)
        return needed

    def _fill(self, host: HostSide, pair_item: Ints, pair_mix: Ints) -> None:
        """Work out the progress that these designs need and that is not there yet."""
        needed = self._needed(host, pair_item, pair_mix)
        for mix, share in zip(*np.nonzero(needed.any(axis=2)), strict=True):
            if self._cells[mix, share] == 0:
                self._cells[mix, share] = len(self._table)
                self._table = np.concatenate([self._table, np.full_like(self._table[:1], _MISSING)])
            cell = self._table[self._cells[mix, share]]
            nodes = np.flatnonzero(needed[mix, share] & (cell[0, :, 0] == _MISSING)).tolist()
            if nodes:
                progress = self.model.table.mixed(self.mixes[mix], int(share), nodes, self._pairs)
                cell[:, nodes] = np.stack(progress, axis=-1).transpose(1, 0, 2)

    def _best(self, host: HostSide, total: Floats) -> None:
        of, lists = self._places, self._lists
        pair_item, pair_mix, *_ = of.pairs(np.zeros(len(self.model.structure), dtype=np.int64))
        lists.fill(self._needed(host, pair_item, pair_mix))
        self.loops["best_side"](
            of.stage_item, of.stage_mix, of.has_mix, *self._stages, host.time, host.share, host.place, NODES - 2,
            lists.first, lists.rows, total,
        )  # fmt: skip


class _Places:
    """Index arrays of a batch: kinds of tasks on the host, and what runs beside each stage."""

    def __init__(self, batch: StageBatch, host: Ints) -> None:
        items, menu, model = batch.items, batch.menu, batch.model
        constants = model.work.system.gpu.kernels
        kinds, stage_item = np.unique(items.item_of[host], return_inverse=True)
        self.stage_item = stage_item.astype(np.int64)
        self.kernel_of, self.again = items.kernel_of[kinds], items.again[kinds]
        streams = [np.arange(items.stream_first[kind], items.stream_first[kind + 1]) for kind in kinds]
        self.stream_first = np.cumsum([0, *map(len, streams)])
        flat = np.concatenate(streams) if streams else np.zeros(0, dtype=np.int64)
        slower = np.where(items.reduces, 1.0, constants.dram_efficiency)
        self.stream_moved = (items.bytes * slower)[flat]
        self.stream_operations, self.stream_blocks = items.operations[flat], items.blocks[flat]
        self.stream_bytes = np.array([items.bytes[one].sum() for one in streams], dtype=float)
        self.traffic = np.append(menu.traffic, 0.0)
        shares = [
            near_share(items.written[kind] / np.maximum(self.stream_bytes[at] + self.traffic[chosen], 1.0))
            for at, (kind, chosen) in enumerate(zip(kinds, map(self._kernels_of, self.kernel_of, [menu] * len(kinds)),
                                                    strict=True))
        ]  # fmt: skip
        self.share_first = np.cumsum([0, *map(len, shares)])[:-1]
        self.share_of = np.round(np.concatenate(shares) * WRITE_STEPS).astype(np.int32)
        number = {mix: place for place, mix in enumerate(batch.mixes)}
        pim = model.pim
        self.has_mix = np.array([bool(mix) for mix in pim.mixes])
        self.update_mix = number.get(pim.update_mix, -1)
        self.stage_mix = np.array([number.get(mix, self.update_mix) for mix in pim.mixes], dtype=np.int64)

    def _kernels_of(self, kernel: int, menu: KernelMenu) -> Ints:
        """Places in `traffic` of the kernels that one kind of task may run."""
        last = len(self.traffic) - 1
        return np.arange(menu.first[kernel], menu.first[kernel + 1]) if kernel >= 0 else np.array([last])

    def pairs(self, thresholds: Ints) -> tuple[Ints, Ints, Ints, Ints, Ints]:
        """Different pairs of a host item and a mix, thresholds given per stage, shape (K,) [1].

        Returns item, mix and thresholds of each pair, and which pair every stage has for urgent work and for updates.
        """
        found: dict[tuple[int, int, int], int] = {}

        def number(item: int, mix: int, place: int) -> int:
            return found.setdefault((item, mix, place), len(found)) if mix >= 0 else -1

        listed = list(zip(self.stage_item.tolist(), self.stage_mix.tolist(), self.has_mix.tolist(),
                          thresholds.tolist(), strict=True))  # fmt: skip
        beside = np.array([number(item, mix, place) if has else -1 for item, mix, has, place in listed])
        updates = np.array([number(item, self.update_mix, place) for item, _, _, place in listed])
        keys = np.array(list(found), dtype=np.int64).reshape(-1, 3)
        item, mix, place = keys.T.copy()
        return item, mix, place, beside, updates


@dataclass(eq=False)
class _Lists:
    """Threshold pairs worth comparing, by mix, write share and node: rows of progress, see `best_side`."""

    batch: StageBatch
    rows: Floats = field(default_factory=lambda: np.zeros((0, 8)))

    def __post_init__(self) -> None:
        self.first = np.zeros((len(self.batch.mixes), WRITE_STEPS + 1, NODES, 2), dtype=np.int64)
        self._known: set[tuple[int, int, int]] = set()

    def fill(self, needed: Any) -> None:
        """Add the lists of nodes that are needed and not there."""
        table, mixes = self.batch.model.table, self.batch.mixes
        updates, made = self.batch.model.pim.update_mix, [self.rows]
        length = len(self.rows)
        for mix, share, node in zip(*(one.tolist() for one in np.nonzero(needed)), strict=True):
            beyond = node >= NODES - 1 or not needed[mix, share, node + 1]
            if beyond or (mix, share, node) in self._known:
                continue
            self._known.add((mix, share, node))
            pairs = np.union1d(*(node_pairs(table, mixes[mix], share, one) for one in (node, node + 1)))
            columns = []
            for one in (mixes[mix], updates or mixes[mix]):
                host, pim = table.mixed(one, share, [node, node + 1], pairs)
                columns += [host[0], pim[0], host[1], pim[1]]
            made.append(np.stack(columns, axis=1))
            self.first[mix, share, node] = length, length + len(pairs)
            length += len(pairs)
        self.rows = np.concatenate(made)
