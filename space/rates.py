"""How often one person may ask: events of a key in a minute, and whose request it is."""

import hashlib
import ipaddress
import math
import os
import secrets
import time
from collections import OrderedDict, deque

WINDOW_SECONDS = 60.0
SECRET = secrets.token_bytes(16)


class Rate:
    """At most `limit` events of one key in any minute. Keys are kept as keyed hashes, and for a minute only."""

    def __init__(self, limit, clock=time.monotonic):
        self.limit, self.clock = limit, clock
        self.times = OrderedDict()  # hashed key: times of its events; the keys seen last at the end

    def wait(self, key):
        """Count an event of the string `key`. 0 where it may happen now, else the whole seconds until the next may."""
        now = self.clock()
        self.forget(now)
        key = hashlib.blake2b(key.encode(), key=SECRET, digest_size=16).digest()
        times = self.times.setdefault(key, deque())
        while times and now - times[0] >= WINDOW_SECONDS:
            times.popleft()
        if len(times) >= self.limit:
            return math.ceil(WINDOW_SECONDS - (now - times[0]))
        times.append(now)
        self.times.move_to_end(key)
        return 0

    def forget(self, now):
        """Drop the keys without an event in the last minute."""
        while self.times:
            key, times = next(iter(self.times.items()))
            if times and now - times[-1] < WINDOW_SECONDS:
                return
            del self.times[key]


def client_address(scope, environment=os.environ):
    """Who a request of an ASGI `scope` is counted for: an IPv4 address or an IPv6 network of 64 bits.

    That is the connection's other end; on a Space, where that is the platform's proxy (a private address), the last
    public address of X-Forwarded-For. Anywhere else the header is the client's own word, and not believed.
    """
    peer = (scope.get("client") or ("",))[0]
    if "SPACE_ID" in environment and is_private(peer):
        lines = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"]
        for host in reversed(",".join(lines).split(",")):
            if is_private(host.strip()) is False:
                return network(host.strip())
    return network(peer)


def is_private(host):
    """Whether `host` is an address of a private network or of this machine; None where it is no address."""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return None


def network(host):
    """`host`, an IPv6 address without its last 64 bits: those a client chooses itself."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    address = getattr(address, "ipv4_mapped", None) or address  # as a socket for both versions names IPv4's
    return str(ipaddress.ip_network((address, 64), strict=False)) if address.version == 6 else str(address)
