"""ResNet, ResNeXt and Wide ResNet: one skeleton, two kinds of blocks."""

from __future__ import annotations

from functools import partial

from pimmodel.network.network import NetworkBuilder
from pimmodel.network.ops import BatchNorm, Conv

from .blocks import RELU, conv2d, conv_norm, max_pool, pooled_classifier, residual


def resnet(
    net: NetworkBuilder,
    image: str,
    classes: int,
    *,
    depths: tuple[int, int, int, int],
    bottleneck: bool = True,
    groups: int = 1,
    base_width: int = 64,
) -> str:
    """A 7 x 7 convolution, four stages of residual blocks, one fully connected layer.

    He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, doi 10.1109/CVPR.2016.90. Bottlenecks take
    their stride in the 3 x 3 convolution ("v1.5"), as torchvision does; the paper has it in the first 1 x 1.
    ResNeXt (`groups`): Xie et al., CVPR 2017, doi 10.1109/CVPR.2017.634. Wide ResNet (`base_width`): Zagoruyko,
    Komodakis, BMVC 2016, doi 10.5244/C.30.87.
    """
    x = net.add(conv2d(64, 7, 2), image, name="conv1")
    x = net.add(BatchNorm(), x, name="bn1")
    x = net.add(RELU, x, name="relu")
    x = net.add(max_pool(3, 2, 1), x, name="maxpool")
    for stage, depth in enumerate(depths):
        planes = 64 << stage
        width = planes * base_width // 64 * groups
        for block in range(depth):
            name, stride = f"layer{stage + 1}.{block}", 2 if stage and not block else 1
            if bottleneck:
                convolutions = [conv2d(width, 1), conv2d(width, 3, stride, groups=groups), conv2d(4 * planes, 1)]
            else:
                convolutions = [conv2d(planes, 3, stride), conv2d(planes, 3)]
            x = residual_block(net, x, name, convolutions, stride)
    return pooled_classifier(net, x, classes)


def residual_block(net: NetworkBuilder, x: str, name: str, convolutions: list[Conv], stride: int) -> str:
    """Convolutions with batch norm, the sum with the shortcut, ReLU; the shortcut projects where shapes change."""
    shortcut, last = x, len(convolutions)
    for index, conv in enumerate(convolutions, start=1):
        activation = RELU if index < last else None
        x = conv_norm(net, x, name, conv, activation, (f"conv{index}", f"bn{index}", f"relu{index}"))
    channels = convolutions[-1].out_channels
    if stride != 1 or net.shape(shortcut)[1] != channels:
        shortcut = conv_norm(net, shortcut, f"{name}.downsample", conv2d(channels, 1, stride), None)
    x = residual(net, x, shortcut, name)
    return net.add(RELU, x, name=f"{name}.relu")


NETWORKS = {
    "resnet18": partial(resnet, depths=(2, 2, 2, 2), bottleneck=False),
    "resnet34": partial(resnet, depths=(3, 4, 6, 3), bottleneck=False),
    "resnet50": partial(resnet, depths=(3, 4, 6, 3)),
    "resnet101": partial(resnet, depths=(3, 4, 23, 3)),
    "resnet152": partial(resnet, depths=(3, 8, 36, 3)),
    "resnext50_32x4d": partial(resnet, depths=(3, 4, 6, 3), groups=32, base_width=4),
    "wide_resnet50_2": partial(resnet, depths=(3, 4, 6, 3), base_width=128),
}
