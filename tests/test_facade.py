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
        "assert callable(pm.optimize) and callable(pm.sweep), (pm.optimize, pm.sweep)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
