"""The estimator in the cases of RFC 8867, in virtual time: it fills the path, keeps queues short, and shares."""

from __future__ import annotations

import pytest

from focus.native import available, estimate
from tests.congestion.bars import collapsed, missed
from tests.congestion.cases import HARDER, TABLE, Case
from tests.congestion.figures import figures
from tests.congestion.play import played

ENGINES = ["native"] if available() else []
pytestmark = [pytest.mark.slow, pytest.mark.parametrize("engine", ENGINES)]


@pytest.mark.parametrize("case", TABLE, ids=lambda case: case.name)
def test_a_path_is_used_its_queue_stays_short_and_equals_get_the_same(case: Case, engine: str) -> None:
    assert missed(case.name, figures(played(case, estimate()))) == []


@pytest.mark.parametrize(
    "case", [case for case in HARDER if case.name.startswith(("5.1", "5.4"))], ids=lambda case: case.name
)
def test_delay_bursts_of_loss_and_late_feedback_let_nothing_collapse(case: Case, engine: str) -> None:
    assert collapsed(figures(played(case, estimate()))) == []


def test_the_same_seed_is_the_same_run(engine: str) -> None:
    case = TABLE[0]
    assert figures(played(case, estimate(), 3)) == figures(played(case, estimate(), 3))
