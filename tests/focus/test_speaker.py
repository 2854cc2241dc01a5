"""Who has the floor and who is among the loudest, in virtual time: levels as an engine tells them."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from focus.reference.loudness import EVERY as TELLS
from focus.reference.loudness import STEPS, Loudness
from focus.speaker import CROWD, HOLD, STEP, Speech, decide, forget, hear, scores

VOICES = 3
ROOM, BREATH, SPEECH, SHOUT = 40, 70, 100, 118
"Loudness of a quiet room, of the pauses between words, of speech and of somebody close to the microphone."


@dataclass
class Table:
    """People at a table: each moment has somebody's level, and what an engine tells of it is heard."""

    chance: random.Random = field(default_factory=lambda: random.Random(1))
    now: float = 1000.0
    beat: int = 0
    speech: Speech[str] = field(default_factory=Speech)
    ears: dict[str, Loudness] = field(default_factory=dict)
    told: int = 0
    floors: list[str] = field(default_factory=list)
    "Who had the floor, one after another."

    def go(self, seconds: float, **levels: int) -> Table:
        """Let time pass. A level from `SPEECH` on is of speech: it goes up and down, and has pauses."""
        for _ in range(round(seconds / STEP)):
            self.beat += 1
            self.now += STEP
            for name, level in levels.items():
                self.ears.setdefault(name, Loudness()).hear(self.level(level))
            told = [name for name, ear in self.ears.items() if ear.step(self.beat)]
            self.told += len(told)
            for name in told:
                self.speech = hear(self.speech, name, bytes(self.ears[name].recent), self.now)
            # Looked at when something is told, and by the clock.
            if told or self.beat % 12 == 0:
                self.speech = decide(self.speech, VOICES, self.now)
            if self.speech.order and self.floors[-1:] != [self.speech.order[0]]:
                self.floors.append(self.speech.order[0])
        return self

    def level(self, level: int) -> int:
        """Words of 0.4 s with pauses of 0.1 s."""
        if level < SPEECH:
            return level
        return BREATH if self.beat % 25 >= 20 else min(127, level - self.chance.randrange(12))

    @property
    def through(self) -> set[str]:
        return {name for name, until in self.speech.through.items() if until > self.now}


def quiet(*names: str) -> dict[str, int]:
    return dict.fromkeys(names, ROOM)


def test_nobody_has_the_floor_before_anybody_speaks() -> None:
    table = Table().go(5, **quiet("ann", "bob"))
    assert table.speech.order == () and table.through == set()


@pytest.mark.parametrize(
    ("stretches", "floors"),
    [
        ([(1, "ann")], "ann"),
        ([(1, "ann"), (30, "")], "ann"),  # stays in silence
        ([(3, "ann"), (0.06, "bob"), (3, "ann")], "ann"),  # a cough
        ([(3, "ann"), (3, "bob")], "ann bob"),
        ([(3, "ann"), (3, "bob"), (3, "ann")], "ann bob ann"),
        ([(3, "ann"), (1, ""), (2, "cem"), (5, "bob")], "ann cem bob"),
    ],
)
def test_the_floor_goes_to_who_goes_on_speaking(stretches: list[tuple[float, str]], floors: str) -> None:
    table = Table().go(1, **quiet("ann", "bob", "cem"))
    for seconds, name in stretches:
        table.go(seconds, **quiet("ann", "bob", "cem") | ({name: SPEECH} if name else {}))
    assert table.floors == floors.split()


def test_the_floor_is_taken_within_a_second_and_those_before_are_remembered_in_order() -> None:
    table = Table().go(1, **quiet("ann", "bob", "cem"))
    for name in ("ann", "bob", "cem"):
        table.go(4, **quiet("ann", "bob", "cem") | {name: SPEECH})
        begun = table.now
        other = {"ann": "bob", "bob": "cem", "cem": "ann"}[name]
        while table.speech.order[0] != other:
            table.go(STEP, **quiet("ann", "bob", "cem") | {other: SPEECH})
            assert table.now - begun < 1.5
    assert table.speech.order == ("ann", "cem", "bob")


def test_steady_noise_does_not_take_the_floor() -> None:
    table = Table().go(2, fan=99, ann=ROOM)
    assert table.floors == []
    table.go(2, fan=99, ann=SPEECH).go(20, fan=99, ann=ROOM)
    assert table.speech.order == ("ann",)


