"""Pictures: functions that return matplotlib figures, for notebooks, reports and `figure.savefig("picture.png")`.

>>> import pimmodel as pm
>>> from pimmodel.plots import policy_comparison
>>> from pimmodel.estimates import SIMPLE
>>> estimates = pm.compare(pm.load_network("alexnet"), pm.load_system("v100-bankgroup-pim"), policies=SIMPLE)
>>> def save(path):
...     policy_comparison(estimates).savefig(path)
"""

from __future__ import annotations

from pimmodel.plots.agreement import Compared, formula_against_simulator
from pimmodel.plots.layers import layer_breakdown
from pimmodel.plots.policies import idea_comparison, policy_comparison
from pimmodel.plots.roofs import roofline
from pimmodel.plots.surfaces import threshold_surface
from pimmodel.plots.timeline import busiest_window, gantt
from pimmodel.plots.tradeoffs import Design, Swing, pareto, tornado

__all__ = [
    "Compared",
    "Design",
    "Swing",
    "busiest_window",
    "formula_against_simulator",
    "gantt",
    "idea_comparison",
    "layer_breakdown",
    "pareto",
    "policy_comparison",
    "roofline",
    "threshold_surface",
    "tornado",
]
