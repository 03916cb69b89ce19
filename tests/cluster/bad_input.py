#!/usr/bin/env python3
"""Whatever comes in from outside is answered or refused as documented, is counted, and harms nothing else.

    bad_input.py --bin DIR

Each request has the status and the counters that http-api.md names. With VM_PEER_BIN the daemons of the original get the
same requests: the status must be the same, but for the rows that say why it is not. Afterwards all daemons are alive, hold
no more memory and sockets than they should, and a sample can be written and read.
"""
import argparse
import gzip
import http.client
import json
import os
import pathlib
import re
import socket
import struct
import sys
import tempfile
import threading
import time
import zlib

import harness
from harness import field, snappy_literal, varint, write_request

MAX_REQUEST = 1 << 20
ALLOWED_BYTES = 256 << 20
CEILING_BYTES = 2 * ALLOWED_BYTES
MEMORY = f"-memory.allowedBytes={ALLOWED_BYTES}"
HANDSHAKE_S = 4
PATIENCE_S = 60  # For a machine that is slow and busy.
INSERT_ARGS = [MEMORY, f"-maxInsertRequestSize={MAX_REQUEST}", "-maxLabelsPerTimeseries=10", "-maxLabelNameLen=20",
               "-maxLabelValueLen=40", f"-influx.maxRequestSize={MAX_REQUEST}", f"-datadog.maxInsertRequestSize={MAX_REQUEST}",
               f"-opentelemetry.maxRequestSize={MAX_REQUEST}", f"-newrelic.maxInsertRequestSize={MAX_REQUEST}"]
STORAGE_ARGS = [MEMORY, f"-rpc.handshakeTimeout={HANDSHAKE_S}s"]
SELECT_ARGS = [MEMORY, "-search.maxPointsPerTimeseries=1000"]
WRITE = "/insert/0/prometheus/api/v1/write"
TEXT = "/insert/0/prometheus/api/v1/import/prometheus"
PROM = "/insert/0/prometheus/api/v1"
QUERY = "/select/0/prometheus/api/v1"
SNAPPY = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}


def zstd_zeros(size):
    """A zstd frame of zeros: a few bytes for each 128 KiB."""
    blocks = b""
    while size > 0:
        part = min(size, 128 << 10)
        size -= part
        blocks += struct.pack("<I", part << 3 | 1 << 1 | (size == 0))[:3] + b"\0"
    return b"\x28\xb5\x2f\xfd\x00\x58" + blocks


