"""The everyday layers and functions: activations, losses, convolutions, poolings, paddings, norms. Many to a case: what a
case costs is compiling its program."""

import warnings

from .kit import case

# --- activations ------------------------------------------------------------------------------------------------

ACTIVATIONS = {
    "CELU": (1.3,), "ELU": (0.7,), "GELU": ("tanh",), "GLU": (1,), "SELU": (), "Hardshrink": (0.4,), "Hardsigmoid": (),
    "Hardswish": (), "Hardtanh": (-0.5, 0.8), "LeakyReLU": (0.1,), "LogSigmoid": (), "LogSoftmax": (1,), "Mish": (),
    "ReLU": (), "ReLU6": (), "SiLU": (), "Sigmoid": (), "Softmax": (0,), "Softmin": (1,), "Softplus": (2.0, 1.5),
    "Softshrink": (0.3,), "Softsign": (), "Tanh": (), "Tanhshrink": (), "Threshold": (0.2, -1.0), "Identity": (),
}  # fmt: skip
IN_PLACE = ("CELU", "ELU", "SELU", "Hardsigmoid", "Hardswish", "Hardtanh", "LeakyReLU", "Mish", "ReLU", "ReLU6", "SiLU")


@case("everyday")
def activations(torch, kit):
    nn, out = torch.nn, []
    for name, args in ACTIVATIONS.items():
        layer = getattr(nn, name)(*args)
        kit.note(repr(layer))
        out.append(layer(kit.x(3, 4, scale=2.0)))
    prelu = kit.fill(nn.PReLU(4), prefix="prelu ")
    return *out, prelu(kit.x(3, 4)), nn.Softmax2d()(kit.x(2, 3, 2, 2)), nn.RReLU().eval()(kit.x(3, 4)), nn.GELU()(kit.x(5))


@case("everyday")
def activations_in_place(torch, kit):
    out = []
    for name in IN_PLACE:
        layer = getattr(torch.nn, name)(inplace=True)
        kit.note(repr(layer))
        out.append(layer(kit.x(3, 4, scale=2.0) * 1.5))
    F, x = torch.nn.functional, kit.x(9, 5, scale=2.0)
    rows = [row * 1 for row in x]
    return (
        *out, F.celu_(rows[0], 0.6), F.elu_(rows[1], 0.6), F.hardtanh_(rows[2]), F.leaky_relu_(rows[3], 0.3),
        F.relu_(rows[4]), F.selu_(rows[5]), F.threshold_(rows[6], 0.1, 0.5), F.rrelu_(rows[7]), torch.relu_(rows[8]),
    )  # fmt: skip


@case("everyday")
def activation_functions(torch, kit):
    F = torch.nn.functional
    kinds = {
        "celu": (0.6,), "elu": (1.4,), "gelu": (), "glu": (), "hardshrink": (), "hardsigmoid": (), "hardswish": (),
        "hardtanh": (), "leaky_relu": (), "logsigmoid": (), "mish": (), "relu": (), "relu6": (), "rrelu": (), "selu": (),
        "sigmoid": (), "silu": (), "softmax": (1,), "log_softmax": (0,), "softmin": (0,), "softplus": (), "softshrink": (),
        "softsign": (), "tanh": (), "tanhshrink": (), "threshold": (0.3, 0.1),
    }  # fmt: skip
    hard = torch.tensor([-1e30, -60.0, -3.0, -1.0, -0.0, 0.0, 0.5, 1.0, 3.0, 6.0, 60.0, 1e30])  # kinks, and far out
    hard = hard.reshape(2, 6).requires_grad_()
    kit.inputs.append(hard)
    far = ("gelu", "mish", "glu")  # whose derivative PyTorch makes NaN far out
    usual = kit.x(2, 6)
    return [getattr(F, n)(usual if n in far else hard, *args) for n, args in kinds.items()], F.prelu(hard, kit.x(1))


@case("everyday")
def kinks(torch, kit):
    """The derivative where there is none."""
    F, out = torch.nn.functional, []
    for name, at in {
        "relu": (0.0,), "relu6": (0.0, 6.0), "hardtanh": (-1.0, 1.0), "hardsigmoid": (-3.0, 3.0), "hardswish": (-3.0, 3.0),
        "leaky_relu": (0.0,), "elu": (0.0,), "selu": (0.0,), "celu": (0.0,), "softshrink": (0.5, -0.5),
        "hardshrink": (0.5, -0.5), "softsign": (0.0,), "logsigmoid": (0.0,), "softplus": (20.0,),
    }.items():  # fmt: skip
        x = torch.tensor(at, requires_grad=True)
        kit.inputs.append(x)
        out.append(getattr(F, name)(x))
    return out


