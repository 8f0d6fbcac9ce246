"""Headers that every answer has: nothing here is for caches, frames, or guesses at its type.

The answers are data, so their policy lets a browser load nothing for them; but for the page at
`/schema`, whose one style is allowed by its hash.
"""

import hashlib
from base64 import b64encode

PAGE_STYLE = (
    "body{font:16px/1.4 sans-serif;margin:2rem;max-width:75rem}"
    "details{border-top:1px solid #ccc;padding:.3rem 0}summary{cursor:pointer}"
    "code{font-family:monospace}pre{overflow:auto;background:#f4f4f4;padding:.6rem}"
)
"""Of the page that shows the routes."""
_STYLE = b64encode(hashlib.sha256(PAGE_STYLE.encode()).digest()).decode()

HEADERS = {
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
    "content-security-policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE}'; frame-ancestors 'none'; "
        "base-uri 'none'; form-action 'none'"
    ),
    "referrer-policy": "no-referrer",
}
RAW_HEADERS = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
"""The same as ASGI wants them."""
