# ruff: noqa: RUF001 - Chinese sentences have Chinese punctuation
"""Recency: how long ago anything, and each kind of thing, was last seen."""

from features.families.shape import Named, Shape


def columns(shape: Shape) -> list[Named]:
    """Days since the last event of each kind, and the silence as a share of the whole acquaintance."""
    alive = shape.activity
    last, first = alive.days_since_last(), alive.days_since_first()
    return [
        (
            "days_since_last_event",
            last.says(
                "last seen {:.0f} day(s) ago",
                zh="最近一次活跃在 {:.0f} 天前",
                missing="never seen",
                missing_zh="从未活跃过",
            ),
        ),
        (
            "silence_to_tenure",
            (last / first).says(
                "silent for {:.0%} of the time since the first event",
                zh="沉默时间占首次活跃以来的 {:.0%}",
                missing="never seen",
                missing_zh="从未活跃过",
            ),
        ),
        (
            "recency_fifth",
            (last * -1)
            .fifth_of_population()
            .says(
                "in fifth {:.0f} of 5 by how recently users were seen (5: the most recent)",
                zh="按最近活跃时间排，在全体用户五档中属第 {:.0f} 档（5 为最近）",
                missing="not ranked by how recently users were seen",
                missing_zh="尚无最近活跃时间的排名",
            ),
        ),
        *(
            (
                f"days_since_last_{kind.slug}",
                kind.chosen.days_since_last().says(
                    f"last {kind.label} event {{:.0f}} day(s) ago",
                    zh=f"最近一次{kind.label}在 {{:.0f}} 天前",
                    missing=f"no {kind.label} event so far",
                    missing_zh=f"至今没有{kind.label}",
                ),
            )
            for kind in shape.kinds
        ),
    ]
