"""The other layers and functions: bags, grids, rarer poolings, losses of sequences and clusters, lazy layers."""

import itertools

from .kit import case

# --- embeddings -------------------------------------------------------------------------------------------------

for _mode, _padding in itertools.product(("sum", "mean", "max"), (None, 2)):

    @case("layers", f"bags, {_mode}, padding {_padding}", mode=_mode, padding=_padding)
    def _(torch, kit, mode, padding):
        layer = kit.fill(torch.nn.EmbeddingBag(7, 3, mode=mode, padding_idx=padding))
        places = kit.ints(7, 2, 4)
        flat = torch.tensor([1, 2, 4, 2, 5, 6, 2])
        return layer(places), layer(flat, torch.tensor([0, 3, 3, 6]))


@case("layers")
def weighted_bags(torch, kit):
    layer = kit.fill(torch.nn.EmbeddingBag(7, 3, mode="sum", include_last_offset=True, norm_type=1.0))
    flat = torch.tensor([1, 2, 4, 2, 5, 6, 2])
    return layer(flat, torch.tensor([0, 3, 7]), kit.x(7)), layer(kit.ints(7, 2, 4), None, kit.x(2, 4))


@case("layers")
def bag_options(torch, kit):
    table = kit.x(7, 3)
    places = torch.tensor([[1, 2, 1], [3, 1, 0]])
    F = torch.nn.functional
    for f in (
        lambda: F.embedding_bag(places[0], table),
        lambda: F.embedding_bag(places, table, mode="min"), lambda: F.embedding_bag(places, table[0]),
        lambda: F.embedding_bag(places, table, mode="mean", per_sample_weights=kit.x(2, 3)),
        lambda: F.embedding_bag(places, table, mode="sum", per_sample_weights=kit.x(2, 2)),
        lambda: F.embedding_bag(places, table, mode="max", scale_grad_by_freq=True),
        lambda: F.embedding_bag(places.reshape(1, 2, 3), table),
    ):  # fmt: skip
        kit.error(f)
    kit.note(repr(torch.nn.EmbeddingBag(4, 3, 1.5, 1.0, True, "sum", padding_idx=-1)))
    pretrained = torch.nn.EmbeddingBag.from_pretrained(table.detach(), max_norm=1.0)
    return (
        F.embedding(places, table, scale_grad_by_freq=True), pretrained(places), pretrained.weight,
    )  # fmt: skip


# --- grids ------------------------------------------------------------------------------------------------------

for _mode, _padding, _align in itertools.product(
    ("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection"), (True, False)
):
    if _mode == "bilinear" or _align:

        @case("layers", f"grid_sample {_mode} {_padding} {_align}", mode=_mode, padding=_padding, align=_align)
        def _(torch, kit, mode, padding, align):
            grid = kit.x(2, 3, 5, 2, grad=mode != "nearest")
            return torch.nn.functional.grid_sample(kit.x(2, 2, 4, 6), grid, mode, padding, align)


@case("layers")
def grid_sample_3d(torch, kit):
    F = torch.nn.functional
    x, grid = kit.x(2, 2, 3, 4, 5), kit.x(2, 2, 3, 2, 3)
    return F.grid_sample(x, grid, align_corners=False), F.grid_sample(x, grid, "nearest", "border", align_corners=True)


@case("layers")
def affine_grid(torch, kit):
    F = torch.nn.functional
    for f in (
        lambda: F.affine_grid(kit.x(2, 2, 2), (2, 1, 3, 4), False), lambda: F.affine_grid(kit.x(2, 2, 3), (2, 3), False),
        lambda: F.affine_grid(kit.ints(3, 2, 2, 3), (2, 1, 3, 4), False),
        lambda: F.affine_grid(kit.x(2, 2, 3), (2, 1, 0, 4), False),
        lambda: F.grid_sample(kit.x(2, 2, 4, 6), kit.x(2, 2, 2, 3), align_corners=False),
        lambda: F.grid_sample(kit.x(2, 2, 4, 6), kit.x(1, 2, 2, 2), align_corners=False),
        lambda: F.grid_sample(kit.x(2, 2, 4, 6), kit.x(2, 2, 2, 2), "cubic"),
        lambda: F.grid_sample(kit.x(2, 2, 4, 6), kit.x(2, 2, 2, 2), padding_mode="none"),
    ):  # fmt: skip
        kit.error(f)
    theta, volume = kit.x(2, 2, 3), kit.x(1, 3, 4)
    return (
        F.affine_grid(theta, (2, 1, 3, 4), align_corners=True), F.affine_grid(theta, [2, 1, 1, 4], align_corners=False),
        F.affine_grid(volume, (1, 2, 2, 3, 4), align_corners=False),
    )  # fmt: skip


