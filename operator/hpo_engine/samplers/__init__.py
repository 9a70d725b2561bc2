"""Samplers by the name that a study gives them."""

from __future__ import annotations

from hpo_engine.memory import Memory
from hpo_engine.samplers.base import History, Sampler
from hpo_engine.samplers.given_points import GivenPoints
from hpo_engine.samplers.gp import GPSampler
from hpo_engine.samplers.grid import GridSampler
from hpo_engine.samplers.sobol import SobolSampler
from hpo_engine.samplers.tpe import TPESampler
from hpo_engine.samplers.uniform import UniformSampler
from hpo_engine.study import Study


def build_sampler(study: Study, history: History, memory: Memory) -> Sampler:
    """The study's sampler, for suggestions after exactly this history."""
    sampler = _by_name(study, history, memory)
    return GivenPoints(study, history, sampler) if study.initial_points else sampler


def _by_name(study: Study, history: History, memory: Memory) -> Sampler:
    match study.sampler.name:
        case "Random":
            return UniformSampler(study, history)
        case "Sobol":
            return SobolSampler(study, history)
        case "Grid":
            return GridSampler(study, history, memory)
        case "GP":
            return GPSampler(study, history, memory)
        case "TPE":
            return TPESampler(study, history)
