"""Between a client and the API server: an HTTP server that passes every request on, but tells of another version."""

from __future__ import annotations

import json
import ssl
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from stand.control_plane import ControlPlane

KEPT = ("Authorization", "Content-Type", "Accept")


class OldServer:
    """A context manager. What it tells on /version is the API server's own with ``minor`` in it, all else is real."""

    def __init__(self, plane: ControlPlane, minor: int) -> None:
        context = ssl.create_default_context(cafile=plane.credentials.authority)
        handlers = (urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
        opener, target = urllib.request.build_opener(*handlers), plane.server

        class Handler(BaseHTTPRequestHandler):
            def _pass_on(self) -> None:
                headers = {name: self.headers[name] for name in KEPT if name in self.headers}
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)) or None
                request = urllib.request.Request(f"{target}{self.path}", body, headers, method=self.command)
                try:
                    with opener.open(request, timeout=10) as answer:
                        self._answer(answer.status, answer.read())
                except urllib.error.HTTPError as error:
                    with error:
                        self._answer(error.code, error.read())

            def _answer(self, status: int, body: bytes) -> None:
                if self.path == "/version":
                    told = {"major": "1", "minor": str(minor), "gitVersion": f"v1.{minor}.0"}
                    body = json.dumps(json.loads(body) | told).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = _pass_on  # noqa: N815 - the names that http.server asks for

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, name="old server", daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
