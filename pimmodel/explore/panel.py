"""Sliders for Jupyter over :mod:`pimmodel.explore.what_if`: a design and thresholds, and five pictures that follow."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from typing import Any

from pimmodel.errors import MissingExtraError, PimModelError
from pimmodel.explore.pictures import DPI, FULL, HALF, PICTURES, STILL, Picture, heat_map
from pimmodel.explore.what_if import KEPT, WHOLE, Answer, Bounds, Choice, WhatIf, nearest
from pimmodel.hardware.load import list_descriptions, load_system
from pimmodel.models import networks
from pimmodel.units import format_quantity

BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
UNITS = (1, 2, 4, 8, 16)
TCCD_L = (1, 8)


class Panel:
    """Widgets and what they show; `widget` is the whole, to be displayed.

    Parameters
    ----------
    choice : what to begin with; thresholds begin as the system's controller has them

    Raises
    ------
    MissingExtraError : ipywidgets or matplotlib are not there.
    PimModelError : a choice that cannot be.
    """

    def __init__(self, choice: Choice | None = None) -> None:
        try:
            import ipywidgets
        except ImportError:
            raise MissingExtraError("the what-if panel", "notebook") from None
        self._make: Any = ipywidgets
        self._what_if, self._quiet, self._known = WhatIf(), False, ""
        first = choice or Choice()
        system = first.built()
        self.choice = replace(first, units=system.pim.units_per_channel, tccd_l=system.memory.timing.tCCD_L)
        self._pictures: OrderedDict[tuple[Choice, str], Picture] = OrderedDict()
        self._controls(system.controller.theta_low, system.controller.theta_high)
        self.answer = self._what_if.answer(self.choice)
        self._fit_thresholds()
        self._show(everything=True)
        self._listen()

    def _controls(self, low: int, high: int) -> None:
        make, choice = self._make, self.choice
        wide = {"style": {"description_width": "7em"}, "layout": make.Layout(width="25em")}
        late = {**wide, "continuous_update": False}
        systems = list_descriptions("systems")
        self.network = make.Dropdown(options=list(dict.fromkeys([*networks.names(), choice.network])),
                                     value=choice.network, description="network", **wide)  # fmt: skip
        self.system = make.Dropdown(options=sorted({*systems, choice.system}), value=choice.system,
                                    description="system", **wide)  # fmt: skip
        self.batch = make.SelectionSlider(options=sorted({*BATCHES, choice.batch}), value=choice.batch,
                                          description="batch", **late)  # fmt: skip
        self.units = make.SelectionSlider(options=sorted({*UNITS, choice.units or 1}), value=choice.units,
                                          description="PIM units", **late)  # fmt: skip
        self.tccd_l = make.IntSlider(min=TCCD_L[0], max=TCCD_L[1], value=choice.tccd_l, description="tCCD_L [clk]",
                                     **late)  # fmt: skip
        self.low = make.IntSlider(min=0, max=63, value=low, description="theta_low", **wide)
        self.high = make.IntSlider(min=1, max=64, value=high, description="theta_high", **wide)
        self.surface = make.Dropdown(options=[WHOLE], value=WHOLE, description="heat map of", **wide)
        self.best = make.Button(description="best thresholds", layout=make.Layout(width="12em"))
        self.status = make.HTML()
        # As wide as the page is, up to the size in pixels that they are drawn in.
        size = {name: f"{(FULL if name == 'timeline' else HALF) * DPI:g}px" for name in PICTURES}
        self.images = {
            name: make.Image(format="png", layout=make.Layout(width="100%", max_width=size[name], margin="0"))
            for name in PICTURES
        }
        controls = (
            (self.network, self.system, self.surface), (self.batch, self.units, self.tccd_l),
            (self.low, self.high, self.best),
        )  # fmt: skip
        shown = self.images
        columns = [
            make.VBox([shown[one] for one in names], layout=make.Layout(width="50%", max_width=size[names[0]],
                                                                        overflow="hidden"))
            for names in (("speedup", "layers"), ("thresholds", "roofline"))
        ]  # fmt: skip
        groups = [make.VBox(group, layout=make.Layout(overflow="hidden")) for group in controls]
        chosen = make.HBox(groups, layout=make.Layout(flex_flow="row wrap", overflow="hidden"))
        pictures = make.HBox(columns, layout=make.Layout(align_items="flex-start", overflow="hidden"))
        self.widget = make.VBox(
            [chosen, self.status, shown["timeline"], pictures], layout=make.Layout(overflow="hidden")
        )

    def _listen(self) -> None:
        for one in (self.network, self.batch, self.units, self.tccd_l):
            one.observe(self._on_design, "value")
        self.system.observe(self._on_system, "value")
        for one in (self.low, self.high):
            one.observe(self._on_threshold, "value")
        self.surface.observe(self._on_surface, "value")
        self.best.on_click(self._on_best)

    @property
    def pair(self) -> int:
        """Place of the chosen thresholds in the grid."""
        return self.answer.pair(self.low.value, self.high.value)

    def _on_threshold(self, event: Any) -> None:
        if self._quiet:
            return
        moved_high = event["owner"] is self.high
        if self.low.value >= self.high.value:  # the other one gives way
            low, high = self.low.value, self.high.value
            self._set_thresholds(*((high - 1, high) if moved_high else (low, low + 1)))
        self._show()

    def _on_best(self, _: Any) -> None:
        self._set_thresholds(*self.answer.thresholds(self.answer.grid.best))
        self._show()

    def _on_surface(self, _: Any) -> None:
        if not self._quiet:
            self._show()

    def _on_system(self, _: Any) -> None:
        """Another system begins with its own units and timing."""
        system = load_system(self.system.value)
        self._quietly(units=system.pim.units_per_channel, tccd_l=system.memory.timing.tCCD_L)
        self._on_design(None)

    def _on_design(self, _: Any) -> None:
        if self._quiet:
            return
        asked = Choice(self.network.value, self.system.value, self.batch.value, self.units.value, self.tccd_l.value)
        if not self._what_if.knows(asked):
            self._say("working ...")
        try:
            self.answer = self._what_if.answer(asked, self._progress, self._early)
        except PimModelError as error:
            kept = self.choice
            self._quietly(**vars(kept))
            self._say(f"not possible, nothing changed: {error}")
            return
        self.choice = asked
        self._fit_thresholds()
        self._show(everything=True)

    def _early(self, bounds: Bounds) -> None:
        """What is known of a design at once."""
        gpu_only, serial, ideal = bounds
        self._known = (
            f"gpu-only {format_quantity(gpu_only, 's', 4)}, serial {format_quantity(serial, 's', 4)}"
            f" ({gpu_only / serial:.3f} times as fast), bound {format_quantity(ideal, 's', 4)} ({gpu_only / ideal:.3f})"
        )
        self._say(f"{self._known}; thresholds: working ...")

    def _progress(self, done: int, whole: int) -> None:
        if done % 8 == 0:
            self._say(
                f"{self._known}; thresholds: working ... {done} of {whole} tables of progress; the next visit is quick"
            )

    def _fit_thresholds(self) -> None:
        """Sliders and the list of heat maps as the step has them."""
        room = self.answer.grid.room
        self._set_thresholds(*nearest(self.answer, self.low.value, self.high.value))
        self._quiet = True
        try:
            self.low.max, self.high.max = room - 1, room
            wanted = self.surface.value
            self.surface.options = [WHOLE, *self.answer.convs]
            self.surface.value = wanted if wanted in self.surface.options else WHOLE
        finally:
            self._quiet = False

    def _set_thresholds(self, low: int, high: int) -> None:
        self._quietly(low=low, high=high)

    def _quietly(self, **values: Any) -> None:
        """Set widgets without an answer to it."""
        self._quiet = True
        try:
            for name, value in values.items():
                control = getattr(self, name)
                if name == "units" and value not in control.options:
                    control.options = sorted({*control.options, value})
                control.value = value
        finally:
            self._quiet = False

    def png(self, name: str) -> bytes:
        """A picture as it is shown now, one of `pictures.PICTURES`."""
        return bytes(self.images[name].value)

    def picture(self, name: str) -> Picture:
        """A picture of the step, kept."""
        shown = self.surface.value if name == "thresholds" else WHOLE
        key = self.choice, f"{name} {shown}"
        if key not in self._pictures:
            self._pictures[key] = heat_map(self.answer, shown) if name == "thresholds" else PICTURES[name](self.answer)
            while len(self._pictures) > KEPT * len(PICTURES):
                self._pictures.popitem(last=False)
        self._pictures.move_to_end(key)
        return self._pictures[key]

    def _show(self, everything: bool = False) -> None:
        pair = self.pair
        for name, image in self.images.items():
            if everything or name not in STILL:
                image.value = self.picture(name).png(pair)
        self._say(self._summary(self.answer, pair))

    def _summary(self, answer: Answer, pair: int) -> str:
        low, high = answer.thresholds(pair)
        time, best = answer.time(pair), answer.time(answer.grid.best)
        return (
            f"thresholds {low}, {high}: {format_quantity(time, 's', 4)} per step,"
            f" {answer.serial / time:.3f} times as fast as serial, {time / best - 1:.2%} longer than with the best pair"
        )

    def _say(self, text: str) -> None:
        import html

        self.status.value = f"<b>{html.escape(text)}</b>"
