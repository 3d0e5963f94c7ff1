"""Request streams rebuilt from table parameters; expected requests are worked out by hand from the pattern's words."""

from __future__ import annotations

import random

import pytest
from pimmodel.validation import streams

from pimmodel.errors import UnknownNameError


def build(file: str, test: str, **parameters: object) -> list[list[int]]:
    return streams.build(file, test, parameters).tolist()


def test_group_interleaved_stream_changes_the_group_with_every_request():
    found = build("sequential", "seq_read", pattern="bg_interleave", write=0, requests=130)
    # arrival, write, group, bank, row, column: column 0 in groups 0 to 3, then column 1; bank 1 after 4 x 32 requests.
    assert found[:5] == [
        [0, 0, 0, 0, 0, 0],
        [0, 0, 1, 0, 0, 0],
        [0, 0, 2, 0, 0, 0],
        [0, 0, 3, 0, 0, 0],
        [0, 0, 0, 0, 0, 1],
    ]
    assert found[128] == [0, 0, 0, 1, 0, 0]


def test_row_conflicts_open_a_new_row_with_every_access():
    found = build("row_conflict", "new_row_every_access", k_banks=2, bank_order="same_bg_first", write=1, requests=4)
    assert found == [[0, 1, 0, 0, 0, 0], [0, 1, 0, 1, 0, 0], [0, 1, 0, 0, 1, 0], [0, 1, 0, 1, 1, 0]]


def test_slices_alternate_between_two_streams_of_their_own_rows():
    found = build("two_stream_slices", "alternate_T", layout="single_bank", kinds="RW", slice_T=2, requests=8)
    rows_and_columns = [(write, row, column) for _, write, _, _, row, column in found]
    far = 16384
    assert rows_and_columns == [
        (0, 0, 0), (0, 0, 1), (1, far, 0), (1, far, 1), (0, 0, 2), (0, 0, 3), (1, far, 2), (1, far, 3),
    ]  # fmt: skip


def test_write_kinds_of_a_share_follow_those_of_the_shares_before_it():
    """One generator draws for 25 %, then for 50 %: the second share starts at its n-th number."""
    rng = random.Random(1)
    for _ in range(6):
        rng.random()
    expected = [int(rng.random() < 0.5) for _ in range(6)]
    found = build("mixed_rw", "mixed_random_same_stream", pattern="single_bank", write_frac=0.5, burst=0, requests=6)
    assert [write for _, write, *_ in found] == expected


def test_even_arrivals_are_the_gap_apart():
    common = {"write_frac": 0.0, "n_banks": 16, "requests": 4}
    even = build("random_load", "uniform_random", arrival="deterministic", mean_gap_cycles=5, **common)
    assert [one[0] for one in even] == [0, 5, 10, 15]
    poisson = build("random_load", "uniform_random", arrival="poisson", mean_gap_cycles=5, **common)
    arrivals = [one[0] for one in poisson]
    assert arrivals == sorted(arrivals)
    assert arrivals != [0, 5, 10, 15]


@pytest.mark.parametrize("file", sorted(streams.TESTS))
def test_every_test_has_typed_parameters(file):
    for test in streams.TESTS[file]:
        assert streams.parameter_types(file, test)["requests"] is int


@pytest.mark.parametrize(
    ("file", "test", "parameters", "message"),
    [
        ("sequential", "seq_red", {}, "unknown test of sequential 'seq_red'; did you mean seq_read"),
        ("sequentiall", "seq_read", {}, "unknown table 'sequentiall'"),
        ("sequential", "seq_read", {"pattern": "zigzag", "write": 0}, "unknown pattern 'zigzag'"),
        ("row_conflict", "new_row_every_access", {"k_banks": 1, "bank_order": "x", "write": 0}, "bank_order 'x'"),
        ("two_stream_slices", "alternate_T", {"layout": "single_bank", "kinds": "XY", "slice_T": 1}, "kinds 'XY'"),
        ("two_stream_slices", "alternate_T", {"layout": "y", "kinds": "RW", "slice_T": 1}, "layout 'y'"),
        ("mixed_rw", "mixed_random_same_stream", {"pattern": "single_bank", "write_frac": 0.1}, "write_frac '0.1'"),
    ],
)  # fmt: skip
def test_unknown_names_are_named(file, test, parameters, message):
    with pytest.raises(UnknownNameError, match=message):
        streams.build(file, test, {**parameters, "requests": 8})


def test_numbers_that_give_no_requests_are_named():
    parameters = (("pattern", "single_bank"), ("write_frac", 0.5), ("burst", 0), ("requests", 8))
    with pytest.raises(ValueError, match="burst 0"):
        streams.check("mixed_rw", "alternating_bursts_same_stream", parameters)
