#!/usr/bin/env python3
"""-vmalert.proxyURL: what vmselect sends to vmalert and what it makes of the answers.

    vmalert_proxy.py --bin DIR [--select DIR]

--select takes vmselect from another folder, to see that the original passes, too.
"""
import argparse
import gzip
import http.client
import http.server
import json
import pathlib
import tempfile
import threading
import urllib.error
import urllib.request

import harness

BIG = b"x" * (8 << 20)


class Vmalert(http.server.BaseHTTPRequestHandler):
    """Answers with what it was asked."""
    protocol_version = "HTTP/1.1"

    def answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length).decode()
        status, answer = 200, json.dumps({"method": self.command, "target": self.path, "body": body,
                                          "headers": {name.lower(): value for name, value in self.headers.items()}}).encode()
        if "/broken" in self.path:
            # Less than it says.
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + BIG[:300_000])
            self.close_connection = True
            return
        if "/big" in self.path:
            answer = BIG
        if "/missing" in self.path:
            status = 404
        packed = "/packed" in self.path
        if packed:
            answer = gzip.compress(answer)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("X-From", "vmalert")
        self.send_header("Keep-Alive", "timeout=5")
        if packed:
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST = answer

    def log_message(self, *args):
        pass


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args):
        return None


def ask(select, path, data=None, **headers):
    request = urllib.request.Request(f"{select.url}/select/0/prometheus/{path}", data=data,
                                     headers={name.replace("_", "-"): value for name, value in headers.items()})
    try:
        with urllib.request.build_opener(NoRedirect).open(request, timeout=20) as response:
            return response.status, response.headers, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def seen(answer):
    status, headers, body = answer
    assert status == 200, (status, body[:500])
    assert headers["X-From"] == "vmalert" and headers["Content-Type"] == "application/json", headers
    return json.loads(body)


def check(select, server):
    got = seen(ask(select, "api/v1/rules?type=alert&x=a%20b", User_Agent="test/1", X_Forwarded_For="10.1.1.1"))
    assert (got["method"], got["target"], got["body"]) == ("GET", "/base/api/v1/rules?type=alert&x=a%20b", ""), got
    assert got["headers"]["host"] == f"127.0.0.1:{server.server_port}", got
    assert got["headers"]["user-agent"] == "test/1", got
    assert got["headers"]["x-forwarded-for"] == "10.1.1.1, 127.0.0.1", got
    for path in ("rules", "api/v1/alerts", "alerts", "api/v1/notifiers", "notifiers", "vmalert/groups", "vmalert/api/v1/rule"):
        assert seen(ask(select, path))["target"] == f"/base/{path}", path
    assert seen(ask(select, "vmalert/a%20b%3Fc"))["target"] == "/base/vmalert/a%20b%3Fc"
    # Grafana shows rules of Prometheus only.
    got = seen(ask(select, "api/v1/rules?z=1&datasource_type=logs&a=2", User_Agent="Grafana/11"))
    assert got["target"] == "/base/api/v1/rules?a=2&datasource_type=prometheus&z=1", got
    got = seen(ask(select, "vmalert/-/reload?x=1", b'{"a":1}', Content_Type="application/json"))
    assert (got["method"], got["target"], got["body"]) == ("POST", "/base/vmalert/-/reload?x=1", '{"a":1}'), got
    status, headers, body = ask(select, "vmalert/packed", Accept_Encoding="gzip")
    assert status == 200 and headers["Content-Encoding"] == "gzip", headers
    assert json.loads(gzip.decompress(body))["target"] == "/base/vmalert/packed"
    status, headers, body = ask(select, "vmalert/missing")
    assert status == 404 and json.loads(body)["target"] == "/base/vmalert/missing", (status, body)
    assert ask(select, "vmalert/big")[2] == BIG
    status, headers, _ = ask(select, "vmalert")
    assert (status, headers["Location"]) == (302, "../prometheus/vmalert/"), (status, headers)
    try:
        body = ask(select, "vmalert/broken")[2]
        raise AssertionError(f"a broken answer looks whole: {len(body)} bytes")
    except (OSError, http.client.HTTPException):
        pass
    server.shutdown()
    server.server_close()
    status, headers, body = ask(select, "api/v1/rules")
    assert status == 502, (status, body)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    parser.add_argument("--select")
    args = parser.parse_args()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Vmalert)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(prefix="vmtest-") as root:
        port, storage = harness.free_ports(2)
        select = harness.Daemon(pathlib.Path(args.select or args.bin) / "vmselect",
                                [f"-httpListenAddr=127.0.0.1:{port}", f"-storageNode=127.0.0.1:{storage}",
                                 f"-vmalert.proxyURL=http://127.0.0.1:{server.server_port}/base/"],
                                pathlib.Path(root) / "vmselect.log", port)
        try:
            select.start()
            check(select, server)
            flags = harness.http_get(select.url + "/flags")[1].decode()
            assert str(server.server_port) not in flags, "-vmalert.proxyURL may hold a secret"
        finally:
            select.stop()
    print("ok: requests go to vmalert and answers come back")


if __name__ == "__main__":
    main()
