"""A real mail server (aiosmtpd) that prints what it takes, one JSON object a line; the first line is its port.

Usage: notify_smtp.py plain|starttls|tls [--cert FILE --key FILE] [--login USER PASSWORD]
Mail to nobody@... is refused for good, the first two to later@... for now.
"""

import argparse
import asyncio
import email
import email.policy
import hashlib
import json
import logging
import ssl
import warnings

from aiosmtpd.smtp import SMTP, AuthResult

# Clients that do not trust the certificate are part of the test.
logging.disable()
warnings.simplefilter("ignore")

parser = argparse.ArgumentParser()
parser.add_argument("security", choices=["plain", "starttls", "tls"])
parser.add_argument("--cert")
parser.add_argument("--key")
parser.add_argument("--login", nargs=2)
arguments = parser.parse_args()


def say(line):
    print(json.dumps(line), flush=True)


class Printer:
    put_off = 0

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("nobody@"):
            return "550 5.1.1 nobody of that name lives here"
        if address.startswith("later@") and self.put_off < 2:
            self.put_off += 1
            return "451 4.7.1 greylisted, come back later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.original_content, policy=email.policy.default)
        files = [part for part in mail.walk() if part.get_filename()]
        say(
            {
                "sender": envelope.mail_from,
                "recipients": envelope.rcpt_tos,
                "encrypted": session.ssl is not None or arguments.security == "tls",
                "login": session.authenticated,
                "subject": mail["subject"],
                "from": mail["from"],
                "id": mail["message-id"],
                "date": mail["date"].datetime.isoformat(),
                "text": mail.get_body(("plain",)).get_content(),
                "files": [
                    {
                        "name": part.get_filename(),
                        "type": part.get_content_type(),
                        "sha256": hashlib.sha256(part.get_content()).hexdigest(),
                    }
                    for part in files
                ],
            }
        )
        return "250 OK"


def authenticate(server, session, envelope, mechanism, data):
    right = [text.encode() for text in arguments.login or []]
    if [data.login, data.password] == right:
        return AuthResult(success=True)
    # A server that repeats what nobody may read.
    said = "535 5.7.8 wrong: " + data.password.decode("ascii", "replace")
    return AuthResult(success=False, handled=False, message=said)


def tls():
    if not arguments.cert:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(arguments.cert, arguments.key)
    return context


def server(handler, context):
    return SMTP(
        handler,
        tls_context=context if arguments.security == "starttls" else None,
        require_starttls=arguments.security == "starttls",
        authenticator=authenticate,
        auth_required=arguments.login is not None,
        auth_require_tls=False,
    )


async def main():
    handler, context = Printer(), tls()
    outer = context if arguments.security == "tls" else None
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(lambda: server(handler, context), "127.0.0.1", 0, ssl=outer)
    say({"port": listener.sockets[0].getsockname()[1]})
    await listener.serve_forever()


asyncio.run(main())
