"""An OpenID Connect provider that lets everybody in at once, as whoever the test says."""

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwk, jwt


class Provider:
    """Discovery, authorisation, tokens and keys, over plain HTTP on loopback."""

    def __init__(self, email: str, client_id: str) -> None:
        self.email, self.client_id = email, client_id
        self.key = jwk.RSAKey.generate_key(2048, {"kid": "k", "use": "sig"})
        self._nonces: dict[str, str] = {}
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                url = urlsplit(self.path)
                if url.path == "/authorize":
                    asked = {name: values[0] for name, values in parse_qs(url.query).items()}
                    self.send_response(302)
                    self.send_header("location", provider.authorise(asked))
                    self.end_headers()
                    return
                self._answer(provider.public(url.path))

            def do_POST(self) -> None:
                length = int(self.headers.get("content-length", 0))
                asked = parse_qs(self.rfile.read(length).decode())
                self._answer(provider.token(asked["code"][0]))

            def _answer(self, body: dict[str, object]) -> None:
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.end_headers()
                self.wfile.write(json.dumps(body).encode())

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def authorise(self, asked: dict[str, str]) -> str:
        code = base64.urlsafe_b64encode(asked["state"].encode()).decode()
        self._nonces[code] = asked.get("nonce", "")
        told = urlencode({"code": code, "state": asked["state"]})
        return f"{asked['redirect_uri']}?{told}"

    def token(self, code: str) -> dict[str, object]:
        claims = {
            "iss": self.url,
            "aud": self.client_id,
            "sub": "1",
            "email": self.email,
            "email_verified": True,
            "nonce": self._nonces[code],
            "iat": 1_700_000_000,
            "exp": 4_000_000_000,
        }
        id_token = jwt.encode({"alg": "RS256", "kid": "k"}, claims, self.key)
        return {"access_token": "a", "token_type": "Bearer", "id_token": id_token}

    def public(self, path: str) -> dict[str, object]:
        if path == "/jwks":
            return {"keys": [self.key.as_dict(private=False)]}
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/jwks",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        }
