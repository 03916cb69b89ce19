#!/usr/bin/env python3
"""A vmselect above a vmselect: the one above asks the one below at its -clusternativeListenAddr, as though it were a
storage node, and must answer as the one below does.

    two_levels.py --bin DIR [--peer-bin DIR]

With --peer-bin (or VM_PEER_BIN) the original's vmselect above ours and ours above the original's are tried, too.
"""
import argparse
import json
import pathlib
import sys
import tempfile
import time
import urllib.parse

import harness

DAY = 86400
PATH = "/select/0/prometheus/api/v1/"


def get(daemon, path, **args):
    pairs = [("match[]" if k == "match" else k, str(v)) for k, v in args.items()]
    status, body = harness.http_get(daemon.url + path + "?" + urllib.parse.urlencode(pairs))
    return status, body.decode(errors="replace")


def answer(daemon, path, **args):
    """What does not differ between two daemons that know the same."""
    status, body = get(daemon, path, **args)
    if path.endswith("/export"):
        return status, sorted(body.splitlines())
    parsed = json.loads(body)
    for key in ("stats", "executionTimeMsec", "isPartial"):
        parsed.pop(key, None)
    data = parsed.get("data")
    if isinstance(data, dict):
        # How often and when names were asked for changes with each question.
        for entry in data.get("seriesCountByMetricName") or ():
            entry.pop("requestsCount", None)
            entry.pop("lastRequestTimestamp", None)
        data = data.get("result")
    if isinstance(data, list):  # Series have no order.
        data.sort(key=lambda series: json.dumps(series, sort_keys=True))
    return status, parsed


class Level:
    """One more vmselect, above the given addresses."""

    def __init__(self, folder, binary, nodes, name, args=()):
        self.port, native = harness.free_ports(2)
        self.native = f"127.0.0.1:{native}"
        self.daemon = harness.Daemon(
            pathlib.Path(binary) / "vmselect",
            [f"-httpListenAddr=127.0.0.1:{self.port}", f"-cacheDataPath={folder / name}",
             f"-clusternativeListenAddr={self.native}", *(f"-storageNode={node}" for node in nodes), *args],
            folder / f"{name}.log", self.port)

    def __enter__(self):
        self.daemon.start()
        return self

    def __exit__(self, *exc):
        if exc and exc[0] is not None:
            print(f"--- the end of the log of {self.daemon.log_path.name}:")
            print("\n".join(self.daemon.log_path.read_text(errors="replace").splitlines()[-30:]), flush=True)
        self.daemon.stop()


def fill(cluster, now):
    lines = ["# HELP hits_total All hits.", "# TYPE hits_total counter"]
    for i in range(60):
        for k in range(20):
            lines.append(f'hits_total{{job="app{i % 3}",instance="host-{i}"}} {i + k} {(now - 600 + 30 * k) * 1000}')
    # Blocks enough for many batches on their way up.
    for i in range(40):
        for k in range(3000):
            lines.append(f'long{{idx="{i}"}} {k * 7 % 1000 + i * 0.25} {(now - 30000 + 10 * k) * 1000}')
    lines.append(f"foo.bar.baz 1 {now * 1000}")
    lines.append(f"foo.bar.qux 2 {now * 1000}")
    assert cluster.import_text("\n".join(lines) + "\n")[0] == 204
    assert cluster.import_text(f'hits_total{{job="other"}} 5 {now * 1000}\n', tenant="7:8")[0] == 204

    def there():
        cluster.flush()
        return (len(cluster.export('{__name__!=""}')) == 102 and len(cluster.export('{__name__!=""}', "7:8")) == 1
                and sum(len(samples) for _, samples in cluster.export("long")) == 40 * 3000)
    harness.wait_for("samples searchable", there)


def questions(now):
    wide = {"start": now - DAY, "end": now + 60}
    day = time.strftime("%Y-%m-%d", time.gmtime(now))
    at = {"time": now, "nocache": 1}
    tenants = "/select/multitenant/prometheus/api/v1/"
    yield "instant", PATH + "query", dict(query="sum(hits_total) by (job)", **at)
    yield "range", PATH + "query_range", dict(query="rate(hits_total[2m])", start=now - 600, end=now, step=30, nocache=1)
    yield "long", PATH + "query_range", dict(query="sum(max_over_time(long[5m]))", start=now - 30000, end=now, step=60, nocache=1)
    yield "export", PATH + "export", dict(match='{__name__!=""}', **wide)
    yield "series", PATH + "series", dict(match='{job="app1"}', **wide)
    yield "labels", PATH + "labels", wide
    yield "values", PATH + "label/instance/values", wide
    yield "values of some", PATH + "label/instance/values", dict(match='hits_total{job="app2"}', **wide)
    yield "count", PATH + "series/count", {}
    yield "tsdb status", PATH + "status/tsdb", dict(date=day, topN=5, focusLabel="job")
    yield "metadata", PATH + "metadata", {}
    yield "tenants", "/admin/tenants", wide
    yield "all tenants", tenants + "query", dict(query="count(hits_total) by (vm_account_id,job)", **at)
    yield "labels of all tenants", tenants + "labels", wide
    yield "usage of names", PATH + "status/metric_names_stats", dict(limit=100, le=0)
    yield "a mistake", PATH + "query", dict(query="sum(", **at)


