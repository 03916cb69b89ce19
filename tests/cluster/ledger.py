#!/usr/bin/env python3
"""Writes samples that can be computed again, remembers which were acknowledged and when, and compares an export
with that.

A sample is (series, batch): its labels, timestamp and value follow from the seed and these two numbers, so the ledger
keeps one entry for a batch. As a program it checks a running cluster:

    ledger.py --insert http://127.0.0.1:8480 --select http://127.0.0.1:8481 [--batches 100] [--series 50] [--seed 1]
"""
import argparse
import json
import random
import sys
import threading
import time
import urllib.error

import harness

METRIC = "ledger"


class Acknowledged:
    """A batch: when it was sent and when it was acknowledged, or None when nobody knows whether it was taken."""

    __slots__ = ("sent_at", "acked_at")

    def __init__(self, sent_at):
        self.sent_at = sent_at
        self.acked_at = None


class Report:
    """What is missing, doubled, altered or unknown, as (series, batch)."""

    def __init__(self):
        self.seen = 0
        self.missing = []
        self.doubled = []
        self.altered = []
        self.unknown = []

    def summary(self):
        return (f"{self.seen} seen, {len(self.missing)} missing, {len(self.doubled)} doubled, "
                f"{len(self.altered)} altered, {len(self.unknown)} unknown")


class Ledger:
    """Thread-safe: one writer, any number of readers."""

    def __init__(self, seed, series=50, step_ms=1000, start_ms=None):
        self.seed = seed
        self.series = series
        self.step_ms = step_ms
        # In the past, so that any number of batches stays below the present.
        self.start_ms = (int(time.time()) - 20 * 86400) * 1000 if start_ms is None else start_ms
        self.batches = []
        self.lock = threading.Lock()

    def labels(self, series):
        return {"__name__": METRIC, "seed": str(self.seed), "job": f"job{series % 5}", "series": str(series)}

    def timestamp(self, batch):
        return self.start_ms + batch * self.step_ms

    def value(self, series, batch):
        """Each kind of series is encoded in another way: counters, gauges with digits, constants, wild magnitudes."""
        chance = random.Random(f"{self.seed}/{series}/{batch}")
        kind = series % 4
        if kind == 0:
            return float(batch * 17 + series)
        if kind == 1:
            return chance.randrange(-10**9, 10**9) / 1000
        if kind == 2:
            return float(series)
        return float(f"{chance.randrange(1, 10**6)}e{chance.randrange(-6, 7)}")

    def samples(self, batch):
        timestamp = self.timestamp(batch)
        return [(self.labels(series), [(timestamp, self.value(series, batch))]) for series in range(self.series)]

    def send(self, cluster):
        """Send the next batch; True when it was acknowledged. Every other one goes as text."""
        with self.lock:
            batch = len(self.batches)
            entry = Acknowledged(time.time())
            self.batches.append(entry)
        rows = self.samples(batch)
        try:
            if batch % 2 == 0:
                status, _ = cluster.remote_write(rows)
            else:
                status, _ = cluster.import_text("".join(text_line(labels, samples[0]) for labels, samples in rows))
        except (OSError, urllib.error.URLError):
            return False
        if status != 204:
            return False
        entry.acked_at = time.time()
        return True

    def acknowledged(self):
        with self.lock:
            return sum(1 for entry in self.batches if entry.acked_at is not None)

    def export(self, cluster):
        """[(labels, timestamps, values)] of everything in the cluster, a line of the export each."""
        status, body = cluster.api("export", match=f'{METRIC}{{seed="{self.seed}"}}', start=1, end=4102444800)
        if status != 200:
            raise AssertionError(f"export: {status} {body[:500]!r}")
        rows = [json.loads(line) for line in body.decode().splitlines()]
        return [(row["metric"], row["timestamps"], row["values"]) for row in rows]

    def count(self):
        with self.lock:
            return len(self.batches)

    def compare(self, exported, count=None):
        """Of the batches only the first `count` may be missing: later ones need not be searchable yet."""
        report = Report()
        with self.lock:
            batches = list(self.batches)
        found = {}
        for labels, timestamps, values in exported:
            try:
                series = int(labels.get("series", ""))
            except ValueError:
                series = -1
            known = 0 <= series < self.series and labels == self.labels(series)
            for timestamp, value in zip(timestamps, values):
                batch, rest = divmod(timestamp - self.start_ms, self.step_ms)
                if not known or rest or not 0 <= batch < len(batches):
                    report.unknown.append((labels, timestamp))
                    continue
                report.seen += 1
                key = (series, batch)
                if key in found:
                    report.doubled.append(key)
                found[key] = True
                if value != self.value(series, batch):
                    report.altered.append(key)
        for batch, entry in enumerate(batches[:count]):
            if entry.acked_at is None:
                continue
            report.missing.extend((series, batch) for series in range(self.series) if (series, batch) not in found)
        return report

    def check(self, cluster, count=None, may_miss=lambda entry: False):
        """Export, compare and fail unless all that is missing may be. Returns the report."""
        report = self.compare(self.export(cluster), count)
        lost = [(series, batch) for series, batch in report.missing if not may_miss(self.batches[batch])]
        assert not report.altered, f"altered: {report.altered[:5]}; {report.summary()}"
        assert not report.unknown, f"unknown: {report.unknown[:5]}; {report.summary()}"
        assert not lost, (f"lost {len(lost)}, the first ones "
                          f"{[(s, b, self.batches[b].acked_at) for s, b in lost[:5]]}; {report.summary()}")
        return report


