"""What a user turns off by the environment."""

import os


def is_on(name: str) -> bool:
    """Whether the variable of that name does not say 0, false, no or off; on where there is none."""
    return os.environ.get(name, "1").lower() not in ("0", "false", "no", "off")
