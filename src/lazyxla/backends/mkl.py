"""``torch.backends.mkl``: programs here do not use Intel's math library."""


def is_available() -> bool:
    return False
