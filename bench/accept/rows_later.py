"""The rows of issues that are not built yet: the native engine (4), and rate control (5). All are pending."""

from __future__ import annotations

from bench.accept.row import TESTS, Row, from_json, matched

ENGINE: tuple[Row, ...] = (
    Row(
        4,
        "same-call",
        "the first issue's lines hold on the native engine, the default; both engines pass the contract suite",
        ".venv/bin/python -m pytest -q tests/contract && .venv/bin/python -m bench.accept --issue 3",
        matched(r"^\d+ passed, \d+ short, \d+ pending$"),
        minutes=90,
    ),
    Row(
        4,
        "engine-choice",
        "make demo runs native; make demo ENGINE=python still works",
        "make demo CHECK=1 PORT=0 PEOPLE=4 && make demo CHECK=1 PORT=0 PEOPLE=4 ENGINE=python",
        matched(
            r"(?s)(\d+ of \d+) streams decoded[^\n]*(native engine)"
            r".*?(\d+ of \d+) streams decoded[^\n]*(python engine)"
        ),
    ),
    Row(
        4,
        "differential",
        "10,000 seeded scenarios through both engines: no unexplained difference",
        ".venv/bin/python -m bench.differential",
        from_json(scenarios="scenarios", differences="differences", seconds="seconds"),
        minutes=45,
    ),
    Row(
        4,
        "packet-bursts",
        "1 to 100, bursts of 9: at most 1.6 x the bare loop, plain and GRO sinks; loss 0",
        "make bench NAME=packet ARGS='--case bursts'",
        from_json(
            us="us_per_packet",
            bare_us="bare_us_per_packet",
            ratio="ratio",
            gro_us="rows.GRO sinks.us_per_packet",
            gro_ratio="rows.GRO sinks.ratio",
            reference_us="reference_us_per_packet",
            loss="loss",
        ),
        minutes=20,
    ),
    Row(
        4,
        "packet-singles",
        "25,000 singles a second: at most 1.3 x the bare loop; 3.5 us with 2 ms coalescing",
        "make bench NAME=packet ARGS='--case singles'",
        from_json(
            us="us_per_packet", bare_us="bare_us_per_packet", ratio="ratio", coalesced_us="coalesced_us_per_packet"
        ),
        minutes=20,
    ),
    Row(
        4,
        "packet-latency",
        "p99 under 1 ms at half load on a quiet machine",
        "make bench NAME=packet ARGS='--case latency'",
        from_json(p50_us="latency_us.p50", p99_us="latency_us.p99", cores="cores", per_second="packets_per_second"),
        minutes=10,
    ),
    Row(
        4,
        "packet-quiet",
        "no Python runs and nothing is allocated per packet in steady state, shown by counters",
        "make bench NAME=packet ARGS='--case quiet'",
        from_json(allocations="allocations_per_packet", wakes_a_second="python_wakes_per_second"),
        minutes=10,
    ),
    Row(
        4,
        "audio",
        "10 speakers to 50 listeners: 3.0 us a packet with at most 5 ms of coalescing",
        "make bench NAME=audio",
        from_json(
            us="us_per_packet",
            bare_us="bare_us_per_packet",
            at_once_us="at_once_us_per_packet",
            loss="loss",
            p99_us="latency_us.p99",
            load="load",
        ),
        minutes=10,
    ),
    Row(
        4,
        "rooms",
        "20 ten-person rooms measured",
        "make bench NAME=rooms",
        from_json(
            us="us_per_packet",
            cores="cores",
            per_second="packets_per_second",
            video_kbps="video_kbps",
            loss="loss",
            p99_us="latency_us.p99",
            load="load",
        ),
        minutes=10,
    ),
    Row(
        4,
        "memory",
        "1,000 subscribers of one publisher: RSS per subscriber, bar 100 kB",
        "make bench NAME=memory",
        from_json(bytes_each="bytes_each", connected="connected_bytes_each", subscribers="subscribers"),
        minutes=10,
    ),
    Row(
        4,
        "join-cpu",
        "CPU of the focus per join 3 ms or less, to-device and homeserver not counted, into a call of ten",
        "make bench NAME=join_cpu",
        from_json(ms="cpu_ms_per_join", of_two="by_people.2", of_fifty="by_people.50", load="load"),
        minutes=15,
    ),
    Row(
        4,
        "workers",
        "two workers: at most 1.1 x the cost of one, in order, no loss on the other worker",
        "cargo test --release --quiet --locked --manifest-path focus/native/Cargo.toml together"
        " && make bench NAME=workers",
        from_json(us="us_per_packet", one_us="one_worker_us_per_packet", ratio="ratio", loss="loss"),
        minutes=20,
    ),
    Row(
        4,
        "datagrams",
        "every length 0 to 1500 with every first byte: no panic, no reply, no effect",
        "cargo test --release --locked --manifest-path focus/native/Cargo.toml n9_",
        matched(r"^test result: ok\. (1 passed)"),
        minutes=20,
    ),
    Row(
        4,
        "fuzz",
        "eleven fuzz targets, 60 s each without a finding; corpora replayed in make test",
        "make fuzz SECONDS=60",
        from_json(findings="findings", seconds="seconds"),
        minutes=60,
    ),
    Row(
        4,
        "attacks",
        "every three-star attack class of transport, media and data channels has a test named by its id",
        ".venv/bin/python -m pytest -q tests/attacks && cargo test --release --quiet --locked"
        " --manifest-path focus/native/Cargo.toml -- r3_ c1_ c2_",
        TESTS,
        minutes=20,
    ),
    Row(
        4,
        "garbage",
        "10,000 garbage packets a second for 60 s: added loss 0.1 %, no reply byte, RSS +5 MB",
        "make bench NAME=garbage",
        from_json(
            added_loss="added_loss",
            reply_bytes="reply_bytes",
            rss_mb="rss_added_mb",
            cores="cores",
            cores_quiet="cores_quiet",
            load="load",
        ),
        minutes=5,
    ),
    Row(
        4,
        "browsers",
        "Chromium and Firefox send to and receive from each other in every codec they have; aiortc too",
        "make bench NAME=codecs",
        from_json(pairs="pairs", calls="judged", least_fps="least_fps", late_s="late_seconds", load="load"),
        minutes=15,
    ),
    Row(4, "join-storm", "200 joins in 5 s while 100 watch: their p99 gap stays under 100 ms"),
)

