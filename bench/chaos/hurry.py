"""A clock that runs faster from an instant on, the same in every process that knows both.

Workers include this module (``celery worker --include bench.chaos.hurry``), which gives them that clock.
"""

import os
import time
from datetime import UTC, datetime

from records import clock

VARIABLE = "BATON_HURRY"


def told(speed: float) -> dict[str, str]:
    """The environment for a clock that is right now and runs so many times as fast."""
    return {VARIABLE: f"{time.time()} {speed}"}


def present() -> datetime:
    """The instant by the clock that the environment tells of."""
    began, speed = map(float, os.environ.get(VARIABLE, "0 1").split())
    return datetime.fromtimestamp(began + (time.time() - began) * speed, UTC)


if VARIABLE in os.environ:
    clock.run(present)
