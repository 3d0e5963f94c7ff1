"""The command line; `main` is what the `pimmodel` command runs."""

from __future__ import annotations

import gc
import signal
import sys
from typing import Any


def _interrupted(*_: Any) -> None:
    # Not KeyboardInterrupt, which ends with a traceback while modules are still being imported.
    sys.exit(128 + signal.SIGINT)


def main() -> None:
    """Run the command line; Ctrl-C ends it at once with exit code 130."""
    # Imports make many objects and no garbage: looking for it took a quarter of a short command. Long ones still do.
    gc.set_threshold(1_000_000)
    signal.signal(signal.SIGINT, _interrupted)
    from pimmodel.cli.app import app

    try:
        app(prog_name="pimmodel")
    finally:
        # Python would look through everything once more before it ends, for nothing.
        gc.freeze()