# --- losses -----------------------------------------------------------------------------------------------------

LOSSES = {  # the target's kind, and options
    "L1Loss": ("like", {}), "MSELoss": ("like", {}), "SmoothL1Loss": ("like", {"beta": 0.7}),
    "HuberLoss": ("like", {"delta": 0.6}), "BCELoss": ("share", {}), "BCEWithLogitsLoss": ("share", {}),
    "KLDivLoss": ("share", {}), "SoftMarginLoss": ("sign", {}), "HingeEmbeddingLoss": ("sign", {"margin": 0.7}),
    "MultiLabelSoftMarginLoss": ("bits", {}), "PoissonNLLLoss": ("count", {"full": True}),
    "CrossEntropyLoss": ("class", {"label_smoothing": 0.1}), "NLLLoss": ("class", {"ignore_index": 1}),
    "MultiMarginLoss": ("class", {"p": 2, "margin": 0.8}), "MultiLabelMarginLoss": ("places", {}),
}  # fmt: skip


def target_of(torch, kit, kind, shape):
    rng = kit.numbers(kind)
    values = {
        "like": lambda: rng.normal(size=shape), "share": lambda: rng.uniform(0.1, 0.9, shape),
        "sign": lambda: rng.choice([-1.0, 1.0], shape), "bits": lambda: rng.choice([0.0, 1.0], shape),
        "count": lambda: rng.integers(0, 5, shape) * 1.0, "class": lambda: rng.integers(0, shape[1], shape[0]),
        "places": lambda: rng.permuted([[0, 2, -1, 3]] * shape[0], axis=1),
    }[kind]()  # fmt: skip
    t = torch.tensor(values)
    return t if t.dtype is torch.int64 else t.float().requires_grad_(kind == "like")


for _reduction in ("mean", "sum", "none"):

    @case("everyday", f"losses, {_reduction}", reduction=_reduction)
    def _(torch, kit, reduction):
        out, shape = [], (3, 4)
        for name, (kind, options) in LOSSES.items():
            layer = getattr(torch.nn, name)(**options, reduction=reduction)
            kit.note(repr(layer))
            x = kit.x(*shape, low=0.1, scale=0.8) if name == "BCELoss" else kit.x(*shape)
            target = target_of(torch, kit, kind, shape)
            if target.requires_grad:
                kit.inputs.append(target)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of a mean divergence, which is not the batch's
                out.append(layer(x, target))
        sign = target_of(torch, kit, "sign", (3,))
        embedding = torch.nn.CosineEmbeddingLoss(0.2, reduction=reduction)
        ranking = torch.nn.MarginRankingLoss(0.3, reduction=reduction)
        gaussian = torch.nn.GaussianNLLLoss(full=True, reduction=reduction)
        triplet = torch.nn.TripletMarginLoss(0.7, 2.0, swap=True, reduction=reduction)
        distance = torch.nn.PairwiseDistance(1.0)
        with_distance = torch.nn.TripletMarginWithDistanceLoss(
            distance_function=distance, margin=0.5, reduction=reduction
        )
        return (
            *out, embedding(kit.x(3, 4), kit.x(3, 4), sign), ranking(kit.x(3), kit.x(3), sign),
            gaussian(kit.x(3, 2), kit.x(3, 2), kit.x(3, 2, low=0.2)), triplet(kit.x(3, 4), kit.x(3, 4), kit.x(3, 4)),
            with_distance(kit.x(3, 4), kit.x(3, 4), kit.x(3, 4)),
        )  # fmt: skip


