"""The values that command-line options take."""

from enum import StrEnum


class Precision(StrEnum):
    """Number formats."""

    fp32 = "fp32"
    fp16 = "fp16"


class Optimizer(StrEnum):
    """Weight update rules."""

    sgd = "sgd"
    sgd_momentum = "sgd-momentum"
    adam = "adam"


class Policy(StrEnum):
    """Sharing policies of a whole step."""

    gpu_only = "gpu-only"
    serial = "serial"
    ideal = "ideal"


class UnknownOps(StrEnum):
    """Treatment of unknown operators."""

    error = "error"
    elementwise = "elementwise"


class Format(StrEnum):
    """Output formats."""

    table = "table"
    json = "json"
    csv = "csv"


class Kind(StrEnum):
    """What can be listed."""

    networks = "networks"
    systems = "systems"
    gpus = "gpus"
    memories = "memories"
    pims = "pims"
