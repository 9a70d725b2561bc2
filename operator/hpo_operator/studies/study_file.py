"""Study files, read as kubectl reads them and checked as the cluster checks them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from hpo_operator.api.errors import InvalidObject
from hpo_operator.api.parse import parse_study
from hpo_operator.mistakes import Mistake


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


class _Dumper(yaml.SafeDumper):
    """Puts texts into quotes that Kubernetes' tools would take for numbers: a learning rate of 1e-05, a digest 12e4."""


for _each in (_Loader, _Dumper):
    _each.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+$"),
        list("-+.0123456789"),
    )


def yaml_text(value: object) -> str:
    """YAML that kubectl, and ``read_study_files``, read as the same value."""
    return str(yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True))


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


def valid_studies(paths: Sequence[Path]) -> list[tuple[Path, dict[str, Any]]]:
    """All studies of all files, with their file. Raises Mistake with all that is wrong in any."""
    problems = [f"{path}: {problem}" for path in paths for problem in study_problems(path)]
    if problems:
        raise Mistake("\n".join(problems))
    return [(path, document) for path in paths for document in read_study_files(path)]


def one_study(path: Path) -> dict[str, Any]:
    """The one valid study of a file. Raises Mistake with all that is wrong."""
    found = valid_studies([path])
    if len(found) > 1:
        raise Mistake(f"{path}: expected one study, found {len(found)}")
    return found[0][1]


def study_problems(path: Path) -> list[str]:
    """All that is wrong with the studies of a file."""
    try:
        documents = read_study_files(path)
    except StudyFileError as error:
        return [str(error).removeprefix(f"{path}: ")]
    problems: list[str] = []
    for document in documents:
        try:
            parse_study(document)
        except InvalidObject as error:
            problems.extend(map(str, error.errors))
    return problems
