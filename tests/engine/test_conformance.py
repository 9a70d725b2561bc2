"""Every sampler with every scheduler."""

from __future__ import annotations

from engine.conformance import PlanConformance


class TestRandom(PlanConformance):
    sampler, scheduler = "Random", "None"


class TestSobol(PlanConformance):
    sampler, scheduler = "Sobol", "None"


class TestGP(PlanConformance):
    sampler, scheduler = "GP", "None"


class TestTPE(PlanConformance):
    sampler, scheduler = "TPE", "None"


class TestRandomHyperband(PlanConformance):
    sampler, scheduler = "Random", "Hyperband"


class TestSobolHyperband(PlanConformance):
    sampler, scheduler = "Sobol", "Hyperband"


class TestGPHyperband(PlanConformance):
    sampler, scheduler = "GP", "Hyperband"


class TestTPEHyperband(PlanConformance):
    """BOHB."""

    sampler, scheduler = "TPE", "Hyperband"
