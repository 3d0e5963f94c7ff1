"""What the shell may complete beside options and their choices: built-in names; files are left to the shell."""

from __future__ import annotations

from collections.abc import Iterable

import typer


def _begun(names: Iterable[str], incomplete: str) -> list[str]:
    return sorted(name for name in names if name.startswith(incomplete))


def networks(incomplete: str) -> list[str]:
    """Built-in networks."""
    from pimmodel.models import networks as zoo

    return _begun(zoo.names(), incomplete)


def systems(incomplete: str) -> list[str]:
    """Built-in systems."""
    return _descriptions(("systems",), incomplete)


def gpus(incomplete: str) -> list[str]:
    """Built-in GPUs and systems."""
    return _descriptions(("gpus", "systems"), incomplete)


def shown(incomplete: str) -> list[str]:
    """All that `show` knows by name."""
    return networks(incomplete) + _descriptions(("gpus", "memories", "pims", "systems"), incomplete)


def scenarios(incomplete: str) -> list[str]:
    """Shipped contention scenarios."""
    from pimmodel.scenario_file import shipped_scenarios

    return _begun(shipped_scenarios(), incomplete)


def layers(ctx: typer.Context, incomplete: str) -> list[str]:
    """Layers of the network that stands before."""
    from pimmodel.errors import PimModelError
    from pimmodel.load import load_network

    try:
        return _begun((layer.name for layer in load_network(ctx.params["network"])), incomplete)
    except (KeyError, PimModelError):
        return []


def _descriptions(kinds: Iterable[str], incomplete: str) -> list[str]:
    from pimmodel.hardware.load import list_descriptions

    return _begun((name for kind in kinds for name in list_descriptions(kind)), incomplete)
