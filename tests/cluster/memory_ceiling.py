#!/usr/bin/env python3
"""100,000 series at full speed and the heaviest queries in a loop, with -memory.allowedBytes=256MB on each daemon:
anonymous memory stays below twice that, and whatever is refused is refused by a limit that the answer names.

    memory_ceiling.py --bin DIR [--seconds 30] [--series 100000] [--preload LIB]

--preload sets LD_PRELOAD of the daemons, to compare allocators.
"""
import argparse
import http.client
import multiprocessing
import os
import pathlib
import struct
import sys
import tempfile
import threading
import time
import urllib.parse

import harness
from harness import field, snappy_literal, varint

ALLOWED_BYTES = 256 << 20
CEILING_BYTES = 2 * ALLOWED_BYTES
STEP_MS = 15_000
PER_INSTANCE = 500
PER_REQUEST = 2000

QUERIES = [
    ("query_range", 'sum by (instance) (max_over_time({{job="node"}}[1m]))'),
    ("query", 'count by (__name__) ({{job="node"}})'),
    ("query_range", 'quantile(0.95, rate({{__name__=~"node_metric_.+_total"}}[5m]))'),
    ("export", '{{job="node"}}'),
    ("query_range", '{{__name__=~"node_metric_00[0-9]_total"}}'),
    ("series", '{{job="node"}}'),
    ("query_range", 'topk(5, {{job="node"}})'),
    ("query_range", 'sort(rate({{job="node"}}[5m]) keep_metric_names)'),
]


def series_labels(series):
    """Protobuf of the labels of a series, alike to node_exporter's."""
    instance, metric = divmod(series, PER_INSTANCE)
    labels = {"__name__": f"node_metric_{metric:03}_total", "instance": f"node-{instance:05}.dc{instance % 5}.example.net:9100",
              "job": "node", "datacenter": f"dc{instance % 5}", "device": f"device{metric % 7}", "mode": f"mode{metric % 8}"}
    return b"".join(field(1, field(1, name.encode()) + field(2, value.encode())) for name, value in labels.items())