# --- losses -----------------------------------------------------------------------------------------------------


@case("layers")
def ctc(torch, kit):
    F = torch.nn.functional
    logp = F.log_softmax(kit.x(8, 3, 5), 2)
    padded = torch.tensor([[1, 2, 2], [3, 1, 4], [4, 4, 0]])
    lengths, wanted = torch.tensor([8, 6, 7]), torch.tensor([3, 3, 2])
    flat = torch.tensor([1, 2, 2, 3, 1, 4, 4, 4])
    loss = torch.nn.CTCLoss(blank=0, reduction="none")
    return (
        loss(logp, padded, lengths, wanted), F.ctc_loss(logp, padded, (8, 6, 7), (3, 3, 2)),
        F.ctc_loss(logp, flat, lengths, wanted, reduction="sum"),
        F.ctc_loss(F.log_softmax(kit.x(8, 5), 1), padded[0], torch.tensor(8), torch.tensor(3)),
        F.ctc_loss(F.log_softmax(kit.x(3, 2, 5), 2), padded[:2] % 4, (3, 2), (3, 3), 4, "none", zero_infinity=True),
        F.ctc_loss(logp.detach(), padded, (8, 2, 7), (3, 3, 2), reduction="none"),
    )  # fmt: skip


@case("layers")
def adaptive_softmax(torch, kit):
    layer = kit.fill(torch.nn.AdaptiveLogSoftmaxWithLoss(8, 9, [3, 6], 2.0, head_bias=True))
    x, target = kit.x(6, 8), torch.tensor([0, 2, 3, 5, 8, 6])
    one = layer(kit.x(8), torch.tensor(7))
    for f in (
        lambda: layer(x, target[:3]), lambda: layer(x[0], target), lambda: layer(x, target.reshape(2, 3)),
        lambda: torch.nn.AdaptiveLogSoftmaxWithLoss(8, 9, []), lambda: torch.nn.AdaptiveLogSoftmaxWithLoss(8, 9, [5, 3]),
    ):  # fmt: skip
        kit.error(f)
    return layer(x, target), layer.log_prob(x), layer.predict(x), one


@case("layers")
def multi_label_margin(torch, kit):
    x, target = kit.x(3, 4), torch.tensor([[3, 0, -1, 1], [-1, 2, 3, 1], [0, 1, 2, 3]])
    F = torch.nn.functional
    return torch.nn.MultiLabelMarginLoss()(x, target), F.multilabel_margin_loss(x[0], target[0], reduction="none")


# --- pooling and shapes -----------------------------------------------------------------------------------------


@case("layers")
def unpooling(torch, kit):
    nn = torch.nn
    out = []
    for n, size in ((1, (2, 3, 9)), (2, (2, 3, 6, 5)), (3, (1, 3, 4, 4, 5))):
        pooled, places = getattr(nn, f"MaxPool{n}d")(2, 2, return_indices=True)(kit.x(*size))
        layer = kit.fill(getattr(nn, f"MaxUnpool{n}d")(2, stride=2))
        out += [pooled, places, layer(pooled, places, output_size=size)]
    out.append(torch.nn.functional.max_unpool1d(*out[:2], 2))
    kit.error(lambda: layer(pooled, places, output_size=(2, 2, 2)))
    kit.error(lambda: layer(pooled, places[0]))
    return out


