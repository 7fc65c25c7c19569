"""A band of rows about a model, of a fit of many rows: all others are linear, and are gone through, not kept."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from fastdl._rows import Rows
from fastdl._typing import Array
from fastdl.linear._matrix import kernel
from fastdl.linear._robust_coordinates import RobustCoordinates

Part = tuple[Array, Array, Array]
#: X, y and a model (w, b) in the user's units.
Given = tuple[Array, Array, tuple[Array, float]]


@dataclass
class Check:
    """What a pass says of a model: its loss; that of the floats that are returned, in the user's units; its gap.

    `wrong` is the number of rows that were wrongly held for linear.
    """

    loss: float = 0.0
    upper: float = 0.0
    gap: float = 0.0
    wrong: int = 0


@dataclass
class Band:
    """Rows near the model `center`, in memory, and the slope of all others, whose residuals keep their signs.

    A pass reads X once, from memory: the kernels take the residuals and what is made of them 64 rows at a time.
    """

    robust: RobustCoordinates
    rows: Rows
    center: Array
    reach: float
    parts: list[Part] = field(default_factory=list)
    tried: list[Array] = field(default_factory=list)
    slope: Array = field(default_factory=lambda: np.zeros(0))
    count: int = 0
    least_weight: float = np.inf

    def collect(self) -> None:
        """One pass: the rows within `reach`, and the slope of the others."""
        self.slope = np.zeros(self.robust.rank)
        self.rows.each(self._near, self._take, self.robust.coordinates.threads)

    def _near(self, X: Array, y: Array, s: Array | None) -> tuple[Part, Array, float]:
        robust = self.robust
        columns, (model, shift) = robust.columns(X), robust.of_columns(self.center)
        index, total = np.empty(len(y), np.intp), np.zeros(len(model))
        found = kernel.near(columns, robust.target(y), s, model, shift, self.reach, index, total)
        part = self._part(X, y, s, index[:found])
        return part, robust.slope(total), 1.0 if s is None else float(s.min(initial=np.inf))

    def _part(self, X: Array, y: Array, s: Array | None, which: Array) -> Part:
        return self.robust.scaled(X[which], y[which], None if s is None else s[which])

    def _take(self, found: tuple[Part, Array, float]) -> None:
        part, slope, least = found
        self.least_weight = min(self.least_weight, least)
        self.parts.append(part)
        self.count += len(part[1])
        self.slope += slope

    def check(self, gamma: Array) -> Check:
        """One pass over the rows with the model gamma: those that are wrongly held for linear join the band."""
        total, model = Check(), self.robust.model(gamma)

        def take(found: tuple[Check, tuple[Part, Array, float] | None]) -> None:
            part = found[0]
            total.loss, total.upper = total.loss + part.loss, total.upper + part.upper
            total.gap, total.wrong = total.gap + part.gap, total.wrong + part.wrong
            if found[1] is not None:
                self._take(found[1])

        self.rows.each(lambda *block: self._wrong(gamma, model, *block), take, self.robust.coordinates.threads)
        self.tried.append(gamma)
        return total

    def _wrong(
        self, gamma: Array, model: tuple[Array, float], X: Array, y: Array, s: Array | None
    ) -> tuple[Check, tuple[Part, Array, float] | None]:
        columns, t = self.robust.columns(X), self.robust.target(y)
        before, now, after = self._residuals(columns, t, [self.center, gamma], (X, y, model))
        at = np.flatnonzero(before * now < 0)
        at = at[np.abs(before[at]) > self.reach]
        for earlier in self.tried if len(at) else ():
            at = at[before[at] * self._residuals(columns[at], t[at], [earlier])[0] >= 0]
        loss, upper = np.abs(now, out=now), np.abs(after, out=after)
        if s is not None:
            loss, upper = s * loss, s * upper
        # The dual solution of the band with the old signs is one of all rows: the gap is what those signs cost.
        gap = 2 * float(np.add.reduce(loss[at]))
        check = Check(float(np.add.reduce(loss)), float(np.add.reduce(upper)), gap, len(at))
        if not len(at):
            return check, None
        total, (_, shift) = np.zeros(columns.shape[1] + 1), self.robust.of_columns(gamma)
        kernel.products(columns[at], -np.copysign(1.0 if s is None else s[at], before[at]), shift, total)
        return check, (self._part(X, y, s, at), self.robust.slope(total), np.inf)

    def _residuals(self, columns: Array, t: Array, models: list[Array], given: Given | None = None) -> list[Array]:
        """Of models of the coordinates, and of one in the user's units."""
        pairs = [self.robust.of_columns(gamma) for gamma in models]
        lines, shifts, targets = [pair[0] for pair in pairs], [pair[1] for pair in pairs], [t] * len(pairs)
        alone = given is not None and given[0] is not columns
        if given is not None and not alone:
            lines.append(np.append(given[2][1], given[2][0]))
            shifts, targets = [*shifts, np.zeros(columns.shape[1])], [*targets, given[1]]
        model, out = np.array(lines), np.empty((len(lines), len(t)))
        w, b = np.ascontiguousarray(model[:, 1:]), np.ascontiguousarray(model[:, 0])
        kernel.residuals_of_models(columns, np.array(targets), w, b, np.array(shifts), out)
        found = list(out)
        if given is not None and alone:
            X, y, (weights, constant) = given
            found.append(np.empty(len(y)))
            kernel.residuals(X, y, weights, constant, np.zeros(len(weights)), found[-1])
        return found
