"""The values that command-line options take."""

from enum import StrEnum


class Precision(StrEnum):
    """Number formats."""

    fp32 = "fp32"
    tf32 = "tf32"
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
    partitioned = "partitioned"
    uncoordinated = "uncoordinated"
    time_slice = "time-slice"
    watermark = "watermark"
    bypass_cap = "bypass-cap"
    host_first = "host-first"
    exclusive_single = "exclusive-single"
    exclusive = "exclusive"
    ideal = "ideal"


class StudyPolicy(StrEnum):
    """Policies that studies know."""

    gpu_only = "gpu-only"
    serial = "serial"
    exclusive = "exclusive"
    ideal = "ideal"


class Objective(StrEnum):
    """What the optimizer makes least."""

    time = "time"
    energy = "energy"
    energy_delay = "energy-delay"


class UnknownOps(StrEnum):
    """Treatment of unknown operators."""

    error = "error"
    elementwise = "elementwise"


class Format(StrEnum):
    """Output formats."""

    table = "table"
    json = "json"
    csv = "csv"


class TextFormat(StrEnum):
    """Output formats of what is prose."""

    text = "text"
    json = "json"


class Kind(StrEnum):
    """What can be listed."""

    networks = "networks"
    systems = "systems"
    gpus = "gpus"
    memories = "memories"
    pims = "pims"
