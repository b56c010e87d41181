"""Attention and transformers."""

import math

from .kit import case

MASKS = {
    "none": {}, "causal": {"is_causal": True}, "scaled": {"scale": 0.3}, "bool": {"kind": "bool"},
    "added": {"kind": "float"},
}  # fmt: skip


def lower(torch, rows, columns):
    return torch.ones(rows, columns, dtype=torch.bool).tril()


for _name, _options in MASKS.items():

    @case("attention", f"dot product, mask: {_name}", options=_options)
    def _(torch, kit, options):
        options = dict(options)
        kind = options.pop("kind", None)
        if kind is not None:
            mask = lower(torch, 4, 5)
            mask[2] = False  # a row that may look nowhere
            options["attn_mask"] = mask if kind == "bool" else torch.where(mask, kit.x(4, 5, grad=False), -math.inf)
        q, k, v = kit.x(2, 3, 4, 6), kit.x(2, 3, 5, 6), kit.x(2, 3, 5, 2)
        return torch.nn.functional.scaled_dot_product_attention(q, k, v, **options)


@case("attention")
def grouped_queries(torch, kit):
    q, k, v = kit.x(2, 6, 4, 5), kit.x(2, 2, 4, 5), kit.x(2, 2, 4, 5)
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        return torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)


@case("attention")
def self_attention(torch, kit):
    layer, x = kit.fill(torch.nn.MultiheadAttention(6, 3)), kit.x(4, 2, 6)
    return layer(x, x, x), layer(x, x, x, need_weights=False), layer(x, x, x, average_attn_weights=False)


@case("attention")
def cross_attention(torch, kit):
    layer = kit.fill(torch.nn.MultiheadAttention(6, 2, kdim=3, vdim=5, batch_first=True, dropout=0.3).eval())
    return layer(kit.x(2, 4, 6), kit.x(2, 5, 3), kit.x(2, 5, 5))


@case("attention")
def key_is_value(torch, kit):
    layer, memory = kit.fill(torch.nn.MultiheadAttention(6, 2, bias=False, batch_first=True)), kit.x(2, 5, 6)
    return layer(kit.x(2, 4, 6), memory, memory), layer(memory, memory, kit.x(2, 5, 6))


@case("attention")
def more_places(torch, kit):
    layer = kit.fill(torch.nn.MultiheadAttention(6, 2, add_bias_kv=True, add_zero_attn=True))
    x, padding = kit.x(4, 2, 6), torch.tensor([[False, False, True, True], [False] * 4])
    masks = {"key_padding_mask": padding, "attn_mask": ~lower(torch, 4, 4)}
    return layer(x, x, x, **masks), layer(x, x, x, need_weights=False, **masks)


@case("attention")
def masked(torch, kit):
    layer, x = kit.fill(torch.nn.MultiheadAttention(6, 2, batch_first=True)), kit.x(2, 4, 6)
    padding = torch.tensor([[False, True, False, True], [False] * 4])
    causal = torch.nn.Transformer.generate_square_subsequent_mask(4)
    return (
        layer(x, x, x, key_padding_mask=padding), layer(x, x, x, attn_mask=causal),
        layer(x, x, x, attn_mask=causal, is_causal=True, need_weights=False),
        layer(x, x, x, attn_mask=kit.x(4, 4, 4), need_weights=False),
        layer(x, x, x, attn_mask=~lower(torch, 4, 4), key_padding_mask=padding, is_causal=True, need_weights=False),
    )  # fmt: skip


@case("attention")
def unbatched_attention(torch, kit):
    layer, x = kit.fill(torch.nn.MultiheadAttention(6, 3, batch_first=True)), kit.x(4, 6)
    padding = torch.tensor([False, False, True, False])
    return layer(x, x, x, key_padding_mask=padding), layer(x, x, x, attn_mask=kit.x(3, 4, 4), need_weights=False)


