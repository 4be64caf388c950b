from __future__ import annotations

import pytest
from PIL import ImageFont

from pixelcluster.render import fonts
from pixelcluster.render.fonts import font_for


def test_plain_names_take_the_font_that_pillow_ships(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "WIDE_FACES", ())
    own = ImageFont.load_default(14).getname()
    assert font_for(["0 sky", "12 wet road"], 14).getname() == own
    assert font_for(["天空"], 14).getname() == own  # nothing better is there


def test_other_glyphs_come_from_a_font_of_the_system() -> None:
    try:
        wide = ImageFont.truetype("DejaVuSans.ttf", 14)
    except OSError:
        pytest.skip("no DejaVu Sans on this system")
    font = font_for(["0 небо"], 14)
    assert font.getname() != ImageFont.load_default(14).getname()
    assert fonts._has(wide, "небо")
    assert fonts._has(font, "небо")
    assert not fonts._has(wide, "天")
