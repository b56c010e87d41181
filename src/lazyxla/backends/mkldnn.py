"""``torch.backends.mkldnn``: programs here do not use oneDNN."""


def is_available() -> bool:
    return False
