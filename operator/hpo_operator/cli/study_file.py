"""Study files, read as kubectl reads them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from hpo_operator.cli.mistakes import Mistake


class StudyFileError(Mistake):
    """The file cannot be read, or is no YAML; the message names it and, where known, the line."""


class _Loader(yaml.SafeLoader):
    """YAML as Kubernetes' tools read it: 1e-5 is a number (PyYAML wants 1.0e-5), and a key may stand only once."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str) and key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands twice", key_node.start_mark
                )
            seen.add(key if isinstance(key, str) else repr(key))
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+$"), list("-+.0123456789")
)


def read_study_files(path: Path) -> list[dict[str, Any]]:
    """The objects in a YAML file, in order.

    Raises:
        StudyFileError: no such file, not YAML, or not an object.
    """
    try:
        documents = [d for d in yaml.load_all(path.read_text(encoding="utf-8"), _Loader) if d is not None]
    except OSError as error:
        raise StudyFileError(f"{path}: {error.strerror}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date or a number that is none
        raise StudyFileError(f"{path}: not readable as YAML: {' '.join(str(error).split())}") from error
    if not documents:
        raise StudyFileError(f"{path}: expected an HPOStudy, found an empty file")
    for document in documents:
        if not isinstance(document, dict):
            raise StudyFileError(f"{path}: expected an object, found {type(document).__name__}")
    return documents
