"""The stage model at many designs at once: one structure, N sets of GPU rates, bandwidths and thresholds.

Everything that depends on more than rates and thresholds (network, batch, memory timing, PIM, SMs) is the same for all
designs of a batch; `pimmodel.sweep` sorts designs into batches. Gives the numbers of `StageModel` to rounding.
"""

from __future__ import annotations

import functools
import threading
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from pimmodel.roofline.menu import KernelMenu, Rates
from pimmodel.schedule.tasks import Floats, Ints
from pimmodel.sharing.pairs import WRITE_STEPS
from pimmodel.stages.compiled import compiled
from pimmodel.stages.envelope import node_pairs
from pimmodel.stages.host import HostSide, HostTimes, fastest, menu_of, reciprocals
from pimmodel.stages.model import StageModel
from pimmodel.stages.progress import NODES, Mix
from pimmodel.stages.room import Room

BLOCK = 1024  # designs worked on at once
CACHED = 256  # of these at once in a core's cache
_MISSING = -1.0


class StageBatch:
    """Evaluator of one stage model. It fills its tables of progress as they are needed: keep it."""

    def __init__(self, model: StageModel, menu: KernelMenu | None = None) -> None:
        self.model, self.loops = model, compiled()
        pim, structure = model.pim, model.structure
        self.menu = menu_of(model.work) if menu is None else menu
        self.host = HostTimes(model.work, self.menu, model.task_chunks(), structure.host)
        self.mixes: list[Mix] = list(dict.fromkeys(one for one in (*pim.mixes, pim.update_mix) if one))
        number = {mix: place for place, mix in enumerate(self.mixes)}
        self._has_mix = np.array([bool(mix) for mix in pim.mixes], dtype=bool)
        self._update_mix = number.get(pim.update_mix, -1)
        self._stage_mix = np.array([number.get(mix, self._update_mix) for mix in pim.mixes], dtype=np.int64)
        self._stages = (
            pim.under, pim.behind, pim.updates, pim.passed, structure.waits, model.chunks.astype(np.int64), pim.first,
        )  # fmt: skip
        self._progress = _Progress(np.zeros(0, dtype=np.int64), np.zeros((len(self.mixes), WRITE_STEPS + 1), np.int32),
                                   np.full((1, 1, NODES, 2), _MISSING))  # fmt: skip
        self._lock = threading.Lock()
        self._lists = _Lists(self)

    def times(
        self, side: HostSide, thresholds: Ints | None = None, pairs: Ints | None = None, room: Room | None = None
    ) -> Floats:
        """Time of the step at N designs, shape (N,) [s].

        Parameters
        ----------
        side : of the host, from `host`
        thresholds : place in the table's grid of the pair that all stages of a design have, shape (N,) [1]
        pairs : or that each stage has in all designs, shape (K,) [1]. With neither, every stage has the best
        room : to work in
        """
        room = room or Room()
        total = np.empty(side.time.shape[1])
        none = np.zeros(1, dtype=np.int64)
        if thresholds is not None:
            self._given(side, thresholds, none, thresholds, total, room)
        elif pairs is not None:
            self._given(side, none, pairs, pairs, total, room)
        else:
            self._best(side, total)
        return total

    def _given(
        self, side: HostSide, thresholds: Ints, pairs: Ints, used: Ints, total: Floats, room: Room
    ) -> None:  # fmt: skip
        """`times` at the thresholds `used`: `thresholds` per design, shape (N,), or `pairs` per stage, shape (K,)."""
        count, by_design = len(total), used is thresholds
        self._admit(np.unique(used))
        while True:
            now = self._progress
            both = now.at(thresholds) if by_design else np.zeros(count, dtype=np.int64)
            beside = self._same if by_design else self._beside(now.at(pairs))
            pair_item, pair_mix, pair_thresholds, stage_pair, stage_update = beside
            capacity, cost = (room.array(name, (len(pair_item), count)) for name in ("capacity", "cost"))
            least: Any = self.loops["progress_side"](
                self.host.one_share, pair_item, pair_mix, pair_thresholds, both, side.share, side.node, side.way,
                now.cells, now.table, side.time, *room.array("progress", (2, count)), capacity, cost,
            )  # fmt: skip
            if least >= 0:
                break
            self._fill(self._needed(side, pair_item, pair_mix))
        self.loops["step_side"](
            self.host.kind_of, stage_pair, stage_update, *self._stages, side.time, capacity, cost,
            *room.array("recurrence", (4, count)), total,
        )  # fmt: skip

    def from_rates(self, rates: Rates, thresholds: Ints, room: Room) -> Floats:
        """`times` at N designs from their rates alone, faster: nothing of the host's side is kept.

        Parameters
        ----------
        rates : of N designs, at least `CACHED`
        thresholds : as for `times`, shape (N,) [1]
        room : to work in
        """
        self._admit(np.unique(thresholds))
        now, columns = self._progress, reciprocals(rates)
        count, menu, kinds, pairs = len(columns[0]), self.menu, len(self.host.kinds), len(self._same[0])
        total = np.empty(count)
        nothing = room.array("nothing", (CACHED,), np.int64)
        nothing[:] = self.host.no_kernel
        one, integers = (CACHED,), ((len(menu), CACHED), np.int64)
        works = (
            *(room.array(f"kernel {name}", one) for name in "ab"), room.array("kernel time", (len(menu), CACHED)),
            room.array("kernel place", *integers), nothing, room.array("host work", one),
            room.array("stages time", (kinds, CACHED)), room.array("stages node", (kinds, CACHED), np.int32),
            room.array("stages way", (kinds, CACHED)), room.array("stages share", (kinds, CACHED), np.int32),
            *(room.array(f"progress {name}", one) for name in "ab"),
            *(room.array(name, (pairs, CACHED)) for name in ("capacity", "cost")),
            *(room.array(f"recurrence {name}", one) for name in "abcd"),
        )  # fmt: skip
        stages = (self.host.kind_of, *self._stages, self.host.one_share)
        least: Any = self.loops["given_side"](
            CACHED, (*columns, columns[0] * self.host.per_clock),
            (menu.first, menu.on_clock, menu.on_tensor, menu.split_bytes, menu.split_launches, menu.streamed, menu.near,
             menu.apart_bytes, menu.apart_launches, menu.kernels),
            self.host.arguments, self.host.limits, self._same, stages, now.cells, now.table,
            now.at(thresholds), works, total,
        )  # fmt: skip
        if least >= 0:
            return total
        for begin in range(0, count, BLOCK):
            part = slice(begin, begin + BLOCK)
            clock, tensor, dram, l2 = (1 / one[part] for one in columns[:4])
            some = Rates(clock, tensor, dram, l2, columns[4][part])
            side = self.host.at(fastest(menu, some, room), room, "stages")
            total[part] = self.times(side, thresholds[part], room=room)
        return total

    def _admit(self, wanted: Ints) -> None:
        """Make room for threshold pairs."""
        with self._lock:
            now = self._progress
            if not np.isin(wanted, now.pairs).all():
                pairs = np.union1d(now.pairs, wanted)
                self._progress = _Progress(
                    pairs, np.zeros_like(now.cells), np.full((1, len(pairs), NODES, 2), _MISSING)
                )

    @functools.cached_property
    def _same(self) -> tuple[Ints, Ints, Ints, Ints, Ints]:
        """`_beside` where all stages have the same thresholds."""
        return self._beside(np.zeros(len(self.model.structure), dtype=np.int64))

    def _beside(self, thresholds: Ints) -> tuple[Ints, Ints, Ints, Ints, Ints]:
        """Different pairs of a host item and a mix, thresholds given per stage, shape (K,) [1].

        Returns item, mix and thresholds of each pair, and which pair every stage has for urgent work and for updates.
        """
        found: dict[tuple[int, int, int], int] = {}

        def number(item: int, mix: int, place: int) -> int:
            return found.setdefault((item, mix, place), len(found)) if mix >= 0 else -1

        listed = list(zip(self.host.kind_of.tolist(), self._stage_mix.tolist(), self._has_mix.tolist(),
                          thresholds.tolist(), strict=True))  # fmt: skip
        beside = np.array([number(item, mix, place) if has else -1 for item, mix, has, place in listed])
        begun = np.cumsum(self.model.pim.updates) - self.model.pim.updates > 0  # whether any update may wait
        updates = np.array([number(item, self._update_mix, place) if some else -1
                            for (item, _, _, place), some in zip(listed, begun.tolist(), strict=True)])  # fmt: skip
        item, mix, place = np.array(list(found), dtype=np.int64).reshape(-1, 3).T.copy()
        return item, mix, place, beside, updates

    def _needed(self, side: HostSide, pair_item: Ints, pair_mix: Ints) -> Any:
        """Which nodes these designs need, shape (mixes, shares, nodes)."""
        needed = np.zeros((len(self.mixes), WRITE_STEPS + 1, NODES), dtype=np.uint8)
        self.loops["mark"](pair_item, pair_mix, side.share, side.node, needed)
        return needed

    def _fill(self, needed: Any) -> None:
        """Work out the progress that is needed and not there yet; what other threads read stays as it is."""
        with self._lock:
            pairs, cells, table = self._progress
            cells = cells.copy()
            wanted = list(zip(*(one.tolist() for one in np.nonzero(needed.any(axis=2))), strict=True))
            new = [place for place in wanted if cells[place] == 0]
            for number, place in enumerate(new):
                cells[place] = len(table) + number
            table = np.concatenate([table, np.full((len(new), *table.shape[1:]), _MISSING)])
            for mix, share in wanted:
                cell = table[cells[mix, share]]
                nodes = np.flatnonzero(needed[mix, share] & (cell[0, :, 0] == _MISSING)).tolist()
                if nodes:
                    progress = self.model.table.mixed(self.mixes[mix], share, nodes, pairs)
                    cell[:, nodes] = np.stack(progress, axis=-1).transpose(1, 0, 2)
            self._progress = _Progress(pairs, cells, table)

    def _best(self, side: HostSide, total: Floats) -> None:
        pair_item, pair_mix, *_ = self._same
        needed = self._needed(side, pair_item, pair_mix)
        with self._lock:
            first, rows = self._lists.with_nodes(needed)
        self.loops["best_side"](
            self.host.kind_of, self._stage_mix, self._has_mix, *self._stages, side.time, side.share, side.node,
            side.way, first, rows, total,
        )  # fmt: skip


