"""The request streams behind the DRAM tables, rebuilt from the parameters in a table's row.

Every table names the test and its parameters, not the requests. The streams are for one pseudo-channel of 4 bank
groups x 4 banks with 32 columns (bursts) per row. Random streams use Python's `random.Random` with fixed seeds,
drawn in a fixed order, so that the rebuilt requests are the very ones that the tables' simulators ran.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from pimmodel.errors import UnknownNameError

Requests = npt.NDArray[np.int64]  # (n, 6): arrival clock, write 0|1, bank group, bank of the group, row, column
Place = tuple[int, int, int, int]  # bank group, bank of the group, row, column

GROUPS, BANKS, ROWS, COLUMNS = 4, 4, 32768, 32
ALL_BANKS = GROUPS * BANKS
# The write kinds of all shares come from one generator, one share after the other in this order.
WRITE_SHARES = (0.25, 0.5, 0.75)
# Rows by which the second stream (or the writes) lies apart, so that no row is shared.
APART, APART_FIXED = 16384, 8192

PLACES: dict[str, Callable[[int], Place]] = {  # request number -> place
    "bg_interleave": lambda i: (i % 4, i // 128 % 4, i // 512, i // 4 % 32),
    "all_bank_interleave": lambda i: (i % 4, i // 4 % 4, i // 512, i // 16 % 32),
    "no_bg_interleave_16banks": lambda i: (i // 32 % 4, i // 128 % 4, i // 512, i % 32),
    "single_bankgroup_4banks": lambda i: (0, i % 4, i // 128, i // 4 % 32),
    "single_bank": lambda i: (0, 0, i // 32, i % 32),
}
SLICE_PLACES: dict[str, Callable[[int, int], Place]] = {  # stream 0|1, request number of the stream -> place
    "single_bank": lambda _, i: PLACES["single_bank"](i),
    "all_bank": lambda _, i: PLACES["all_bank_interleave"](i),
    "bank_partitioned": lambda s, i: (i % 4, i // 4 % 2 + 2 * s, i // 256, i // 8 % 32),
}
FIXED_PLACES: dict[str, Callable[[int], Place]] = {
    "single_bank_fixed_row": lambda i: (0, 0, 0, i % 32),
    "all_bank_fixed_row": lambda i: (i % 4, i // 4 % 4, 0, i // 16 % 32),
    "single_bank_offset_rows": lambda i: (0, 0, (i + 16) // 32, (i + 16) % 32),
}
BANK_ORDERS: dict[str, Callable[[int], tuple[int, int]]] = {  # bank number -> group, bank of the group
    "bg_first": lambda i: (i % GROUPS, i // GROUPS % BANKS),
    "same_bg_first": lambda i: (i // BANKS % GROUPS, i % BANKS),
}

Parameters = Mapping[str, Any]


def _known(what: str, name: str, table: Mapping[str, Any]) -> Any:
    """Entry of a table of names, or an error that names what was not found."""
    try:
        return table[name]
    except KeyError:
        raise UnknownNameError(what, name, table) from None


def _kinds(letters: str, longest: int) -> list[int]:
    """Directions (0 read, 1 write) of the streams from letters such as "RW"."""
    if not 1 <= len(letters) <= longest or set(letters) - {"R", "W"}:
        raise UnknownNameError("kinds", letters, ["RR", "RW", "WW"] if longest == 2 else ["R", "W"])
    return [int(letter == "W") for letter in letters]


def _array(requests: Iterable[tuple[int, ...]]) -> Requests:
    return np.array(list(requests), dtype=np.int64).reshape(-1, 6)


def _sequential(p: Parameters) -> Requests:
    place = _known("pattern", p["pattern"], PLACES)
    return _array((0, p["write"], *place(i)) for i in range(p["requests"]))


@lru_cache(maxsize=8)
def _write_kinds(share: float, n: int) -> tuple[int, ...]:
    """Directions of n requests, write with probability `share`, as the tables drew them."""
    if share not in WRITE_SHARES:
        raise UnknownNameError("write_frac", f"{share:g}", [f"{one:g}" for one in WRITE_SHARES])
    rng = random.Random(1)
    for _ in range(WRITE_SHARES.index(share) * n):
        rng.random()
    return tuple(int(rng.random() < share) for _ in range(n))


def _mixed_same_stream(p: Parameters) -> Requests:
    place = _known("pattern", p["pattern"], PLACES)
    return _array((0, w, *place(i)) for i, w in enumerate(_write_kinds(p["write_frac"], p["requests"])))


def _mixed_two_row_ranges(p: Parameters) -> Requests:
    """Reads and writes walk through two ranges of rows, each in its own order."""
    place = _known("pattern", p["pattern"], PLACES)
    count, requests = [0, 0], []
    for write in _write_kinds(p["write_frac"], p["requests"]):
        group, bank, row, column = place(count[write])
        count[write] += 1
        requests.append((0, write, group, bank, row + APART * write, column))
    return _array(requests)


def _alternating_bursts(p: Parameters) -> Requests:
    place = _known("pattern", p["pattern"], PLACES)
    return _array((0, i // p["burst"] % 2, *place(i)) for i in range(p["requests"]))


def _row_conflict(p: Parameters) -> Requests:
    order, k = _known("bank_order", p["bank_order"], BANK_ORDERS), p["k_banks"]
    return _array((0, p["write"], *order(i % k), i // k, 0) for i in range(p["requests"]))


def _locality_block(p: Parameters) -> Requests:
    """All n columns of a row, then the next bank's row."""
    order, k, n = BANK_ORDERS["bg_first"], p["k_banks"], p["n_cols"]
    visits = p["requests"] // n
    return _array((0, p["write"], *order(j % k), j // k, c) for j in range(visits) for c in range(n))


def _locality_interleaved(p: Parameters) -> Requests:
    """Column by column over the k banks."""
    order, k, n = BANK_ORDERS["bg_first"], p["k_banks"], p["n_cols"]
    rows = p["requests"] // (n * k)
    return _array((0, p["write"], *order(b), r, c) for r in range(rows) for c in range(n) for b in range(k))


def _uniform_random(p: Parameters) -> Requests:
    """Random bank, row and column; the arrivals evenly spaced, Poisson, or all at clock 0."""
    arrival, gap, banks, order = p["arrival"], p["mean_gap_cycles"], p["n_banks"], BANK_ORDERS["bg_first"]
    if arrival not in ("deterministic", "poisson", "saturated"):
        raise UnknownNameError("arrival", arrival, ["deterministic", "poisson", "saturated"])
    saturated = arrival == "saturated"
    rng, clock, requests = random.Random(7 + banks if saturated else 100 + gap), 0.0, []
    for _ in range(p["requests"]):
        write = 0 if saturated else int(rng.random() < p["write_frac"])
        group, bank = order(rng.randrange(banks))
        requests.append((int(clock), write, group, bank, rng.randrange(ROWS), rng.randrange(COLUMNS)))
        if arrival == "deterministic":
            clock += gap
        elif arrival == "poisson":
            clock += rng.expovariate(1 / gap)
    return _array(requests)


def _turns(each: int, turn: int) -> Iterable[tuple[int, int]]:
    """(stream, number within the stream): two streams of `each` requests take turns of `turn` requests."""
    for first in range(0, each, turn):
        for stream in (0, 1):
            for number in range(first, min(first + turn, each)):
                yield stream, number


def _slices(p: Parameters) -> Requests:
    place, kinds = _known("layout", p["layout"], SLICE_PLACES), _kinds(p["kinds"], 2)
    requests = []
    for stream, number in _turns(p["requests"] // 2, p["slice_T"]):
        group, bank, row, column = place(stream, number)
        requests.append((0, kinds[stream], group, bank, row + APART * stream, column))
    return _array(requests)


def _fixed_row_slices(p: Parameters) -> Requests:
    place, kinds = _known("layout", p["layout"], FIXED_PLACES), _kinds(p["kinds"], 2)
    requests = []
    for stream, number in _turns(p["requests"] // 2, p["slice_T"]):
        group, bank, row, column = place(number)
        requests.append((0, kinds[stream], group, bank, row + APART_FIXED * stream, column))
    return _array(requests)


def _alone(p: Parameters) -> Requests:
    """The first stream of a two-stream test by itself (the second one's timing is the same by symmetry)."""
    place, kinds = _known("layout", p["layout"], SLICE_PLACES), _kinds(p["kinds"], 1)
    return _array((0, kinds[0], *place(0, i)) for i in range(p["requests"]))


# file -> test -> (its parameters with their types, builder); `requests` is a parameter of all of them.
_SEQUENTIAL = ({"pattern": str, "write": int}, _sequential)
_MIXED: dict[str, type] = {"pattern": str, "write_frac": float, "burst": int}
_LOCALITY: dict[str, type] = {"k_banks": int, "n_cols": int, "layout": str, "write": int}
_SLICES: dict[str, type] = {"layout": str, "kinds": str, "slice_T": int}
TESTS: dict[str, dict[str, tuple[dict[str, type], Callable[[Parameters], Requests]]]] = {
    "sequential": {"seq_read": _SEQUENTIAL, "seq_write": _SEQUENTIAL},
    "mixed_rw": {
        "mixed_random_same_stream": (_MIXED, _mixed_same_stream),
        "mixed_random_two_row_ranges": (_MIXED, _mixed_two_row_ranges),
        "alternating_bursts_same_stream": (_MIXED, _alternating_bursts),
    },
    "row_conflict": {"new_row_every_access": ({"k_banks": int, "bank_order": str, "write": int}, _row_conflict)},
    "row_locality": {
        "k_banks_n_cols_block": (_LOCALITY, _locality_block),
        "k_banks_n_cols_interleaved": (_LOCALITY, _locality_interleaved),
    },
    "random_load": {
        "uniform_random": (
            {"arrival": str, "mean_gap_cycles": int, "write_frac": float, "n_banks": int},
            _uniform_random,
        )
    },
    "two_stream_slices": {"alternate_T": (_SLICES, _slices), "stream_alone": (_SLICES, _alone)},
    "two_stream_fixed_row": {"alternate_T": (_SLICES, _fixed_row_slices)},
}


def parameter_types(file: str, test: str) -> dict[str, type]:
    """Names and types of the parameters of one test of a table, `requests` included.

    >>> parameter_types("sequential", "seq_read")
    {'pattern': <class 'str'>, 'write': <class 'int'>, 'requests': <class 'int'>}
    """
    tests = _known("table", file, TESTS)
    return {**_known(f"test of {file}", test, tests)[0], "requests": int}


@lru_cache(maxsize=1024)
def check(file: str, test: str, parameters: tuple[tuple[str, Any], ...]) -> None:
    """Raise UnknownNameError or ValueError where `build` could not rebuild the stream of these parameters."""
    values = dict(parameters)
    values["requests"] = min(values["requests"], ALL_BANKS * COLUMNS)
    try:
        empty = not len(build(file, test, values))
    except ZeroDivisionError:
        empty = True
    if empty:
        given = ", ".join(f"{name} {value}" for name, value in parameters)
        raise ValueError(f"{test} with {given} has no requests")


def build(file: str, test: str, parameters: Parameters) -> Requests:
    """Requests of one test: (n, 6) integers, see :data:`Requests`.

    file : name of the table without ".csv"
    test : name of the test
    parameters : value of each name that `parameter_types` gives

    >>> build("sequential", "seq_write", {"pattern": "single_bank", "write": 1, "requests": 3}).tolist()
    [[0, 1, 0, 0, 0, 0], [0, 1, 0, 0, 0, 1], [0, 1, 0, 0, 0, 2]]
    """
    tests = _known("table", file, TESTS)
    return np.asarray(_known(f"test of {file}", test, tests)[1](parameters))
