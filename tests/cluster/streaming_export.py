#!/usr/bin/env python3
"""Exports of more than vmselect may hold: with reduce_mem_usage=1 (native ones always) blocks go to the client as they
come, a slow client makes the storage nodes wait, and the content is that of a whole export.

    streaming_export.py --bin DIR
"""
import argparse
import hashlib
import json
import pathlib
import random
import re
import signal
import socket
import tempfile
import time
import urllib.parse

import harness

SERIES = 60
SAMPLES = 50_000
START_MS = 1_700_000_000_000
MEMORY_PER_QUERY = 8 << 20
# What buffers of sockets, allocator and HTTP may add; the exported text is more than 80 MiB, the blocks more than 20 MiB.
MAX_GROWTH = 16 << 20


def fill(cluster):
    generator = random.Random(7)
    for first in range(0, SERIES, 10):
        lines = []
        for series in range(first, first + 10):
            # Values that do not pack.
            values = [round(generator.uniform(0, 1e9), 6) for _ in range(SAMPLES)]
            timestamps = list(range(START_MS, START_MS + SAMPLES * 1000, 1000))
            metric = {"__name__": "big", "series": str(series), "half": str(series % 2)}
            lines.append(json.dumps({"metric": metric, "values": values, "timestamps": timestamps}, separators=(",", ":")))
        status, body = cluster.insert_body("prometheus/api/v1/import", "\n".join(lines).encode(), {})
        assert status == 204, (status, body[:500])

    def all_there():
        cluster.flush()
        found = cluster.query(f"sum(count_over_time(big[{SAMPLES + 1}s]))", START_MS // 1000 + SAMPLES)["data"]["result"]
        return found and int(found[0]["value"][1]) == SERIES * SAMPLES
    harness.wait_for("all samples", all_there, 60)


def figure(daemon, name):
    """Sum of a metric over its labels."""
    text = harness.http_get(daemon.url + "/metrics")[1].decode()
    found = re.findall(rf"^{name}(?:\{{[^}}]*\}})? (\S+)$", text, re.M)
    assert found, name
    return sum(float(value) for value in found)


def anonymous_memory(daemon):
    status = pathlib.Path(f"/proc/{daemon.process.pid}/status").read_text()
    return int(re.search(r"RssAnon:\s+(\d+) kB", status)[1]) * 1024


class Reader:
    """An HTTP client that reads when it is told to, with little room in its socket."""

    def __init__(self, cluster, path, **args):
        args = {"match[]": "big", "start": START_MS // 1000, "end": START_MS // 1000 + SAMPLES, **args}
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 10)
        self.socket.settimeout(60)
        self.socket.connect(("127.0.0.1", cluster.select.http_port))
        query = urllib.parse.urlencode(args)
        self.socket.sendall(f"GET /select/0/prometheus/api/v1/{path}?{query} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n".encode())
        self.last = b""
        self.bytes = 0

    def read(self, at_least):
        """Read that many bytes more, or to the end; false at the end."""
        end = self.bytes + at_least
        while self.bytes < end:
            piece = self.socket.recv(1 << 18)
            if not piece:
                return False
            self.bytes += len(piece)
            self.last = (self.last + piece)[-1500:]
        return True

    def close(self):
        self.socket.close()


def export_lines(cluster, **args):
    status, body = cluster.api("export", match='big{half="1"}', start=START_MS // 1000, end=START_MS // 1000 + SAMPLES, **args)
    assert status == 200, (status, body[:500])
    return body.decode().splitlines()


def digests(lines):
    """Digest of the samples of each series in time order. Streamed blocks may overlap: pieces of one series that came at the
    same time may be in several parts."""
    series = {}
    for line in lines:
        row = json.loads(line)
        series.setdefault(row["metric"]["series"], []).extend(zip(row["timestamps"], row["values"]))
    result = {}
    for name, samples in series.items():
        samples.sort()
        assert len(samples) == SAMPLES, (name, len(samples))
        result[name] = hashlib.sha256(repr(samples).encode()).hexdigest()
    return result


def check_content(cluster):
    whole = export_lines(cluster)
    streamed = export_lines(cluster, reduce_mem_usage=1)
    assert len(whole) == SERIES // 2, len(whole)
    assert len(streamed) >= SAMPLES // 8192 * SERIES // 2, len(streamed)
    assert digests(whole) == digests(streamed)
    print(f"ok: {len(streamed)} blocks hold what {len(whole)} series hold", flush=True)


def check_limit(cluster):
    status, body = cluster.api("export", match="big", start=START_MS // 1000, end=START_MS // 1000 + SAMPLES)
    assert status == 400 and b"-search.maxMemoryPerQuery" in body, (status, body[:500])
    print("ok: a whole export of more than a query may hold is refused", flush=True)


def check_slow_client(cluster, path, **args):
    before = anonymous_memory(cluster.select)
    reader = Reader(cluster, path, **args)
    assert reader.read(1 << 20)
    peak = 0
    for _ in range(15):
        time.sleep(0.1)
        peak = max(peak, anonymous_memory(cluster.select))
    while reader.read(4 << 20):
        peak = max(peak, anonymous_memory(cluster.select))
    reader.close()
    assert reader.last.endswith(b"\r\n0\r\n\r\n"), reader.last
    assert peak - before < MAX_GROWTH, f"{path}: {before >> 20} MiB grew to {peak >> 20} MiB for {reader.bytes >> 20} MiB"
    print(f"ok: {path} of {reader.bytes >> 20} MiB to a slow client: {(peak - before) >> 20} MiB more memory", flush=True)


def check_client_leaves(cluster):
    for path, args in (("export", {"reduce_mem_usage": 1}), ("export/native", {})):
        reader = Reader(cluster, path, **args)
        assert reader.read(1 << 20)
        harness.wait_for("the export in the figures", lambda: figure(cluster.select, "vm_concurrent_select_current") == 1)
        reader.close()
        harness.wait_for("the end of the export", lambda: figure(cluster.select, "vm_concurrent_select_current") == 0)
    print("ok: an export ends when its client leaves", flush=True)


def check_node_dies(cluster):
    reader = Reader(cluster, "export", reduce_mem_usage=1)
    assert reader.read(1 << 20)
    cluster.storages[0].stop(signal.SIGKILL)
    while reader.read(1 << 20):
        pass
    reader.close()
    assert not reader.last.endswith(b"\r\n0\r\n\r\n"), "a part of the data looks whole"
    assert b"the connection has been aborted" in reader.last, reader.last
    assert b"error when exporting data on the time range" in reader.last, reader.last
    # Nothing has been sent yet: a status says it.
    status, body = cluster.api("export", match="big", reduce_mem_usage=1)
    assert status == 503, (status, body[:500])
    cluster.storages[0].start()
    harness.wait_for("a whole export", lambda: cluster.api("export/native", match="big", start=START_MS // 1000,
                                                           end=START_MS // 1000 + 10)[0] == 200)
    print("ok: an export whose node dies is broken off", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    args = parser.parse_args()
    bins = {name: args.bin for name in ("vminsert", "vmstorage", "vmselect")}
    with tempfile.TemporaryDirectory(prefix="vmtest-") as root:
        with harness.Cluster(root, bins, nodes=2) as cluster:
            fill(cluster)
            check_content(cluster)
            cluster.select.stop()
            cluster.select.command.append(f"-search.maxMemoryPerQuery={MEMORY_PER_QUERY}")
            cluster.select.start()
            check_limit(cluster)
            check_slow_client(cluster, "export", reduce_mem_usage=1)
            check_slow_client(cluster, "export/native")
            check_client_leaves(cluster)
            check_node_dies(cluster)


if __name__ == "__main__":
    main()