class _Progress(NamedTuple):
    """Progress at P threshold pairs: `pairs`, shape (P,), places in the grid; `cells`, shape (mixes, shares), places in
    `table`, shape (cells, P, nodes, 2), of host and PIM, below 0 where it was not needed so far."""

    pairs: Ints
    cells: Any
    table: Floats

    def at(self, pairs: Ints) -> Ints:
        """Places of threshold pairs."""
        return np.searchsorted(self.pairs, pairs)


@dataclass(eq=False)
class _Lists:
    """Threshold pairs worth comparing, by mix, write share and node: rows of progress, see `best_side`."""

    batch: StageBatch
    rows: Floats = field(default_factory=lambda: np.zeros((0, 8)))

    def __post_init__(self) -> None:
        self.first = np.zeros((len(self.batch.mixes), WRITE_STEPS + 1, NODES, 2), dtype=np.int64)

    def with_nodes(self, needed: Any) -> tuple[Ints, Floats]:
        """First and last rows by mix, share and node, and the rows, with those of the nodes that are needed."""
        table, mixes = self.batch.model.table, self.batch.mixes
        updates, made = self.batch.model.pim.update_mix, [self.rows]
        first, length = self.first.copy(), len(self.rows)
        for mix, share, node in zip(*(one.tolist() for one in np.nonzero(needed)), strict=True):
            beyond = node >= NODES - 1 or not needed[mix, share, node + 1]
            if beyond or first[mix, share, node, 1] > 0:
                continue
            pairs = np.union1d(*(node_pairs(table, mixes[mix], share, one) for one in (node, node + 1)))
            columns = []
            for one in (mixes[mix], updates or mixes[mix]):
                host, pim = table.mixed(one, share, [node, node + 1], pairs)
                columns += [host[0], pim[0], host[1], pim[1]]
            made.append(np.stack(columns, axis=1))
            first[mix, share, node] = length, length + len(pairs)
            length += len(pairs)
        if len(made) > 1:
            self.first, self.rows = first, np.concatenate(made)
        return self.first, self.rows