def test_a_room_that_became_loud_is_noise_after_a_while() -> None:
    table = Table().go(2, ann=ROOM, bob=ROOM)
    table.go(90, ann=92, bob=ROOM).go(3, ann=92, bob=SPEECH)
    assert table.speech.order[0] == "bob"


def test_a_beginning_voice_is_let_through_at_once_and_the_end_of_a_word_too() -> None:
    table = Table().go(3, **quiet("ann", "bob"))
    table.go(STEP, ann=SHOUT, bob=ROOM)
    assert table.through == {"ann"}
    for _ in range(40):  # With pauses of a second she is never cut.
        table.go(0.5, ann=SPEECH, bob=ROOM)
        assert table.through == {"ann"}
        table.go(1.0, ann=ROOM, bob=ROOM)
        assert table.through == {"ann"}
    assert table.go(HOLD + 0.5, **quiet("ann", "bob")).through == set()


def test_of_many_voices_the_loudest_are_let_through() -> None:
    crowd = {f"quiet{n}": 78 for n in range(20)}
    loud = {"ann": SHOUT, "bob": SPEECH + 8, "cem": SPEECH}
    table = Table().go(HOLD + 1, **crowd).go(1, **crowd | loud)
    assert table.through >= set(loud)
    assert table.go(HOLD, **crowd | loud).through == set(loud)


def test_two_alike_do_not_take_turns() -> None:
    people = dict.fromkeys("abcd", SPEECH)
    table = Table().go(HOLD + 2, **people)
    seen = []
    for _ in range(100):
        table.go(0.3, **people)
        seen.append(frozenset(table.speech.through))
    assert len(set(seen)) <= 2 and all(len(through) <= 4 for through in seen)


def test_a_call_of_hundreds_that_listens_is_told_of_nobody() -> None:
    listeners = quiet(*(f"p{n}" for n in range(200)))
    table = Table().go(0.1, **listeners)
    assert table.told == 200  # that they have levels at all
    table.go(1.5, **listeners, ann=SPEECH).go(STEPS * STEP, **listeners)
    told = table.told - 200
    assert told <= 2.5 / STEP / TELLS + 2
    assert table.go(1, **listeners).told == told + 200


def test_who_is_gone_has_neither_floor_nor_voice() -> None:
    table = Table().go(1, ann=ROOM, bob=ROOM).go(2, ann=SPEECH, bob=ROOM).go(2, ann=ROOM, bob=SPEECH)
    assert table.speech.order == ("bob", "ann")
    left = forget(table.speech, ["bob", "stranger"])
    assert left.order == ("ann",) and "bob" not in left.through and "bob" not in left.voices
    assert forget(left, ["bob"]) is left


def test_more_speech_is_never_less_likely_speech() -> None:
    rising = [scores(bytes(STEPS - n) + bytes([SPEECH]) * n, 10.0) for n in range(STEPS + 1)]
    for earlier, later in zip(rising, rising[1:], strict=False):
        assert all(a <= b for a, b in zip(earlier, later, strict=True))
    assert scores(bytes(STEPS), 10.0) == pytest.approx((1e-10, 1e-10, 1e-10))


LEVELS = st.dictionaries(st.sampled_from("abcdefghijkl"), st.integers(0, 127))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0.02, 0.1, 0.6, 2.5]), LEVELS), max_size=6))
def test_whatever_is_heard_few_are_let_through_and_the_floor_changes_seldom(
    stretches: list[tuple[float, dict[str, int]]],
) -> None:
    table = Table()
    changed = -1.0
    for seconds, levels in stretches:
        for _ in range(round(seconds / STEP)):
            floor = table.speech.order[:1]
            table.go(STEP, **levels)
            order = table.speech.order
            assert len(table.speech.through) <= CROWD * VOICES
            assert set(order) <= set(table.ears) and len(set(order)) == len(order)
            if table.speech.order[:1] != floor:
                assert table.now - changed >= 0.29
                changed = table.now
    # In silence nothing is left to decide.
    table.go(HOLD + 2)
    assert table.speech.through == {} and decide(table.speech, VOICES, table.now) is table.speech