@case("layers")
def fractional(torch, kit):
    nn = torch.nn
    two, three = kit.x(2, 3, 2, grad=False, scale=1.0, low=0.0), kit.x(2, 3, 3, grad=False, scale=1.0, low=0.0)
    image, volume = kit.x(2, 3, 9, 8), kit.x(2, 3, 6, 7, 8)
    for f in (
        lambda: nn.FractionalMaxPool2d(2), lambda: nn.FractionalMaxPool2d(2, 3, 0.5),
        lambda: nn.FractionalMaxPool2d(2, output_ratio=1.5),
    ):  # fmt: skip
        kit.error(f)
    return (
        nn.FractionalMaxPool2d(3, (4, 5), return_indices=True, _random_samples=two)(image),
        nn.FractionalMaxPool3d(2, output_ratio=(0.5, 0.5, 0.4), return_indices=True, _random_samples=three)(volume),
        torch.nn.functional.fractional_max_pool2d(image[0], 2, 1, _random_samples=two[:1]),
    )  # fmt: skip


@case("layers")
def resizing(torch, kit):
    F, nn, x = torch.nn.functional, torch.nn, kit.x(2, 4, 7, 6)
    kit.note(repr(nn.UpsamplingNearest2d(scale_factor=2)) + repr(nn.UpsamplingBilinear2d((3, 4))))
    kit.note(repr(nn.ChannelShuffle(2)) + repr(nn.LPPool3d(2.0, 3)))
    kit.error(lambda: F.channel_shuffle(x, 3))
    return (
        F.interpolate(x, (3, 11), mode="bilinear", antialias=True), F.interpolate(x, (3, 4), mode="bicubic", antialias=True),
        F.interpolate(x, (3, 4), mode="bilinear", antialias=True, align_corners=True),
        F.interpolate(x, scale_factor=(0.5, 2.0), mode="nearest-exact"), F.interpolate(x, (3, 4), mode="area"),
        F.interpolate(x, (10, 3), mode="bicubic", align_corners=True), F.interpolate(x, scale_factor=1.7, mode="bilinear"),
        F.interpolate(kit.x(2, 3, 5), 8, mode="linear"), F.interpolate(kit.x(1, 2, 3, 4, 5), (4, 4, 4), mode="trilinear"),
        nn.UpsamplingNearest2d(scale_factor=2)(x), nn.UpsamplingBilinear2d((3, 4))(x),
        nn.ChannelShuffle(2)(x), nn.LPPool3d(2.0, 2)(kit.x(1, 2, 4, 4, 5)),
        F.pdist(kit.x(5, 3)), F.pdist(kit.x(4, 3), 1.0), nn.PixelShuffle(2)(x), nn.Unfold(2)(x),
        nn.Fold((4, 5), 2)(kit.x(2, 8, 12)),
    )  # fmt: skip


# --- normalisation and lazy layers ------------------------------------------------------------------------------


@case("layers")
def synchronised(torch, kit):
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.BatchNorm2d(4), torch.nn.Sequential(torch.nn.BatchNorm1d(4)))
    layer = kit.fill(torch.nn.SyncBatchNorm.convert_sync_batchnorm(net)[1])
    kit.note(type(net[2][0]).__name__)
    return layer(kit.x(3, 4, 2, 2)), layer.running_mean, layer.running_var, layer.eval()(kit.x(3, 4))


@case("layers")
def lazy(torch, kit):
    nn = torch.nn
    inputs = {1: (2, 4, 5), 2: (2, 4, 5, 5), 3: (2, 4, 3, 3, 3)}
    out = []
    for n, size in inputs.items():
        for make in (
            getattr(nn, f"LazyConv{n}d"), getattr(nn, f"LazyConvTranspose{n}d"), getattr(nn, f"LazyBatchNorm{n}d"),
            getattr(nn, f"LazyInstanceNorm{n}d"),
        ):  # fmt: skip
            layer = make(*((6, 2) if "Conv" in make.__name__ else ()))
            kit.note(repr(layer))
            kit.note([repr(p) for p in layer.parameters()])
            layer(kit.x(*size))
            out.append(kit.fill(layer, prefix=make.__name__)(kit.x(*size)))
    linear = nn.LazyLinear(3, bias=False)
    kit.note(repr(linear))
    linear.load_state_dict(linear.state_dict())
    kit.error(lambda: linear.weight.shape)
    linear.load_state_dict({"weight": kit.x(3, 5, grad=False)})
    out.append(linear(kit.x(2, 5)))
    kit.error(lambda: nn.LazyConv2d(6, 2)(kit.x(3, 4)))
    kit.error(lambda: nn.LazyConv2d(6, 2, groups=3)(kit.x(1, 4, 3, 3)))
    return out