def snappy_zeros(size):
    """A snappy block of zeros: a literal, then copies of 64 bytes at distance 1."""
    return varint(size) + b"\0\0" + b"\xfe\x01\x00" * ((size - 1) // 64)


class Case:
    """`counters` must grow by what is given at least; `peer` is the status of the original when it may differ."""

    def __init__(self, name, daemon, target, status, body=b"", headers=None, method=None, text="", counters=None, peer=None):
        self.name, self.daemon, self.target, self.status = name, daemon, target, status
        self.body = body.encode() if isinstance(body, str) else body
        self.headers = headers or {}
        self.method = method or ("POST" if self.body else "GET")
        self.text, self.counters, self.peer = text, counters or {}, peer

    def request(self):
        head = f"{self.method} {self.target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n"
        if self.body or self.method == "POST":
            head += f"Content-Length: {len(self.body)}\r\n"
        return (head + "".join(f"{name}: {value}\r\n" for name, value in self.headers.items()) + "\r\n").encode(
            "latin-1") + self.body


def exchange(port, request, seconds=90):
    """(status, body) of the answer; (None, what came) when it is no HTTP."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as s:
        try:
            s.sendall(request)
        except OSError:
            pass  # Refused before it was read: the answer may be there all the same.
        response = http.client.HTTPResponse(s)
        try:
            response.begin()
            return response.status, response.read()
        except (http.client.HTTPException, OSError):
            return None, b""


def insert_cases():
    good = write_request([({"__name__": "good"}, [(1_700_000_000_000, 1.0)])])
    yield Case("protobuf of garbage", "insert", WRITE, 400, snappy_literal(b"\xff" * 50), SNAPPY)
    yield Case("protobuf cut in the middle", "insert", WRITE, 400, snappy_literal(good[:-3]), SNAPPY)
    yield Case("protobuf with a length over its end", "insert", WRITE, 400, snappy_literal(b"\x0a\xff\xff\xff\xff\x07"), SNAPPY)
    yield Case("neither snappy nor zstd", "insert", WRITE, 400, b"this is neither", SNAPPY)
    yield Case("no body", "insert", WRITE, 204, b"", SNAPPY, method="POST")
    yield Case("snappy that announces 4 GB", "insert", WRITE, 400, varint(0xFFFFFFFF) + b"\0x", SNAPPY)
    yield Case("snappy that announces more than 32 bits", "insert", WRITE, 400, varint(1 << 40) + b"\0x", SNAPPY)
    yield Case("snappy bomb over the limit", "insert", WRITE, 400, snappy_zeros(20 << 20), SNAPPY, text="maxInsertRequestSize")
    yield Case("zstd bomb", "insert", WRITE, 400, zstd_zeros(200 << 20), {"Content-Encoding": "zstd"}, text="1048576")
    yield Case("body over the limit", "insert", WRITE, 400, b"\0" * (MAX_REQUEST + 1), SNAPPY, text="maxInsertRequestSize")
    yield Case("remote write by GET", "insert", WRITE, 204)
    yield Case("text, some lines bad", "insert", TEXT, 204, 'some_good 1\nbad{ 2\n{} 3\nbad nothing\nsome_good{a="b"} 4\n',
               counters={'vm_rows_invalid_total{type="prometheus"': 3, 'vm_rows_inserted_total{type="prometheus"': 2})
    yield Case("text, only bad lines", "insert", TEXT, 204, "nothing\n" * 10, counters={'vm_rows_invalid_total{type="prometheus"': 10})
    yield Case("text, a line without end", "insert", TEXT, 400, "x" * (300 << 10), text="too long line")
    yield Case("text in gzip that is none", "insert", TEXT, 400, "metric 1\n", {"Content-Encoding": "gzip"})
    # The original takes what came before the cut and says that this was all.
    yield Case("text in cut gzip", "insert", TEXT, 400, gzip.compress(b"metric 1\n" * 10000)[:-20], {"Content-Encoding": "gzip"},
               peer=204)
    yield Case("text in an unknown encoding", "insert", TEXT, 400, "metric 1\n", {"Content-Encoding": "br"})
    yield Case("gzip bomb of one line", "insert", TEXT, 400, gzip.compress(b"x" * (100 << 20), 1), {"Content-Encoding": "gzip"},
               text="too long line")
    yield Case("gzip bomb of empty lines", "insert", TEXT, 204, gzip.compress(b"\n" * (100 << 20), 1), {"Content-Encoding": "gzip"})
    yield Case("deflate bomb to influx", "insert", "/insert/0/influx/write", 400, zlib.compress(b"\n" * (100 << 20), 1),
               {"Content-Encoding": "deflate"}, text="influx.maxRequestSize")
    yield Case("zstd bomb to datadog", "insert", "/insert/0/datadog/api/v2/series", 400, zstd_zeros(200 << 20),
               {"Content-Encoding": "zstd"}, text="datadog.maxInsertRequestSize")
    yield Case("snappy bomb to text", "insert", TEXT, 400, varint(0xFFFFFFFF) + b"\0x", {"Content-Encoding": "snappy"})
    yield Case("json lines, some bad", "insert", PROM + "/import", 204,
               '{"metric":{"__name__":"js"},"values":[1],"timestamps":[1700000000000]}\n{\nnull\n'
               '{"metric":{"__name__":"js"},"values":[1,2],"timestamps":[1700000000000]}\n',
               counters={'vm_rows_invalid_total{type="vmimport"': 3, 'vm_rows_inserted_total{type="vmimport"': 1})
    yield Case("json nested deep", "insert", PROM + "/import", 204, "[" * 100_000 + "\n")
    yield Case("csv without format", "insert", PROM + "/import/csv", 400, "a,b\n")
    yield Case("csv with a bad format", "insert", PROM + "/import/csv?format=0:nothing", 400, "a,b\n")
    yield Case("csv, a bad row", "insert", PROM + "/import/csv?format=1:label:a,2:metric:csv_metric", 204, "x,1\ny,z\n",
               counters={'vm_rows_invalid_total{type="csvimport"': 1, 'vm_rows_inserted_total{type="csvimport"': 1})
    yield Case("native cut in the header", "insert", PROM + "/import/native", 400, b"short")
    yield Case("native that announces 4 GB", "insert", PROM + "/import/native", 400, b"\0" * 16 + b"\xff\xff\xff\xff")
    yield Case("native of garbage", "insert", PROM + "/import/native", 400, b"\0" * 16 + b"\0\0\0\x02zz" + b"\0\0\0\x05aaaaa")
    yield Case("influx, a bad line fails all", "insert", "/insert/0/influx/write", 400, "m f=1\nbad\n")
    yield Case("influx stream, a bad line is left out", "insert", "/insert/0/influx/write", 204, "m f=1\nbad\n",
               {"Stream-Mode": "1"}, counters={'vm_rows_invalid_total{type="influx"': 1})
    yield Case("datadog of garbage", "insert", "/insert/0/datadog/api/v1/series", 400, "{not json")
    yield Case("datadog v2 nested deep", "insert", "/insert/0/datadog/api/v2/series", 400, '{"series":' + "[" * 100_000)
    yield Case("otlp of garbage", "insert", "/insert/0/opentelemetry/v1/metrics", 400, b"\xff" * 100)
    yield Case("otlp as json", "insert", "/insert/0/opentelemetry/v1/metrics", 400, "{}", {"Content-Type": "application/json"})
    yield Case("newrelic of garbage", "insert", "/insert/0/newrelic/infra/v2/metrics/events/bulk", 400, "{")
    many = ",".join(f'l{number}="v"' for number in range(20))
    yield Case("too many labels", "insert", TEXT, 204, f"limits{{{many}}} 1\n", counters={'vm_rows_ignored_total{reason="too_many_labels"': 1})
    yield Case("too long a label name", "insert", TEXT, 204, f'limits{{{"n" * 21}="v"}} 1\n',
               counters={'vm_rows_ignored_total{reason="too_long_label_name"': 1})
    yield Case("too long a label value", "insert", TEXT, 204, f'limits{{n="{"v" * 41}"}} 1\n',
               counters={'vm_rows_ignored_total{reason="too_long_label_value"': 1})
    yield Case("a bad extra label", "insert", TEXT + "?extra_label=none", 400, "metric 1\n")
    yield Case("pushgateway path with an odd number of parts", "insert", TEXT + "/metrics/job/a/b", 400, "metric 1\n")
    for tenant in ("1:2:3", "-1:0", "99999999999:0", "a:b", ":"):
        yield Case(f"tenant {tenant}", "insert", f"/insert/{tenant}/prometheus/api/v1/import/prometheus", 400, "metric 1\n")
    for path in ("/insert", "/insert/", "/insert/0", "/insert/0/", "/insert/0/nothing", "/nothing", "/insert/0/prometheus/api/v1/nothing",
                 "/select/0/prometheus/api/v1/query", "/insert/0/../../etc/passwd", "/%00", "//", "/insert/0/%zz"):
        yield Case(f"path {path}", "insert", path, 400, "metric 1\n")
    yield Case("unknown path is counted", "insert", "/unknown", 400, counters={'vm_http_request_errors_total{path="*"': 1})


def select_cases():
    yield Case("raw braces and quotes in the URL", "select", QUERY + '/series?match[]={job="x"}', 200)
    yield Case("raw braces in export", "select", QUERY + '/export?match[]={__name__="some_good"}', 200)
    yield Case("raw bytes over 127", "select", QUERY + "/series?match[]=m%7Ba=\xff\xfe%7D", 400)
    yield Case("9 KB of URL", "select", QUERY + "/query?query=some_good{instance=~%22" + "|".join(f"host-{n:04}" for n in range(900)) + "%22}", 200, text='"status":"success"')
    yield Case("query over -search.maxQueryLen", "select", QUERY + "/query?query=" + "a" * 17000, 400, text="search.maxQueryLen")
    yield Case("no query", "select", QUERY + "/query", 400)
    for query in ("(", "sum(", "a{b=", 'a{b=~"("}', "nothing(a)", "a[5q]", "1 +", "a offset", "sum by (a b) (c)", '"', "\\x", "a @ b c",
                  "%zz", "%00"):
        yield Case(f"query {query}", "select", QUERY + "/query?query=" + query.replace(" ", "%20").replace("+", "%2B"), 400)
    for query in ("rate()", 'label_replace(a,"b","c","d","(")', "topk(a)"):
        yield Case(f"query {query}", "select", QUERY + "/query?query=" + query, 422)
    yield Case("parentheses 4000 deep", "select", QUERY + "/query?query=" + "(" * 4000 + "1" + ")" * 4000, 200)
    yield Case("a chain of 8000 operators", "select", QUERY + "/query?query=1" + "%2B1" * 8000, 200, text='"8001"')
    yield Case("a minus before a minus, 16000 times", "select", QUERY + "/query?query=" + "-" * 16000 + "1", 200, text='"1"')
    yield Case("time far out of range", "select", QUERY + "/query?query=1&time=9e99", 400)
    yield Case("time of text", "select", QUERY + "/query?query=1&time=yesterday", 400)
    yield Case("time before all", "select", QUERY + "/query?query=1&time=-1e18", 400)
    yield Case("time at the end of int64", "select", QUERY + "/query?query=some_good&time=9223372036854775807", 200)
    yield Case("end before start", "select", QUERY + "/query_range?query=some_good&start=2000000000&end=1000000000&step=60", 200)
    yield Case("step 0", "select", QUERY + "/query_range?query=1&step=0", 400)
    yield Case("step below 0", "select", QUERY + "/query_range?query=1&step=-1", 400)
    yield Case("step of text", "select", QUERY + "/query_range?query=1&step=often", 400)
    yield Case("too many points", "select", QUERY + "/query_range?query=1&start=1&end=1700000000&step=1ms", 422,
               text="search.maxPointsPerTimeseries")
    yield Case("a window of 100 years", "select", QUERY + "/query?query=sum_over_time(some_good[100y])", 200)
    yield Case("a bad timeout is ignored", "select", QUERY + "/query?query=1&timeout=soon", 200)
    yield Case("series without match[]", "select", QUERY + "/series", 400)
    yield Case("series with a bad match[]", "select", QUERY + "/series?match[]={", 400)
    yield Case("labels with bad times", "select", QUERY + "/labels?start=x", 400)
    yield Case("label values of a strange name", "select", QUERY + "/label/%ff/values", 200)
    yield Case("export without match[]", "select", QUERY + "/export", 400)
    yield Case("export with an unknown format", "select", QUERY + "/export?match[]=some_good&format=nothing", 200)
    yield Case("export of csv without format", "select", QUERY + "/export/csv?match[]=some_good", 400)
    yield Case("federate without match[]", "select", "/select/0/prometheus/federate", 400)
    yield Case("delete without match[]", "select", "/delete/0/prometheus/api/v1/admin/tsdb/delete_series", 400, method="POST")
    yield Case("a form of garbage", "select", QUERY + "/query", 400, "%zz&&=&query",
               {"Content-Type": "application/x-www-form-urlencoded"})
    yield Case("a multipart body that is none", "select", QUERY + "/query?query=1", 200, "nothing",
               {"Content-Type": "multipart/form-data; boundary=x"})
    for tenant in ("1:2:3", "-1:0", "99999999999:0", "a:b"):
        yield Case(f"tenant {tenant}", "select", f"/select/{tenant}/prometheus/api/v1/query?query=1", 400)
    for path in ("/select", "/select/0", "/select/0/nothing", "/select/0/prometheus/api/v1/nothing", "/insert/0/prometheus/api/v1/write",
                 "/select/0/prometheus/api/v1/read", "/nothing"):
        yield Case(f"path {path}", "select", path, 400)
    yield Case("storage, unknown path", "storage", "/nothing", 400)
    yield Case("storage, a snapshot that is none", "storage", "/snapshot/delete?snapshot=../../etc", 500)


def broken_http():
    """Requests that are no HTTP. The answer is an error or none; the daemon goes on."""
    yield "zeros", b"\0" * 1000
    yield "a line without end", b"G" * (3 << 20)
    yield "header lines without end", b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * (1 << 19)
    yield "no version", b"GET /\r\n\r\n"
    yield "a strange version", b"GET / HTTP/9.9\r\nHost: x\r\n\r\n"
    yield "two lengths", b"POST " + TEXT.encode() + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabcde"
    yield "a length below 0", b"POST " + TEXT.encode() + b" HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\nabcde"
    yield "a length over int64", b"POST " + TEXT.encode() + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\nabc"
    yield "bad chunks", b"POST " + TEXT.encode() + b" HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n"
    yield "a chunk over int64", (b"POST " + TEXT.encode() + b" HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                                 b"ffffffffffffffffff\r\nabc\r\n")
    yield "TLS", bytes.fromhex("16030100c4010000c0030300") + b"\1" * 200


def counters(daemon):
    return harness.http_get(daemon.url + "/metrics")[1].decode().splitlines()


def value(lines, start):
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(start))


def daemons_of(cluster):
    return {"insert": cluster.insert, "select": cluster.select, "storage": cluster.storages[0]}


def run_cases(cluster, peer):
    failures = []
    answers = 0
    for case in [*insert_cases(), *select_cases()]:
        daemon = daemons_of(cluster)[case.daemon]
        before = counters(daemon) if case.counters else []
        status, body = exchange(daemon.http_port, case.request())
        answers += 1
        if status != case.status:
            failures.append(f"{case.name}: {status} instead of {case.status}: {body[:300]!r}")
        elif case.text.encode() not in body:
            failures.append(f"{case.name}: {case.text!r} is not in {body[:300]!r}")
        for name, growth in case.counters.items():
            try:
                harness.wait_for(name, lambda: value(counters(daemon), name) - value(before, name) >= growth, 30)
            except AssertionError:
                failures.append(f"{case.name}: {name} grew by {value(counters(daemon), name) - value(before, name)}, not {growth}")
        if peer is not None:
            theirs, text = exchange(daemons_of(peer)[case.daemon].http_port, case.request())
            if theirs != (case.peer or case.status):
                failures.append(f"{case.name}: the original answers {theirs}: {text[:300]!r}, ours {status}: {body[:300]!r}")
    return failures, answers


def run_broken_http(cluster):
    count = 0
    for daemon in daemons_of(cluster).values():
        for name, request in broken_http():
            status, body = exchange(daemon.http_port, request, 15)
            assert status is None or status >= 400 or name == "no version", f"{daemon.name}, {name}: {status} {body[:200]!r}"
            assert exchange(daemon.http_port, b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")[0] == 200, name
            count += 1
    return count


def is_socket(path):
    try:
        return os.readlink(path).startswith("socket:")
    except OSError:
        return False  # Closed meanwhile.


def status_of(daemon):
    """Bytes of anonymous memory, and the number of sockets."""
    text = pathlib.Path(f"/proc/{daemon.process.pid}/status").read_text()
    memory = int(re.search(r"RssAnon:\s+(\d+)", text).group(1)) * 1024
    return memory, sum(is_socket(f"/proc/{daemon.process.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{daemon.process.pid}/fd"))


class Peers:
    """Peers of a port of vmstorage that do not do what they should."""

    def __init__(self, daemon, port, hello):
        self.daemon, self.port, self.hello = daemon, port, hello

    def connect(self):
        s = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S)
        s.settimeout(PATIENCE_S)
        return s

    def shake_hands(self):
        s = self.connect()
        s.sendall(self.hello)
        assert self.read(s, 2) == b"ok"
        s.sendall(b"\0")
        assert self.read(s, 2) == b"ok"
        self.read(s, 1)
        s.sendall(b"ok")
        return s

    @staticmethod
    def read(s, count):
        out = b""
        while len(out) < count:
            piece = s.recv(count - len(out))
            if not piece:
                raise ConnectionResetError(f"closed after {len(out)} of {count} bytes")
            out += piece
        return out

    @staticmethod
    def wait_for_end(s, seconds):
        """What still comes until the other side closes."""
        s.settimeout(seconds)
        out = b""
        try:
            while piece := s.recv(1 << 16):
                out += piece
        except ConnectionResetError:
            pass
        return out

    def garbage(self):
        for name, bytes_ in (("zeros", b"\0" * 4096), ("HTTP", b"GET / HTTP/1.1\r\n\r\n"), ("text", b"vminsert.99" * 100),
                             ("TLS", bytes.fromhex("16030100c4010000c0030300") + b"\1" * 200)):
            with self.connect() as s:
                s.sendall(bytes_)
                got = self.wait_for_end(s, HANDSHAKE_S + PATIENCE_S)
                assert got == b"", f"{name} is answered: {got[:100]!r}"
        with self.connect():
            pass  # And one that says nothing.

    @staticmethod
    def is_open(s):
        """Whether the other side has not closed; what it has sent is read."""
        s.setblocking(False)
        try:
            while s.recv(1 << 16):
                pass
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False

    def half_handshakes(self, count):
        """None of them stays longer than the timeout, and others get in meanwhile."""
        for _ in range(3):
            waiting = []
            for number in range(count):
                s = self.connect()
                s.sendall(self.hello[:number % (len(self.hello) + 1)])
                waiting.append(s)
            self.shake_hands().close()
            # Were they served first, all would have been closed by now. A slow machine may have needed that long, but not always.
            held_up = not any([self.is_open(s) for s in waiting])
            for s in waiting:
                self.wait_for_end(s, HANDSHAKE_S + PATIENCE_S)
                s.close()
            if not held_up:
                return
        raise AssertionError("half handshakes hold up whole ones")

    def slow_handshake(self):
        """A byte now and then does not make the time longer."""
        with self.connect() as s:
            try:
                for byte in self.hello:
                    s.sendall(bytes([byte]))
                    time.sleep(HANDSHAKE_S / 5)
            except OSError:
                pass
            # The whole hello takes more than twice the time that it may take.
            assert self.wait_for_end(s, HANDSHAKE_S + PATIENCE_S) == b"", "a slow handshake goes on and on"

    def huge_lengths(self):
        for length in (2**64 - 1, 2**63, 2**40, 200 << 20):
            with self.shake_hands() as s:
                s.sendall(struct.pack(">Q", length) + b"x" * 100)
                self.wait_for_end(s, PATIENCE_S)


def insert_port(peers):
    """What only the port for vminsert knows."""
    def frame(body):
        return struct.pack(">Q", len(body)) + body

    def answer(s):
        return peers.read(s, struct.unpack(">Q", peers.read(s, 8))[0])

    with peers.shake_hands() as s:
        s.sendall(frame(b"writeNothing_v1"))
        assert answer(s) == b"rpcName is not supported by server"
        peers.wait_for_end(s, PATIENCE_S)
    with peers.shake_hands() as s:
        s.sendall(frame(b"writeRows_v1") + struct.pack(">Q", 104857601) + b"x" * 100)
        text = answer(s)
        assert text != b"", "a packet over the limit is taken"
        peers.wait_for_end(s, PATIENCE_S)
    before = counters(peers.daemon)
    with peers.shake_hands() as s:
        # Neither zstd nor rows: acknowledged, counted, and the connection goes on.
        for body in (b"not zstd at all", b"\x28\xb5\x2f\xfd\x00\x58" + struct.pack("<I", 10 << 3 | 1)[:3] + b"row number"):
            s.sendall(frame(b"writeRows_v1") + frame(body))
            assert answer(s) == b""
        # A bomb: 2 GB of zeros.
        s.sendall(frame(b"writeRows_v1") + frame(zstd_zeros(2 << 30)))
        assert answer(s) == b""
        s.sendall(frame(b"writeRows_v1") + frame(b""))
        assert answer(s) == b""
    name = "vm_protoparser_parse_errors_total"
    harness.wait_for("bad packets are counted", lambda: value(counters(peers.daemon), name) - value(before, name) >= 2)


def slow_bodies(peers, count):
    """Peers that announce a hundred megabytes and send a few. Memory follows what was sent."""
    waiting = []
    for _ in range(count):
        s = peers.shake_hands()
        s.sendall(struct.pack(">Q", 12) + b"writeRows_v1" + struct.pack(">Q", 100 << 20) + b"x" * 1000)
        waiting.append(s)
    time.sleep(0.5)
    memory, _ = status_of(peers.daemon)
    assert memory < CEILING_BYTES, f"{count} peers that send nothing take {memory >> 20} MiB"
    return waiting


def select_port(peers):
    with peers.shake_hands() as s:
        s.sendall(struct.pack(">Q", 10) + b"nothing_v1")
        peers.wait_for_end(s, PATIENCE_S)
    for size in (0, 1, 5, 20):
        with peers.shake_hands() as s:
            # Name, trace flag, timeout, then a query of garbage.
            s.sendall(struct.pack(">Q", 9) + b"search_v7" + b"\0" + struct.pack(">I", 10) + struct.pack(">Q", size) + b"\xff" * size)
            s.settimeout(10)
            try:
                s.recv(1 << 16)
            except OSError:
                pass


def storage_ports(cluster):
    daemon = cluster.storages[0]
    ports = {kind: int(next(a for a in daemon.command if a.startswith(f"-{kind}Addr=")).rsplit(":", 1)[1])
             for kind in ("vminsert", "vmselect")}
    insert = Peers(daemon, ports["vminsert"], b"vminsert.03")
    select = Peers(daemon, ports["vmselect"], b"vmselect.01")
    both = []
    for peers in (insert, select):
        def run(peers=peers):
            peers.garbage()
            peers.half_handshakes(100)
            peers.slow_handshake()
            peers.huge_lengths()
        both.append(threading.Thread(target=run_noting, args=(run, failures := [])))
        both[-1].failures = failures
        both[-1].start()
    for thread in both:
        thread.join()
        assert not thread.failures, thread.failures
    insert_port(insert)
    select_port(select)
    return slow_bodies(insert, 100)


def run_noting(work, failures):
    try:
        work()
    except BaseException as error:  # noqa: BLE001 - told to the main thread
        failures.append(repr(error))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    args = parser.parse_args()
    peer_bin = harness.peer_bin()
    names = ("vminsert", "vmstorage", "vmselect")
    with tempfile.TemporaryDirectory(prefix="vmtest-") as root:
        flags = {"storage_args": STORAGE_ARGS, "insert_args": INSERT_ARGS, "select_args": SELECT_ARGS}
        peer = None
        cluster = harness.Cluster(f"{root}/ours", {name: args.bin for name in names}, **flags)
        with cluster:
            at_start = {daemon.name: status_of(daemon)[1] for daemon in daemons_of(cluster).values()}
            try:
                if peer_bin is not None:
                    peer = harness.Cluster(f"{root}/peer", {name: peer_bin for name in names}, **flags)
                    peer.__enter__()
                failures, answers = run_cases(cluster, peer)
            finally:
                if peer is not None:
                    peer.__exit__()
            assert not failures, "\n".join([f"{len(failures)} failures", *failures])
            broken = run_broken_http(cluster)
            slow = storage_ports(cluster)
            # While those still hang there, the cluster works.
            now = int(time.time())
            assert cluster.import_text(f"meanwhile 42 {now * 1000}\n")[0] == 204
            harness.wait_for("a new sample", lambda: cluster.query("meanwhile", now)["data"]["result"])
            for s in slow:
                s.close()
            for daemon in daemons_of(cluster).values():
                assert daemon.process.poll() is None, f"{daemon.name} ended"
                memory, _ = status_of(daemon)
                assert memory < CEILING_BYTES, f"{daemon.name} holds {memory >> 20} MiB"
                harness.wait_for(f"{daemon.name} closed its sockets", lambda: status_of(daemon)[1] < at_start[daemon.name] + 20)
            figures = ", ".join(f"{daemon.name} {status_of(daemon)[0] >> 20} MiB" for daemon in daemons_of(cluster).values())
    beside = " and of the original" if peer is not None else ""
    print(f"ok: {answers} bad requests{beside}, {broken} that are no HTTP, peers that do not behave; {figures}")


if __name__ == "__main__":
    sys.exit(main())
