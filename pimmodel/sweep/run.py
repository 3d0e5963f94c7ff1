"""`sweep`: a study from its first design to its last, on this machine or on a cluster."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pimmodel.errors import PimModelError
from pimmodel.estimates import Model
from pimmodel.hardware.system import System
from pimmodel.network.network import Network
from pimmodel.network.training import Optimizer, Precision
from pimmodel.sweep.axes import designs
from pimmodel.sweep.dataset import Collected, check_form, save
from pimmodel.sweep.evaluator import Evaluator, Figures, ScheduleEvaluator, evaluator
from pimmodel.sweep.parts import PartStore
from pimmodel.sweep.study import DEFAULT, STAGED, Study

if TYPE_CHECKING:
    import xarray as xr

# Designs of one part: what is written, shown as progress, and sent to a cluster's worker at once.
PART = {"stages": 2**17, "schedule": 4}
_RETRIES = 10  # of a part whose worker was lost

Progress = Callable[[int, int], None]


def sweep(
    network: Network,
    system: System,
    parameters: Mapping[str, Any],
    *,
    method: str = "grid",
    points: int | None = None,
    seed: int = 0,
    policies: Sequence[str] = STAGED,
    outputs: Sequence[str] = DEFAULT,
    thresholds: tuple[int, int] | None = None,
    chunks: int = 1,
    precision: Precision = "fp32",
    optimizer: Optimizer = "sgd-momentum",
    fuse_activation: bool = False,
    model: Model = "stages",
    output: str | os.PathLike[str] | None = None,
    workers: int | None = None,
    client: Any = None,
    part_size: int | None = None,
    progress: Progress | None = None,
) -> xr.Dataset:
    """Figures of many designs.

    Parameters
    ----------
    network, system : the design that the others differ from
    parameters : dotted name to values, in SI or as texts with a unit: "gpu.clock", "memory.timing.tCCD_L",
        "pim.units_per_channel" and so on, "batch", "chunks", "thresholds.low", "thresholds.high". For a grid, rising
        values; for samplers, the least and the greatest
    method : "grid", "random", "latin" or "sobol"
    points, seed : designs to sample, and how
    policies : of "gpu-only", "serial", "exclusive" and "ideal"; with model "schedule", of all
    outputs : of "time", "speedup" (over gpu-only and serial), "energy", "bound" and "interval": where nine of ten times
        and speedups lie (`pimmodel.sensitivity.uncertainty`), of the stage model
    thresholds : (theta_low, theta_high) of all host tasks under "exclusive"; default: the best for each
    chunks : chunks of the CONV tasks under "exclusive" [1]
    precision, optimizer, fuse_activation, model : as for `pimmodel.estimate`, whose numbers these are. "stages" does up
        to a million designs per second, "schedule" a few
    output : a .nc, .csv or .parquet file. A run that was interrupted goes on from what it wrote (`NAME.parts`)
    workers : threads; default: the machine's cores
    client : of a Dask cluster, on which the parts are worked out instead
    part_size : designs of one part
    progress : called with the designs done and all of them

    Returns
    -------
    Dataset with one dimension per parameter (grid) or the dimension `design`, and `policy`; NaN where a design is not
    possible, `reason` says why.

    Raises
    ------
    UnknownNameError : a parameter, method, policy or output that is not there.
    PimModelError : values that cannot be; an output that cannot be written.
    MissingExtraError : `pip install 'pimmodel[sweep]'` is needed.
    """
    low, high = thresholds if thresholds is not None else (None, None)
    study = Study(
        network, system, designs(system, parameters, method, points, seed), tuple(policies), tuple(outputs), low, high,
        chunks, precision, optimizer, fuse_activation, model,
    )  # fmt: skip
    return run(study, output, workers, client, part_size, progress).dataset()


def run(
    study: Study,
    output: str | os.PathLike[str] | None = None,
    workers: int | None = None,
    client: Any = None,
    part_size: int | None = None,
    progress: Progress | None = None,
) -> Collected:
    """Figures of a study; parameters as for `sweep`."""
    size = PART[study.model] if part_size is None else part_size
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise PimModelError(f"part_size is {part_size!r}; allowed: a whole number, 1 or more")
    if workers is not None and (isinstance(workers, bool) or not isinstance(workers, int) or workers < 1):
        raise PimModelError(f"workers is {workers!r}; allowed: a whole number, 1 or more")
    path = None if output is None else Path(output)
    if path is not None:
        check_form(path)
    collected, count = Collected(study), len(study.designs)
    begins = list(range(0, count, size))
    store, done = None, 0
    missing = list(range(len(begins)))
    if path is not None:
        store = PartStore.beside(path, f"{study.fingerprint} {size}")
        for part in sorted(store.done() & set(missing)):
            figures = store.get(part)
            if figures is not None:
                collected.put(begins[part], figures)
                missing.remove(part)
                done += len(figures["reason"])
    threads = workers or os.cpu_count() or 1
    found = (
        _on_cluster(study, begins, missing, size, client) if client else _here(study, begins, missing, size, threads)
    )
    if progress:
        progress(done, count)
    for part, figures in found:
        if store is not None:
            store.put(part, figures)
        collected.put(begins[part], figures)
        done += len(figures["reason"])
        if progress:
            progress(done, count)
    if path is not None and store is not None:
        save(collected, path)
        store.remove()
    return collected


def _here(
    study: Study, begins: list[int], missing: list[int], size: int, workers: int
) -> Iterator[tuple[int, Figures]]:
    made = evaluator(study)
    for part in missing:
        end = min(begins[part] + size, len(study.designs))
        yield part, made.evaluate(study.designs.part(begins[part], end), workers)


def _on_cluster(
    study: Study, begins: list[int], missing: list[int], size: int, client: Any
) -> Iterator[tuple[int, Figures]]:
    """Parts as a cluster's workers complete them; those of a worker that is lost are worked out again, each once."""
    from distributed import as_completed

    shared = client.scatter(study, broadcast=True)
    name = f"pimmodel-{study.fingerprint[:16]}"
    ends = {part: min(begins[part] + size, len(study.designs)) for part in missing}
    futures = {
        client.submit(_part, shared, begins[part], ends[part], key=f"{name}-{part}", retries=_RETRIES): part
        for part in missing
    }  # fmt: skip
    for future in as_completed(list(futures)):
        yield futures.pop(future), future.result()
        future.release()


def _part(study: Study, begin: int, end: int) -> Figures:
    """One part, on a worker."""
    return _kept(study.fingerprint, _Held(study)).evaluate(study.designs.part(begin, end))


class _Held:
    """A study that a cache does not look at."""

    def __init__(self, study: Study) -> None:
        self.study = study

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Held)

    def __hash__(self) -> int:
        return 0


@functools.lru_cache(maxsize=2)
def _kept(fingerprint: str, held: _Held) -> Evaluator | ScheduleEvaluator:
    """The evaluator of a study, one per worker process: it keeps what its designs share."""
    return evaluator(held.study)