class Load:
    """A thread that sends batches, and one that queries, until stopped."""

    def __init__(self, ledger, cluster, pause=0.01):
        self.ledger = ledger
        self.cluster = cluster
        self.pause = pause
        self.stopping = threading.Event()
        self.queries = 0
        self.threads = [threading.Thread(target=self.write), threading.Thread(target=self.query)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *exc):
        self.stop()

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def write(self):
        while not self.stopping.is_set():
            self.ledger.send(self.cluster)
            self.stopping.wait(self.pause)

    def query(self):
        """Answers do not matter here, that they load the node does."""
        while not self.stopping.is_set():
            try:
                self.cluster.api("query", query=f"sum(count_over_time({METRIC}[30d])) by (job)", nocache=1)
                self.queries += 1
            except (OSError, urllib.error.URLError):
                pass
            self.stopping.wait(self.pause)

    def wait_for_batches(self, count, seconds=30.0):
        """Wait until that many more batches are acknowledged."""
        want = self.ledger.acknowledged() + count
        harness.wait_for(f"{count} more batches acknowledged", lambda: self.ledger.acknowledged() >= want, seconds)


def wait_for_all(ledger, cluster, may_miss=lambda entry: False):
    """Wait until all that is acknowledged by now is searchable, unless it may be missing. Returns the report."""
    count = ledger.count()
    return harness.wait_for("all acknowledged samples searchable", lambda: ledger.check(cluster, count, may_miss))


def text_line(labels, sample):
    name = labels["__name__"]
    rest = ",".join(f'{key}="{value}"' for key, value in labels.items() if key != "__name__")
    return f"{name}{{{rest}}} {sample[1]!r} {sample[0]}\n"


def metric(daemon, name, **labels):
    """Sum of a metric over all its series that carry `labels`."""
    _, body = harness.http_get(daemon.url + "/metrics")
    total = 0.0
    for line in body.decode().splitlines():
        if line.startswith(name) and line[len(name):len(name) + 1] in ("{", " ") and all(
                f'{key}="{value}"' in line for key, value in labels.items()):
            total += float(line.rsplit(" ", 1)[1])
    return total


def wait_until_sent(cluster):
    """Wait until vminsert holds no rows any more."""
    harness.wait_for("vminsert sent all rows", lambda: metric(cluster.insert, "vm_rpc_rows_pending") == 0)


class Remote:
    """The part of harness.Cluster that a ledger needs, for daemons that somebody else runs."""

    def __init__(self, insert_url, select_url):
        self.insert = harness.Daemon("vminsert", [], "/dev/null", 0)
        self.select = harness.Daemon("vmselect", [], "/dev/null", 0)
        self.insert_url, self.select_url = insert_url, select_url

    def import_text(self, text):
        return harness.http_post(f"{self.insert_url}/insert/0/prometheus/api/v1/import/prometheus", text.encode())

    def remote_write(self, series):
        return harness.http_post(f"{self.insert_url}/insert/0/prometheus/api/v1/write",
                                 harness.snappy_literal(harness.write_request(series)),
                                 {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"})

    def api(self, path, **args):
        pairs = {("match[]" if key == "match" else key): value for key, value in args.items()}
        return harness.http_get(f"{self.select_url}/select/0/prometheus/api/v1/{path}?"
                                + harness.urllib.parse.urlencode(pairs))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--insert", required=True)
    parser.add_argument("--select", required=True)
    parser.add_argument("--batches", type=int, default=100)
    parser.add_argument("--series", type=int, default=50)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    args = parser.parse_args()
    cluster = Remote(args.insert, args.select)
    ledger = Ledger(args.seed, args.series)
    acked = sum(ledger.send(cluster) for _ in range(args.batches))
    print(f"acknowledged {acked} of {args.batches} batches of {args.series} samples, seed {args.seed}")
    report = None

    def all_there():
        nonlocal report
        report = ledger.compare(ledger.export(cluster))
        return not report.missing
    try:
        harness.wait_for("all samples searchable", all_there, 60)
    except AssertionError as error:
        print(error)
    print(report.summary())
    sys.exit(1 if report.missing or report.altered or report.unknown else 0)


if __name__ == "__main__":
    main()
