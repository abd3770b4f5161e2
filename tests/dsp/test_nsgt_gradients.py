"""Gradients of the nonstationary Gabor transform."""

import pytest
import torch
from songs import noise

from sepbench.dsp.nsgt import Nsgt, RaggedNsgt, bark

MIXIN = bark(0, 22050, 96)


@pytest.mark.parametrize("form", [Nsgt, RaggedNsgt])
def test_gradients_are_those_of_finite_differences(form):
    nsgt = form([2000, 5000, 9000, 15000], samples=30)
    signal = noise(2, 30, dtype=torch.float64).requires_grad_()

    def masked(signal, gain):
        coefficients = nsgt.forward(signal)
        groups = [coefficients] if form is Nsgt else coefficients
        changed = [gain * group * group.abs() for group in groups]
        return nsgt.inverse(changed[0] if form is Nsgt else changed)

    gain = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(masked, (signal, gain))


@pytest.mark.parametrize("form", [Nsgt, RaggedNsgt])
def test_second_gradients_are_those_of_finite_differences(form):
    nsgt = form([2000, 5000, 9000, 15000], samples=30)

    def energies(signal):
        coefficients = nsgt.forward(signal)
        return [
            group.abs().square() for group in ([coefficients] if form is Nsgt else coefficients)
        ]

    assert torch.autograd.gradgradcheck(energies, noise(30, dtype=torch.float64).requires_grad_())


@pytest.mark.parametrize("form", [Nsgt, RaggedNsgt])
def test_gradients_through_the_frame_of_mixin_are_its_adjoint(form):
    """As the transform is linear, <T x, y> is <x, T* y>; the gradient of the left side is T* y."""
    nsgt = form(MIXIN)
    signal = noise(44032, dtype=torch.float64).requires_grad_()

    def groups(coefficients):
        return [coefficients] if form is Nsgt else coefficients

    def inner(ones, others):
        return sum(
            torch.vdot(one.flatten(), other.flatten()).real
            for one, other in zip(ones, others, strict=True)
        )

    made = groups(nsgt.forward(signal))
    others = [torch.randn_like(group).requires_grad_() for group in made]
    product = inner(made, others)
    product.backward()
    torch.testing.assert_close(torch.dot(signal.grad, signal), product)
    for group, other in zip(made, others, strict=True):
        torch.testing.assert_close(other.grad, group)
    back = nsgt.inverse(others[0] if form is Nsgt else others)
    direction = noise(44032, dtype=torch.float64)
    gradients = torch.autograd.grad(torch.dot(back, direction), others)
    torch.testing.assert_close(inner(gradients, others), torch.dot(back, direction))


def test_a_transform_used_for_inference_can_be_trained_through():
    nsgt = Nsgt([3000], samples=100)
    signal = noise(100)
    with torch.inference_mode():
        nsgt.inverse(nsgt.forward(signal))
    gain = torch.ones(1, requires_grad=True)
    nsgt.inverse(gain * nsgt.forward(gain * signal)).square().sum().backward()
    torch.testing.assert_close(gain.grad, 4 * signal.square().sum(0, keepdim=True))
