"""A real receiver of webhooks on loopback, which checks signatures as Standard Webhooks says, with code of its own."""

import base64
import hashlib
import hmac
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Receiver:
    """What came in: (id, signed rightly, body). It answers by `statuses`, the last one for all that follow."""

    def __init__(self):
        self.secret = ""
        self.statuses = [204]
        self.seen = []
        self.url = ""

    def ids(self):
        return [event_id for event_id, _, _ in self.seen]

    def signed(self, headers, body):
        key = base64.b64decode(self.secret.removeprefix("whsec_"))
        said = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        wanted = "v1," + base64.b64encode(hmac.new(key, said, hashlib.sha256).digest()).decode()
        return hmac.compare_digest(wanted, headers["webhook-signature"])

    def status(self):
        return self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]


@contextmanager
def receiver():
    made = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            made.seen.append((self.headers["webhook-id"], made.signed(self.headers, body), json.loads(body)))
            status = made.status()
            self.send_response(status)
            if status in {301, 307}:
                self.send_header("location", made.url)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_):  # a gateway that is killed resets its connections
            pass

    server = Server(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_port}/hook"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
