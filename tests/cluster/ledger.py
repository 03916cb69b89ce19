#!/usr/bin/env python3
"""Writes samples that can be computed again, remembers which were acknowledged and when, and compares an export
with that.

A sample is (series, batch): its labels, timestamp and value follow from the seed and these two numbers, so the ledger
keeps one entry for a batch. As a program it checks a running cluster:

    ledger.py --insert http://127.0.0.1:8480 --select http://127.0.0.1:8481 [--batches 100] [--series 50] [--seed 1]
"""
import argparse
import http.client
import json
import sys
import threading
import time

import harness
import protocols

METRIC = "ledger"
RECENT_BATCHES = 2000
QUERIES = ["sum(count_over_time({}[30d])) by (job)", "count({})", "max(rate({}[1d]))", "quantile(0.9, last_over_time({}[30d]))",
           "topk(3, avg_over_time({}[30d]))"]


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
    """Thread-safe."""

    def __init__(self, seed, series=50, step_ms=1000, start_ms=None, encoders=(protocols.remote_write, protocols.text)):
        """`encoders` of the module protocols take turns."""
        self.seed = seed
        self.encoders = list(encoders)
        self.series = series
        self.step_ms = step_ms
        # In the past, so that any number of batches stays below the present.
        self.start_ms = (int(time.time()) - 20 * 86400) * 1000 if start_ms is None else start_ms
        self.batches = []
        self.lock = threading.Lock()
        self.expected = [[] for _ in range(series)]  # What value() gives for the batches so far.

    def labels(self, series):
        return {"__name__": METRIC, "seed": str(self.seed), "job": f"job{series % 5}", "series": str(series)}

    def timestamp(self, batch):
        return self.start_ms + batch * self.step_ms

    def value(self, series, batch):
        """Each kind of series is encoded in another way: counters, gauges with digits, constants, wild magnitudes."""
        kind = series % 4
        if kind == 0:
            return float(batch * 17 + series)
        if kind == 2:
            return float(series)
        # Any number that the three determine; cheap, since each comparison computes all values again.
        chance = ((self.seed << 40) ^ (series << 24) ^ batch) * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF
        chance = (chance ^ chance >> 29) * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
        chance ^= chance >> 32
        if kind == 1:
            return (chance % (2 * 10**9) - 10**9) / 1000
        return float(f"{chance % (10**6 - 1) + 1}e{chance // 10**6 % 13 - 6}")

    def samples(self, batch):
        timestamp = self.timestamp(batch)
        return [(self.labels(series), [(timestamp, self.value(series, batch))]) for series in range(self.series)]

    def send(self, cluster):
        """Send the next batch; True when it was acknowledged."""
        with self.lock:
            batch = len(self.batches)
            entry = Acknowledged(time.time())
            self.batches.append(entry)
        path, body, headers = self.encoders[batch % len(self.encoders)](self.samples(batch))
        try:
            status, answer = cluster.insert_body(path, body, headers)
        except (OSError, http.client.HTTPException):
            return False
        if status == 503:
            return False
        assert 200 <= status < 300, f"{path}: {status} {answer[:500]!r}"
        entry.acked_at = time.time()
        return True

    def acknowledged(self):
        with self.lock:
            return sum(1 for entry in self.batches if entry.acked_at is not None)

    def export(self, cluster, first=0):
        """[(labels, timestamps, values)] of everything in the cluster from batch `first` on, a line of the export each."""
        status, body = cluster.api("export", match=f'{METRIC}{{seed="{self.seed}"}}', end=4102444800,
                                   start=self.timestamp(first) / 1000 if first else 1)
        if status != 200:
            raise AssertionError(f"export: {status} {body[:500]!r}")
        rows = [json.loads(line) for line in body.decode().splitlines()]
        return [(row["metric"], row["timestamps"], row["values"]) for row in rows]

    def count(self):
        with self.lock:
            return len(self.batches)

    def compare(self, exported, count=None, first=0):
        """Of the batches from `first` on only the first `count` may be missing: later ones need not be searchable yet."""
        report = Report()
        with self.lock:
            batches = list(self.batches)
            for series, expected in enumerate(self.expected):
                expected.extend(self.value(series, batch) for batch in range(len(expected), len(batches)))
        # The loops below see each sample of millions: local names, one byte for a sample.
        found = [bytearray(len(batches)) for _ in range(self.series)]
        start_ms, step_ms, end_ms = self.start_ms, self.step_ms, self.timestamp(len(batches))
        for labels, timestamps, values in exported:
            try:
                series = int(labels.get("series", ""))
            except ValueError:
                series = -1
            if not 0 <= series < self.series or labels != self.labels(series):
                report.unknown.extend((labels, timestamp) for timestamp in timestamps)
                continue
            seen, expected = found[series], self.expected[series]
            for timestamp, value in zip(timestamps, values):
                batch, rest = divmod(timestamp - start_ms, step_ms)
                if rest or not start_ms <= timestamp < end_ms:
                    report.unknown.append((labels, timestamp))
                    continue
                report.seen += 1
                if seen[batch]:
                    report.doubled.append((series, batch))
                seen[batch] = 1
                if value != expected[batch]:
                    report.altered.append((series, batch))
        acked = [batch for batch, entry in enumerate(batches[:count]) if batch >= first and entry.acked_at is not None]
        for series, seen in enumerate(found):
            report.missing.extend((series, batch) for batch in acked if not seen[batch])
        return report

    def check(self, cluster, count=None, may_miss=lambda entry: False, first=0):
        """Export, compare and fail unless all that is missing may be. Returns the report."""
        report = self.compare(self.export(cluster, first), count, first)
        unforgivable = {batch for batch in {batch for _, batch in report.missing} if not may_miss(self.batches[batch])}
        lost = [(series, batch) for series, batch in report.missing if batch in unforgivable]
        assert not report.altered, f"altered: {report.altered[:5]}; {report.summary()}"
        assert not report.unknown, f"unknown: {report.unknown[:5]}; {report.summary()}"
        assert not lost, (f"lost {len(lost)}, the first batches (number, sent, acknowledged): "
                          f"{[(b, self.batches[b].sent_at, self.batches[b].acked_at) for b in sorted(unforgivable)[:5]]}; "
                          f"{report.summary()}")
        return report