@case("everyday")
def loss_functions(torch, kit):
    F, sign = torch.nn.functional, target_of(torch, kit, "sign", (3, 4))
    share, classes = target_of(torch, kit, "share", (3, 4)), target_of(torch, kit, "class", (3, 4))
    weight, image = torch.tensor([0.5, 2.0, 1.0, 0.25]), kit.ints(4, 3, 2, 2)
    x, y, z = kit.x(3, 4), kit.x(3, 4), kit.x(3, 4)
    inside = kit.x(3, 4, low=0.1, scale=0.8)
    return (
        F.l1_loss(x, y), F.mse_loss(x, y, weight=share), F.smooth_l1_loss(x, y), F.huber_loss(x, y, delta=0.5),
        F.binary_cross_entropy(inside, share, weight), F.soft_margin_loss(x, sign), F.hinge_embedding_loss(x, sign),
        F.binary_cross_entropy_with_logits(x, share, weight, pos_weight=2 * weight), F.kl_div(x, share, reduction="batchmean"),
        F.kl_div(x, F.log_softmax(y, 1), reduction="sum", log_target=True),
        F.multilabel_soft_margin_loss(x, share.round(), weight),
        F.poisson_nll_loss(inside, share, log_input=False, eps=1e-3), F.gaussian_nll_loss(x, y, inside[:, 0]),
        F.cross_entropy(x, classes, weight, ignore_index=2, label_smoothing=0.2), F.cross_entropy(x, share, weight),
        F.cross_entropy(kit.x(3, 4, 2, 2), image, weight, reduction="none"), F.cross_entropy(x[0], classes[0]),
        F.nll_loss(F.log_softmax(kit.x(3, 4, 2, 2), 1), image, weight), F.multi_margin_loss(x, classes, weight=weight),
        F.cosine_embedding_loss(x, y, sign[:, 0], 0.1), F.margin_ranking_loss(x, y, sign, 0.2),
        F.triplet_margin_loss(x, y, z, p=1.5), F.triplet_margin_with_distance_loss(x, y, z, swap=True),
        F.cosine_similarity(x, y, dim=0), F.pairwise_distance(x, y, 3.0, keepdim=True), torch.nn.CosineSimilarity(1)(x, z),
        torch.nn.PairwiseDistance()(x, y[0]),
    )  # fmt: skip


# --- linear, convolutions ---------------------------------------------------------------------------------------

LINES = {1: (2, 4, 7), 2: (2, 4, 6, 5), 3: (1, 4, 4, 3, 5)}


for _n, _shape in LINES.items():

    @case("everyday", f"convolutions, {_n}d", n=_n, shape=_shape)
    def _(torch, kit, n, shape):
        kind, out = getattr(torch.nn, f"Conv{n}d"), []
        for i, options in enumerate((
            {"kernel_size": 3}, {"kernel_size": 3, "stride": 2, "padding": 1, "groups": 2, "bias": False},
            {"kernel_size": 2, "dilation": 2, "padding": "same", "padding_mode": "circular"},
            {"kernel_size": 2, "padding": 1, "padding_mode": "reflect"},
        )):  # fmt: skip
            out.append(kit.fill(kind(4, 6, **options), prefix=f"{i} ")(kit.x(*shape)))
        return out

    @case("everyday", f"transposed convolutions, {_n}d", n=_n, shape=_shape)
    def _(torch, kit, n, shape):
        kind, out = getattr(torch.nn, f"ConvTranspose{n}d"), []
        for i, options in enumerate((
            {"kernel_size": 2, "stride": 2},
            {"kernel_size": 3, "stride": 2, "padding": 1, "output_padding": 1, "groups": 2, "bias": False},
        )):  # fmt: skip
            out.append(kit.fill(kind(4, 6, **options), prefix=f"{i} ")(kit.x(*shape)))
        sized = kit.fill(kind(4, 2, 3, stride=3, dilation=2), prefix="sized ")
        return *out, sized(kit.x(1, 4, *[2] * n), output_size=(9,) * n)


@case("everyday")
def convolution_functions(torch, kit):
    F, out = torch.nn.functional, []
    for n in (1, 2, 3):
        size, kernel = (5,) * n, (2,) * n
        x = kit.x(2, 2, *size)
        out.append(getattr(F, f"conv{n}d")(x, kit.x(4, 1, *kernel), kit.x(4), stride=2, padding=1, dilation=1, groups=2))
        out.append(getattr(F, f"conv_transpose{n}d")(x[0], kit.x(2, 3, *kernel), stride=2, padding=1))
    x, y = kit.x(3, 4), kit.x(3, 5)
    bilinear = kit.fill(torch.nn.Bilinear(4, 5, 2), prefix="bilinear ")
    linear = kit.fill(torch.nn.Linear(4, 2, bias=False), prefix="linear ")
    return (
        *out, F.linear(x, kit.x(2, 4), kit.x(2)), linear(x), F.bilinear(x, y, kit.x(2, 4, 5), kit.x(2)), bilinear(x, y),
        F.unfold(kit.x(1, 2, 4, 5), (2, 3), dilation=1, padding=1, stride=2), F.fold(kit.x(1, 8, 6), (3, 4), 2),
        F.embedding(kit.ints(6, 2, 3), kit.x(6, 2), padding_idx=1), F.one_hot(kit.ints(4, 2, 3), 5),
        kit.fill(torch.nn.Embedding(6, 2, padding_idx=0), prefix="embedding ")(kit.ints(6, 4)),
    )  # fmt: skip


# --- poolings, paddings, shapes ---------------------------------------------------------------------------------


