"""A real Home Assistant Core with a folder of its own, set up and asked only over HTTP and WebSocket."""

import json
import os
import pathlib
import re
import subprocess
import sys
import time

import requests
import websocket

from waiting import end, free_port, is_open, until

CLIENT = "http://doorward.test/"
# Nothing that reaches for the network, and everything that the tests look at. The recorder complains of attributes that
# are too large to keep.
CONFIGURATION = """
homeassistant:
  name: Test
  latitude: 52
  longitude: 5
  elevation: 0
  unit_system: metric
  time_zone: UTC
  country: NL
http:
  server_host: 127.0.0.1
  server_port: {port}
api:
auth:
config:
frontend:
history:
logbook:
mobile_app:
person:
recorder:
system_log:
automation: !include automations.yaml
logger:
  default: info
"""
# A record of the log: time, level, thread, logger, text; further lines belong to it.
RECORD = re.compile(r"^\S+ \S+ (WARNING|ERROR|CRITICAL) \([^)]*\) \[([^\]]+)\] (.*)$")
ANY_RECORD = re.compile(r"^\d{4}-\d\d-\d\d \S+ [A-Z]+ \(")


def untouched(schema):
    """What a browser sends of a part of a form that nobody touched."""
    values = {}
    for field in filter(lambda field: field.get("required"), schema):
        shown = field.get("default", (field.get("description") or {}).get("suggested_value"))
        selector = field.get("selector", {})
        if shown is None and "boolean" in selector:
            shown = False
        elif shown is None and "select" in selector:
            shown = selector["select"]["options"][0]
        values[field["name"]] = shown
    return values