@case("attention")
def given_keys(torch, kit):
    n = torch.nn.functional.multi_head_attention_forward
    return n(
        kit.x(3, 2, 4), kit.x(5, 2, 4), kit.x(5, 2, 4), 4, 2, kit.x(12, 4), kit.x(12), None, None, False, 0.0,
        kit.x(4, 4), kit.x(4), static_k=kit.x(4, 5, 2), static_v=kit.x(4, 5, 2),
    )  # fmt: skip


@case("attention")
def wrong_attention(torch, kit):
    nn, F = torch.nn, torch.nn.functional
    layer, x, y = nn.MultiheadAttention(6, 2), kit.x(4, 2, 6), kit.x(4, 2, 4)
    mask = torch.ones(4, 4)
    for f in (
        lambda: nn.MultiheadAttention(6, 4), lambda: nn.MultiheadAttention(0, 4), lambda: layer(y, x, x),
        lambda: layer(x, x, y), lambda: layer(x, x[0], x), lambda: layer(x[0, 0], x, x),
        lambda: layer(x, x, x, attn_mask=mask[0]), lambda: layer(x, x, x, attn_mask=mask[:3]),
        lambda: layer(x, x, x, key_padding_mask=mask[0]), lambda: layer(x, x, x, is_causal=True),
        lambda: layer(x, x, x, attn_mask=mask.long()), lambda: F.scaled_dot_product_attention(x, x.double(), x),
        lambda: F.scaled_dot_product_attention(x[0, 0], x, x),
        lambda: F.scaled_dot_product_attention(x, x, x, mask.double()),
        lambda: nn.TransformerEncoderLayer(4, 2, activation="selu"),
        lambda: nn.attention.sdpa_kernel("MATH").__enter__(),
    ):  # fmt: skip
        kit.error(f)


LAYER = {"d_model": 4, "nhead": 2, "dim_feedforward": 6, "dropout": 0.0}
for _name, _options in {
    "post": {}, "pre": {"norm_first": True, "batch_first": True}, "gelu": {"activation": "gelu", "bias": False},
}.items():  # fmt: skip

    @case("attention", f"encoder layer, {_name}", options=_options)
    def _(torch, kit, options):
        layer = kit.fill(torch.nn.TransformerEncoderLayer(**LAYER, **options))
        mask = torch.nn.Transformer.generate_square_subsequent_mask(3)
        return layer(kit.x(3, 3, 4), mask, is_causal=True), layer(kit.x(3, 3, 4))

    @case("attention", f"decoder layer, {_name}", options=_options)
    def _(torch, kit, options):
        layer = kit.fill(torch.nn.TransformerDecoderLayer(**LAYER, **options))
        mask = torch.nn.Transformer.generate_square_subsequent_mask(3)
        return layer(kit.x(3, 3, 4), kit.x(3, 3, 4), tgt_mask=mask, tgt_is_causal=True)


@case("attention")
def encoder(torch, kit):
    layer = torch.nn.TransformerEncoderLayer(**LAYER, batch_first=True)
    stack = kit.fill(torch.nn.TransformerEncoder(layer, 2, torch.nn.LayerNorm(4), enable_nested_tensor=False))
    padding = torch.tensor([[False, False, True], [False] * 3])
    mask = ~lower(torch, 3, 3)
    return stack(kit.x(2, 3, 4), mask), stack(kit.x(2, 3, 4), mask, padding)


@case("attention")
def transformer(torch, kit):
    model = kit.fill(torch.nn.Transformer(4, 2, 1, 2, 6, 0.0, batch_first=True, norm_first=True))
    mask = model.generate_square_subsequent_mask(5)
    padding = torch.tensor([[0.0, 0.0, -math.inf], [0.0] * 3])
    return model(
        kit.x(2, 3, 4), kit.x(2, 5, 4), tgt_mask=mask, src_key_padding_mask=padding, memory_key_padding_mask=padding
    )
