"""A cache of the test run's own, empty at first: what an older version stored must not hide a defect; hypothesis.

The processes of a run share it: pytest-xdist starts them after this file has been read, with this environment.
"""

import os
import tempfile

from hypothesis import settings

if "PYTEST_XDIST_WORKER" not in os.environ:
    _CACHE = tempfile.TemporaryDirectory(prefix="pimmodel-tests-")
    os.environ["PIMMODEL_CACHE"] = _CACHE.name

# No deadlines: machines are noisy. A CI run draws the same examples each time, so that a change is judged by itself;
# runs by hand go on looking for new ones.
settings.register_profile("hand", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "hand")
