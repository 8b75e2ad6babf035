"""Faults of the stand-in Hub: answers that break, lie, wait or refuse, and the log of what was asked."""

import asyncio
import re

from fastapi import Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

TOKEN = "hf_standin"


def install(app, hub):
    """Let `hub.faults` and the token rule over the requests to `app`, and `hub.log` list them."""

    @app.middleware("http")
    async def log_and_break(request: Request, call_next):
        line = f"{request.method} {request.url.path}"
        if line.startswith(("POST /_", "GET /_")):
            return await call_next(request)
        hub.log.append(line)
        writes = request.url.path.startswith("/api") and request.method != "GET"
        if writes and TOKEN not in request.headers.get("authorization", ""):
            message = "Invalid credentials in Authorization header"
            return JSONResponse({"error": message}, 401, {"X-Error-Code": "InvalidToken", "X-Error-Message": message})
        for fault in hub.faults:
            if fault["times"] > 0 and re.search(fault["match"], line):
                fault["times"] -= 1
                await asyncio.sleep(fault.get("delay", 0))
                if "status" in fault:
                    body = {"error": fault.get("message", "injected")}
                    return JSONResponse(body, fault["status"], fault.get("headers"))
                if "cut" in fault:
                    return await cut(await call_next(request), fault["cut"])
                if "corrupt" in fault:
                    return await corrupt(await call_next(request))
        return await call_next(request)

    @app.post("/_faults")
    async def set_faults(request: Request):
        hub.faults = await request.json()
        return {}

    @app.get("/_faults")
    def left():
        return [fault for fault in hub.faults if fault["times"]]

    @app.get("/_log")
    def log():
        return hub.log


async def body_of(response):
    return b"".join([part async for part in response.body_iterator])


async def cut(response, length):
    """The response's headers and its first bytes, then a broken connection."""
    body = await body_of(response)

    async def broken():
        yield body[:length]
        raise ConnectionResetError("injected: cut connection")

    return StreamingResponse(broken(), response.status_code, dict(response.headers))


async def corrupt(response):
    """The response with the last byte of its body changed; length and ETag are those of the right one."""
    body = await body_of(response)
    body = body[:-1] + bytes([body[-1] ^ 1]) if body else body
    return Response(body, response.status_code, dict(response.headers))
