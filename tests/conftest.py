"""A cache of the test run's own, empty at first: what an older version stored must not hide a defect."""

import os
import tempfile

_CACHE = tempfile.TemporaryDirectory(prefix="pimmodel-tests-")
os.environ["PIMMODEL_CACHE"] = _CACHE.name
