"""Divides the caller's deadline among the stages of a pipeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tamis.deadline import Deadline
from tamis.events import BudgetBasis, StageRole
from tamis.expression import Chain, Cut, Expression, Join, Leaf, Prior

__all__ = ["FixedShares"]

_SHARES = {
    StageRole.RETRIEVER: 3.0,
    StageRole.RERANKER: 4.0,
    StageRole.CONTEXT_BUILDER: 0.5,
    StageRole.GENERATOR: 4.0,
}


class FixedShares:
    """Gives every stage a fixed share of what is left when it starts; what a stage does not use flows on.

    For as long as nothing has been measured. Stages side by side share one budget.
    """

    basis = BudgetBasis.FIXED_SHARES
    least_seconds = 0.002
    """A stage that would get less is not started."""
    generation_share = _SHARES[StageRole.GENERATOR]
    answering_shares = (_SHARES[StageRole.CONTEXT_BUILDER], _SHARES[StageRole.GENERATOR])

    def share(self, expression: Expression, roles: Mapping[str, StageRole]) -> float:
        """The weight of an expression against the others in its chain."""
        match expression:
            case Leaf(name):
                return _SHARES.get(roles[name], 1.0)
            case Prior():
                return 0.0
            case Cut(operand, _):
                return self.share(operand, roles)
            case Join(operands):
                return max(self.share(each, roles) for each in operands)
            case Chain(operands):
                return sum(self.share(each, roles) for each in operands)

    def until(self, shares: Sequence[float], deadline: Deadline) -> Deadline:
        """By when the first of several stages must be done so that the others get their shares."""
        total = sum(shares)
        return deadline.within(deadline.remaining * shares[0] / total) if total else deadline
