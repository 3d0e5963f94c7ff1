"""Commands as a user at a terminal sees them: a pseudo terminal of a given width."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


def terminal(width: int, *arguments: str, output: Path | None = None, **environment: str) -> str:
    """What a command writes to a terminal of this width: standard output, or, if that goes to a file, the errors."""
    pty = pytest.importorskip("pty", reason="terminals")
    fcntl, struct, termios = (pytest.importorskip(name) for name in ("fcntl", "struct", "termios"))
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    clean = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "COLUMNS", "FORCE_COLOR")}
    command = [sys.executable, "-m", "pimmodel", *arguments]
    file = output.open("wb") if output else None
    streams = {"stdout": file, "stderr": follower} if file else {"stdout": follower}
    with subprocess.Popen(command, **streams, env=clean | {"TERM": "xterm"} | environment) as running:  # type: ignore[call-overload]
        os.close(follower)
        text = b""
        while True:
            try:
                part = os.read(leader, 65536)
            except OSError:  # Linux: the other end has closed
                break
            if not part:
                break
            text += part
    os.close(leader)
    if file:
        file.close()
    assert running.returncode == 0
    return text.decode().replace("\r\n", "\n")
