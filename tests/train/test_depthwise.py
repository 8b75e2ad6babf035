"""The backward pass by taps against torch's own."""

import copy

import pytest
import timm
import torch
from torch import nn

from train.depthwise import DepthwiseConv2d, TapwiseBackward, ease_depthwise_backward, spans


@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("size", [1, 2, 4, 7])
def test_spans_name_every_tap_that_meets_the_input_once(kernel, stride, size):
    padding = kernel // 2
    out = (size + 2 * padding - kernel) // stride + 1
    pairs = [
        (tap, o, i)
        for tap, outputs, inputs in spans(kernel, padding, stride, size, out)
        for o, i in zip(range(out)[outputs], range(size)[inputs], strict=True)
    ]
    expected = [(t, o, o * stride + t - padding) for t in range(kernel) for o in range(out)]
    assert pairs == [one for one in expected if 0 <= one[2] < size]


@pytest.mark.parametrize("kernel, stride, size", [(5, 1, (2, 2)), (5, 2, (4, 4)), (3, 1, (2, 3)), (3, 2, (2, 2))])
def test_gradients_are_those_of_finite_differences(kernel, stride, size):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, *size, dtype=torch.double, generator=generator, requires_grad=True)
    weight = torch.randn(3, 1, kernel, kernel, dtype=torch.double, generator=generator, requires_grad=True)
    padding = (kernel // 2, kernel // 2)
    assert torch.autograd.gradcheck(lambda x, w: TapwiseBackward.apply(x, w, (stride, stride), padding), (x, weight))


def test_efficientnet_has_the_same_gradients_and_names():
    torch.manual_seed(0)
    plain = timm.create_model("efficientnet_b2", num_classes=7).double().train()
    for module in plain.modules():  # else the network, deep and untrained, explodes and takes all rounding with it
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    eased = copy.deepcopy(plain)
    ease_depthwise_backward(eased)
    assert list(eased.state_dict()) == list(plain.state_dict())
    used = []
    for module in eased.modules():
        if isinstance(module, DepthwiseConv2d):
            module.register_forward_hook(lambda _, __, y: used.append(type(y.grad_fn).__name__))
    images = torch.rand(2, 3, 64, 64, dtype=torch.double)
    for network in (plain, eased):
        torch.manual_seed(1)  # stochastic depth
        network(images).logsumexp(1).sum().backward()
    assert used.count("TapwiseBackwardBackward") == 11 and len(used) == 23  # maps of 4 and 2 px alone
    for (name, ours), theirs in zip(eased.named_parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-7, atol=1e-12, msg=name)


def test_other_convolutions_are_left_alone():
    model = nn.Sequential(
        nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 8, 3, groups=4, bias=False), nn.Conv2d(1, 1, 3, bias=False)
    )
    ease_depthwise_backward(model)
    assert [type(module) for module in model] == [nn.Conv2d] * 3


def test_without_gradients_and_in_mixed_precision_torchs_own_pass_is_taken():
    conv = nn.Sequential(nn.Conv2d(4, 4, 5, padding=2, groups=4, bias=False))
    ease_depthwise_backward(conv)
    x = torch.rand(1, 4, 2, 2)
    with torch.no_grad():
        assert conv(x).grad_fn is None
    with torch.autocast("cpu", torch.bfloat16):
        assert "Tapwise" not in type(conv(x).grad_fn).__name__
    assert "Tapwise" in type(conv(x).grad_fn).__name__
