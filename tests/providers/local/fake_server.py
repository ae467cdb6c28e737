"""Stands in for the model's server: takes its flags, lists its model, and dies, stays mute or deaf as it is told.

`$HOME/behaviour` holds words: `crash` (end at once), `mute` (never listen), `deaf` (ignore SIGTERM). A GET of /crash
ends it. What it sees of its environment is written to `$HOME/environment.json`.
"""

import argparse
import json
import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

HOME = Path(os.environ["HOME"])


class Handler(BaseHTTPRequestHandler):
    model = ""

    def do_GET(self) -> None:
        if self.path == "/crash":
            os._exit(3)
        body = json.dumps({"object": "list", "data": [{"id": self.model, "object": "model"}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    flags = argparse.ArgumentParser(allow_abbrev=False)
    flags.add_argument("-m")
    flags.add_argument("--host")
    flags.add_argument("-p", type=int)
    known, _ = flags.parse_known_args()
    behaviour = (HOME / "behaviour").read_text().split() if (HOME / "behaviour").exists() else []
    (HOME / "environment.json").write_text(json.dumps(dict(os.environ)))
    print("loading", known.m, flush=True)
    if "deaf" in behaviour:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "crash" in behaviour:
        sys.exit("no memory for this")
    if "mute" in behaviour:
        time.sleep(60)
    Handler.model = Path(known.m).name
    HTTPServer((known.host, known.p), Handler).serve_forever()


if __name__ == "__main__":
    main()
