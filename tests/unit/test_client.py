"""The HTTP client of a manager, against a server that says what a manager says."""

import http.server
import threading

from nni.experiment import client

STREAM = b"""\
id: a-1
event: change
data: {"revision": 1}

: still here
event: beat
data: 1795570319093

event: change
data: {"revision": 2}

"""


class _Stream(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.wfile.write(STREAM)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 the name is the library's
        pass


def test_heartbeats_are_no_changes() -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), _Stream) as server:
        thread = threading.Thread(target=server.handle_request, daemon=True)
        thread.start()
        events = list(client.Client(url=f"http://127.0.0.1:{server.server_port}", token="token").events())
        thread.join()
    assert events == [{"revision": 1}, {"revision": 2}]
