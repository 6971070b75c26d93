# ruff: noqa: RUF001 - Chinese sentences have Chinese punctuation
"""Profile: what is known of a user as of the cutoff, as categories and numbers."""

from features.families.shape import Named, Shape
from features.language import profile


def columns(shape: Shape) -> list[Named]:
    """One column for each property of the profiles."""
    named: list[Named] = []
    for one in shape.profiles:
        known = profile(one.name).among(*one.texts) if one.texts else profile(one.name).number()
        place = "{}" if one.texts else "{:,g}"
        told = known.says(
            f"{one.label}: {place}",
            zh=f"{one.label}：{place}",
            missing=f"{one.label} is not known",
            missing_zh=f"{one.label}未知",
        )
        named.append((f"profile_{one.slug}", told))
    return named
