"""A cache of the test run's own, empty at first: what an older version stored must not hide a defect; hypothesis."""

import os
import tempfile

from hypothesis import settings

_CACHE = tempfile.TemporaryDirectory(prefix="pimmodel-tests-")
os.environ["PIMMODEL_CACHE"] = _CACHE.name

# No deadlines: machines are noisy. A CI run draws the same examples each time, so that a change is judged by itself;
# runs by hand go on looking for new ones.
settings.register_profile("hand", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "hand")
