"""Users of the stand who are no administrators: what the chart's roles let whoever may edit a namespace do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from stand.command import hpo
from stand.studies import Raw, Studies

RBAC = "rbac.authorization.k8s.io"
EDIT: list[dict[str, Any]] = [
    {
        "apiGroups": ["hpo.study"],
        "resources": ["hpostudies"],
        "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
    },
    {"apiGroups": ["hpo.study"], "resources": ["hpostudies/scale"], "verbs": ["get", "patch", "update"]},
    {"apiGroups": ["hpo.study"], "resources": ["hpotrials"], "verbs": ["create", "delete", "get", "list", "watch"]},
]
"""What the chart's roles -edit and -view grant."""


class User:
    """Somebody who may edit the test's namespace, and no other; the namespace stands in the kubeconfig alone."""

    def __init__(self, studies: Studies, folder: Path) -> None:
        self.studies, self._folder = studies, folder
        space = studies.namespace
        named = {"name": "somebody", "namespace": space}
        subject = {"kind": "ServiceAccount"} | named
        objects = [
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": named},
            {"apiVersion": f"{RBAC}/v1", "kind": "Role", "metadata": named, "rules": EDIT},
            {
                "apiVersion": f"{RBAC}/v1",
                "kind": "RoleBinding",
                "metadata": named,
                "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": "somebody"},
                "subjects": [subject],
            },
        ]
        studies.plane.kubectl("apply", "-f", "-", input_text=yaml.safe_dump_all(objects))
        self.kubeconfig = studies.plane.kubeconfig_for(space, "somebody")

    def file(self, study: Raw) -> Path:
        path = self._folder / "study.yaml"
        path.write_text(yaml.safe_dump(study))
        return path

    def says(self, *arguments: str | Path) -> str:
        done = hpo(self.kubeconfig, *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def errs(self, *arguments: str | Path) -> str:
        done = hpo(self.kubeconfig, *arguments)
        assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr + done.stdout
        return done.stderr
