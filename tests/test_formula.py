"""The formula framework: one expression, and generated code that agrees with sympy's own evaluation."""

import importlib
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pimmodel import formula as formula_module
from pimmodel.dram.refresh import refresh_availability
from pimmodel.formula import Formula, formula, sp
from pimmodel.pim.bandwidth import pim_bandwidth, pim_stream_time
from pimmodel.roofline import streams, tiles, winograd
from pimmodel.roofline.basic import roofline_time
from pimmodel.symbols import SYMBOLS, sympy_symbols

FORMULAS = [
    roofline_time, pim_bandwidth, pim_stream_time, refresh_availability, streams.stream_time,
    winograd.transform_traffic, tiles.tile_count, tiles.busy_time, tiles.split_time, tiles.dram_traffic,
    tiles.l2_traffic, tiles.memory_time, tiles.kernel_time,
]  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(data=st.data(), chosen=st.sampled_from(FORMULAS))
def test_generated_code_agrees_with_sympy(data: st.DataObject, chosen: Formula) -> None:
    values = {}
    for name in chosen.arguments:
        drawn = st.integers(1, 10**6) if SYMBOLS[name].integer else st.floats(1e-6, 1e12)
        values[name] = data.draw(drawn, label=name)
    exact = chosen.expression.subs({sympy_symbols()[name]: value for name, value in values.items()})
    assert chosen(**values) == pytest.approx(float(exact), rel=1e-12)


def test_max_min_and_piecewise_broadcast() -> None:
    @formula
    def staircase(work, peak, traffic):  # type: ignore[no-untyped-def]
        return sp.Piecewise((sp.Min(work, peak), work < 5), (sp.Max(work, peak, traffic), True))

    got = staircase(work=np.array([1.0, 9.0]), peak=np.array([[2.0], [30.0]]), traffic=3.0)
    # rows: peak 2 and 30; columns: work 1 (min branch) and 9 (max branch)
    np.testing.assert_array_equal(got, [[1.0, 9.0], [1.0, 30.0]])


def test_unknown_symbol_is_refused() -> None:
    with pytest.raises(TypeError, match="no such symbol: gibberish"):

        @formula
        def bad(gibberish):  # type: ignore[no-untyped-def]
            return gibberish


def test_arguments_go_by_name() -> None:
    with pytest.raises(TypeError, match="takes tRFC, tREFI"):
        refresh_availability(tRFC=350)
    # 350 of 3900 clocks: 1 - 350/3900 = 0.910256...
    assert refresh_availability(tRFC=350, tREFI=3900) == pytest.approx(0.9102564, abs=1e-7)


def test_generated_code_comes_from_the_cache(tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("PIMMODEL_CACHE", str(tmp_path))
    assert formula(roofline_time._define)(work=1, peak=2, traffic=3, bandwidth=1, kernels=0, launch=0) == 3
    (entry,) = tmp_path.glob("formula-*")
    entry.write_text(entry.read_text().replace("return ", "return 1000 + "))
    assert formula(roofline_time._define)(work=1, peak=2, traffic=3, bandwidth=1, kernels=0, launch=0) == 1003


def test_a_changed_constant_of_the_module_makes_new_code(tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("PIMMODEL_CACHE", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(str(tmp_path))
    text = "from pimmodel.formula import formula\nK = {}\n@formula\ndef scaled(work):\n    return K * work\n"
    for constant in (2, 3):
        name = f"constants{constant}"
        # The same module path both times, as an edited file has.
        (tmp_path / f"{name}.py").write_text(text.format(constant))
        module = importlib.import_module(name)
        module.scaled._define.__module__ = "pimmodel_edited"
        monkeypatch.setitem(sys.modules, "pimmodel_edited", module)
        formula_module._source_of_module.cache_clear()
        assert module.scaled(work=5) == 5 * constant
