"""What several tests of the lazy room share."""

import pytest

import lazyxla as lx
from lazyxla.lazy.replay import starts


@pytest.fixture
def replay():
    """Turns replay on or off; on again afterwards, with no scripts known."""
    saved = starts.enabled[0]

    def turn(on: bool) -> None:
        lx.sync()
        starts.forget()
        starts.enabled[0] = on
        lx.sync()

    yield turn
    turn(saved)
