"""Objects that are kept as text are the same objects."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hpo_operator.kube.packed import Packed

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(raw=st.dictionaries(st.sampled_from(["kind", "metadata", "spec", "status"]), JSON), key=st.text())
def test_a_packed_object_is_the_object(raw: dict[str, Any], key: str) -> None:
    packed = Packed(raw, ("spec", "status"))
    assert packed == raw
    assert dict(packed) == raw
    assert len(packed) == len(raw)
    for each in (key, *raw):
        assert (each in packed, packed.get(each, "missing")) == (each in raw, raw.get(each, "missing"))


def test_what_is_read_may_be_changed_by_who_reads_it() -> None:
    packed = Packed({"status": {"phase": "Running"}}, ("status",))
    packed["status"]["phase"] = "Failed"
    assert packed["status"] == {"phase": "Running"}
