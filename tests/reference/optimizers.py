"""Optimizers over ten steps, and averages of weights."""

from .kit import case


def run(torch, kit, make, steps=10, shapes=((3, 4), (4,))):
    """The parameters and the state of the first after steps on a problem that is not quite quadratic."""
    params = [torch.nn.Parameter(kit.x(*shape, grad=False)) for shape in shapes]
    optimizer = make(torch.optim, params)
    kit.note(repr(optimizer))
    goals = [kit.x(steps, *shape, grad=False) for shape in shapes]
    for t in range(steps):

        def closure(t=t):
            optimizer.zero_grad()
            loss = sum(((p - g[t // 5]).abs() ** 2.5).sum() for p, g in zip(params, goals))
            loss.backward()
            return loss

        optimizer.step(closure)
    state = optimizer.state_dict()["state"][0]
    kit.note(list(state))
    return [p.detach() for p in params] + [v for v in state.values() if hasattr(v, "shape")]


CASES = {
    "asgd": lambda o, p: o.ASGD(p, 0.05, 0.01, 0.6, t0=3, weight_decay=0.1),
    "asgd, plain": lambda o, p: o.ASGD(p, maximize=True),
    "rprop": lambda o, p: o.Rprop(p, 0.05),
    "rprop, limited": lambda o, p: o.Rprop(p, 0.05, (0.3, 1.5), (0.01, 0.1), maximize=True),
    "adafactor": lambda o, p: o.Adafactor(p, 0.1),
    "adafactor, decayed": lambda o, p: o.Adafactor(p, 0.1, -0.5, (1e-6, 0.01), 1.5, 0.1, maximize=True),
    "adam": lambda o, p: o.Adam(p, 0.05, weight_decay=0.1, amsgrad=True), "adamw": lambda o, p: o.AdamW(p, 0.05),
    "nadam": lambda o, p: o.NAdam(p, 0.05), "radam": lambda o, p: o.RAdam(p, 0.05),
    "adamax": lambda o, p: o.Adamax(p, 0.05), "adagrad": lambda o, p: o.Adagrad(p, 0.05, 0.1),
    "adadelta": lambda o, p: o.Adadelta(p), "rmsprop": lambda o, p: o.RMSprop(p, 0.01, momentum=0.5, centered=True),
    "sgd": lambda o, p: o.SGD(p, 0.01, 0.9, weight_decay=0.1, nesterov=True),
}  # fmt: skip
for _name, _make in CASES.items():

    @case("optimizers", _name, make=_make)
    def _(torch, kit, make):
        return run(torch, kit, make)


for _name, _options in {
    "plain": {}, "searched": {"line_search_fn": "strong_wolfe"},
    "short": {"history_size": 2, "max_iter": 4, "lr": 0.5}, "short, searched": {
        "history_size": 3, "max_iter": 3, "line_search_fn": "strong_wolfe", "tolerance_grad": 1e-3},
}.items():  # fmt: skip

    @case("optimizers", f"lbfgs, {_name}", options=_options)
    def _(torch, kit, options):
        x = torch.nn.Parameter(kit.x(4, grad=False, scale=0.5).double())  # the search follows every rounding
        other = torch.nn.Parameter(kit.x(2, 2, grad=False).double())
        goal = kit.x(2, 2, grad=False).double()
        optimizer = torch.optim.LBFGS([x, other], **options)

        def closure():
            optimizer.zero_grad()
            valley = (10 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()
            loss = valley + ((other - goal) ** 2).sum()
            loss.backward()
            return loss

        first = [optimizer.step(closure).detach() for _ in range(2)]
        after_two = [p.detach().clone() for p in (x, other)]
        state = optimizer.state_dict()["state"][0]
        kit.note((state["func_evals"], state["n_iter"], len(state["old_dirs"])))
        for _ in range(6):
            optimizer.step(closure)
        return *first, *after_two, closure().detach()


@case("optimizers")
def muon(torch, kit):
    weights = [torch.nn.Parameter(kit.x(*shape, grad=False)) for shape in ((6, 4), (3, 5))]
    for options in ({"lr": 1e-4}, {"lr": 1e-4, "nesterov": False, "adjust_lr_fn": "match_rms_adamw", "ns_steps": 4}):
        optimizer = torch.optim.Muon(weights, **options)
        kit.note(repr(optimizer))
        for _ in range(5):
            optimizer.zero_grad()
            sum((w**2).sum() for w in weights).backward()
            optimizer.step()
    return [w.detach() for w in weights]


@case("optimizers")
def sparse_adam(torch, kit):
    layer = torch.nn.Embedding(6, 3, sparse=True)
    with torch.no_grad():
        layer.weight.copy_(kit.x(6, 3, grad=False))
    optimizer = torch.optim.SparseAdam(layer.parameters(), 0.05)
    places = kit.ints(6, 10, 3)
    for t in range(10):
        optimizer.zero_grad()
        (layer(places[t]) ** 2).sum().backward()
        optimizer.step()
    return layer.weight.detach(), optimizer.state_dict()["state"][0]["exp_avg_sq"]


@case("optimizers")
def wrong_options(torch, kit):
    o, p = torch.optim, [torch.nn.Parameter(kit.x(3, grad=False))]
    for f in (
        lambda: o.ASGD(p, -1), lambda: o.ASGD(p, weight_decay=-1), lambda: o.Rprop(p, etas=(1.5, 1.2)),
        lambda: o.LBFGS([{"params": p}, {"params": [torch.nn.Parameter(kit.x(2, grad=False))]}]), lambda: o.Muon(p),
        lambda: o.Muon([torch.nn.Parameter(kit.x(3, 2, grad=False))], adjust_lr_fn="x"), lambda: o.Muon(p, momentum=-1),
        lambda: o.SparseAdam(p, betas=(1.0, 0.9)), lambda: o.SparseAdam(p, eps=0.0), lambda: o.SparseAdam(p, lr=0.0),
        lambda: o.Adafactor(p, d=0.5), lambda: o.Adafactor(p, beta2_decay=0.5), lambda: o.Adafactor(p, eps=(None, -1)),
        lambda: o.swa_utils.get_ema_avg_fn(1.5), lambda: o.swa_utils.SWALR(o.SGD(p), 0.1, anneal_strategy="x"),
        lambda: o.swa_utils.SWALR(o.SGD(p), 0.1, anneal_epochs=-1),
    ):  # fmt: skip
        kit.error(f)


@case("optimizers")
def averages(torch, kit):
    nn, swa = torch.nn, torch.optim.swa_utils
    net = kit.fill(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)))
    models = [
        swa.AveragedModel(net), swa.AveragedModel(net, avg_fn=swa.get_ema_avg_fn(0.8)),
        swa.AveragedModel(net, multi_avg_fn=swa.get_ema_multi_avg_fn(0.7), use_buffers=True),
        swa.AveragedModel(net, multi_avg_fn=swa.get_swa_multi_avg_fn()),
    ]  # fmt: skip
    kit.note(list(models[0].state_dict()))
    x = kit.x(4, 5, 3, grad=False)
    for t in range(4):
        net(x[t])
        with torch.no_grad():
            for p in net.parameters():
                p.mul_(0.9)
        for m in models:
            m.update_parameters(net)
    out = [t for m in models for t in m.state_dict().values()]
    swa.update_bn([x[0], (x[1], 3), x[2]], models[0])
    kit.note(models[0].module[1].momentum)
    norm = models[0].module[1]
    return *(t.clone() for t in out), norm.running_mean, norm.running_var, models[0].eval()(x[0]).detach()


@case("optimizers")
def swa_rates(torch, kit):
    for options in (
        {"swa_lr": 0.05}, {"swa_lr": 0.05, "anneal_epochs": 3, "anneal_strategy": "linear"},
        {"swa_lr": 0.4, "anneal_epochs": 0},
    ):  # fmt: skip
        optimizer = torch.optim.SGD([torch.nn.Parameter(kit.x(2, grad=False))], 0.2)
        schedule = torch.optim.swa_utils.SWALR(optimizer, **options)
        rates = []
        for _ in range(13):
            optimizer.step()
            schedule.step()
            rates.append(f"{optimizer.param_groups[0]['lr']:.7f}")
        kit.note(rates)
