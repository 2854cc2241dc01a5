"""The rows of the first issue: twelve people in a real Matrix call. Later issues are in `rows_later.py`."""

from __future__ import annotations

from bench.accept.row import TESTS, Row, from_json, matched
from bench.accept.rows_later import ENGINE, RATES

CALL: tuple[Row, ...] = (
    Row(
        3,
        "demo",
        "clean clone: make demo CHECK=1, every viewer decodes all eleven others",
        "bench/accept/clone.sh demo CHECK=1 PORT=0",
        matched(r"^(\d+ of \d+ streams decoded.*)$"),
        minutes=15,
    ),
    Row(
        3,
        "test",
        "clean clone: make test passes in 15 minutes on 2 cores, no test skipped",
        "set -o pipefail; bench/accept/clone.sh test | awk '{print} /[0-9] (skipped|xfailed)/ {bad=1} END {exit bad}'",
        matched(
            r"(?s)^=+ (\d+ passed)[^\n]*=$.*^=+ (\d+ passed)[^\n]*=$"
            r".*^test result: \w+. (\d+ passed).*^ +Tests +(\d+ passed)"
        ),
        minutes=15,
    ),
    Row(
        3,
        "quality",
        "Chromium to Chromium, 1280x720, 60 s, plain and Olm: 90 % of the frames of a direct pair, no more freezes,"
        " audio and video within 100 ms",
        "make bench NAME=quality",
        from_json(
            direct_fps="direct.frames_per_second",
            plain_fps="plain.frames_per_second",
            olm_fps="olm.frames_per_second",
            freezes="olm.freezes",
            apart_ms="olm.apart_ms_median",
        ),
        minutes=10,
    ),
    Row(
        3,
        "layers",
        "1280x720, 640x360, 320x180 wanted in turn: the size follows within 1 s, no renegotiation, nobody else notices",
        "make bench NAME=layers",
        from_json(worst_seconds="worst_seconds", offers="offers", other="second.sizes", other_fps="second.fps_during"),
        minutes=5,
    ),
    Row(
        3,
        "soak",
        "12 people for 5 minutes: every tile decodes, CPU and memory printed",
        "make soak",
        from_json(
            cores_1_min="focus.1 min.cores",
            mb_1_min="focus.1 min.rss_mb",
            cores="focus.end.cores",
            mb="focus.end.rss_mb",
            stood_still="stood_still",
        ),
        minutes=15,
    ),
    Row(
        3,
        "conformance",
        "every line of the MSC3401 checklist and every observed behaviour of real clients has a test named after it",
        ".venv/bin/python -m pytest -q tests/conformance --ignore tests/conformance/test_recorded_call.py",
        TESTS,
    ),
    Row(
        3,
        "recorded-call",
        "the recorded MSC3898 call parses and replays",
        ".venv/bin/python -m pytest -q tests/conformance/test_recorded_call.py",
        TESTS,
    ),
    Row(
        3,
        "contiguous",
        "layer choice by visible size within 10 %, counter expansion vectors, contiguous output",
        ".venv/bin/python -m pytest -q tests/focus/test_contiguous.py tests/focus/test_layer_choice.py",
        TESTS,
    ),
    Row(
        3,
        "olm",
        "encrypted invite, encrypted answer, also after a restart; 0 of 5 forgeries; no Megolm",
        ".venv/bin/python -m pytest -q tests/interop/test_olm_client.py tests/matrix/test_olm.py",
        TESTS,
    ),
    Row(
        3,
        "admission",
        "not in the room, invited, left, kicked, banned, denied server, other device: 0 of 7 get an answer or a packet;"
        " a ban ends media within 2 s",
        ".venv/bin/python -m pytest -q tests/interop/test_who_gets_in.py",
        TESTS,
    ),
    Row(
        3,
        "restart",
        "kill -9 of the focus in a running call: page and participants are back without a click, p50 and p99",
        "make bench NAME=restart",
        from_json(p50="back_p50", p99="back_p99", page_p50="page_p50", page_p99="page_p99", lost="lost"),
    ),
    Row(
        3,
        "bad-input",
        "bad input of every kind is counted by reason and shown; the call goes on",
        ".venv/bin/python -m pytest -q tests/hostile tests/interop/test_bad_input.py",
        TESTS,
    ),
    Row(
        3,
        "bad-config",
        "a wrong configuration key names the key and the allowed values",
        ".venv/bin/python -m pytest -q tests/weir/test_config.py",
        TESTS,
    ),
    Row(
        3,
        "signalling",
        "locust at rising rates: 20 invites a second for 60 s without a lost one, or the homeserver is the limit",
        "make bench NAME=signalling",
        from_json(lost="lost_at_20", p50_ms="p50_ms", p95_ms="p95_ms", homeserver_limit="homeserver_is_the_limit"),
        minutes=15,
    ),
    Row(
        3,
        "join",
        "50 joins over the real homeserver: invite to first decodable packet p50 and p95, server CPU per join",
        "make bench NAME=join",
        from_json(p50_ms="p50_ms", p95_ms="p95_ms", failed="failed", focus_cpu_ms="focus_cpu_ms_per_join"),
    ),
    Row(
        3,
        "packet",
        "CPU per forwarded packet of the reference engine at 1 to 50",
        "make bench NAME=packet ARGS='--case reference'",
        from_json(
            us="us_per_packet",
            bare_us="bare_us_per_packet",
            packets_per_second="packets_per_second",
            loss="loss",
            p99_us="latency_us.p99",
        ),
        minutes=20,
    ),
    Row(
        3,
        "screenshots",
        "the page alone, with two, with twelve, with an error; dark and light; desktop and phone",
        "make screenshots",
        matched(r"^(\d+ pictures.*)$"),
    ),
)

ROWS: tuple[Row, ...] = (*CALL, *ENGINE, *RATES)
__all__ = ["ROWS", "from_json"]
