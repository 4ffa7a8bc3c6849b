"""A mail server that does to recipients what their names say, and writes each message it takes as a line of JSON.

python server.py [--cert FILE --key FILE] [--at-once] [--login USER:PASSWORD]: with a certificate it wants STARTTLS, or with --at-once
speaks TLS from the first byte on. The first line that it writes is its port.
"""

import argparse
import asyncio
import email
import email.policy
import json
import ssl

from aiosmtpd.smtp import SMTP, AuthResult


def say(what):
    print(json.dumps(what), flush=True)


class Handler:
    def __init__(self, at_once):
        self.at_once = at_once
        self.greylisted = set()

    async def handle_RCPT(self, server, session, envelope, address, options):
        name = address.partition("@")[0]
        if name == "unknown":
            return "550 5.1.1 no such user here, password geheim-1"
        if name == "full":
            return "452 4.2.2 mailbox full"
        if name == "relay":
            return f"554 5.7.1 <{address}>: Relay access denied"
        if name == "hang":
            await asyncio.sleep(3600)
        if name == "grey" and envelope.mail_from not in self.greylisted:
            self.greylisted.add(envelope.mail_from)
            say({"greylisted": address})
            return "451 4.7.1 greylisted, try again later"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.original_content, policy=email.policy.default)
        if envelope.rcpt_tos == ["strict@example.com"]:
            return "554 5.6.0 this message is not wanted here"
        say({
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "tls": self.at_once or session.ssl is not None,
            "login": session.auth_data.decode() if session.auth_data else None,
            "hello": session.host_name,
            "headers": {name.lower(): str(value) for name, value in message.items()},
            "names": [name for name, _ in message.items()],
            "text": message.get_content(),
        })
        return "250 2.0.0 queued as 7F3A"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cert")
    parser.add_argument("--key")
    parser.add_argument("--at-once", action="store_true")
    parser.add_argument("--login")
    told = parser.parse_args()
    context = None
    if told.cert:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(told.cert, told.key)

    def let_in(server, session, envelope, mechanism, given):
        said = f"{given.login.decode()}:{given.password.decode()}"
        return AuthResult(success=said == told.login, handled=False, auth_data=given.login)

    handler = Handler(told.at_once)

    async def serve():
        loop = asyncio.get_running_loop()

        def connected():
            own = {"hostname": "mail.example.com", "loop": loop}
            if told.login:
                own |= {"authenticator": let_in, "auth_required": True, "auth_require_tls": bool(context) and not told.at_once}
            if context and not told.at_once:
                own |= {"tls_context": context, "require_starttls": True}
            return SMTP(handler, **own)

        server = await loop.create_server(connected, "127.0.0.1", 0, ssl=context if told.at_once else None)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()

    asyncio.run(serve())


main()
