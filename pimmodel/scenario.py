"""One contention scenario: a host stream and a PIM kernel on one DRAM channel, under a sharing policy.

This is the workload description that the closed forms (`pimmodel.sharing`) and the reference simulator
(`pimmodel.validation.simulator`) both read, and all that they share beside the hardware descriptions. Both implement
:class:`ContentionModel`, so validating is swapping an argument. What both model:

*A clock.* Data of earlier columns complete; the conditions for passing the memory on are looked at; the owner issues at
most one row and one column command; the host generates. What is generated in a clock may be scheduled from the next on.

*The host.* Requests wait in one queue for reads and writes, of capacity Q; at most W are outstanding: queued, or issued
with their last data beat still to come. While fewer are and the queue has room, lambda requests come per clock: evenly
(credit grows by lambda, a request per whole credit) or as a Poisson process; otherwise the host stalls, and its credit
is 0. They are taken first ready, first come: the oldest request whose row is open and whose column may issue now, else
a row command for the oldest request of a bank. No row is closed while a queued request hits it. Once `starvation_cap`
columns have passed the oldest request, its bank takes no other row's columns and, its row being open, no column of the
other direction issues. Bank b is bank b // groups of group b % groups.

*The PIM.* All units work in lockstep: a column step is one column in every unit at once, one per `cadence`, and does
not use the external bus. It resumes where it was interrupted: the row in progress is opened again, columns that were
done are not repeated.

*Exclusive access.* Memory passes from host to PIM, when the PIM has work, once `theta_low` requests or fewer are queued
or `quota_host` were served in this turn; from PIM to host, when requests are queued, once `theta_high` are, or W are
outstanding, or `quota_pim` column steps were done in this turn, or the PIM has no work left. A new owner's conditions
are looked at from the clock after it takes over. A switch starts in the clock in which a condition holds: it waits
until every open bank may be precharged (tRAS, tRTP, tWR), precharges all, waits tRP and `mode_switch` clocks, and the
new owner opens its rows. Requests keep coming meanwhile. All-bank refresh is due every tREFI; it waits for the running
turn's next precharge of all banks, but at most 8 tREFI.

*Rates* are those of long runs: at a million clocks another seed moves a PIM rate by 0.3 % in half of the cases, and by
3.5 % in one of twenty.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pimmodel.hardware.memory import MemoryTiming, Organisation

PositiveInt = Annotated[int, Field(gt=0)]
NonNegativeInt = Annotated[int, Field(ge=0)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class HostStream(_Part):
    """The reference stream of the host on one channel.

    `substreams` sub-streams are served round robin. Each makes visits: `spread` banks (consecutive in
    bank-group-first order, first one drawn uniformly), a fresh row in them, and a direction (write with probability
    `write_share`, for the whole visit); then `columns` columns in each bank, rotating over the banks column by
    column. Sub-streams start at a random place of their first visit.
    """

    rate: Annotated[float, Field(ge=0, le=1)] = Field(description="lambda: requests per clock while not stalled")
    substreams: PositiveInt
    spread: PositiveInt
    columns: PositiveInt = Field(description="n: column accesses per bank and visit (some again where n > columns)")
    write_share: Annotated[float, Field(ge=0, le=1)]
    arrival: Literal["even", "poisson"] = "even"


class HostQueue(_Part):
    """Controller queue: capacity Q [requests], outstanding window W [requests], starvation cap [columns]."""

    capacity: PositiveInt
    window: PositiveInt
    starvation_cap: PositiveInt = 16

    @property
    def room(self) -> int:
        """Most requests that can be queued [1]."""
        return min(self.capacity, self.window)


class PimOperand(_Part):
    """One operand of a PIM pass: a column is read from it, or written to it, per column of work."""

    write: bool = False


class PimPass(_Part):
    """One pass of a PIM kernel over `rows` rows of every operand.

    The operands are taken in their order, `registers` columns of each at a time: with 8 registers, 8 columns of the
    first operand, 8 of the second, and so on; then the next 8 of the first (the last batch of a row may be shorter).
    """

    operands: tuple[PimOperand, ...]
    rows: PositiveInt = Field(default=1, description="rows of each operand that the pass walks through")

    @model_validator(mode="after")
    def _has_work(self) -> PimPass:
        if not self.operands:
            raise ValueError("operands|()|at least one operand")
        return self


class PimKernel(_Part):
    """A PIM kernel on one channel: its passes, repeated without end where a rate is asked for.

    A *column step* is one column in every unit at once. `units` units each own `banks / units` banks; step cadence is
    `cadence` clocks. `placement="distinct"`: operand i (of k) has its row r in bank (i + k r) mod banks_per_unit of
    each unit when `row_switch="hidden"`, in bank i always when "exposed"; needs k <= banks per unit.
    `placement="same"`: all operands lie in the same bank in different rows, so every change of operand opens a row
    again; row r of them lies in bank r mod banks_per_unit ("hidden") or always in bank 0 ("exposed").
    "hidden" opens the next row of a bank that is not in use behind the column steps of the present one, as early as
    that bank's last use and the activate limits allow; "exposed" closes and opens after the last column step.
    `write_to_read`, `read_to_write`: clocks between column steps of different direction; None: the JEDEC rule within
    one bank group for write to read (CWL + tBL + tWTR_L), and `cadence` for read to write, since no external data bus
    is used. `all_bank_activate`: one command opens the row of all units, else one activate per unit under tRRD/tFAW.
    `mode_switch`: clocks per direction, in addition to tRP, whenever the memory changes hands.
    """

    passes: tuple[PimPass, ...]
    units: PositiveInt = 4
    cadence: PositiveInt = Field(description="clocks per column step: max(tCCD_L, unit clock, power limit)")
    columns_per_row: PositiveInt
    registers: PositiveInt = 1
    placement: Literal["distinct", "same"] = "distinct"
    row_switch: Literal["hidden", "exposed"] = "hidden"
    all_bank_activate: bool = False
    mode_switch: NonNegativeInt = 0
    write_to_read: NonNegativeInt | None = None
    read_to_write: NonNegativeInt | None = None


class Policy(_Part):
    """A sharing policy with its numbers; fields that a kind does not use must stay None.

    kinds: `gpu-only`, `serial` (each alone: rates are those of exclusive access), `partitioned` (the upper half of each
    group's banks belongs to the PIM; units with no bank there idle, and count as lost PIM rate), `uncoordinated` (both
    interleave freely and close each other's rows, once at least one column was served from them),
    `exclusive` (theta_low, theta_high, quota_host, quota_pim; as above), `watermark` (the host is served from
    queued >= theta_high down to queued <= theta_low, the PIM otherwise: like exclusive, no quotas, and reaching the
    window W does not end a PIM turn unless theta_high > W), `bypass-cap` (a host turn ends after `bypass_cap` columns
    or when nothing is queued; a PIM turn ends after ceil(bypass_cap / slowdown) column steps if a host request is
    queued),
    `time-slice` (a host turn ends `slice_host` clocks after it began, a PIM turn `slice_pim` clocks after it began if a
    host request is queued), `host-first` (the PIM only while no host request is queued), `pim-first` (the host only
    while the PIM has no work). All but the first four hand over exactly as `exclusive` does.
    """

    kind: Literal[
        "gpu-only", "serial", "partitioned", "uncoordinated", "exclusive", "watermark", "bypass-cap",
        "time-slice", "host-first", "pim-first",
    ]  # fmt: skip
    theta_low: NonNegativeInt | None = None
    theta_high: PositiveInt | None = None
    quota_host: PositiveInt | None = Field(default=None, description="requests served per host turn")
    quota_pim: PositiveInt | None = Field(default=None, description="column steps per PIM turn")
    bypass_cap: PositiveInt | None = Field(default=None, description="host columns that may pass waiting PIM work")
    slowdown: Annotated[float, Field(ge=1)] | None = Field(default=None, description="PIM slowdown factor allowed")
    slice_host: PositiveInt | None = Field(default=None, description="clocks of a host slice")
    slice_pim: PositiveInt | None = Field(default=None, description="clocks of a PIM slice")

    @model_validator(mode="after")
    def _fits_kind(self) -> Policy:
        needs: dict[str, tuple[str, ...]] = {
            "exclusive": ("theta_low", "theta_high"),
            "watermark": ("theta_low", "theta_high"),
            "bypass-cap": ("bypass_cap", "slowdown"),
            "time-slice": ("slice_host", "slice_pim"),
        }
        optional = {"exclusive": ("quota_host", "quota_pim")}.get(self.kind, ())
        wanted = needs.get(self.kind, ())
        for field in wanted:
            if getattr(self, field) is None:
                raise ValueError(f"{field}|None|a value, which policy '{self.kind}' needs")
        for field in type(self).model_fields:
            value = getattr(self, field)
            if field != "kind" and value is not None and field not in (*wanted, *optional):
                raise ValueError(f"{field}|{value}|nothing: policy '{self.kind}' does not use it")
        if self.theta_low is not None and self.theta_high is not None and self.theta_low >= self.theta_high:
            raise ValueError(f"theta_low|{self.theta_low}|less than theta_high = {self.theta_high}")
        return self


class Scenario(_Part):
    """Everything that decides the progress of host and PIM on one channel."""

    timing: MemoryTiming
    organisation: Organisation
    stream: HostStream
    queue: HostQueue
    kernel: PimKernel
    policy: Policy
    refresh: Literal["off", "all-bank", "per-bank"] = "off"

    @model_validator(mode="after")
    def _consistent(self) -> Scenario:
        banks, units = self.organisation.banks, self.kernel.units
        if banks % units:
            raise ValueError(f"kernel.units|{units}|a divisor of the {banks} banks of the channel")
        per_unit = banks // units
        if self.stream.spread > banks:
            raise ValueError(f"stream.spread|{self.stream.spread}|1 to {banks}, the banks of the channel")
        if self.kernel.columns_per_row > self.organisation.columns_per_row:
            raise ValueError(
                f"kernel.columns_per_row|{self.kernel.columns_per_row}|1 to {self.organisation.columns_per_row}"
            )
        most = max(len(one.operands) for one in self.kernel.passes) if self.kernel.passes else 0
        if not self.kernel.passes:
            raise ValueError("kernel.passes|()|at least one pass")
        if self.kernel.placement == "distinct" and most > per_unit:
            raise ValueError(
                f"kernel.placement|distinct|'same', since a pass has {most} operands and a unit only {per_unit} banks"
            )
        if self.kernel.cadence < self.timing.tCCD_L:
            raise ValueError(f"kernel.cadence|{self.kernel.cadence}|at least tCCD_L = {self.timing.tCCD_L}")
        return self


@dataclass(frozen=True)
class Rates:
    """Progress of host and PIM in steady state.

    host_rate : host requests served per clock [1/clock]
    host_alone : the same with exclusive access and the same window (stall-free share = host_rate / host_alone)
    pim_rate : PIM progress as a share of its exclusive rate [1]
    pim_alone : the kernel's exclusive rate, column steps per clock [1/clock]
    switches_per_kilocycle : changes of the owner per 1000 clocks [1/kclock]
    activates_per_request : host activates per served host request [1]
    host_stall_share : share of clocks in which the host may not generate (window or queue full) [1]
    """

    host_rate: float
    host_alone: float
    pim_rate: float
    pim_alone: float
    switches_per_kilocycle: float
    activates_per_request: float
    host_stall_share: float


class ContentionModel(Protocol):
    """What closed form and simulator both are: scenario in, rates out."""

    def rates(self, scenario: Scenario) -> Rates:
        """Progress rates of host and PIM in steady state."""
        ...  # pragma: no cover
