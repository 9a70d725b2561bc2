"""Questions to a Prometheus server, over HTTP. Whatever it says, and whether it says anything, is an answer."""

from __future__ import annotations

from collections.abc import Mapping

import aiohttp

from hpo_operator.kube.metrics_page import at_most
from hpo_operator.reconcile.queries import Answer, Question, Unanswered, read_answer

MAX_ANSWER_BYTES = 1 << 20


async def ask(session: aiohttp.ClientSession, servers: Mapping[str, str], question: Question) -> Answer:
    """The server's answer. ``servers``: their addresses by name, as the operator was installed with."""
    address = servers.get(question.server)
    if address is None:
        known = ", ".join(sorted(servers)) or "none"
        return Unanswered(f"the operator knows no Prometheus server {question.server!r}; it was installed with {known}")
    parameters = {"query": question.text, "time": question.at, "timeout": f"{question.timeout_seconds}s"}
    timeout = aiohttp.ClientTimeout(total=question.timeout_seconds + 1)
    try:
        url = f"{address.rstrip('/')}/api/v1/query"
        async with session.get(url, params=parameters, timeout=timeout, allow_redirects=False) as response:
            body = await at_most(response.content, MAX_ANSWER_BYTES)
    except TimeoutError:
        return Unanswered(f"{address} did not answer within {question.timeout_seconds} s")
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return Unanswered(f"{address}: {error}")
    if body is None:
        return Unanswered(f"{address} answered with more than {MAX_ANSWER_BYTES} bytes")
    return read_answer(response.status, body)