class Load:
    """Threads that send batches, query and, if wanted, export, until stopped."""

    def __init__(self, ledger, cluster, pause=0.01, writers=1, exports=False, jobs=()):
        """`jobs` are called again and again too, each by a thread of its own."""
        self.ledger = ledger
        self.cluster = cluster
        self.pause = pause
        self.stopping = threading.Event()
        self.queries = 0
        self.exports = 0
        self.failure = None
        jobs = [self.write] * writers + [self.query] + [self.export] * exports + list(jobs)
        self.threads = [threading.Thread(target=self.run, args=(job,)) for job in jobs]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *exc):
        self.stop()
        if self.failure is not None and exc[0] is None:
            raise self.failure

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def run(self, job):
        while not self.stopping.is_set():
            try:
                job()
            except (OSError, http.client.HTTPException):
                pass  # The cluster is in trouble, that is what it is for.
            except AssertionError as failure:
                self.failure = failure
                return
            self.stopping.wait(self.pause)

    def write(self):
        self.ledger.send(self.cluster)

    def query(self):
        """Answers do not matter here, that they load the node does."""
        text = QUERIES[self.queries % len(QUERIES)].format(f'{METRIC}{{seed="{self.ledger.seed}"}}')
        status, body = self.cluster.api("query", query=text, nocache=1)
        assert status in (200, 422, 429, 503), f"{text}: {status} {body[:500]!r}"
        self.queries += status == 200

    def export(self):
        """Whatever an export shows was sent, and is as it was sent."""
        # All of it now and then: what the load is for is to run beside kills, not to read the same for minutes.
        first = 0 if self.exports % 10 == 0 else max(0, self.ledger.count() - RECENT_BATCHES)
        try:
            exported = self.ledger.export(self.cluster, first)
        except AssertionError:
            return  # No node to ask.
        report = self.ledger.compare(exported)
        assert not report.altered, f"altered: {report.altered[:5]}"
        assert not report.unknown, f"unknown: {report.unknown[:5]}"
        self.exports += 1

    def wait_for_batches(self, count, seconds=120.0):
        """Wait until that many more batches are acknowledged."""
        want = self.ledger.acknowledged() + count
        harness.wait_for(f"{count} more batches acknowledged", lambda: self.ledger.acknowledged() >= want, seconds)


def wait_for_all(ledger, cluster, may_miss=lambda entry: False):
    """Wait until all that is acknowledged by now is searchable, unless it may be missing. Returns the report."""
    count = ledger.count()
    # What is not there yet is young, as a rule; then everything is looked at.
    first = max(0, count - RECENT_BATCHES)
    harness.wait_for("the acknowledged samples of late searchable", lambda: ledger.check(cluster, count, may_miss, first))
    return harness.wait_for("all acknowledged samples searchable", lambda: ledger.check(cluster, count, may_miss))


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

    def insert_body(self, path, body, headers):
        return harness.http_post(f"{self.insert_url}/insert/0/{path}", body, headers)

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
        harness.wait_for("all samples searchable", all_there, 180)
    except AssertionError as error:
        print(error)
    print(report.summary())
    sys.exit(1 if report.missing or report.altered or report.unknown else 0)


if __name__ == "__main__":
    main()
