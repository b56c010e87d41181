"""Parametrizations, the older norms of weights, and pruning."""

import warnings

import numpy as np

from .kit import case


def grown(torch):
    class Symmetric(torch.nn.Module):
        def forward(self, x):
            return x.triu() + x.triu(1).transpose(-1, -2)

        def right_inverse(self, a):
            return a.triu()

    class Double(torch.nn.Module):
        def forward(self, x):
            return 2 * x

    return Symmetric(), Double()


@case("reparametrized")
def own_parametrization(torch, kit):
    parametrize = torch.nn.utils.parametrize
    layer = kit.fill(torch.nn.Linear(3, 3), prefix="before ")
    symmetric, double = grown(torch)
    weight = layer.weight
    parametrize.register_parametrization(layer, "weight", symmetric)
    kit.note(layer.parametrizations.weight.original is weight)
    kit.note(repr(layer))
    kit.note([n for n, _ in layer.named_parameters()])
    first = layer(kit.x(2, 3)).detach()
    parametrize.register_parametrization(layer, "weight", double)
    with parametrize.cached():
        kit.note(layer.weight is layer.weight)
    kit.note(parametrize.is_parametrized(layer))
    kit.note(parametrize.type_before_parametrizations(layer).__name__)
    kit.error(lambda: setattr(layer, "weight", first))
    kit.error(lambda: parametrize.register_parametrization(layer, "weights", double))
    kit.error(lambda: parametrize.register_parametrization(torch.nn.Linear(2, 3), "weight", symmetric))
    kit.fill(layer)
    second = layer(kit.x(2, 3)).detach()
    parametrize.remove_parametrizations(layer, "weight")
    kit.note(repr(layer) + str(layer.weight is weight))
    kit.error(lambda: parametrize.remove_parametrizations(layer, "weight"))
    return first, second, layer(kit.x(2, 3)), layer.weight.detach()


@case("reparametrized")
def gradients(torch, kit):
    layer = torch.nn.Linear(3, 3)
    for function in grown(torch):
        torch.nn.utils.parametrize.register_parametrization(layer, "weight", function)
    return kit.fill(layer)(kit.x(2, 3))


@case("reparametrized")
def assigned(torch, kit):
    layer = torch.nn.Linear(3, 3)
    torch.nn.utils.parametrize.register_parametrization(layer, "weight", grown(torch)[0])
    value = kit.x(3, 3, grad=False)
    layer.weight = value + value.T
    return layer.weight.detach(), layer.parametrizations.weight.original.detach()


for _name, _make in {
    "linear": lambda nn, norm: norm(nn.Linear(3, 4)), "all": lambda nn, norm: norm(nn.Linear(3, 4), dim=None),
    "conv": lambda nn, norm: norm(nn.Conv1d(3, 4, 2), "weight", 1), "bias": lambda nn, norm: norm(nn.Linear(3, 4), "bias"),
}.items():  # fmt: skip

    @case("reparametrized", f"weight norm, {_name}", make=_make)
    def _(torch, kit, make):
        nn, x = torch.nn, kit.x(2, 3, 3)
        new = kit.fill(make(nn, nn.utils.parametrizations.weight_norm), prefix="new ")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            old = kit.fill(make(nn, nn.utils.weight_norm), prefix="old ")
        out = new(x), old(x)
        kit.note(nn.utils.remove_weight_norm(old, "bias" if "bias_g" in old.state_dict() else "weight"))
        return *out, old(x)


@case("reparametrized")
def older_state(torch, kit):
    layer = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(3, 4))
    g, v, bias = kit.x(4, 1, grad=False), kit.x(4, 3, grad=False), kit.x(4, grad=False)
    layer.load_state_dict({"weight_g": g, "weight_v": v, "bias": bias})
    return layer.weight.detach()


for _name, _make in {
    "linear": lambda nn, norm: norm(nn.Linear(3, 4)),
    "conv": lambda nn, norm: norm(nn.ConvTranspose2d(3, 4, 2), n_power_iterations=2),
}.items():  # fmt: skip

    @case("reparametrized", f"spectral norm, {_name}", make=_make)
    def _(torch, kit, make):
        nn, x = torch.nn, kit.x(2, 3, 3, 3)
        new = kit.fill(make(nn, nn.utils.parametrizations.spectral_norm), prefix="new ")
        old = kit.fill(make(nn, nn.utils.spectral_norm), prefix="old ")
        out = [new(x), new(x), old(x), old(x)]
        state = {k: v for k, v in [*new.state_dict().items(), *old.state_dict().items()] if k[-2:] in ("_u", "_v")}
        kit.note(list(state))
        return *out, new.eval()(x), old.eval()(x), *state.values()

    @case("reparametrized", f"spectral norm removed, {_name}", make=_make)
    def _(torch, kit, make):
        nn, x = torch.nn, kit.x(2, 3, 3, 3, grad=False)
        new = kit.fill(make(nn, nn.utils.parametrizations.spectral_norm), prefix="new ").eval()
        old = kit.fill(make(nn, nn.utils.spectral_norm), prefix="old ").eval()
        kit.note(nn.utils.remove_spectral_norm(old))
        kit.note(nn.utils.parametrize.remove_parametrizations(new, "weight"))
        return new(x).detach(), old(x).detach()


