"""A telephone with the companion app, as far as Home Assistant can tell: registered, with a place to push to."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from waiting import until


class Telephone:
    """Also serves files, so that Home Assistant can fetch a blueprint by its address."""

    def __init__(self):
        self.pushed, self.files = [], {}
        phone = self

        class Door(BaseHTTPRequestHandler):
            def do_POST(self):
                phone.pushed.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.answer(
                    201,
                    json.dumps(
                        {
                            "rateLimits": {
                                "successful": 1,
                                "errors": 0,
                                "maximum": 500,
                                "resetsAt": "2099-01-01T00:00:00Z",
                            }
                        }
                    ).encode(),
                )

            def do_GET(self):
                found = phone.files.get(self.path)
                self.answer(200 if found else 404, found or b"")

            def answer(self, status, body):
                self.send_response(status)
                self.send_header("Content-Type", "application/json" if self.command == "POST" else "text/plain")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def register(self, home):
        self.home = home
        self.webhook = home.rest("POST", "/api/mobile_app/registrations", json={
            "device_id": "test-phone", "app_id": "io.doorward.test", "app_name": "Test", "app_version": "1",
            "device_name": "Alice's phone", "manufacturer": "Test", "model": "Test", "os_name": "Test", "os_version": "1",
            "supports_encryption": False, "app_data": {"push_token": "token", "push_url": f"{self.url}/push"},
        }).json()["webhook_id"]  # fmt: skip
        until(
            lambda: "mobile_app_alice_s_phone" in home.ask("get_services").get("notify", {}),
            "the phone can be notified",
        )
        devices = home.ask("config/device_registry/list")
        self.device = next(device["id"] for device in devices if ["mobile_app", "test-phone"] in device["identifiers"])

    def next(self, is_it, what, seconds=60):
        """The first message for which `is_it`; it is taken once only."""

        def find():
            return next((message for message in self.pushed if is_it(message)), None)

        found = until(find, what, seconds)
        self.pushed.remove(found)
        return found

    def press(self, action, **more):
        """Presses a button of a message, as the app tells it to Home Assistant."""
        event = {
            "type": "fire_event",
            "data": {"event_type": "mobile_app_notification_action", "event_data": {"action": action, **more}},
        }
        self.home.rest("POST", f"/api/webhook/{self.webhook}", json=event)

    def close(self):
        self.server.shutdown()
