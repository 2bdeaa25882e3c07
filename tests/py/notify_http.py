"""A web server with bad days that prints each request, one JSON object a line; the first line is its port.

Usage: notify_http.py ANSWER... [--port N] [--secret TEXT] [--cert FILE --key FILE]
The first request gets the first ANSWER, and so on; the last one serves all that follow:
  200, 404 …   a status with a few words
  429:2        a status with Retry-After
  301          a redirect to /elsewhere
  echo         401 that repeats everything it was sent
  hang         no answer at all
  close        the connection ends in the middle of the answer's head
  slow         500 whose body never ends
  text:…       200 with that text
"""

import argparse
import base64
import email.header
import hashlib
import hmac
import json
import ssl
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

parser = argparse.ArgumentParser()
parser.add_argument("answers", nargs="+")
parser.add_argument("--port", type=int, default=0)
parser.add_argument("--secret", default="")
parser.add_argument("--cert")
parser.add_argument("--key")
arguments = parser.parse_args()
answers = list(arguments.answers)


def say(line):
    print(json.dumps(line), flush=True)


def decoded(text):
    """What a reader of RFC 2047 sees."""
    return str(email.header.make_header(email.header.decode_header(text)))


def is_signed(headers, body):
    """The recipe of docs/notify.md."""
    signed = headers.get("X-Doorward-Timestamp", "").encode() + b"." + body
    wanted = "sha256=" + hmac.new(arguments.secret.encode(), signed, hashlib.sha256).hexdigest()
    fresh = abs(time.time() - int(headers.get("X-Doorward-Timestamp", "0"))) < 300
    return fresh and hmac.compare_digest(wanted, headers.get("X-Doorward-Signature", ""))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        line = {
            "method": self.command,
            "path": self.path,
            "headers": {name.lower(): decoded(value) for name, value in self.headers.items()},
            "raw_title": self.headers.get("Title"),
            "signed": is_signed(self.headers, body),
            "sha256": hashlib.sha256(body).hexdigest(),
            "time": time.monotonic(),
        }
        try:
            line["json"] = json.loads(body)
            picture = base64.b64decode(line["json"].pop("picture_b64") or b"")
            line["picture_sha256"] = hashlib.sha256(picture).hexdigest()
        except (ValueError, KeyError, TypeError):
            line["text"] = body.decode(errors="replace")[:2000]
        kind = answers.pop(0) if len(answers) > 1 else answers[0]
        say(line)
        self.carry_out(kind)

    do_GET = do_POST = do_PUT = answer

    def carry_out(self, kind):
        name, _, detail = kind.partition(":")
        if kind == "hang":
            time.sleep(3600)
        elif kind == "close":
            self.wfile.write(b"HTTP/1.1 200 O")
            self.close_connection = True
        elif kind == "slow":
            self.wfile.write(b"HTTP/1.1 500 Slow\r\nContent-Length: 1000000\r\n\r\n")
            while True:
                self.wfile.write(b"x")
                time.sleep(0.05)
        elif kind == "echo":
            self.reply(401, f"{self.path}\r\n{self.headers}")
        elif name == "text":
            self.reply(200, detail)
        else:
            self.reply(int(name), f"said\n\x1b the server {name}", detail)

    def reply(self, status, text, wait=""):
        body = text.encode()
        self.send_response(status)
        if wait:
            self.send_header("Retry-After", wait)
        if status == 301:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """Clients that go away are part of the test."""


server = Server(("127.0.0.1", arguments.port), Handler)
if arguments.cert:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(arguments.cert, arguments.key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
say({"port": server.server_address[1]})
server.serve_forever()