class Home:
    def __init__(self, folder: pathlib.Path):
        self.folder, self.port, self.process, self.socket = folder, free_port(), None, None
        self.token, self.number, self.waiting, self.seen, self.left = None, 0, [], 0, []
        folder.mkdir(parents=True)
        (folder / "configuration.yaml").write_text(CONFIGURATION.format(port=self.port))
        (folder / "automations.yaml").write_text("[]\n")
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self):
        hass = pathlib.Path(sys.executable).parent / "hass"
        output = (self.folder / "output.log").open("ab")
        # Beside its interpreter lie the tools that it may want to run.
        environment = os.environ | {"PATH": f"{hass.parent}:{os.environ['PATH']}"}
        command = [hass, "--config", self.folder, "--log-no-color", "--skip-pip"]
        self.process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
        until(self.is_listening, "Home Assistant listens", 120)
        if self.token:
            self.connect()

    def is_listening(self):
        assert self.process.poll() is None, (
            f"Home Assistant has ended:\n{(self.folder / 'output.log').read_text()[-3000:]}"
        )
        try:
            return is_open(self.port) and requests.get(f"{self.url}/manifest.json", timeout=5).status_code in (200, 404)
        except requests.RequestException:
            return False

    def stop(self):
        if self.socket:
            self.socket.close()
            self.socket = None
        end(self.process, 60)
        # The next start begins a new log.
        self.left, self.seen = self.complaints(), 0

    def restart(self):
        self.stop()
        self.start()

    # Setting up, as a browser does it for the first user.

    def onboard(self):
        owner = {"client_id": CLIENT, "name": "Owner", "username": "owner", "password": "long enough", "language": "en"}
        code = requests.post(f"{self.url}/api/onboarding/users", json=owner, timeout=30).json()["auth_code"]
        grant = {"grant_type": "authorization_code", "code": code, "client_id": CLIENT}
        self.token = requests.post(f"{self.url}/auth/token", data=grant, timeout=30).json()["access_token"]
        # The step "core_config" is left out: it adds a weather service, radio stations and more that ask the internet.
        self.rest("POST", "/api/onboarding/analytics", json={})
        self.rest(
            "POST",
            "/api/onboarding/integration",
            json={"client_id": CLIENT, "redirect_uri": f"{CLIENT}?auth_callback=1"},
        )
        self.connect()
        self.token = self.ask("auth/long_lived_access_token", client_name="tests", lifespan=1)

    def connect(self):
        self.socket = websocket.create_connection(f"ws://127.0.0.1:{self.port}/api/websocket", timeout=30)
        assert json.loads(self.socket.recv())["type"] == "auth_required"
        self.socket.send(json.dumps({"type": "auth", "access_token": self.token}))
        assert json.loads(self.socket.recv())["type"] == "auth_ok"
        self.number, self.waiting = 0, []
        until(lambda: self.ask("get_config")["state"] == "RUNNING", "Home Assistant has started", 120)

    def flow(self, handler, *answers):
        """Goes through a config flow; each answer is the form of one step. The entry's id."""
        step = self.rest(
            "POST", "/api/config/config_entries/flow", json={"handler": handler, "show_advanced_options": False}
        ).json()
        for answer in answers:
            assert step["type"] == "form", step
            assert not step.get("errors"), step
            # Newer versions have folded sections, which the browser sends as it shows them.
            folded = {
                field["name"]: untouched(field["schema"])
                for field in step["data_schema"]
                if field.get("type") == "expandable"
            }
            answer = {**folded, **answer}
            step = self.rest("POST", f"/api/config/config_entries/flow/{step['flow_id']}", json=answer).json()
        return step

    def add_mqtt(self, port, user, password):
        broker = {"broker": "127.0.0.1", "port": port, "username": user, "password": password}
        step = self.flow("mqtt", broker)
        assert step["type"] == "create_entry", step
        return step["result"]["entry_id"]

    # REST and WebSocket.

    def rest(self, method, path, check=True, **options):
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = requests.request(method, f"{self.url}{path}", headers=headers, timeout=60, **options)
        assert answer.ok or not check, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer

    def send(self, kind, **fields):
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "type": kind, **fields}))
        number = self.number
        self.socket.settimeout(60)
        while True:
            message = json.loads(self.socket.recv())
            if message["type"] == "result" and message["id"] == number:
                return message
            self.waiting.append(message)

    def ask(self, kind, **fields):
        answer = self.send(kind, **fields)
        assert answer["success"], f"{kind} {fields}: {answer.get('error')}"
        return answer["result"]

    def listen(self, event_type):
        """Subscribes; the number is for `heard`."""
        self.ask("subscribe_events", event_type=event_type)
        return self.number

    def heard(self, number, is_it=lambda data: True, seconds=60, what="an event"):
        """The data of the first event of that subscription for which `is_it`; it is heard once only."""
        end_at = time.monotonic() + seconds
        looked = 0
        while True:
            for at, message in enumerate(self.waiting[looked:], looked):
                if message["id"] == number and is_it(message["event"]["data"]):
                    del self.waiting[at]
                    return message["event"]["data"]
            looked = len(self.waiting)
            self.socket.settimeout(max(0.05, end_at - time.monotonic()))
            try:
                self.waiting.append(json.loads(self.socket.recv()))
            except websocket.WebSocketTimeoutException:
                others = [message["event"]["data"] for message in self.waiting if message["id"] == number]
                raise AssertionError(f"{what} did not come within {seconds} s; heard {others}") from None

    def service(self, action, target=None, **data):
        domain, name = action.split(".")
        extra = {"target": target} if target else {}
        return self.ask("call_service", domain=domain, service=name, service_data=data, **extra)

    # What it knows.

    def entities(self):
        """The registry by unique id."""
        return {
            entity["unique_id"]: entity
            for entity in self.ask("config/entity_registry/list")
            if entity["platform"] == "mqtt"
        }

    def entity(self, unique_id):
        return until(lambda: self.entities().get(unique_id), f"the entity {unique_id} exists")["entity_id"]

    def device(self, identifier):
        """The device of MQTT with that identifier, or None."""
        for device in self.ask("config/device_registry/list"):
            if ["mqtt", identifier] in device["identifiers"]:
                return device
        return None

    def state(self, entity_id):
        """The state with attributes, or None."""
        answer = self.rest("GET", f"/api/states/{entity_id}", check=False)
        return answer.json() if answer.ok else None

    def wait_state(self, entity_id, wanted, seconds=30):
        is_it = wanted if callable(wanted) else lambda value: value == wanted
        found = {}

        def look():
            found["now"] = self.state(entity_id)
            return found["now"] if found["now"] and is_it(found["now"]["state"]) else None

        try:
            return until(look, f"{entity_id} is {wanted}", seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}: {found['now']}") from None

    def is_available(self, entity_id):
        state = self.state(entity_id)
        return state and state["state"] != "unavailable"

    def automate(self, name, config):
        """Makes an automation as the editor does; waits until it is there."""
        self.rest("POST", f"/api/config/automation/config/{name}", json={"alias": name, **config})
        find = lambda: [
            state for state in self.rest("GET", "/api/states").json() if state["attributes"].get("id") == name
        ]
        state = until(find, f"the automation {name} exists")[0]
        assert state["state"] == "on", state
        return state["entity_id"]

    def forget_automation(self, name):
        self.rest("DELETE", f"/api/config/automation/config/{name}")

    # The log.

    def complaints(self):
        """Records of the level WARNING and above that came since the last call, each with all of its lines."""
        lines = (self.folder / "home-assistant.log").read_text(errors="replace").splitlines()
        records, into, self.left = [[record] for record in self.left], None, []
        for line in lines[self.seen :]:
            if ANY_RECORD.match(line):
                into = RECORD.match(line) and records.append([line]) is None
            elif into:
                records[-1].append(line)
        self.seen = len(lines)
        return ["\n".join(record) for record in records]