def send(url, shard, shards, series_count, start_ms, done, scrapes):
    """Scrape after scrape of every shards-th request, as fast as they are taken."""
    host = urllib.parse.urlsplit(url).netloc
    connection = http.client.HTTPConnection(host, timeout=120)
    requests = [[series_labels(series) for series in range(at, min(at + PER_REQUEST, series_count))]
                for at in range(shard * PER_REQUEST, series_count, shards * PER_REQUEST)]
    scrape = 0
    while not done.is_set():
        timestamp = b"\x10" + varint(start_ms + scrape * STEP_MS)
        for labels in requests:
            body = bytearray()
            for number, head in enumerate(labels):
                value = float(scrape * (number % 97)) if number % 3 else number * 0.25
                sample = b"\x12" + varint(9 + len(timestamp)) + b"\x09" + struct.pack("<d", value) + timestamp
                body += b"\x0a" + varint(len(head) + len(sample)) + head + sample
            while not done.is_set():
                try:
                    connection.request("POST", "/insert/0/prometheus/api/v1/write", snappy_literal(bytes(body)),
                                       {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"})
                    answer = connection.getresponse()
                    text = answer.read()
                    if answer.status == 204:
                        break
                    assert answer.status in (429, 503), (answer.status, text[:500])
                except (OSError, http.client.HTTPException):
                    connection.close()
        if done.is_set():
            break  # This scrape may not be whole.
        scrape += 1
        scrapes[shard] = scrape


class Asker(threading.Thread):
    """Asks the queries in turn and keeps what was refused."""

    def __init__(self, cluster, first, start_ms, scrapes):
        super().__init__(daemon=True)
        self.cluster, self.at, self.start_ms, self.scrapes = cluster, first, start_ms, scrapes
        self.answered = {}
        self.refused = {}
        self.failures = []
        self.stopping = threading.Event()

    def run(self):
        while not self.stopping.is_set():
            api, query = QUERIES[self.at % len(QUERIES)]
            self.at += 1
            try:
                self.ask(api, query.format())
            except (OSError, http.client.HTTPException) as error:
                if not self.stopping.is_set():
                    self.failures.append(f"{api} {query}: {error!r}")
            except AssertionError as error:
                self.failures.append(str(error))

    def ask(self, api, query):
        end_s = self.start_ms / 1000 + max(1, min(self.scrapes)) * STEP_MS / 1000
        args = {"query": query, "nocache": 1, "timeout": "30s"}
        if api == "query":
            args["time"] = end_s
        else:
            args.update(start=end_s - 3000, end=end_s, step=60)
        if api in ("export", "series"):
            args["match[]"] = args.pop("query")
        connection = http.client.HTTPConnection("127.0.0.1", self.cluster.select.http_port, timeout=180)
        connection.request("GET", f"/select/0/prometheus/api/v1/{api}?{urllib.parse.urlencode(args)}")
        answer = connection.getresponse()
        head = b""
        while piece := answer.read(1 << 16):
            head = head or piece
        connection.close()
        key = f"{api} {query}"
        if answer.status == 200:
            self.answered[key] = self.answered.get(key, 0) + 1
            return
        text = head.decode(errors="replace")
        # The exports answer 400 to every error.
        assert answer.status in (422, 429, 503) or (answer.status == 400 and api == "export"), f"{key}: {answer.status} {text[:500]}"
        assert any(name in text for name in ("-memory.allowed", "-search.", "timeout", "deadline")), (
            f"{key}: {answer.status} does not name a limit: {text[:500]}")
        self.refused.setdefault(key, []).append(text)


def memory(daemon):
    """Bytes of anonymous memory."""
    status = pathlib.Path(f"/proc/{daemon.process.pid}/status").read_text()
    values = dict(line.split(":", 1) for line in status.splitlines())
    return int(values["RssAnon"].split()[0]) * 1024


def cpu_seconds(daemon):
    fields = pathlib.Path(f"/proc/{daemon.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--series", type=int, default=100_000)
    parser.add_argument("--askers", type=int, default=2)
    parser.add_argument("--senders", type=int, default=2)
    parser.add_argument("--preload", default="")
    parser.add_argument("--only-report", action="store_true")
    args = parser.parse_args()
    bins = {name: args.bin for name in ("vminsert", "vmstorage", "vmselect")}
    limit = f"-memory.allowedBytes={ALLOWED_BYTES}"
    start_ms = (int(time.time()) - 4 * 3600) // 15 * 15_000
    peaks = {}
    with tempfile.TemporaryDirectory(prefix="vmtest-") as root:
        cluster = harness.Cluster(root, bins, storage_args=[limit], insert_args=[limit], select_args=[limit])
        daemons = [cluster.insert, cluster.storages[0], cluster.select]
        if args.preload:
            for daemon in daemons:
                daemon.command[:0] = ["env", f"LD_PRELOAD={args.preload}"]
        with cluster:
            done = multiprocessing.Event()
            scrapes = multiprocessing.Array("q", args.senders)
            senders = [multiprocessing.Process(target=send, daemon=True, args=(
                cluster.insert.url, shard, args.senders, args.series, start_ms, done, scrapes))
                for shard in range(args.senders)]
            for sender in senders:
                sender.start()
            askers = [Asker(cluster, number * 3, start_ms, scrapes) for number in range(args.askers)]
            harness.wait_for("the first scrape", lambda: min(scrapes) > 0, 180)
            # Queries that find nothing prove nothing.
            harness.wait_for("its first rows", lambda: cluster.query(
                'count(last_over_time({job="node"}[1s]))', start_ms / 1000)["data"]["result"], 180)
            for asker in askers:
                asker.start()
            end = time.monotonic() + args.seconds
            next_line = 0
            while time.monotonic() < end:
                for daemon in daemons:
                    assert daemon.process.poll() is None, f"{daemon.name} ended with {daemon.process.returncode}"
                    peaks[daemon.name] = max(peaks.get(daemon.name, 0), memory(daemon))
                if time.monotonic() > next_line:
                    next_line = time.monotonic() + 10
                    print("  ".join(f"{daemon.name} {memory(daemon) >> 20} MiB" for daemon in daemons), flush=True)
                time.sleep(0.05)
            done.set()
            for asker in askers:
                asker.stopping.set()
            for sender in senders:
                sender.join(180)
            for asker in askers:
                asker.join(180)
            cpu = {daemon.name: cpu_seconds(daemon) for daemon in daemons}
            # All of it is over: something can still be written and read.
            now = int(time.time())
            assert cluster.import_text(f"afterwards 42 {now * 1000}\n")[0] == 204
            harness.wait_for("a new sample", lambda: cluster.query("afterwards", now)["data"]["result"])
            # And nothing was forgotten: all series are there, at the first scrape and at the last that all took part in.
            for scrape in (0, min(scrapes) - 1):
                end_s = start_ms / 1000 + scrape * STEP_MS / 1000

                def is_whole():
                    found = cluster.query('count(last_over_time({job="node"}[1s]))', end_s)["data"]["result"]
                    assert found and int(found[0]["value"][1]) == args.series, f"{found} of {args.series}"
                    return True

                harness.wait_for(f"all series of scrape {scrape}", is_whole, 120)
    samples = min(scrapes) * args.series
    answered, refused, failures = {}, {}, []
    for asker in askers:
        failures += asker.failures
        for key, count in asker.answered.items():
            answered[key] = answered.get(key, 0) + count
        for key, texts in asker.refused.items():
            refused.setdefault(key, []).extend(texts)
    for key, count in sorted(answered.items()):
        print(f"{count} answers: {key}")
    for key, texts in sorted(refused.items()):
        print(f"{len(texts)} refusals: {key}: {texts[0][:300]}")
    for name, peak in peaks.items():
        print(f"{name}: at most {peak >> 20} MiB of anonymous memory, {CEILING_BYTES >> 20} MiB are allowed; "
              f"{cpu[name]:.1f} CPU seconds")
    if not args.only_report:
        assert not failures, failures[:5]
        assert sum(answered.values()) > 0, "no query was answered"
        over = {name: peak for name, peak in peaks.items() if peak >= CEILING_BYTES}
        assert not over, f"above {CEILING_BYTES}: {over}"
    else:
        print(failures[:5])
    print(f"ok: {samples} samples of {args.series} series", flush=True)


if __name__ == "__main__":
    sys.exit(main())