for _n, _shape in LINES.items():

    @case("everyday", f"poolings, {_n}d", n=_n, shape=_shape)
    def _(torch, kit, n, shape):
        nn, F, x = torch.nn, torch.nn.functional, kit.x(*shape)
        layers = (
            getattr(nn, f"MaxPool{n}d")(2, 1, 1, dilation=1, ceil_mode=True),
            getattr(nn, f"AvgPool{n}d")(3, 2, 1, count_include_pad=False), getattr(nn, f"AdaptiveAvgPool{n}d")(2),
            getattr(nn, f"AdaptiveMaxPool{n}d")(2, return_indices=True), getattr(nn, f"LPPool{n}d")(2, 2),
        )  # fmt: skip
        for layer in layers:
            kit.note(repr(layer))
        return (
            [layer(x) for layer in layers], getattr(F, f"max_pool{n}d")(x, 2, return_indices=True),
            getattr(F, f"avg_pool{n}d")(x, 2, ceil_mode=True), getattr(F, f"adaptive_avg_pool{n}d")(x, 1),
            getattr(F, f"adaptive_max_pool{n}d")(x, 3), getattr(F, f"lp_pool{n}d")(x, 3.0, 2, ceil_mode=True),
            getattr(F, f"max_pool{n}d_with_indices")(x, 3, 2), getattr(F, f"adaptive_max_pool{n}d_with_indices")(x, 1),
        )  # fmt: skip


@case("everyday")
def other_poolings(torch, kit):
    nn, F = torch.nn, torch.nn.functional
    pooled, places = F.max_pool2d(kit.x(1, 2, 4, 4), 2, return_indices=True)
    volume, corners = F.max_pool3d(kit.x(1, 2, 4, 4, 2), 2, return_indices=True)
    two, three = kit.x(1, 2, 2, grad=False, low=0.0), kit.x(1, 2, 3, grad=False, low=0.0)
    return (
        F.max_unpool2d(pooled, places, 2), F.max_unpool3d(volume, corners, 2),
        F.fractional_max_pool2d_with_indices(kit.x(1, 2, 5, 5), 2, 3, _random_samples=two),
        F.fractional_max_pool3d(kit.x(1, 2, 4, 4, 4), 2, 2, _random_samples=three),
        F.fractional_max_pool3d_with_indices(kit.x(1, 2, 4, 4, 4), 2, 2, _random_samples=three),
        nn.AdaptiveAvgPool2d((3, None))(kit.x(1, 2, 7, 5)), nn.AvgPool2d(2, divisor_override=3)(kit.x(1, 2, 5, 5)),
    )  # fmt: skip


@case("everyday")
def paddings(torch, kit):
    nn, F, out = torch.nn, torch.nn.functional, []
    for n, shape in LINES.items():
        x = kit.x(*shape)
        widths = (1, 2, 0, 1, 2, 1)[: 2 * n]
        for kind in ("Zero", "Constant", "Reflection", "Replication", "Circular"):
            layer = getattr(nn, f"{kind}Pad{n}d")(widths, *([0.5] if kind == "Constant" else []))
            kit.note(repr(layer))
            out.append(layer(x))
    x = kit.x(2, 3, 4)
    return (
        *out, F.pad(x, (1, -1, 0, 2), value=3.0), F.pad(x, (2, 1), "reflect"), F.pad(x, (1, 1), "replicate"),
        F.pad(x, (1, 0), "circular"),
    )  # fmt: skip


@case("everyday")
def shapes(torch, kit):
    nn, F, x = torch.nn, torch.nn.functional, kit.x(2, 4, 4, 6)
    layers = (
        nn.Flatten(), nn.Flatten(1, 2), nn.Unflatten(1, (2, 2)), nn.PixelUnshuffle(2), nn.PixelShuffle(2), nn.Upsample((3, 5)),
        nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
    )  # fmt: skip
    for layer in layers:
        kit.note(repr(layer))
    return (
        *(layer(x) for layer in layers), F.pixel_shuffle(x, 2), F.pixel_unshuffle(x, 2), F.channel_shuffle(x, 2),
        F.native_channel_shuffle(x.detach(), 4), F.normalize(x, dim=1), F.normalize(x, 1.0, (2, 3)),
    )  # fmt: skip


