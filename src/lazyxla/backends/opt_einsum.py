"""``torch.backends.opt_einsum``: ``einsum`` always finds its order of products by opt_einsum, as a part of this library."""

enabled = True
strategy: str | None = "auto"


def is_available() -> bool:
    return True
