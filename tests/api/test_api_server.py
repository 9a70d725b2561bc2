"""A real API server gives the verdicts and fills the defaults that the other tests here derive from the schema."""

from __future__ import annotations

import json
import urllib.error
from typing import Any

import pytest

from api import corpus, structural
from api.test_layers import EXAMPLES, GOOD, ROOT, is_json
from stand.control_plane import ControlPlane
from stand.operator_process import install_crds

pytestmark = pytest.mark.cluster

NAMES = ("hpostudies.hpo.study", "hpotrials.hpo.study")


@pytest.fixture(scope="module")
def plane(control_plane: ControlPlane) -> ControlPlane:
    install_crds(control_plane)
    return control_plane


def created(plane: ControlPlane, study: dict[str, Any]) -> dict[str, Any] | None:
    """``study`` as it would be stored, without storing it; None when it is refused as invalid."""
    own = {k: v for k, v in study["metadata"].items() if k in ("name", "labels")}
    path = "/apis/hpo.study/v1alpha1/namespaces/default/hpostudies?dryRun=All"
    try:
        answer: dict[str, Any] = plane.request("POST", path, study | {"metadata": own})
    except urllib.error.HTTPError as error:
        assert error.code == 422, error.read()
        return None
    return answer


def only_unknown_fields(study: dict[str, Any]) -> bool:
    """An API server without strict field validation prunes what it does not know."""
    found = structural.violations(ROOT, structural.stored(ROOT, study))
    return bool(found) and all("Additional properties" in violation for violation in found)


@pytest.mark.parametrize("name", NAMES)
def test_the_crds_are_established_and_structural(plane: ControlPlane, name: str) -> None:
    crd = json.loads(plane.kubectl("get", "crd", name, "-o", "json"))
    assert {c["type"]: c["status"] for c in crd["status"]["conditions"]} == {
        "NamesAccepted": "True",
        "Established": "True",
    }


def test_it_refuses_what_the_schema_refuses(plane: ControlPlane) -> None:
    cases = [c for c in corpus.cases() if is_json(c.study) and not c.name.startswith("envelope")]
    refused = {c.name for c in cases if created(plane, c.study) is None}
    assert refused == {c.name for c in cases if c.refused_by == "schema" and not only_unknown_fields(c.study)}
    assert len(refused) > 100


@pytest.mark.parametrize("name", GOOD | EXAMPLES)
def test_it_accepts_good_studies_and_fills_their_defaults(plane: ControlPlane, name: str) -> None:
    study = (GOOD | EXAMPLES)[name]
    answer = created(plane, study)
    assert answer is not None and answer["spec"] == structural.stored(ROOT, study)["spec"]
