"""Threshold pairs worth trying for every CONV task, chosen over the whole integer grid, and choices among them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from pimmodel.optimize.pair import completion
from pimmodel.pim.tasks import Signature, pim_kernel
from pimmodel.scenario import Policy
from pimmodel.schedule.plan import SERIAL, Plan
from pimmodel.schedule.rates import TURNS, PairRate, PairRates
from pimmodel.schedule.result import Schedule
from pimmodel.schedule.tasks import Floats, Ints
from pimmodel.schedule.workload import Workload
from pimmodel.sharing.pairs import Progress, exclusive_progress, threshold_grid

# What PIM progress is worth against the host's, for one candidate each: see `pimmodel.optimize.search`.
VALUES = (0.0, 0.4, 0.7, 0.85, 0.95, 1.0)
UNIFORM = 3  # single pairs tried on the whole step

HostKey = tuple[float, float]  # request rate and write share of a host task


class Candidates:
    """Threshold pairs worth trying for every host task, with the progress of every pair that may meet under them.

    Without surfaces `known` from before, a first look: of each host task only the kernel with most work counts.
    """

    def __init__(self, work: Workload, plan: Plan, schedule: Schedule,
                 known: Mapping[tuple[HostKey, Signature], Progress] | None = None) -> None:  # fmt: skip
        self.work, self.known = work, known
        use = work.host_at(np.where(plan.on_pim, 1, plan.chunks))
        self.keys: list[HostKey] = [
            (float(rate), float(share)) for rate, share in zip(use.rate, work.write_share, strict=True)
        ]
        self.time = use.time
        self.hosts = np.flatnonzero(~plan.on_pim)
        self.under = self._work_under(schedule)
        self.usual = Counter(one for one in work.signatures if one is not None).most_common(1)[0][0]
        self.low, self.high = threshold_grid(work.system)
        self.surfaces = self._surfaces()
        self.chosen = self._choose()
        self.progress = self._progress()

    def _work_under(self, schedule: Schedule) -> dict[int, dict[Signature, float]]:
        """PIM work that runs under each host task, by kernel [s]."""
        found: dict[int, dict[Signature, float]] = {}
        spans = schedule.segments
        for host, pim, done in zip(spans.host.tolist(), spans.pim.tolist(),
                                   ((spans.end - spans.start) * spans.pim_rate).tolist(), strict=True):  # fmt: skip
            if host >= 0 and pim >= 0:
                kernel = self.work.signatures[pim]
                assert kernel is not None
                under = found.setdefault(host, {})
                under[kernel] = under.get(kernel, 0.0) + done
        return found

    def _main_kernel(self, host: int) -> Signature:
        """The kernel with most work under a host task; of one with none, the step's most frequent."""
        under = self.under.get(host)
        if under:
            return max(under, key=lambda one: under[one])
        return self.usual

    def _surfaces(self) -> dict[tuple[HostKey, Signature], Progress]:
        """Progress over the whole grid of every host key with its main kernel."""
        wanted: dict[tuple[float, Signature], dict[float, None]] = {}
        surfaces = {}
        for host in self.hosts.tolist():
            (rate, share), kernel = self.keys[host], self._main_kernel(host)
            if self.known and ((rate, share), kernel) in self.known:
                surfaces[(rate, share), kernel] = self.known[(rate, share), kernel]
            else:
                wanted.setdefault((share, kernel), {})[rate] = None
        for (share, kernel), rates in wanted.items():
            all_rates = exclusive_progress(self.work.system, rates, share, pim_kernel(kernel, self.work.system),
                                           self.low, self.high)  # fmt: skip
            for row, rate in enumerate(rates):
                surfaces[(rate, share), kernel] = Progress(all_rates.host[row], all_rates.pim[row])
        return surfaces

    def _choose(self) -> dict[int, list[int]]:
        """Grid places to try per host task: by value, by pair, then the single pairs, which are the same for all."""
        own: dict[int, list[int]] = {}
        total = np.zeros(len(self.low))
        by_value: dict[tuple[HostKey, Signature], list[int]] = {}
        for host in self.hosts.tolist():
            which = self.keys[host], self._main_kernel(host)
            surface = self.surfaces[which]
            if which not in by_value:
                by_value[which] = [
                    int(np.argmin((1 - value * surface.pim) / np.maximum(surface.host, 1e-9))) for value in VALUES
                ]
            pim_time = sum(self.under.get(host, {}).values())
            times = completion(surface, self.time[host], pim_time)
            total += times
            own[host] = [*by_value[which], int(np.argmin(times))]
        singles = _spread_out(total, self.low, self.high, UNIFORM)
        return {host: [*places, *singles] for host, places in own.items()}

    def _progress(self) -> dict[tuple[HostKey, Signature], dict[int, PairRate]]:
        """Progress of every host key with every kernel that runs under it, at the places chosen for that key."""
        places: dict[HostKey, dict[int, None]] = {}
        kernels: dict[HostKey, dict[Signature, None]] = {}
        for host, chosen in self.chosen.items():
            places.setdefault(self.keys[host], {}).update(dict.fromkeys(chosen))
            kernels.setdefault(self.keys[host], {})[self._main_kernel(host)] = None
            if self.known is not None:
                kernels[self.keys[host]].update(dict.fromkeys(self.under.get(host, {})))
        found: dict[tuple[HostKey, Signature], dict[int, PairRate]] = {}
        for key, at in places.items():
            index = np.array(list(at))
            for kernel in kernels[key]:
                surface = self.surfaces.get((key, kernel))
                if surface is not None:
                    host, pim = surface.host[index], surface.pim[index]
                else:
                    made = exclusive_progress(self.work.system, [key[0]], key[1], pim_kernel(kernel, self.work.system),
                                              self.low[index], self.high[index])  # fmt: skip
                    host, pim = made.host[0], made.pim[0]
                found[key, kernel] = {
                    place: PairRate(one, other) if one + other >= 1 else TURNS
                    for place, one, other in zip(at, host.tolist(), pim.tolist(), strict=True)
                }
        return found

    # Choices: an array over tasks of places in `chosen`, -1 for not sharing

    def by_value(self, index: int) -> Ints:
        """For every host task the candidate of one value; not to share where that is better."""
        return self._all(lambda host: self._or_turns(host, index))

    def by_pair(self) -> Ints:
        """For every host task the thresholds that complete it and the work under it soonest."""
        return self._all(lambda host: len(VALUES))

    def single(self, index: int) -> Ints:
        """One pair for all."""
        return self._all(lambda host: len(VALUES) + 1 + index)

    def _all(self, choose: Callable[[int], int]) -> Ints:
        choice = np.full(len(self.work), -1)
        for host in self.hosts.tolist():
            choice[host] = choose(host)
        return choice

    def _or_turns(self, host: int, index: int) -> int:
        return (
            index if self.progress[self.keys[host], self._main_kernel(host)][self.chosen[host][index]].pim > 0 else -1
        )

    def options(self, host: int, present: int) -> list[int]:
        """Other choices of one host task, different in thresholds; none where no PIM work runs under it."""
        if host not in self.under or self.under[host] == {}:
            return []
        seen = {self.chosen[host][present] if present >= 0 else -1}
        found = [] if present < 0 else [-1]
        for index in range(len(VALUES) + 1):
            place = self.chosen[host][index]
            if place not in seen:
                seen.add(place)
                found.append(index)
        return found

    def rates(self, choice: Ints) -> PairRates:
        """Progress of pairs under a choice; `choice` is the index of a candidate [1], or -1, shape (T,)."""
        chosen, keys, progress, kernels = self.chosen, self.keys, self.progress, self.work.signatures

        def rate(host: int, pim: int) -> PairRate:
            if choice[host] < 0:
                return TURNS
            kernel = kernels[pim]
            assert kernel is not None
            # A pair that did not meet in the preliminary schedule: as with the kernel that did.
            found = progress.get((keys[host], kernel)) or progress[keys[host], self._main_kernel(host)]
            return found[chosen[host][choice[host]]]

        return rate

    def known_rates(self, plan: Plan) -> dict[tuple[float, float, Signature, Policy], PairRate]:
        """Progress under the policies of a plan made here, as the plan's own schedule asks for it."""
        place_of = {
            (int(low), int(high)): place for place, (low, high) in enumerate(zip(self.low, self.high, strict=True))
        }
        found = {}
        kernels = {kernel for _, kernel in self.progress}
        for host in self.hosts.tolist():
            policy, key = plan.policies[host], self.keys[host]
            if policy.theta_low is None or policy.theta_high is None:
                continue
            place = place_of[policy.theta_low, policy.theta_high]
            for kernel in kernels:
                progress = self.progress.get((key, kernel), {})
                if place in progress:
                    found[(*key, kernel, policy)] = progress[place]
        return found

    def policies(self, choice: Ints) -> Sequence[Policy]:
        """The choice as a policy per task; `choice` is the index of a candidate [1], or -1, shape (T,)."""
        made: dict[int, Policy] = {-1: SERIAL}
        policies = []
        for task, index in enumerate(choice.tolist()):
            place = self.chosen[task][index] if index >= 0 else -1
            if place not in made:
                made[place] = Policy(kind="exclusive", theta_low=int(self.low[place]), theta_high=int(self.high[place]))
            policies.append(made[place])
        return policies


def _spread_out(values: Floats, low: Ints, high: Ints, count: int) -> list[int]:
    """Places of the least values, no two within two of each other in both thresholds."""
    found: list[int] = []
    for place in np.argsort(values, kind="stable").tolist():
        if all(abs(int(low[place] - low[one])) > 2 or abs(int(high[place] - high[one])) > 2 for one in found):
            found.append(place)
        if len(found) == count:
            break
    return found + found[:1] * (count - len(found))
