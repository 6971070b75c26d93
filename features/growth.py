"""Which numbers grow only because time goes by."""

from features.expressions import Additive, Age, Arithmetic, Breadth, End, Expression, Variety, Window


def grows(expression: Expression) -> bool:
    """Whether the number grows as the log does: an age, or what was counted or added up since the beginning.

    Later users have more of it than any earlier ones had, so a straight line through it leads out of what is known.

    >>> from features.language import days, events
    >>> grows(events().count()), grows(events().count(last=days(28))), grows(events().mean())
    (True, False, False)
    """
    match expression:
        case Window(what=what, last=0):
            return what not in {Additive.DECAYED_COUNT, Additive.DECAYED_TOTAL}
        case Breadth(what=Variety.DISTINCT, last=0) | Age(end=End.FIRST):
            return True
        case Arithmetic(operator="-" | "root" | "magnitude", left=left):
            return grows(left)
    return False
