"""A proxy before an S3 server that fails at chosen requests: deterministic, without sleeps as proof."""

import http.client
import http.server
import signal
import threading
import time


class Proxy:
    """Listens on a port of its own; `plan(number, method, path)` gives what happens to a request, or None.

    What can happen: ("kill", "before" | "middle" | "after"): the client is killed with SIGKILL before the
    server hears of the request, in the middle of the answer, or before it hears the answer;
    ("status", 500): the server says so; ("lost",): the server does it, and says that it failed; ("cut", bytes): the connection ends within the answer's body;
    ("upload", share): only a part of what was sent arrives, and nobody says so; ("shorten", share): the
    answer's body is shorter, and says that this is all; ("flip",): one bit of the answer's body;
    ("slow", bytes, seconds): the answer trickles; ("call", function): somebody else acts first.
    """

    def __init__(self, upstream):
        self.upstream = upstream
        self.plan = lambda number, method, path: None
        self.requests = []
        self.lock = threading.Lock()
        self.victim = None
        self.known = threading.Event()
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *args):
                pass

            def handle_one_request(self):
                try:
                    super().handle_one_request()
                except (ConnectionError, OSError):
                    self.close_connection = True

            def any(self):
                proxy.handle(self)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = any

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, request, address):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def reset(self, plan):
        """The next client: its requests count from 0."""
        with self.lock:
            self.plan, self.requests, self.victim = plan, [], None
            self.known.clear()

    def watch(self, process):
        """The client that a "kill" kills."""
        self.victim = process
        self.known.set()

    def kill(self):
        self.known.wait(10)
        self.victim.send_signal(signal.SIGKILL)
        self.victim.wait()

    def handle(self, client):
        length = int(client.headers.get("Content-Length") or 0)
        body = client.rfile.read(length)
        with self.lock:
            number = len(self.requests)
            self.requests.append(f"{client.command} {client.path}")
            plan = self.plan
        fault = plan(number, client.command, client.path) or (None,)
        if fault[0] == "call":
            fault[1]()
        if fault[:2] == ("kill", "before"):
            self.kill()
            client.close_connection = True
            return
        if fault[0] == "status":
            return self.answer(client, fault[1], {}, b"<Error><Code>InternalError</Code></Error>")
        headers = {k: v for k, v in client.headers.items() if k.lower() != "connection"}
        if fault[0] == "upload":
            body = body[: int(len(body) * fault[1])]
            headers = {k: v for k, v in headers.items() if k.lower() != "content-length"}
            headers["Content-Length"] = str(len(body))
        status, reply, data = self.forward(client, headers, body)
        if fault[0] == "lost":
            return self.answer(client, 500, {}, b"<Error><Code>InternalError</Code></Error>")
        if fault[:2] == ("kill", "after"):
            self.kill()
            client.close_connection = True
            return
        self.answer(client, status, reply, data, fault)

    def forward(self, client, headers, body):
        connection = http.client.HTTPConnection("127.0.0.1", self.upstream, timeout=20)
        try:
            connection.putrequest(client.command, client.path, skip_host=True, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            response = connection.getresponse()
            data = response.read()
            return response.status, dict(response.getheaders()), data
        finally:
            connection.close()

    def answer(self, client, status, headers, data, fault=(None,)):
        length = headers.get("Content-Length") or headers.get("content-length")
        if client.command != "HEAD":
            if fault[0] == "shorten":
                data = data[: int(len(data) * fault[1])]
            if fault[0] == "flip" and data:
                middle = len(data) // 2
                data = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
            length = str(len(data))
        client.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in ("content-length", "connection", "transfer-encoding", "date"):
                client.send_header(name, value)
        client.send_header("Content-Length", length or "0")
        client.end_headers()
        if client.command == "HEAD":
            return
        if fault[0] == "cut" or fault[:2] == ("kill", "middle"):
            client.wfile.write(data[: fault[1] if fault[0] == "cut" else len(data) // 2])
            client.wfile.flush()
            if fault[0] == "kill":
                self.kill()
            client.close_connection = True
            return
        if fault[0] == "slow":
            for at in range(0, len(data), fault[1]):
                client.wfile.write(data[at : at + fault[1]])
                client.wfile.flush()
                time.sleep(fault[2])
            return
        client.wfile.write(data)
