"""The command line; `main` is what the `pimmodel` command runs."""

from __future__ import annotations

import errno
import gc
import os
import signal
import sys
from typing import Any

# What writing to standard output may end with: a full disk, a terminal that is gone.
_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EBADF)


def _interrupted(*_: Any) -> None:
    # Not KeyboardInterrupt, which ends with a traceback while modules are still being imported.
    sys.exit(128 + signal.SIGINT)


def main() -> None:
    """Run the command line; Ctrl-C ends it at once with exit code 130."""
    # Imports make many objects and no garbage: looking for it took a quarter of a short command. Long ones still do.
    gc.set_threshold(1_000_000)
    signal.signal(signal.SIGINT, _interrupted)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the caller: nobody wants to read it
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
    from pimmodel.cli.app import app

    try:
        app(prog_name="pimmodel")
    except OSError as error:
        # Named files are looked after where they are opened.
        if error.filename is not None or error.errno not in _UNWRITABLE:
            raise
        # Python would write once more before it ends what is still held back.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print(f"pimmodel: cannot write to standard output: {error.strerror}", file=sys.stderr)
        sys.exit(1)
    finally:
        # Python would look through everything once more before it ends, for nothing.
        gc.freeze()
