"""ASGI middleware before Gradio: closed doors, bounds of bodies and rates, and the headers of every answer."""

import asyncio
import json
from contextlib import suppress

from starlette.requests import ClientDisconnect

from space.limits import LIMITS
from space.rates import Rate, client_address
from space.text import preferred_language, say

BASE64 = 4 / 3

HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"permissions-policy", b"camera=(self), microphone=(), geolocation=()"),
    (
        b"content-security-policy",  # Gradio's page has inline scripts and styles; scripts of other hosts stay out
        b"default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
        b"img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; "
        b"connect-src 'self' data: blob:; object-src 'none'; base-uri 'self'; "
        b"frame-ancestors 'self' https://huggingface.co https://*.hf.space",
    ),
]

# Gradio's own doors that this app has no use for: they fetch addresses, run ffmpeg on uploads, show its insides, or, as
# cancel does, give a question's place away while its thread works on.
CLOSED = (
    "file/",
    "proxy=",
    "process_recording",
    "vibe",
    "monitoring",
    "custom_component",
    "deep_link",
    "dev/",
    "runs",
    "cancel",
)
API_PREFIX = "/gradio_api/"


def place_of(path):
    """A request's decoded path without Gradio's prefix: its routes answer under both."""
    return path.removeprefix(API_PREFIX).lstrip("/")


def is_closed(path):
    """Whether a request's decoded path leads to one of the closed doors, or asks `/file=` for another host's file."""
    place = place_of(path)
    name, _, file = place.partition("file=")
    return place.startswith(CLOSED) or (not name and "://" in file)


class Doorkeeper:
    """Refuses closed doors, bodies beyond the limits as they arrive, and who asks too often; adds `HEADERS`."""

    def __init__(self, app, limits=LIMITS):
        self.app, self.limits = app, limits
        self.requests = Rate(limits.address_requests_per_minute)
        self.frames = Rate(limits.frames_per_minute)

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if is_closed(scope["path"]):
            await self.answer(scope, send, 404, "Not found.")
            return
        seconds = self.wait(scope)
        if seconds:
            await self.refuse(scope, send, 429, "too_often", seconds=seconds)
            return
        upload = place_of(scope["path"]) == "upload"
        megabytes = self.limits.video_megabytes if upload else self.limits.picture_megabytes
        largest = megabytes * (1 if upload else BASE64) * 1e6 + 1e5
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if not length.isdigit() or int(length) > largest:
            await self.refuse(scope, send, 413, "request_too_large", limit=f"{megabytes:g}")
            return
        received, complete, refused, answered = 0, False, None, False

        async def counted():
            nonlocal received, complete, refused
            try:
                message = await asyncio.wait_for(receive(), None if complete else self.limits.stall_seconds)
            except TimeoutError:
                refused = (408, "request_stalled")
                return {"type": "http.disconnect"}
            received += len(message.get("body", b""))
            complete = complete or not message.get("more_body", False)
            if received > largest:
                refused = (413, "request_too_large")
            return {"type": "http.disconnect"} if refused else message

        async def labelled(message):
            nonlocal answered
            if refused and not answered:
                return  # what the app says of a break that is ours
            if message["type"] == "http.response.start":
                answered = True
                message = message | {"headers": [*message.get("headers", []), *HEADERS]}
            await send(message)

        with suppress(ClientDisconnect):  # who breaks off an upload is no error of ours
            await self.app(scope, counted, labelled)
        if refused and not answered:
            await self.refuse(scope, send, *refused, limit=f"{megabytes:g}")

    def wait(self, scope):
        """Seconds that a request has to wait: work (every POST) is counted by address, frames by their stream."""
        if scope["method"] != "POST":
            return 0
        place, _, rest = place_of(scope["path"]).partition("/")
        if place == "stream":
            return 0 if rest.endswith("/close") else self.frames.wait(rest)
        return self.requests.wait(client_address(scope))

    async def refuse(self, scope, send, status, key, **values):
        languages = dict(scope["headers"]).get(b"accept-language", b"").decode("latin-1")
        await self.answer(scope, send, status, say(preferred_language(languages), key, **values), values.get("seconds"))

    async def answer(self, scope, send, status, sentence, retry_after=None):
        plain = place_of(scope["path"]) == "upload"  # the page shows an upload's refusal as it is
        headers = [(b"content-type", b"text/plain; charset=utf-8" if plain else b"application/json")]
        headers += [(b"connection", b"close"), *HEADERS]
        if retry_after:
            headers.append((b"retry-after", str(retry_after).encode()))
        body = sentence if plain else json.dumps({"detail": sentence}, ensure_ascii=False)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body.encode()})
