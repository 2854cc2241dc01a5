"""Who vanishes is lost, whichever engine was called. It takes long to be sure of that, so all engines wait at once."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from engines import SPANNING, Make, side
from far_end import far_ends
from focus.commands import Loss, Lost


async def loss(make: Make) -> Loss:
    """As what a client is lost that says nothing any more. Raises `TimeoutError` when it is not."""
    async with side(make) as focus, far_ends("a") as (end,):
        await end.call(focus, channel=True)
        await end.vanish()
        return (await focus.saw(Lost, seconds=16)).loss


@pytest.mark.slow
@pytest.mark.timeout(40)
async def test_a_client_that_vanishes_is_lost_within_fifteen_seconds() -> None:
    makes = {str(one.id): cast(Make, one.values[0]) for one in SPANNING}
    found = await asyncio.gather(*(loss(make) for make in makes.values()))
    assert dict(zip(makes, found, strict=True)) == dict.fromkeys(makes, Loss.ICE)
