"""The backward pass of depthwise convolutions whose kernel is larger than their map, on CPUs.

At 64 px EfficientNetB2's last stages are 4 and 2 px wide under kernels of 5 px. There oneDNN's backward pass takes many
times as long as its forward pass on CPUs without AVX-512, and was 40% of a training step; a sum over the kernel's taps,
each a product of two slices, gives the same gradients to rounding. `python -m benchmarks.depthwise` measures it.
"""

import torch
import torch.nn.functional as F
from torch import nn


def spans(kernel, padding, stride, size_in, size_out):
    """For each tap of a kernel along one axis: (tap, slice of the output, slice of the input that meets it there).

    Taps that meet nothing but padding are left out.
    """
    found = []
    for tap in range(kernel):
        first = max(0, -((tap - padding) // stride))  # its input is at first * stride + tap - padding >= 0
        last = min(size_out - 1, (size_in - 1 + padding - tap) // stride)
        if first <= last:
            begin = first * stride + tap - padding
            found.append((tap, slice(first, last + 1), slice(begin, begin + (last - first) * stride + 1, stride)))
    return found


class TapwiseBackward(torch.autograd.Function):
    """`F.conv2d` of float32 [n, c, h, w] with depthwise weights [c, 1, k, l]; its gradients tap by tap."""

    @staticmethod
    def forward(ctx, x, weight, stride, padding):
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding = stride, padding
        return F.conv2d(x, weight, None, stride, padding, groups=len(weight))

    @staticmethod
    def backward(ctx, gradient):
        x, weight = ctx.saved_tensors
        taps = weight[:, 0].permute(1, 2, 0).contiguous()  # channels last: every slice is dense along them
        x, gradient = (part.permute(0, 2, 3, 1).contiguous() for part in (x, gradient))
        by_x, by_taps = torch.zeros_like(x), torch.zeros_like(taps)
        sizes = zip(taps.shape[:2], ctx.padding, ctx.stride, x.shape[1:3], gradient.shape[1:3], strict=True)
        rows, columns = (spans(*one) for one in sizes)
        for i, rows_out, rows_in in rows:
            for j, columns_out, columns_in in columns:
                part = gradient[:, rows_out, columns_out]
                by_x[:, rows_in, columns_in].addcmul_(part, taps[i, j])
                by_taps[i, j] = (part * x[:, rows_in, columns_in]).sum((0, 1, 2))
        return by_x.permute(0, 3, 1, 2), by_taps.permute(2, 0, 1).unsqueeze(1), None, None


class DepthwiseConv2d(nn.Conv2d):
    """nn.Conv2d, with the other backward pass where it is the faster one."""

    def forward(self, x):
        covered = x.shape[-2] * x.shape[-1] < self.kernel_size[0] * self.kernel_size[1]
        if not covered or x.device.type != "cpu" or not torch.is_grad_enabled() or torch.is_autocast_enabled("cpu"):
            return super().forward(x)
        return TapwiseBackward.apply(x, self.weight, self.stride, self.padding)


def ease_depthwise_backward(model):
    """Make DepthwiseConv2d of the depthwise convolutions of `model`, in place; its weights and names stay."""
    for module in model.modules():
        plain = type(module) is nn.Conv2d and module.padding_mode == "zeros" and module.bias is None
        depthwise = plain and module.groups == module.in_channels == module.out_channels > 1
        if depthwise and module.dilation == (1, 1) and not isinstance(module.padding, str):
            module.__class__ = DepthwiseConv2d