RATES: tuple[Row, ...] = (
    Row(5, "congestion", "RFC 8867 cases 5.1 to 5.8 in virtual time, and three harder ones, within their bars"),
    Row(5, "allocation", "the nine cases: 0.9 of the best utility at the median, freezes, switches, recovery"),
    Row(5, "thin-link", "a Chromium at 4, 1.2, 0.35, 4 Mbit/s with nine publishers: audio never lost, tiles follow"),
    Row(5, "bystander", "a second subscriber on a free link: no lower layer, no freeze"),
    Row(5, "switch-time", "message to first packet of the new layer: p50 under publisher round trip + 80 ms"),
    Row(5, "switch-contiguous", "10,000 switches, VP8, VP9, AV1, H.264: sequence and timestamps contiguous"),
    Row(5, "nobody-watches", "video stops within 2 s when nobody watches, and is back within 300 ms of a subscription"),
    Row(5, "loss", "10 % downlink loss: 15 fps, RTX within 1.3 x of the losses, PLI at most 2 a second a layer"),
    Row(5, "joint-plan", "the ten-person meeting: 10 % above the fixed ladder at the median, none below 0.98 of it"),
    Row(5, "packet-cost", "at most 1.15 x the cost per packet of the commit before, pacing and estimation on"),
    Row(5, "plan-cost", "500 subscribers x 50 tracks: full plan under 100 ms, incremental under 2 ms, loop p99 20 ms"),
    Row(5, "new-address", "a client's address changes: media gap p50 1.5 s, p99 3 s, same participant"),
)
