"""All that is looked at, in the order in which it has to be mended."""

from __future__ import annotations

from collections.abc import Iterator

from hpo_operator.doctor import access, capacity, installation, storage
from hpo_operator.doctor.facts import Facts, Finding, Wanted


def findings(facts: Facts, wanted: Wanted) -> Iterator[Finding]:
    yield from installation.server(facts)
    yield from installation.kinds(facts)
    yield from installation.operator(facts, wanted)
    yield from access.operator_rights(facts)
    yield from access.rights(facts, wanted)
    yield from capacity.gpus(facts, wanted)
    yield from capacity.fits(facts, wanted)
    yield from storage.storage(facts, wanted)
    yield from access.trial_pod(facts, wanted)
    yield from access.quotas(facts, wanted)
    yield from access.queue(facts, wanted)
    yield from installation.monitoring(facts)
