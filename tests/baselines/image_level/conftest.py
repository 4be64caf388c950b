from __future__ import annotations

import pytest


@pytest.fixture
def small_autoencoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Narrow layers in place of 300-300-600."""
    monkeypatch.setattr("pixelcluster.baselines.image_level.nets._HIDDEN", (50, 50, 100))
