"""A queue of jobs over HTTP: POST /jobs puts one in, DELETE /jobs takes one out, GET / tells the numbers."""

import json
import os
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

jobs: deque[str] = deque()
counts = {"put": 0, "taken": 0}


class Handler(BaseHTTPRequestHandler):
    def answer(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        self.answer(200, {**counts, "waiting": len(jobs)})

    def do_POST(self) -> None:
        jobs.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
        counts["put"] += 1
        print(f"put {jobs[-1]!r}, {len(jobs)} waiting")
        self.answer(201, {"waiting": len(jobs)})

    def do_DELETE(self) -> None:
        if not jobs:
            self.answer(404, {"error": "nothing to do"})
            return
        counts["taken"] += 1
        self.answer(200, {"job": jobs.popleft()})

    def log_message(self, *_: object) -> None:
        """Say nothing of each request."""


port = int(os.environ["PORT"])
print(f"listening on http://localhost:{port}")
ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
