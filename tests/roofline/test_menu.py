"""A menu of kernels gives the times of the model that it was read off, on GPUs with any rates."""

from __future__ import annotations

import numpy as np
import pytest

import pimmodel as pm
from pimmodel.hardware.load import load_gpu
from pimmodel.network.conv_shape import ConvShape
from pimmodel.roofline.conv import conv_kernels
from pimmodel.roofline.menu import Rates, kernel_menu, menu_times
from pimmodel.step import prepare

POINTS = 40


@pytest.mark.parametrize(("precision", "gpu"), [("fp32", "v100"), ("fp16", "v100"), ("fp16", "gtx1080ti"),
                                                ("fp32", "a100"), ("fp16", "h100"), ("tf32", "a100"),
                                                ("tf32", "v100"), ("fp16", "t4")])  # fmt: skip
@pytest.mark.parametrize("network", ["resnet50", "mobilenet_v2", "googlenet"])
def test_same_times_and_traffic_at_any_rates(network: str, precision: str, gpu: str) -> None:
    step = prepare(pm.load_network(network, batch=16), pm.load_system("v100-bankgroup-pim"), precision=precision)  # type: ignore[arg-type]
    tasks, part = step.host_tasks, load_gpu(gpu)
    last = precision == "fp16"
    menu = kernel_menu(tasks.shapes, tasks.phases, part, precision, channels_last=last)  # type: ignore[arg-type]
    factors = np.exp(np.random.default_rng(3).uniform(-2, 2, (5, POINTS)))
    peak, field = part.tensor_peak(precision), "tf32_tensor_peak" if precision == "tf32" else "fp16_tensor_peak"
    values = {
        "clock": part.clock * factors[0],
        field: None if peak is None else peak * factors[1],
        "l2_bandwidth": part.l2_bandwidth * factors[2], "launch_overhead": part.launch_overhead * factors[3],
    }  # fmt: skip
    bandwidth = 900e9 * factors[4]
    constants = part.kernels
    tensor = np.inf if values[field] is None else values[field]
    launch = values["launch_overhead"] * constants.launch_factor
    found = menu_times(menu, Rates(values["clock"], tensor, bandwidth * constants.dram_efficiency,
                                   values["l2_bandwidth"], launch))  # fmt: skip
    for n in range(POINTS):
        varied = part.model_copy(update={name: None if one is None else one[n] for name, one in values.items()})
        kernels = conv_kernels(tasks.shapes, tasks.phases, varied, bandwidth[n], precision, channels_last=last)  # type: ignore[arg-type]
        np.testing.assert_allclose(found.time[:, n], kernels.time, rtol=1e-12)
        np.testing.assert_allclose(found.dram[:, n], kernels.dram, rtol=1e-12)
        np.testing.assert_allclose(found.traffic[:, n], kernels.dram_bytes, rtol=1e-12)


def test_few_kernels_are_left() -> None:
    shape = ConvShape(n=64, c=64, h=56, w=56, k=64, p=56, q=56, r=3, s=3)
    menu = kernel_menu([shape], ["FP"], load_gpu("v100"), "fp32")
    assert 1 <= len(menu.on_clock) < 20


def test_more_traffic_is_that_of_the_chosen_kernels() -> None:
    shape = ConvShape(n=64, c=64, h=56, w=56, k=64, p=56, q=56)
    part = load_gpu("v100")
    constants, bandwidth = part.kernels, 800e9
    rates = Rates(part.clock, np.inf, bandwidth * constants.dram_efficiency, part.l2_bandwidth,
                  part.launch_overhead * constants.launch_factor)  # fmt: skip
    more = np.array([1e8])
    found = menu_times(kernel_menu([shape], ["FP"], part, "fp32"), rates, more)
    kernels = conv_kernels([shape], ["FP"], part, bandwidth, "fp32")
    expected = kernels.with_more_dram(more / (bandwidth * constants.dram_efficiency))
    np.testing.assert_allclose(found.time[:, 0], expected, rtol=1e-12)
    np.testing.assert_allclose(found.traffic[:, 0], kernels.dram_bytes + more, rtol=1e-12)
