"""Prints what the integrations of this suite need, as pip understands it, so that nothing is installed in a test.

Run by the Python into which Home Assistant is installed: its own manifests say it, for each version rightly.
"""

import json
import pathlib
import sys

import homeassistant

# What the tests use.
USED = {
    "auth", "automation", "camera", "config", "event", "frontend", "history", "image", "logbook", "mjpeg",
    "mobile_app", "mqtt", "onboarding", "person", "recorder", "system_log", "tag",
}  # fmt: skip
# What newer versions set up or import beside these, for MQTT's platforms, the app and the frontend.
BESIDE = {
    "ai_task", "analytics", "assist_pipeline", "assist_satellite", "conversation", "ffmpeg", "hassio", "infrared",
    "marketplace", "radio_frequency", "tts",
}  # fmt: skip


def manifests(wanted):
    components = pathlib.Path(homeassistant.__file__).parent / "components"
    known, open_ = {}, list(wanted)
    while open_:
        domain = open_.pop()
        path = components / domain / "manifest.json"
        if domain in known or not path.is_file():
            continue
        known[domain] = json.loads(path.read_text())
        open_ += known[domain].get("dependencies", [])
    return known


if __name__ == "__main__":
    needed = {line for manifest in manifests(USED | BESIDE).values() for line in manifest.get("requirements", [])}
    sys.stdout.write("".join(f"{line}\n" for line in sorted(needed)))