@case("reparametrized")
def orthogonal(torch, kit):
    orthogonal, out = torch.nn.utils.parametrizations.orthogonal, []
    for i, (shape, how, base) in enumerate((
        ((4, 4), None, True), ((4, 4), "cayley", True), ((3, 5), "householder", False), ((5, 3), "matrix_exp", False),
        ((4, 3), "cayley", False), ((3, 5), None, False),
    )):  # fmt: skip
        layer = torch.nn.Linear(*shape)
        if base:
            with torch.no_grad():
                q = np.linalg.qr(kit.numbers(f"q{i}").normal(size=shape))[0]
                layer.weight.copy_(torch.tensor(q.astype(np.float32)))
        else:
            kit.fill(layer, prefix=f"start{i} ")
        orthogonal(layer, orthogonal_map=how, use_trivialization=base)
        kit.note(repr(layer))
        if how == "householder" or (not base and how is None):
            layer.parametrizations.weight.original.requires_grad_(True)
            kit.parameters[f"{i}"] = layer.parametrizations.weight.original
        else:
            state = {"parametrizations.weight.original": kit.x(*layer.weight.shape, grad=False)}
            layer.load_state_dict(state, strict=False)
            kit.parameters[f"{i}"] = layer.parametrizations.weight.original
        out.append(layer.weight)
    for f in (
        lambda: orthogonal(torch.nn.Linear(3, 4), "bias"), lambda: orthogonal(torch.nn.Linear(3, 4), "w"),
        lambda: orthogonal(torch.nn.Linear(3, 4), orthogonal_map="expm"),
        lambda: torch.nn.utils.parametrizations.spectral_norm(torch.nn.Linear(3, 4), dim=2),
        lambda: torch.nn.utils.parametrizations.spectral_norm(torch.nn.Linear(3, 4), n_power_iterations=0),
        lambda: torch.nn.utils.remove_weight_norm(torch.nn.Linear(3, 4)),
        lambda: torch.nn.utils.remove_spectral_norm(torch.nn.Linear(3, 4)),
    ):  # fmt: skip
        kit.error(f)
    return out


@case("reparametrized")
def pruned(torch, kit):
    prune, nn = torch.nn.utils.prune, torch.nn
    net = nn.Sequential(kit.fill(nn.Linear(4, 3)), kit.fill(nn.Linear(3, 4), prefix="second "))
    first, second = net
    prune.l1_unstructured(first, "weight", 0.4)
    prune.ln_structured(first, "weight", 1, n=2, dim=1)
    prune.custom_from_mask(second, "bias", torch.tensor([1.0, 0.0, 1.0, 1.0]))
    kit.note(list(net.state_dict()))
    kit.note([n for n, _ in net.named_parameters()])
    kit.note(prune.is_pruned(net))
    for n, p in net.named_parameters():
        kit.parameters[n] = p
    out = [net(kit.x(2, 4)), first.weight_mask, first.weight]
    prune.global_unstructured([(first, "bias"), (second, "weight")], prune.L1Unstructured, amount=6)
    out += [net(kit.x(2, 4)), first.bias_mask, second.weight_mask]
    prune.l1_unstructured(second, "weight", 2, importance_scores=kit.x(4, 3, grad=False))
    out += [second.weight_mask]
    prune.remove(first, "weight")
    prune.identity(first, "weight")
    kit.note(list(net.state_dict()))
    kit.note(int(prune.random_unstructured(nn.Linear(5, 4), "weight", 7).weight_mask.sum()))
    kit.note(int(prune.random_structured(nn.Linear(5, 4), "weight", 0.5, 0).weight_mask.sum()))
    for f in (
        lambda: prune.l1_unstructured(nn.Linear(3, 4), "weight", 1.5), lambda: prune.remove(nn.Linear(3, 4), "weight"),
        lambda: prune.l1_unstructured(nn.Linear(3, 4), "weight", 13), lambda: prune.random_unstructured(first, "bias", "a"),
        lambda: prune.ln_structured(nn.Linear(3, 4), "bias", 1, 2, 0),
        lambda: prune.ln_structured(nn.Linear(3, 4), "weight", 1, 2, 2),
    ):  # fmt: skip
        kit.error(f)
    return out
