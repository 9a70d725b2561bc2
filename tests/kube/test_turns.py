"""Who may write what no trial waits for: few at a time, in order, and a turn is never lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hpo_operator.kube.cluster import StudyKey
from hpo_operator.kube.turns import Turns


def key(number: int) -> StudyKey:
    return StudyKey("lab", f"study-{number}")


def test_turns_come_in_the_order_of_asking() -> None:
    turns, woken = Turns(2), list[int]()
    asked = [turns.ask(key(n), lambda n=n: woken.append(n)) for n in range(5)]
    assert asked == [True, True, False, False, False]
    assert turns.ask(key(0), woken.clear)  # it still is
    assert not turns.ask(key(3), woken.clear)
    turns.release(key(4))  # which had none
    turns.leave(key(2))
    assert woken == []
    turns.release(key(0))
    assert woken == [3]
    assert turns.ask(key(3), woken.clear)
    turns.leave(key(1))
    assert woken == [3, 4]


@given(st.lists(st.tuples(st.sampled_from(["ask", "release", "leave"]), st.integers(0, 4)), max_size=50))
def test_nobody_waits_while_there_is_a_place(steps: list[tuple[str, int]]) -> None:
    turns, having, waiting = Turns(2), set[int](), set[int]()

    def given_to(number: int) -> None:
        waiting.remove(number)
        having.add(number)

    for what, number in steps:
        if what == "ask":
            at_once = turns.ask(key(number), lambda number=number: given_to(number))
            assert at_once == (number in having or len(having) < 2)
            (having if at_once else waiting).add(number)
        else:
            having.discard(number)
            if what == "leave":
                waiting.discard(number)
            (turns.leave if what == "leave" else turns.release)(key(number))
        assert len(having) <= 2
        assert not waiting or len(having) == 2
