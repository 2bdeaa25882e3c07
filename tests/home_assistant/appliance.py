"""The real appliance: the program with a configuration file, a data folder and the built-in demo scene."""

import json
import os
import pathlib
import subprocess

import requests

from waiting import end, free_port, until

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(
    os.environ.get("DOORWARD_BIN") or ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "debug/doorward"
)

# Twice as fast as life, told at once, and cheap enough for two cores.
SETTINGS = """
[faces]
unknown_grace = 1
cadence = 8
known_quiet = 0
suppress_unknown_after_known = 0
suppress_motion_after_known = 0
[events]
motion_cooldown = 0
unknown_cooldown = 0
camera_cooldown = 0
"""
PORCH = {"name": "Porch", "source": "demo:seed=1,speed=2", "width": 640, "height": 360, "fps": 10, "area": "Garden"}
# A camera that costs next to nothing.
YARD = {"name": "Yard", "source": "demo:seed=2,speed=0.25", "width": 320, "height": 240, "fps": 2,
        "motion_detection": False, "face_recognition": False}  # fmt: skip


class Appliance:
    """`broker` is a Mosquitto, or None for the embedded broker."""

    def __init__(self, folder: pathlib.Path, broker=None, node="home", name="Doorward", cameras=None):
        self.folder, self.broker, self.node, self.name = folder, broker, node, name
        self.cameras = {"porch": dict(PORCH), "yard": dict(YARD)} if cameras is None else cameras
        self.port, self.broker_port, self.process = free_port(), free_port(), None
        self.data = folder / "data"
        folder.mkdir(parents=True)

    @property
    def topic(self):
        return f"doorward/{self.node}"

    def write_config(self):
        lines = [SETTINGS, f'[node]\nid = "{self.node}"\nname = "{self.name}"\n[http]\nbind = "0.0.0.0:{self.port}"']
        if self.broker:
            secret = self.folder / "password"
            secret.write_text(f"{self.broker.password}\n")
            lines.append(f'[mqtt]\nhost = "127.0.0.1"\nport = {self.broker.port}\nusername = "{self.broker.user}"')
            lines.append(f'password_file = "{secret}"\npicture_interval = 1')
        else:
            lines.append(f'[mqtt]\npicture_interval = 1\n[broker]\nbind = "127.0.0.1:{self.broker_port}"')
        for camera, settings in self.cameras.items():
            lines.append(f"[cameras.{camera}]")
            lines += [f"{key} = {json.dumps(value)}" for key, value in settings.items() if key != "motion"]
            lines.append(f"[cameras.{camera}.motion]\nhold = 1")
        (self.folder / "doorward.toml").write_text("\n".join(lines) + "\n")

    def flags(self):
        return ["--config", self.folder / "doorward.toml", "--data-dir", self.data]

    def start(self):
        self.write_config()
        log = (self.folder / "doorward.log").open("ab")
        self.process = subprocess.Popen([BINARY, "run", *self.flags()], stdout=log, stderr=log)
        until(self.is_up, "the appliance answers", 30)

    def is_up(self):
        assert self.process.poll() is None, f"the appliance has ended:\n{self.log()[-3000:]}"
        try:
            return requests.get(f"http://127.0.0.1:{self.port}/healthz", timeout=5).status_code in (200, 503)
        except requests.ConnectionError:
            return False

    def stop(self):
        end(self.process)

    def restart(self):
        self.stop()
        self.start()

    def log(self):
        return (self.folder / "doorward.log").read_text(errors="replace")

    def run(self, *words):
        """One command of the program about this appliance; its output."""
        command = [BINARY, *words, *self.flags()]
        result = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert result.returncode == 0, f"{words}: {result.stdout}\n{result.stderr}"
        return result.stdout

    def secrets(self):
        return json.loads((self.data / "secrets.json").read_text())

    @property
    def token(self):
        return self.secrets()["http_token"]

    def login(self):
        """Port, user and password with which Home Assistant comes to the broker."""
        if self.broker:
            return self.broker.port, self.broker.user, self.broker.password
        return self.broker_port, "homeassistant", self.secrets()["broker"]["homeassistant"]

    def identity(self):
        return json.loads((self.data / "identity.json").read_text())

    def object(self, camera=None):
        """The id of a device: what `identifiers` and all unique ids begin with."""
        identity = self.identity()
        parts = ["doorward", identity["node"], *([identity["cameras"][camera]] if camera else [])]
        return "_".join(parts).replace("-", "")

    def rest(self, method, path, **options):
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = requests.request(method, f"http://127.0.0.1:{self.port}{path}", headers=headers, timeout=20, **options)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer

    def value(self, camera, key):
        """What the appliance itself says a switch or number is, as text."""
        return str(self.rest("GET", f"/api/cameras/{camera}/entities/{key}").json()["value"])

    def people(self):
        return {person["person"] for person in self.rest("GET", "/api/faces").json()["people"]}
