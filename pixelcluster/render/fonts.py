"""The font of legends: the face Pillow ships, or one of the system where names need other glyphs."""

from __future__ import annotations

from collections.abc import Iterable

from PIL import ImageFont

# Faces with Chinese, Japanese and Korean, under the names they have on Linux, macOS and Windows.
WIDE_FACES = (
    *("NotoSansCJK-Regular.ttc", "NotoSansCJKsc-Regular.otf", "SourceHanSans-Regular.ttc"),
    *("wqy-microhei.ttc", "wqy-zenhei.ttc", "DroidSansFallbackFull.ttf", "DroidSansFallback.ttf"),
    *("Arial Unicode.ttf", "PingFang.ttc", "Hiragino Sans GB.ttc", "AppleSDGothicNeo.ttc"),
    *("msyh.ttc", "YuGothM.ttc", "malgun.ttf", "DejaVuSans.ttf"),
)
_NO_GLYPH = "\U0010fffe"  # never assigned

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def font_for(texts: Iterable[str], size: int) -> Font:
    """Return the first font that has all glyphs of some texts; Pillow's where none has.

    Args:
        texts: what will be written.
        size: in pixels.
    """
    own = ImageFont.load_default(size)
    wanted = {character for text in texts for character in text if not character.isspace()}
    if _has(own, wanted):
        return own
    for face in WIDE_FACES:
        try:
            font = ImageFont.truetype(face, size)  # looks through the font folders of the system
        except OSError:
            continue
        if _has(font, wanted):
            return font
    return own


def _has(font: Font, characters: Iterable[str]) -> bool:
    """Whether none of the characters is drawn as the box that stands for a missing glyph."""
    box = bytes(font.getmask(_NO_GLYPH))
    return all(bytes(font.getmask(character)) != box for character in characters)
