"""A real `python app.py` in a process of its own, and what it holds: memory, threads, files."""

import contextlib
import os
import random
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parent.parent


def free_port():
    """A port of loopback that nobody listens on, below those that the system gives to others in the meantime."""
    while True:
        port = random.SystemRandom().randrange(10_000, 32_768)  # a seed would give several processes the same
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port


class AppProcess:
    """The app on a free port: `url`, `log` (a path), `uploads` (its folder of temporary files), both in `folder`.

    `python` runs it; the other keyword arguments are environment variables. Raises RuntimeError, with the log, where it
    does not answer in time.
    """

    def __init__(self, folder, patience_seconds=120.0, python=sys.executable, **environment):
        self.log, self.uploads = folder / "log.txt", folder / "uploads"
        self.uploads.mkdir(exist_ok=True)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        env = os.environ | {
            "PYTHONPATH": str(ROOT),
            "GRADIO_SERVER_PORT": str(self.port),
            "GRADIO_TEMP_DIR": str(self.uploads),
        }
        with self.log.open("wb") as log:
            self.process = subprocess.Popen([python, "app.py"], cwd=ROOT, env=env | environment, stdout=log, stderr=log)
        try:
            self.wait_until_served(patience_seconds)
        except BaseException:
            self.stop()
            raise

    def wait_until_served(self, patience_seconds):
        deadline = time.monotonic() + patience_seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"app.py ended with {self.process.returncode}: {self.log.read_text()}")
            try:
                return httpx.get(f"{self.url}/config", timeout=patience_seconds).raise_for_status()
            except httpx.HTTPError:
                time.sleep(0.05)
        raise RuntimeError(f"app.py did not answer in {patience_seconds:g} s: {self.log.read_text()}")

    def status(self, field):
        """A number of /proc/PID/status: VmRSS and VmHWM in KB, Threads."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))

    def memory_megabytes(self):
        """Resident memory now."""
        return self.status("VmRSS") / 1024

    def threads(self):
        return self.status("Threads")

    def open_files(self):
        """File descriptors, connections included."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def files(self):
        """Every file under the folder of temporary files."""
        return [path for path in self.uploads.rglob("*") if path.is_file()]

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()  # SIGINT is ignored by what a shell started in the background
            try:
                self.process.wait(120)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
