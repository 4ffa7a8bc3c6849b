"""A provider of logins that others wrote: `oidc-provider-mock`, on Authlib. It does not look at PKCE by itself, so Authlib's own check of it
is added here, and a login without S256 is refused.

    provider.py PORT

PUT /users/SUB with claims as JSON says who there is; POST to the address of a login with sub=SUB logs them in, action=deny refuses.
"""

import os
import sys
from dataclasses import dataclass

import uvicorn
from authlib.oauth2.rfc6749 import InvalidRequestError
from authlib.oauth2.rfc7636 import CodeChallenge
from oidc_provider_mock import _app


@dataclass(kw_only=True, frozen=True)
class Code(_app.AuthorizationCode):
    """A code that remembers what it was asked for with."""

    code_challenge: str | None = None
    code_challenge_method: str | None = None


class Grant(_app.AuthorizationCodeGrant):
    """Keeps the challenge with the code."""

    def save_authorization_code(self, code, request):
        asked = request.payload.data
        _app.storage.store_authorization_code(
            Code(
                code=code,
                user_id=request.user.sub,
                client_id=request.client.get_client_id(),
                redirect_uri=request.payload.redirect_uri,
                scope=request.payload.scope,
                nonce=asked.get("nonce"),
                code_challenge=asked.get("code_challenge"),
                code_challenge_method=asked.get("code_challenge_method"),
            )
        )


class OnlyS256(CodeChallenge):
    """Nobody comes in without a challenge."""

    SUPPORTED_CODE_CHALLENGE_METHOD = ["S256"]

    def validate_code_challenge(self, grant, redirect_uri):
        asked = grant.request.payload.data
        if not asked.get("code_challenge") or asked.get("code_challenge_method") != "S256":
            raise InvalidRequestError("this provider wants PKCE with S256")
        super().validate_code_challenge(grant, redirect_uri)


class Server(_app.flask_oauth2.AuthorizationServer):
    """Checks the challenge wherever codes are given and taken."""

    def register_grant(self, grant_cls, extensions=None):
        if grant_cls is Grant:
            extensions = [*(extensions or []), OnlyS256(required=True)]
        super().register_grant(grant_cls, extensions)


def main():
    os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"
    _app.AuthorizationCodeGrant = Grant
    _app.flask_oauth2.AuthorizationServer = Server
    app = _app.app(require_nonce=True)
    app.debug = False
    uvicorn.run(app, interface="wsgi", host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")


main()
