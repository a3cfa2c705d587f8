"""Settings for all tests: none of them is a matter of time, and machines are noisy."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("vtid", deadline=None)
settings.load_profile("vtid")
