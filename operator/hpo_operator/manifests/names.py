"""Every name, label and key, each made in one place. Names are the lock: creating twice meets already-exists."""

from __future__ import annotations

import hashlib
import re

from hpo_operator.api.study import GROUP

STUDY_LABEL = f"{GROUP}/study"
TRIAL_LABEL = f"{GROUP}/trial"
RUNG_LABEL = f"{GROUP}/rung"
FINAL_LABEL = f"{GROUP}/final"
FIELD_MANAGER = "hpo-operator"


def trial_name(study: str, index: int) -> str:
    """``<study>-<index>``."""
    return f"{study}-{index}"


def pod_name(trial: str, rung: int, attempt: int) -> str:
    """``<study>-<index>-r<rung>-a<attempt>``."""
    return f"{trial}-r{rung}-a{attempt}"


def cleaner_name(study: str) -> str:
    """``<study>-clean``; no trial's Pod can have this name."""
    return f"{study}-clean"


def final_name(study: str) -> str:
    """``<study>-final``: the Pod that makes the final model; no trial's Pod can have this name."""
    return f"{study}-final"


def fetch_name(study: str) -> str:
    """``<study>-fetch``: the Pod through which the final model is read; no trial's Pod can have this name."""
    return f"{study}-fetch"


def trial_of_pod(pod: str) -> str | None:
    """The trial whose Pod has this name; None: no trial's."""
    found = re.fullmatch(r"(.+)-r\d+-a\d+", pod)
    return found[1] if found else None


def event_name(about: str, uid: str, reason: str, message: str) -> str:
    """The same event about the same object always has the same name, so that it is told once."""
    digest = hashlib.sha256(f"{uid}\n{reason}\n{message}".encode()).hexdigest()
    return f"{about}.{digest[:16]}"


def checkpoint_folder(study_uid: str, trial: str) -> str:
    """Folder of a trial inside the checkpoint volume; the uid keeps a later study of the same name away from it."""
    return f"{study_uid}/{trial}"


def common_labels(study: str) -> dict[str, str]:
    """Labels of everything that belongs to a study."""
    return {
        "app.kubernetes.io/name": "hpo-trial",
        "app.kubernetes.io/part-of": "hpo-operator",
        "app.kubernetes.io/managed-by": "hpo-operator",
        STUDY_LABEL: study,
    }


def owner_reference(kind: str, name: str, uid: str) -> dict[str, object]:
    """Deleting the owner deletes what it owns, also when the operator is down.

    Without blockOwnerDeletion, which would need the right to update finalizers and keeps nothing safer here.
    """
    return {
        "apiVersion": f"{GROUP}/v1alpha1",
        "kind": kind,
        "name": name,
        "uid": uid,
        "controller": True,
    }
