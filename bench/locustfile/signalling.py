"""The load of `bench/signalling.py`: Matrix users that dial the focus, change what they send, and leave.

Run by locust in an interpreter of its own (it patches the standard library), so nothing of
the project is imported. What to do comes in a JSON file named by WEIR_LOAD; each dial is
written as a JSON line to the file named by WEIR_DIALS.
"""

import json
import os
import queue
import random
import time
import uuid

from locust import HttpUser, LoadTestShape, events, task

LOAD = json.load(open(os.environ["WEIR_LOAD"]))
DIALS = open(os.environ["WEIR_DIALS"], "a", buffering=1)
ACCOUNTS: queue.SimpleQueue = queue.SimpleQueue()
for account in LOAD["accounts"]:
    ACCOUNTS.put(account)

API = "/_matrix/client/v3"
ANSWER_WITHIN = 10.0
"Seconds after which an invite counts as lost."


class Rising(LoadTestShape):
    """So many users for so long, one stage after the other. Each user dials once in `pace` seconds."""

    def tick(self):
        run_time, begun = self.get_run_time(), 0.0
        for stage in LOAD["stages"]:
            begun += stage["seconds"]
            if run_time < begun:
                return stage["users"], 200
        return None


class Caller(HttpUser):
    """One account on one device."""

    host = LOAD["homeserver"]

    def on_start(self):
        self.me = ACCOUNTS.get_nowait()
        self.headers = {"Authorization": "Bearer " + self.me["access_token"]}
        only_messages = {"presence": {"types": []}, "account_data": {"types": []}, "room": {"rooms": []}}
        path = f"{API}/user/{self.me['user_id']}/filter"
        made = self.client.post(path, json=only_messages, headers=self.headers, name="filter").json()
        self.filter = made["filter_id"]
        self.since = self.sync(0)["next_batch"]
        # People do not dial in step; users that are started together would. locust's own pacing counts from
        # their common start, and so would bring them together again.
        time.sleep(random.random() * LOAD["pace"])
        self.due = time.monotonic()

    def wait_time(self):
        """Seconds until this user dials again: `pace` after the last time, at once if that is past."""
        now = time.monotonic()
        self.due = max(now, self.due + LOAD["pace"])
        return self.due - now

    def sync(self, milliseconds):
        query = {"filter": self.filter, "timeout": str(milliseconds), "set_presence": "offline"}
        if getattr(self, "since", None):
            query["since"] = self.since
        return self.client.get(f"{API}/sync", params=query, headers=self.headers, name="sync").json()

    def tell(self, kind, **content):
        user, device = LOAD["focus"]
        self.seq += 1
        common = {
            "version": "1", "call_id": self.call, "conf_id": LOAD["conf"], "party_id": self.me["device_id"],
            "device_id": self.me["device_id"], "sender_session_id": self.me["session"], "dest_session_id": "sfu",
            "seq": self.seq - 1,
        }
        path = f"{API}/sendToDevice/{kind}/{uuid.uuid4().hex}"
        body = {"messages": {user: {device: common | content}}}
        self.client.put(path, json=body, headers=self.headers, name=kind)

    @task
    def dial(self):
        self.call, self.seq = uuid.uuid4().hex, 0
        metadata = {"org.matrix.msc3077.sdp_stream_metadata": self.me["metadata"]}
        begun, clock = time.time(), time.perf_counter()
        offer = {"type": "offer", "sdp": LOAD["sdp"]}
        self.tell("m.call.invite", offer=offer, lifetime=60000, invitee=LOAD["focus"][0], **metadata)
        outcome, party = self.answered(clock)
        took = 1000 * (time.perf_counter() - clock)
        DIALS.write(json.dumps({"at": begun, "ms": round(took, 1), "outcome": outcome}) + "\n")
        events.request.fire(
            request_type="CALL", name="invite to answer", response_time=took, response_length=0, context={},
            exception=None if outcome == "answer" else RuntimeError(outcome),
        )
        if outcome == "answer":
            self.tell("m.call.select_answer", selected_party_id=party)
            muted = {stream: one | {"video_muted": True} for stream, one in self.me["metadata"].items()}
            self.tell("m.call.sdp_stream_metadata_changed", **{"org.matrix.msc3077.sdp_stream_metadata": muted})
        self.tell("m.call.hangup", reason="user_hangup")

    def answered(self, clock):
        """Wait for what the focus says to this call: its kind, and who said it."""
        while time.perf_counter() - clock < ANSWER_WITHIN:
            got = self.sync(2000)
            self.since = got.get("next_batch", self.since)
            for event in got.get("to_device", {}).get("events", []):
                kind, content = event["type"], event["content"]
                if content.get("call_id") == self.call and kind in ("m.call.answer", "m.call.reject", "m.call.hangup"):
                    return kind.removeprefix("m.call."), content.get("party_id")
        return "nothing", None