def check_equal(name, below, above):
    if below != above:
        raise AssertionError(f"{name}: below {str(below)[:700]}\n  above {str(above)[:700]}")


def check_calls(upper, lower, upper_is_theirs, now):
    for name, path, args in questions(now):
        check_equal(name, answer(lower, path, **args), answer(upper, path, **args))
    assert len(answer(upper, PATH + "export", match="long", start=now - DAY, end=now + 60)[1]) == 40
    status, body = get(upper, PATH + "query", query="count(hits_total)", time=now, nocache=1, trace=1)
    assert status == 200 and body.count("rpc at vmstorage") == 3, body  # The level below, and its two nodes.
    if upper_is_theirs:
        # The Graphite API makes one more call.
        for query in ("*", "foo.*", "foo.bar.*"):
            args = {"query": query, "from": now - 600, "until": now + 60}
            status, body = get(upper, "/select/0/graphite/metrics/find", **args)
            assert status == 200 and len(json.loads(body)) == {"*": 3, "foo.*": 1, "foo.bar.*": 2}[query], (query, body)


def check_deletion(upper, lower, now):
    status, body = harness.http_post(
        f"{upper.url}/delete/0/prometheus/api/v1/admin/tsdb/delete_series?"
        + urllib.parse.urlencode({"match[]": 'hits_total{job="app0"}'}), b"")
    assert status == 204, (status, body)
    for daemon in (lower, upper):
        status, body = get(daemon, PATH + "query", query="count(hits_total) by (job)", time=now, nocache=1)
        jobs = sorted(series["metric"]["job"] for series in json.loads(body)["data"]["result"])
        assert jobs == ["app1", "app2"], body


def check_missing_node(cluster, upper, lower, now):
    """The level below answers in part, but not to the one above, for which the whole level is missing then."""
    cluster.storages[1].stop()

    def is_partial():
        status, body = get(lower, PATH + "query", query="count(hits_total)", time=now, nocache=1)
        return status == 200 and json.loads(body)["isPartial"]
    harness.wait_for("a partial answer below", is_partial)
    for path, args in ((PATH + "query", dict(query="count(hits_total)", time=now, nocache=1)),
                       (PATH + "labels", dict(start=now - DAY)), (PATH + "series/count", {}),
                       (PATH + "series", dict(match="hits_total", start=now - DAY))):
        status, body = get(upper, path, **args)
        assert status == 503, (path, status, body)
    # With a node beside it, the answer from there is a part.
    cluster.storages[1].start()
    harness.wait_for("all nodes again", lambda: not json.loads(
        get(lower, PATH + "query", query="count(hits_total)", time=now, nocache=1)[1])["isPartial"])
    cluster.storages[0].stop()
    harness.wait_for("a partial answer below", is_partial)


def run_cell(folder, ours, upper_bin, lower_bin, upper_is_theirs):
    now = int(time.time()) // 60 * 60 - 300
    native, = harness.free_ports(1)
    bins = {"vminsert": ours, "vmstorage": ours, "vmselect": lower_bin}
    with harness.Cluster(folder, bins, nodes=2, select_args=[f"-clusternativeListenAddr=127.0.0.1:{native}"]) as cluster:
        fill(cluster, now)
        storage1 = [arg for arg in cluster.select.command if arg.startswith("-storageNode=")][1].split("=")[1]
        with Level(folder, upper_bin, [f"127.0.0.1:{native}"], "upper") as upper, \
             Level(folder, upper_bin, [f"127.0.0.1:{native}", storage1], "beside") as beside:
            check_calls(upper.daemon, cluster.select, upper_is_theirs, now)
            with Level(folder, ours, [upper.native], "third") as third:
                check_equal("three levels", answer(cluster.select, PATH + "query", query="sum(long)", time=now, nocache=1),
                            answer(third.daemon, PATH + "query", query="sum(long)", time=now, nocache=1))
            check_deletion(upper.daemon, cluster.select, now)
            check_missing_node(cluster, upper.daemon, cluster.select, now)
            status, body = get(beside.daemon, PATH + "query", query="count(hits_total)", time=now, nocache=1)
            assert status == 200 and json.loads(body)["isPartial"], (status, body)
            cluster.storages[0].start()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    parser.add_argument("--peer-bin", default=None)
    args = parser.parse_args()
    ours = pathlib.Path(args.bin)
    peer = args.peer_bin or harness.peer_bin()
    cells = [("ours above ours", ours, ours)]
    if peer is None:
        print("without the original: VM_PEER_BIN names no binaries")
    else:
        cells += [("the original above ours", peer, ours), ("ours above the original", ours, peer)]
    with tempfile.TemporaryDirectory(prefix="vmtest-") as root:
        for number, (name, upper, lower) in enumerate(cells):
            print(name, flush=True)
            run_cell(pathlib.Path(root) / str(number), ours, upper, lower, upper != ours)
    print("ok")


if __name__ == "__main__":
    sys.exit(main())
