"""A page that shows what the api says."""

import os
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

API = f"http://localhost:{os.environ['API_PORT']}/"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        try:
            with urllib.request.urlopen(API, timeout=2) as answer:
                status, text = 200, answer.read().decode()
        except OSError as error:
            status, text = 502, f"no answer from {API}: {error}"
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(f"<title>demo</title><h1>Jobs</h1><pre>{text}</pre>\n".encode())

    def log_message(self, form: str, *values: object) -> None:
        print(form % values)


port = int(os.environ["PORT"])
print(f"open http://localhost:{port} in a browser")
ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
