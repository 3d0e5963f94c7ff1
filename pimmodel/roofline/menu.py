"""All kernels that could be the fastest on GPUs that differ in their rates alone, for evaluation at millions of points.

The model of :mod:`pimmodel.roofline.conv` is evaluated a few times and read out as coefficients: a kernel's arithmetic,
and what overlaps with nothing, are linear in the reciprocals of core clock, tensor-core peak and bandwidths and in the
launch overhead. What changes the kernels themselves (SMs, L2, precision) makes another menu. A kernel that another one
beats in every coefficient can be the fastest nowhere and is left out; what is left gives the same times to rounding
(tested to 1e-12 on random GPUs).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pimmodel.hardware.gpu import Gpu
from pimmodel.network.conv_shape import ConvShape
from pimmodel.roofline.conv import ALGORITHMS, Matrix, all_kernels, with_more_traffic
from pimmodel.roofline.products import Phase
from pimmodel.roofline.tiles import kernel_time, memory_time

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class KernelMenu:
    """Kernels of U tasks, C in all; those of task u are `first[u]` to `first[u + 1]`.

    first : shape (U + 1,)
    on_clock, on_tensor : arithmetic times core clock [clock] and times tensor-core peak [FLOP], shape (C,)
    split_bytes, split_launches : its part in DRAM traffic [B] and launches [1]: sums of a split depth
    streamed, near : bytes that overlap with it, to DRAM and to L2 [B]
    apart_bytes, apart_launches : DRAM traffic [B] and launches [1] that overlap with nothing
    kernels : launches [1]; traffic : all bytes to DRAM [B]; in_turn : whether more traffic would not overlap either
    algorithm, tensor_cores : as in `pimmodel.roofline.conv.ConvKernels` [1]
    """

    first: Ints
    on_clock: Floats
    on_tensor: Floats
    split_bytes: Floats
    split_launches: Floats
    streamed: Floats
    near: Floats
    apart_bytes: Floats
    apart_launches: Floats
    kernels: Floats
    traffic: Floats
    in_turn: NDArray[np.bool_]
    algorithm: Ints
    tensor_cores: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.first) - 1


def kernel_menu(
    shapes: Sequence[ConvShape], phases: Sequence[Phase], gpu: Gpu, precision: Matrix, *, channels_last: bool = False
) -> KernelMenu:
    """Menu of U tasks; parameters as for `pimmodel.roofline.conv.conv_kernels`, of `gpu` all but its rates."""
    if not shapes:
        nothing = {one.name: np.zeros(0) for one in fields(KernelMenu)}
        return KernelMenu(**nothing | {"first": np.zeros(1, dtype=np.int64), "in_turn": np.zeros(0, dtype=bool),
                                       "algorithm": np.zeros(0, dtype=np.int64)})  # fmt: skip
    launch = gpu.launch_overhead or 1e-6
    bandwidth = 1e12

    def parts(bandwidth: float = bandwidth, **changed: Any) -> dict[str, Floats]:
        varied = gpu.model_copy(update={"launch_overhead": launch} | changed)
        found = all_kernels(shapes, phases, varied, bandwidth, precision, channels_last)
        return {
            name: np.concatenate([np.broadcast_to(_of(one, name), one.time.shape) for one in found], axis=1)
            for name in ("time", "compute", "apart", "streamed", "near", "dram_bytes", "kernels", "algorithm",
                         "tensor_cores")
        }  # fmt: skip

    here = parts()
    faster = parts(clock=2 * gpu.clock)
    wider, slower = parts(bandwidth=2 * bandwidth), parts(launch_overhead=2 * launch)
    # Halving a reciprocal takes half of its part off; doubling the launch adds it once.
    on_tensor = np.zeros_like(here["compute"])
    peak = gpu.tensor_peak(precision)
    if peak is not None:
        sharper = parts(**{f"{precision}_tensor_peak": 2 * peak})
        on_tensor = _clean(2 * (here["compute"] - sharper["compute"]) * peak, here["compute"] * peak)
    factor = gpu.kernels.launch_factor
    columns = {
        "on_clock": _clean(2 * (here["compute"] - faster["compute"]) * gpu.clock, here["compute"] * gpu.clock),
        "on_tensor": on_tensor,
        "split_bytes": _clean(2 * (here["compute"] - wider["compute"]) * bandwidth, here["compute"] * bandwidth),
        "split_launches": _clean((slower["compute"] - here["compute"]) / (launch * factor), here["compute"] / launch),
        "streamed": here["streamed"],
        "near": here["near"],
        "apart_bytes": _clean(2 * (here["apart"] - wider["apart"]) * bandwidth, here["apart"] * bandwidth),
        "apart_launches": _clean((slower["apart"] - here["apart"]) / (launch * factor), here["apart"] / launch),
        "kernels": here["kernels"],
        "traffic": here["dram_bytes"],
        "in_turn": here["algorithm"] == ALGORITHMS.index("winograd_nonfused"),
        "algorithm": here["algorithm"],
        "tensor_cores": here["tensor_cores"] > 0,
    }
    kept = [_undominated({name: values[task] for name, values in columns.items()}, np.isfinite(here["time"][task]))
            for task in range(len(shapes))]  # fmt: skip
    chosen = {name: np.concatenate([values[task][one] for task, one in enumerate(kept)])
              for name, values in columns.items()}  # fmt: skip
    return KernelMenu(first=np.cumsum([0, *map(len, kept)]), **chosen)


def _of(family: Any, name: str) -> Any:
    return family.time if name == "time" else family.rest[name]


_STRICT = ("on_clock", "on_tensor", "apart_bytes", "kernels")  # less of these is always less time
_COSTS = (*_STRICT, "split_bytes", "split_launches", "streamed", "near", "apart_launches")
_NOISE = 1e-9  # what differences of rounded numbers leave of a coefficient, at most


def _clean(values: Floats, scale: Floats) -> Floats:
    """Coefficients without what rounding left where there is none; `scale`: what counts as large."""
    return np.where(np.abs(values) < _NOISE * scale, 0.0, values)


def _undominated(columns: dict[str, NDArray[Any]], fits: NDArray[np.bool_]) -> Ints:
    """Places of the kernels that can be the first fastest, in their order."""
    costs = np.stack([columns[name] for name in _COSTS])[:, fits]
    places = np.flatnonzero(fits)
    strict_costs = costs[: len(_STRICT)]
    no_more = (costs[:, None, :] <= costs[:, :, None]).all(axis=0)  # [k, j]: j costs no more than k in anything
    less = (strict_costs[:, None, :] < strict_costs[:, :, None] * (1 - _NOISE)).any(axis=0)
    earlier = np.arange(len(places))[None, :] < np.arange(len(places))[:, None]
    beaten = (no_more & (less | earlier)).any(axis=1)
    return np.asarray(places[~beaten])


@dataclass(frozen=True, eq=False)
class Rates:
    """Rates of N GPUs, numbers or arrays of shape (N,).

    clock [Hz], tensor_peak : of the tensor cores on the menu's numbers [FLOP/s], endless where there are none;
    bandwidth : DRAM bandwidth that kernels get, `dram_efficiency` in it [B/s]; l2_bandwidth [B/s]; launch : time of one
    launch, `launch_factor` in it [s]
    """

    clock: Any
    tensor_peak: Any
    bandwidth: Any
    l2_bandwidth: Any
    launch: Any


@dataclass(frozen=True, eq=False)
class MenuTimes:
    """The fastest kernels of U tasks on N GPUs, arrays of shape (U, N): time [s], dram [s] and traffic [B] of DRAM."""

    time: Floats
    dram: Floats
    traffic: Floats


def menu_times(menu: KernelMenu, rates: Rates, more: Floats | float = 0.0) -> MenuTimes:
    """The fastest kernel of every task of a menu.

    Parameters
    ----------
    menu : of U tasks
    rates : of N GPUs
    more : further DRAM traffic of each task's kernel, chosen without it, shape (U,) [B]; see
        `pimmodel.roofline.conv.ConvKernels.with_more_dram`
    """
    clock, tensor_peak, bandwidth, l2_bandwidth, launch = np.broadcast_arrays(*(
        np.atleast_1d(np.asarray(one, dtype=float))[None, :]
        for one in (rates.clock, rates.tensor_peak, rates.bandwidth, rates.l2_bandwidth, rates.launch)
    ))  # fmt: skip
    of = {one.name: getattr(menu, one.name)[:, None] for one in fields(KernelMenu) if one.name != "first"}
    compute = (
        of["on_clock"] / clock + of["on_tensor"] / tensor_peak + of["split_bytes"] / bandwidth
        + of["split_launches"] * launch
    )  # fmt: skip
    apart = of["apart_bytes"] / bandwidth + of["apart_launches"] * launch
    near = of["near"] / l2_bandwidth
    memory = memory_time(traffic=of["streamed"], bandwidth=bandwidth, l2_traffic=of["near"], l2_bandwidth=l2_bandwidth)
    time = kernel_time(compute=compute, memory=memory, kernels=of["kernels"], launch=launch) + apart
    chosen = np.stack([begin + np.argmin(time[begin:end], axis=0) for begin, end in pairwise(menu.first)])
    points = np.arange(time.shape[1])[None, :]

    def taken(values: Floats) -> Floats:
        picked: Floats = np.broadcast_to(values, time.shape)[chosen, points]
        return picked

    dram = taken(of["streamed"] / bandwidth + apart)
    seconds = np.broadcast_to(np.asarray(more, dtype=float), (len(menu),))[:, None] / bandwidth
    longer = with_more_traffic(taken(time), dram, taken(near), taken(of["kernels"] * launch),
                               taken(of["in_turn"]) > 0, seconds)  # fmt: skip
    whole = np.where(seconds > 0, longer, taken(time))
    return MenuTimes(whole, dram + seconds, taken(of["traffic"]) + seconds * bandwidth[0])
