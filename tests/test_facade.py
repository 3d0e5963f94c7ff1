"""The names of the package itself."""

from __future__ import annotations

import subprocess
import sys

import pimmodel as pm


def test_every_name_is_there() -> None:
    for name in pm.__all__:
        assert getattr(pm, name) is not None


def test_subpackages_do_not_hide_functions_of_their_name() -> None:
    code = (
        "import pimmodel as pm\n"
        "import pimmodel.optimize.search, pimmodel.sweep.run\n"
        "from pimmodel.optimize.pair import best_thresholds\n"
        "import pimmodel.sweep.axes as axes\n"
        "import inspect\n"
        "assert callable(pm.optimize) and callable(pm.sweep), (pm.optimize, pm.sweep)\n"
        "assert axes.METHODS and pm.sweep.axes is axes\n"
        "assert 'parameters' in inspect.signature(pm.sweep).parameters\n"
        "try:\n    pm.sweep(None, None, {})\n"
        "except pm.PimModelError as error:\n    assert 'at least one parameter' in str(error)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
