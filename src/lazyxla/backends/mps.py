"""``torch.backends.mps``: programs here do not use Apple's GPU."""


def is_available() -> bool:
    return False


def is_built() -> bool:
    return False