@case("everyday")
def dropouts_in_evaluation(torch, kit):
    nn, F, x = torch.nn, torch.nn.functional, kit.x(2, 4, 3)
    layers = [
        nn.Dropout(0.3), nn.Dropout1d(), nn.Dropout2d(), nn.Dropout3d(), nn.AlphaDropout(0.2), nn.FeatureAlphaDropout(0.2),
    ]  # fmt: skip
    shapes = ((3,), (2, 3, 4), (2, 3, 4, 4), (2, 3, 2, 2, 2), (3, 2), (2, 3, 4))
    for layer in layers:
        kit.note(repr(layer))
    functions = (F.dropout, F.dropout1d, F.dropout2d, F.dropout3d, F.alpha_dropout, F.feature_alpha_dropout)
    return (
        [layer.eval()(kit.x(*shape)) for layer, shape in zip(layers, shapes)], [f(x, 0.4, False) for f in functions[:2]],
        [f(kit.x(2, 3, 2, 2, 2), training=False) for f in functions[3:4]], F.dropout2d(kit.x(2, 3, 2, 2), training=False),
        [f(x, 0.4, False) for f in functions[4:]], [f(x, 1.0, True) for f in functions[:1]], F.dropout(x, 0.0),
    )  # fmt: skip


# --- norms ------------------------------------------------------------------------------------------------------


for _n, _shape in LINES.items():

    @case("everyday", f"norms, {_n}d", n=_n, shape=_shape)
    def _(torch, kit, n, shape):
        out = []
        for name, options in (
            ("BatchNorm", {"momentum": 0.3}), ("BatchNorm", {"affine": False, "momentum": None}),
            ("BatchNorm", {"track_running_stats": False}), ("InstanceNorm", {}),
            ("InstanceNorm", {"affine": True, "track_running_stats": True}),
        ):  # fmt: skip
            layer = kit.fill(getattr(torch.nn, f"{name}{n}d")(4, **options), prefix=f"{name} {sorted(options)} ")
            out += [layer(kit.x(*shape)), layer(kit.x(*shape)), layer.eval()(kit.x(*shape))]
            out += [b.clone() for b in layer.buffers() if b.is_floating_point()]
        return out


@case("everyday")
def other_norms(torch, kit):
    nn, F = torch.nn, torch.nn.functional
    layers = {
        "a": (nn.GroupNorm(2, 4), (2, 4, 3)), "b": (nn.GroupNorm(4, 4, 1e-3, affine=False), (2, 4, 3, 2)),
        "c": (nn.LayerNorm((3, 4)), (2, 3, 4)), "d": (nn.LayerNorm(4, elementwise_affine=False), (2, 4)),
        "e": (nn.LayerNorm(4, bias=False), (2, 4)), "f": (nn.RMSNorm(4), (2, 3, 4)), "g": (nn.RMSNorm((3, 4), 0.1), (2, 3, 4)),
        "h": (nn.LocalResponseNorm(3, 0.1, 0.6, 2.0), (2, 5, 3)),
    }  # fmt: skip
    x, mean, variance = kit.x(3, 4, 2), kit.x(4, grad=False), kit.x(4, grad=False, low=0.5)
    return (
        *(kit.fill(layer, prefix=f"{k} ")(kit.x(*shape)) for k, (layer, shape) in layers.items()),
        F.batch_norm(x, mean, variance, kit.x(4), kit.x(4), training=True, momentum=0.2), mean, variance,
        F.batch_norm(x, mean.clone(), variance.clone()), F.instance_norm(x, weight=kit.x(4), bias=kit.x(4), eps=1e-3),
        F.group_norm(x, 2, kit.x(4), kit.x(4)), F.layer_norm(x, (4, 2), kit.x(4, 2), kit.x(4, 2)),
        F.rms_norm(x, (2,), kit.x(2)), F.local_response_norm(x, 2),
    )  # fmt: skip


@case("everyday")
def containers(torch, kit):
    nn = torch.nn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.steps = nn.ModuleList([nn.Linear(3, 3), nn.Sequential(nn.Linear(3, 2), nn.Tanh())])
            self.named = nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.ReLU()})
            self.scales = nn.ParameterList([nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(1))])
            self.shifts = nn.ParameterDict({"x": nn.Parameter(torch.zeros(2))})

        def forward(self, x):
            for step in self.steps:
                x = step(x)
            for layer in self.named.values():
                x = layer(x)
            return x * self.scales[0] * self.scales[1] + self.shifts["x"]

    return kit.fill(torch.nn.DataParallel(Net()))(kit.x(4, 3))


@case("everyday")
def former_names(torch, kit):
    F, x = torch.nn.functional, kit.x(2, 3, 4, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return (
            torch.nn.NLLLoss2d()(F.log_softmax(x, 1), kit.ints(3, 2, 4, 4)), F.upsample(x, 3, mode="bilinear"),
            F.upsample_bilinear(x, scale_factor=2), F.upsample_nearest(x, (3, 5)), F.sigmoid(x), F.tanh(x),
        )  # fmt: skip
