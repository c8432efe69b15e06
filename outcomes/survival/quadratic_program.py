"""The highest point of a quadratic function among vectors that are not negative."""

import numpy as np

from outcomes.survival.data import Floats

#: Added to a matrix whose diagonal is 1, so that it can be solved however close two cells are to being one.
RIDGE = 1e-13
#: How often all wrong signs at once may fail to become fewer before they are changed one at a time.
PATIENCE = 3


def maximise(curvature: Floats, held: Floats, slope: Floats) -> Floats:
    """The x ≥ 0 that maximises slope·(x − held) − ½ (x − held)'·curvature·(x − held); curvature is positive definite.

    Block principal pivoting (Portugal, Júdice and Vicente, Math Comput 1994;63:625-643): guess which entries are
    above 0, solve for them, change all that have the wrong sign, and one at a time where that does not help, which
    ends. It stops early, with a point that is only not negative, when rounding keeps it from ending.
    """
    unit = 1 / np.sqrt(np.diag(curvature))
    matrix = curvature * unit * unit[:, None]
    matrix[np.diag_indices_from(matrix)] += RIDGE
    start = held / unit
    target = matrix @ start + slope * unit
    free = held > 0
    fewest, patience = len(held) + 1, PATIENCE
    point = start
    for _ in range(5 * len(held) + 50):
        point = np.zeros(len(held))
        places = np.flatnonzero(free)
        point[places] = np.linalg.solve(matrix[np.ix_(places, places)], target[places])
        lack = matrix @ point - target
        wrong = np.where(free, point < 0, lack < -1e-13)
        number = int(wrong.sum())
        if not number:
            break
        if number < fewest:
            fewest, patience = number, PATIENCE
        elif patience:
            patience -= 1
        else:
            alone = np.flatnonzero(wrong)[-1]
            wrong = np.zeros(len(held), dtype=bool)
            wrong[alone] = True
        free ^= wrong
    result: Floats = np.maximum(point, 0) * unit
    return result
