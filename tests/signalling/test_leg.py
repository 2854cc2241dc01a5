"""A leg's table, both ends of every transition: what is legal moves it, what is not is the peer's fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from focus.faults import PeerFault
from focus.vocabulary import ConferenceId, Owner, PeerId
from signalling.admission import Caller
from signalling.leg import LEG, Leg, Move, State

LEGAL: list[tuple[State, Move, State]] = [
    (State.JOINING, Move.ANSWER, State.ANSWERED),
    (State.JOINING, Move.CANDIDATES, State.JOINING),
    (State.JOINING, Move.DESCRIBE, State.JOINING),
    (State.JOINING, Move.INVITE, State.JOINING),
    (State.JOINING, Move.END, State.ENDED),
    (State.ANSWERED, Move.ANSWER, State.ANSWERED),
    (State.ANSWERED, Move.SELECT, State.LIVE),
    (State.ANSWERED, Move.CANDIDATES, State.ANSWERED),
    (State.ANSWERED, Move.NEGOTIATE, State.ANSWERED),
    (State.ANSWERED, Move.DESCRIBE, State.ANSWERED),
    (State.ANSWERED, Move.SUBSCRIBE, State.LIVE),
    (State.ANSWERED, Move.PONG, State.LIVE),
    (State.ANSWERED, Move.INVITE, State.ANSWERED),
    (State.ANSWERED, Move.END, State.ENDED),
    (State.LIVE, Move.ANSWER, State.LIVE),
    (State.LIVE, Move.SELECT, State.LIVE),
    (State.LIVE, Move.CANDIDATES, State.LIVE),
    (State.LIVE, Move.NEGOTIATE, State.LIVE),
    (State.LIVE, Move.DESCRIBE, State.LIVE),
    (State.LIVE, Move.SUBSCRIBE, State.LIVE),
    (State.LIVE, Move.PONG, State.LIVE),
    (State.LIVE, Move.INVITE, State.LIVE),
    (State.LIVE, Move.END, State.ENDED),
]
ILLEGAL = [(s, m) for s in State for m in Move if (s, m) not in {(before, move) for before, move, _ in LEGAL}]


def leg(state: State) -> Leg:
    caller = Caller("@alice:here.test", "DEV", "session", "conf", None)
    return Leg(PeerId("p"), ConferenceId("c"), "!r", caller, "call", encrypted=False, invited="", state=state)


@pytest.mark.parametrize(("before", "move", "after"), LEGAL)
def test_a_legal_move_leads_where_the_table_says(before: State, move: Move, after: State) -> None:
    moved = leg(before)
    moved.move(move)
    assert moved.state is after


@pytest.mark.parametrize(("state", "move"), ILLEGAL)
def test_an_illegal_move_is_the_peers_fault_and_changes_nothing(state: State, move: Move) -> None:
    still = leg(state)
    with pytest.raises(PeerFault, match="illegal_move"):
        still.move(move)
    assert still.state is state


def test_the_table_has_every_state_and_nothing_leaves_the_end() -> None:
    assert set(LEG) == set(State)
    assert LEG[State.ENDED] == {}
    assert sum(len(moves) for moves in LEG.values()) == len(LEGAL)


def test_our_messages_are_numbered_from_zero() -> None:
    numbered = leg(State.JOINING)
    assert [numbered.next_seq() for _ in range(3)] == [0, 1, 2]


def test_a_leg_knows_whom_it_would_be_replaced_by_and_to_whom_its_streams_belong() -> None:
    assert leg(State.LIVE).key == ("!r", "conf", "@alice:here.test", "DEV")
    assert leg(State.LIVE).owner == Owner("@alice:here.test", "DEV")


def drawn() -> str:
    """The table as the package's README shows it."""
    lines = []
    for state, moves in LEG.items():
        staying = [move.value for move, after in moves.items() if after is state]
        leaving: dict[State, list[str]] = {}
        for move, after in moves.items():
            if after is not state:
                leaving.setdefault(after, []).append(move.value)
        lines += [f"{state.value:9}--{', '.join(names)}--> {after.value}" for after, names in leaving.items()]
        lines += [f"{'':9}  stays with {', '.join(staying)}"] if staying else []
    return "\n".join(lines)


def test_the_manual_shows_the_table_as_it_is() -> None:
    manual = (Path(__file__).resolve().parents[2] / "signalling" / "README.md").read_text()
    assert f"```\n{drawn()}\n```" in manual, f"write this into signalling/README.md:\n{drawn()}"
