"""How the tests of this folder open a link."""

from __future__ import annotations

from pathlib import Path

import pytest

from signalling.account import MatrixLink
from tests.matrix.following import Open
from weir.homeserver import LocalHomeserver


@pytest.fixture
def at(homeserver: LocalHomeserver, tmp_path: Path) -> Open:
    return lambda login, store: MatrixLink(
        homeserver.base_url, login.access_token, login.user_id, login.device_id, tmp_path / store
    )
