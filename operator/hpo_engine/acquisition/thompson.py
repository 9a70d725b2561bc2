"""Thompson sampling: where one function drawn from the posterior is lowest (Russo et al. 2018, "A Tutorial", eq. 5.1).

The function is drawn jointly over the pool that the other acquisition functions start from, with its correlations;
independent draws would mostly find the point of the widest margin. Each trial draws its own function.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from hpo_engine.acquisition.factors import LogFactor, total
from hpo_engine.acquisition.maximise import COMPLETE, Choice, latent_pool
from hpo_engine.parameters import FloatArray
from hpo_engine.space import Space
from hpo_engine.surrogate.cholesky import factor
from hpo_engine.surrogate.posterior import Posterior


def thompson(
    space: Space,
    posterior: Posterior,
    used: Collection[str],
    anchors: FloatArray,
    generator: np.random.Generator,
    factors: Sequence[LogFactor] = (),
) -> Choice | None:
    """The unused configuration of the lowest draw; its value is the draw, negated. None: the pool holds used ones only.

    ``factors`` are added to the value, as penalties in standard deviations.

    Raises:
        LinAlgError: the posterior's covariance over the pool has no factor even with the largest jitter.
    """
    size = space.size()
    if size is not None and size <= COMPLETE:
        candidates = list(space.configurations())
    else:
        candidates = [space.decode(latent) for latent in latent_pool(space, anchors, generator)]
    unused = list({key: c for c in candidates if (key := space.key(c)) not in used}.values())
    if not unused:
        return None
    points = np.array([space.encode(parameters) for parameters in unused])
    mean, covariance = posterior.joint(points)
    draw = mean + factor(covariance)[0] @ generator.standard_normal(len(points))
    values = total(factors, points) - draw
    best = int(np.argmax(values))
    return Choice(unused[best], points[best], float(values[best]))
