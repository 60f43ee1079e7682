from __future__ import annotations

import pytest
import torch
from torch import nn

from edge_effnet import EfficientNet, InputError, fold_for_inference, swap_activation
from edge_effnet.activations import ACTIVATIONS, MemoryEfficientSwish, activation_name, make_activation
from edge_effnet.blocks import SqueezeExcite
from tests.support.networks import images, trained_looking


def inputs(dtype: torch.dtype = torch.float32) -> torch.Tensor:
    extremes = torch.tensor([-100.0, -20.0, -1.0, -1e-6, 0.0, 1e-6, 1.0, 20.0, 100.0])
    return torch.cat([extremes, torch.randn(64, generator=torch.Generator().manual_seed(0))]).to(dtype)


def test_memory_efficient_swish_equals_autograds() -> None:
    x, reference = (inputs().requires_grad_() for _ in range(2))
    y = MemoryEfficientSwish()(x)
    expected = reference * torch.sigmoid(reference)
    torch.testing.assert_close(y, expected)
    weights = torch.linspace(-1, 1, x.numel())
    (y * weights).sum().backward()
    (expected * weights).sum().backward()
    torch.testing.assert_close(x.grad, reference.grad)


def test_memory_efficient_swish_passes_gradcheck_twice() -> None:
    x = (inputs(torch.float64) / 10).requires_grad_()
    assert torch.autograd.gradcheck(MemoryEfficientSwish(), (x,))
    assert torch.autograd.gradgradcheck(MemoryEfficientSwish(), (x,))


def test_memory_efficient_swish_has_autograds_second_derivative() -> None:
    x, reference = (inputs(torch.float64).requires_grad_() for _ in range(2))
    firsts = (
        torch.autograd.grad(MemoryEfficientSwish()(x).sum(), x, create_graph=True)[0],
        torch.autograd.grad((reference * torch.sigmoid(reference)).sum(), reference, create_graph=True)[0],
    )
    torch.testing.assert_close(*firsts)
    seconds = [torch.autograd.grad(first.sum(), leaf)[0] for first, leaf in zip(firsts, (x, reference), strict=True)]
    torch.testing.assert_close(*seconds)


def test_memory_efficient_swish_saves_one_tensor_instead_of_two() -> None:
    def saved_bytes(function: object) -> int:
        sizes: dict[int, int] = {}

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            sizes[tensor.data_ptr()] = tensor.nbytes
            return tensor

        leaf = torch.randn(1000, requires_grad=True)
        x = leaf * 1  # a result, as inside a network
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            function(x)  # type: ignore[operator]
        return sum(sizes.values())

    assert saved_bytes(MemoryEfficientSwish()) == 4000
    assert saved_bytes(lambda x: x * torch.sigmoid(x)) == 8000


def test_memory_efficient_swish_exports_with_gradients_on() -> None:
    """Where lukemelas' package fails unless switched by hand (its issue #218)."""
    x = torch.randn(2, 3)
    program = torch.export.export(MemoryEfficientSwish(), (x,))
    assert "aten.silu.default" in {str(node.target) for node in program.graph.nodes}
    torch.testing.assert_close(program.module()(x), torch.nn.functional.silu(x))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_make_activation(name: str) -> None:
    module = make_activation(name)
    assert activation_name(module) == name
    assert activation_name(nn.Sigmoid()) is None


def test_unknown_activations_list_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"unknown activation 'gelu'; choose one of swish, .*relu6, relu"):
        make_activation("gelu")


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_swap_equals_a_network_built_so(name: str) -> None:
    swapped = trained_looking(EfficientNet.from_name("b0", num_classes=10))
    built = EfficientNet.from_name("b0", num_classes=10, activation=name).eval()
    built.load_state_dict(swapped.state_dict())
    assert swap_activation(swapped, name) is swapped
    assert swapped.activation == name
    x = images(2, 64)
    with torch.no_grad():
        assert torch.equal(swapped(x), built(x))


def test_swap_leaves_gates_and_linear_layers_alone() -> None:
    model = swap_activation(EfficientNet.from_name("b0"), "relu")
    gates = [module.gate for module in model.modules() if isinstance(module, SqueezeExcite)]
    assert len(gates) == 16
    assert all(type(gate) is nn.Sigmoid for gate in gates)
    assert type(model.stages[1][0].project.activation) is nn.Identity
    assert not any(isinstance(module, nn.SiLU) for module in model.modules())
    assert sum(isinstance(module, nn.ReLU) for module in model.modules()) == 2 + 15 + 16 + 16


def test_swap_works_on_a_folded_network() -> None:
    model = trained_looking(EfficientNet.from_name("b0", num_classes=10, image_size=64))
    x = images(2, 64)
    folded = swap_activation(fold_for_inference(model), "hardswish")
    swap_activation(model, "hardswish")
    with torch.no_grad():
        torch.testing.assert_close(folded(x), model(x), rtol=1e-4, atol=1e-4)
    assert folded.training is False
    assert folded.stem.activation.training is False


def test_swap_refuses_before_it_changes() -> None:
    model = EfficientNet.from_name("b0")
    with pytest.raises(InputError, match="unknown activation"):
        swap_activation(model, "mish")
    assert model.activation == "swish"
    with pytest.raises(InputError, match="no activation to swap"):
        swap_activation(nn.Sequential(nn.Conv2d(3, 3, 1), nn.Sigmoid()), "relu")
