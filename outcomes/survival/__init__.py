"""How long relief lasts, from check-ins that only say between which two days it ended. Pure: numpy, no Django.

What one follow-up tells is an interval (L, R], open at L and closed at R, on a clock that starts at the procedure:
days, or minutes for diagnostic blocks, and never both in one call. A day d is a point on that clock; S(d) is the share
whose relief lasts longer than d.

- Relief was seen at L, the last check-in in relief, and was gone at R, the first later one out of relief.
- Never seen out of relief: (L, infinity). It is censored, not a success for ever.
- Never seen in relief: (0, first check-in that is judged].
- A check-in without an answer only widens the interval. Silence is never failure.
- A bad score before the profile's `evaluate_after` is a flare, not a loss; `outcomes.relief` sees to that.
- The same procedure again while in relief: censored on that day. Because the reason may well be the pain, run a second
  time with it as a loss, and show both. Explanted because it did not help: a loss. Death, transfer, opt-out: censored.
- A loss known to the very day t is (t − 1, t]; watched up to and including day t without a loss is (t, infinity).

Two populations have a curve each, and whoever calls must say which one it is: **all treated**, in which those who
never responded lose their relief in (0, first judged check-in]; and **responders**, only those with relief at some
check-in. Responders count from the procedure too; that they cannot have lost relief before they were seen to have it
is not corrected for, so their curve is not to be read before the day by which they had responded.

The rules are choices, written in docs/decisions/0006 and waiting for a physician's word.

`turnbull` is the curve to show. Inside a span where the data do not say how it falls it is undefined, so shares have
a lowest and a highest value and a median is a span. `Curve.proof` shows that it is the maximum. It assumes that
patients' answering does not depend on when relief ends; show beside it how many are known at each day
(`Intervals.known`), and runs with other assumptions.
"""

from outcomes.survival.bootstrap import Bands, bands
from outcomes.survival.curve import Curve, CurvePiece, Proof, Share
from outcomes.survival.data import Floats, Intervals, Span, UnusableData, intervals, pool
from outcomes.survival.estimate import turnbull
from outcomes.survival.group_tests import Comparison, Permutation, Score, compare, permute
