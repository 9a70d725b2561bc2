"""The engine through ``plan``: cold, in a sequence of suggestions and results with a memory, and in batches of 8."""

from __future__ import annotations

import resource

import numpy as np
from benchmarks.latency.clock import timed
from benchmarks.latency.problem import DIMENSION, losses, points

from hpo_engine.memory import Memory
from hpo_engine.planner import plan
from hpo_engine.samplers.observations import GROWTH, _stages
from hpo_engine.space import FloatParameter, Space
from hpo_engine.study import Objective, Study
from hpo_engine.trial import Measurement, Parameters, Trial, TrialState

SPACE = Space(tuple(FloatParameter(f"x{i}", 0.0, 1.0) for i in range(DIMENSION)))
STUDY = Study(SPACE, Objective("loss", maximize=False), trials=10**6)
WHOLE_SPAN = 200
"""A span between two fits of at most this many suggestions is measured suggestion by suggestion."""
BEFORE, AFTER = 8, 12


def reported(index: int, parameters: Parameters) -> Trial:
    value = float(losses(SPACE.encode(parameters)[None, :])[0])
    return Trial(index, parameters, TrialState.REPORTED, measurements=(Measurement(0, value),))


def measure(n: int) -> dict[str, object]:
    """``n`` is moved to the next stage of learning at or above it, so that a span holds exactly one fit."""
    stage = min(s for s in _stages(2 * n + 100) if s >= n)
    span = int(stage * (GROWTH - 1))
    whole = span <= WHOLE_SPAN
    begin, steps = (stage - 1, span) if whole else (stage - BEFORE, BEFORE + AFTER)
    before = peak()
    trials = [reported(i, SPACE.decode(u)) for i, u in enumerate(points(begin))]
    memory = Memory()
    _, cold_wall, cold_processor = timed(lambda: plan(STUDY, trials, 1, memory))
    walls, processors = [], []
    for _ in range(steps):
        step, wall, processor = timed(lambda: plan(STUDY, trials, 1, memory))
        walls.append(wall)
        processors.append(processor)
        trials.append(reported(step.start[0].index, step.start[0].parameters))
    _, batch_wall, batch_processor = timed(lambda: plan(STUDY, trials, 8, memory))
    return {
        "wall": amortised(walls, span),
        "processor": amortised(processors, span),
        "worst_wall": max(walls),
        "worst_processor": max(processors),
        "cold_wall": cold_wall,
        "cold_processor": cold_processor,
        "batch_wall": batch_wall,
        "batch_processor": batch_processor,
        "suggestions": steps,
        "whole_span": whole,
        "peak_bytes": peak() - before,
    }


def amortised(seconds: list[float], span: int) -> float:
    """Mean of a span with one fit; of a part of it the median, and the slowest step's excess spread over the span."""
    if len(seconds) == span:
        return float(np.mean(seconds))
    usual = float(np.median(seconds))
    return usual + (max(seconds) - usual) / span


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
