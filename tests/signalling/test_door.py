"""How often one may dial, and that no call is refused or begun twice."""

from __future__ import annotations

from dataclasses import replace

from signalling.admission import Caller
from signalling.door import Door, Knock
from signalling.events import Invite
from signalling.limits import SignallingLimits

LIMITS = replace(SignallingLimits(), joins_burst=3, joins_per_second=1.0, refusals=5)
ALICE = Caller("@alice:here.test", "DEV", "s", "conf", None)


def knock(call: str = "call", caller: Caller = ALICE) -> Knock:
    return Knock(caller, call, Invite("v=0", None), 0.0)


def test_a_user_may_dial_a_few_times_at_once_and_then_at_a_rate() -> None:
    door = Door(LIMITS)
    found = [door.shut(knock(f"c{number}"), 0.0) for number in range(5)]
    assert found == [None] * 3 + ["too_many_invites"] * 2
    assert door.shut(knock(), 0.5) == "too_many_invites"
    assert door.shut(knock(), 1.0) is None
    assert door.shut(knock(), 1.0) == "too_many_invites"


def test_the_impatience_of_one_costs_no_other() -> None:
    door = Door(LIMITS)
    for number in range(50):
        door.shut(knock(f"c{number}"), 0.0)
    assert door.shut(knock(caller=replace(ALICE, user="@bob:here.test")), 0.0) is None


def test_another_device_of_a_user_shares_its_rate() -> None:
    door = Door(LIMITS)
    found = [door.shut(knock(caller=replace(ALICE, device=f"D{number}")), 0.0) for number in range(4)]
    assert found[-1] == "too_many_invites"


def test_a_call_is_refused_once() -> None:
    door = Door(LIMITS)
    assert [door.first_refusal("@a:b", "D", "call") for _ in range(3)] == [True, False, False]
    assert door.first_refusal("@a:b", "D", "another")
    assert door.first_refusal("@a:b", "E", "call")


def test_a_call_that_is_over_does_not_begin_again_and_is_forgotten_in_time() -> None:
    door = Door(LIMITS)
    door.close(ALICE.user, ALICE.device, "call")
    assert door.shut(knock(), 0.0) == "call_is_over"
    assert door.shut(knock("new"), 0.0) is None
    for number in range(LIMITS.refusals):
        door.close(ALICE.user, ALICE.device, f"later{number}")
    assert door.shut(knock(), 0.0) is None
