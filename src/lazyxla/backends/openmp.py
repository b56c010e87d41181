"""``torch.backends.openmp``: programs here do not use OpenMP."""


def is_available() -> bool:
    return False
