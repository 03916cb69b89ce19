#!/usr/bin/env python3
"""What vmstorage answers besides samples: the original's vminsert and vmselect in front of the original's vmstorage and
in front of ours must give the same answers.

    storage_calls.py --bin DIR [--peer-bin DIR] [--daemon vmselect]

With --daemon another one of the three is ours, to look at its side of the calls.

Without --peer-bin (or VM_PEER_BIN) it is skipped.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import sys
import tempfile
import time
import urllib.parse

import harness

DAY = 86400


def rows(now):
    lines = []
    for i in range(12):
        for offset in (0, 60, DAY):
            lines.append(f'requests_total{{job="app{i % 3}",instance="host-{i}",code="{200 + i % 2}"}} {i + offset} '
                         f'{(now - offset) * 1000}')
    lines.append(f'foo.bar.baz{{job="graphite"}} 1 {now * 1000}')
    lines.append(f'foo.bar.qux{{job="graphite"}} 2 {now * 1000}')
    lines.append(f'foo.leaf 3 {now * 1000}')
    lines.append(f'one_day{{job="old"}} 5 {(now - DAY) * 1000}')
    # Ascending in time within a series, as scrapes are.
    return "# HELP requests_total All requests.\n# TYPE requests_total counter\n" + "\n".join(lines) + "\n"


def get(cluster, path, **args):
    pairs = [("match[]" if k == "match" else k, str(v)) for k, vs in args.items()
             for v in (vs if isinstance(vs, list) else [vs])]
    status, body = harness.http_get(cluster.select.url + path + "?" + urllib.parse.urlencode(pairs))
    return status, body.decode(errors="replace")


def data(answer):
    status, body = answer
    return status, json.loads(body) if body.startswith("{") else body


def ordered(value):
    """Lists whose order is anybody's choice, sorted."""
    if isinstance(value, dict):
        return {k: ordered(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        items = [ordered(v) for v in value]
        if items and all(isinstance(v, dict) and ("metric" in v or "__name__" in v) for v in items):
            items.sort(key=lambda v: json.dumps(v, sort_keys=True))
        return items
    return value


def mask(value):
    """What differs from run to run: addresses, times, durations."""
    text = json.dumps(ordered(value), sort_keys=True)
    text = re.sub(r'"executionTimeMsec": \d+', '"executionTimeMsec": N', text)
    text = re.sub(r"127\.0\.0\.1:\d+", "ADDR", text)
    text = re.sub(r'"(lastRequestTimestamp|statsCollectedSince|trackerMemoryMaxSizeBytes|trackerCurrentMemoryUsageBytes|'
                  r'statsCollectedRecordsTotal)": \d+', r'"\1": N', text)
    text = re.sub(r"in \d+(\.\d+)? seconds", "in S seconds", text)
    return text


def scenario(folder, bins):
    now = int(time.time()) // 60 * 60 - 300
    answers = {}
    with harness.Cluster(folder, bins, storage_args=["-search.maxTagValueSuffixesPerSearch=4"]) as cluster:
        base = "/select/0/prometheus/api/v1"
        assert cluster.import_text(rows(now))[0] == 204
        assert cluster.import_text(f"tenant_metric 1 {now * 1000}\n", tenant="7:8")[0] == 204

        def there():
            cluster.flush()
            return len(cluster.export('{__name__!=""}')) == 16 and len(cluster.export('{__name__!=""}', "7:8")) == 1
        harness.wait_for("samples searchable", there)
        wide = {"start": now - 2 * DAY, "end": now + 60}
        narrow = {"start": now - 600, "end": now + 60}

        def ask(name, path, **args):
            answers[name] = data(get(cluster, path, **args))

        ask("series count", base + "/series/count")
        ask("tenants", "/admin/tenants", **wide)
        ask("tenants of today", "/admin/tenants", **narrow)
        day = time.strftime("%Y-%m-%d", time.gmtime(now))
        ask("tsdb status", base + "/status/tsdb", date=day, topN=20, focusLabel="job")
        ask("tsdb status, filtered", base + "/status/tsdb", date=day, topN=20, focusLabel="instance",
            match='requests_total{job="app1"}')
        for name, args in {"all": wide, "today": narrow}.items():
            ask(f"labels {name}", base + "/labels", **args)
            ask(f"labels {name} filtered", base + "/labels", match='{job="graphite"}', **args)
            ask(f"labels {name} of a name", base + "/labels", match="requests_total", **args)
            ask(f"values {name}", base + "/label/job/values", **args)
            ask(f"values {name} of a name", base + "/label/job/values", match="requests_total", **args)
            ask(f"values {name} by itself", base + "/label/job/values", match='{job=~"app.*"}', **args)
            ask(f"names {name}", base + "/label/__name__/values", **args)
            ask(f"series {name}", base + "/series", match='{job!="graphite"}', **args)
        ask("metadata", base + "/metadata")
        for query in ("*", "foo.*", "foo.bar.*", "f*.b*.{baz,qux}", "requests*", "none.*"):
            ask(f"graphite find {query}", "/select/0/graphite/metrics/find", query=query, **{"from": now - 600,
                                                                                            "until": now + 60})
        for query in ("foo.bar.baz", "foo.bar.*", "foo.{leaf,bar}", "foo.*.[bq]*"):
            ask(f"graphite series {query}", base + "/series", match=f'{{__graphite__="{query}"}}', **narrow)
        for query in ('{job=~"app[12]",code!="200"}', '{job=~"app1|",instance!=""}', '{instance=~"host-.*[02468]$"}',
                      'requests_total{instance!~"host-1.*",job!~"app0|app1"}', '{code="201" or job="graphite"}',
                      '{__name__=~"foo.+baz"}', '{job=""}', '{nothing!~"."}', '{__name__=~"one_day|foo.leaf"}',
                      '{__name__=~"one_day|requests_total",job=~"old|app2"}', '{job!~"|old|graphite"}', '{job=~".*1"}'):
            ask(f"query {query}", base + "/query", query=f"sort_by_label(count({query}) by (__name__,job), \"job\")",
                time=now, nocache=1)
        ask("unused names", base + "/status/metric_names_stats", limit=100, le=0)
        for match in ('{instance="host-3"}', '{job="graphite"}', "no_such_name"):
            status, body = harness.http_post(
                f"{cluster.select.url}/delete/0/prometheus/api/v1/admin/tsdb/delete_series?"
                + urllib.parse.urlencode({"match[]": match}), b"")
            answers[f"deletion of {match}"] = (status, body.decode())
        ask("after deletion", base + "/series", match='{__name__!=""}', **wide)
        ask("values after deletion", base + "/label/instance/values", **wide)
        ask("tsdb status after deletion", base + "/status/tsdb", date=day, topN=20, focusLabel="job")
        answers["export after deletion"] = cluster.export('{__name__!=""}')
        assert cluster.import_text(f'foo.bar.baz{{job="graphite"}} 9 {(now + 30) * 1000}\n')[0] == 204

        def written_again():
            cluster.flush()
            return len(cluster.export("foo.bar.baz")) == 1
        harness.wait_for("the deleted series is back", written_again)
        answers["series written again"] = cluster.export("foo.bar.baz")
        before = cluster.export('{__name__!=""}')
        cluster.storages[0].stop()
        cluster.storages[0].start()
        harness.wait_for("vmselect sees the restarted node", lambda: len(cluster.export('{__name__!=""}')) == len(before))
        answers["export after restart"] = cluster.export('{__name__!=""}')
        storage = cluster.storages[0]

        def act(name, path):
            status, body = harness.http_get(storage.url + path)
            answers[name] = (status, re.sub(r"\d{14}-[0-9A-F]{16}", "SNAPSHOT", body.decode()))
            return body
        act("no snapshots", "/snapshot/list")
        created = json.loads(act("snapshot", "/snapshot/create"))["snapshot"]
        act("second snapshot", "/snapshot/create")
        act("list of snapshots", "/snapshot/list")
        act("deletion of an unknown snapshot", "/snapshot/delete?snapshot=nothing")
        act("deletion without a name", "/snapshot/delete")
        act("forced merge", "/internal/force_merge?partition_prefix=" + time.strftime("%Y"))
        act("bad seconds", "/internal/log_new_series?seconds=x")
        root = pathlib.Path(folder) / "storage0"
        snapshot = root / "snapshots" / created
        answers["tree of the snapshot"] = sorted(
            re.sub(r"[0-9A-F]{16}", "PART", str(path.relative_to(snapshot))) for path in snapshot.rglob("*"))
        answers["links of the snapshot"] = [re.sub(created, "SNAPSHOT", os.readlink(snapshot / "data" / kind))
                                            for kind in ("small", "big", "indexdb")]
        shutil.copytree(snapshot, pathlib.Path(folder) / "snapshot")  # Follows the links, as a backup does.
        act("deletion of a snapshot", f"/snapshot/delete?snapshot={created}")
        act("deletion of all snapshots", "/snapshot/delete_all")
        act("no snapshots again", "/snapshot/list")
        answers["what is left of snapshots"] = sorted(
            str(path.relative_to(root)) for path in root.rglob("*") if path.parent.name == "snapshots")
        ask("reset of the names", "/select/0/prometheus/api/v1/admin/status/metric_names_stats/reset")
    shutil.rmtree(pathlib.Path(folder) / "storage0")
    shutil.move(pathlib.Path(folder) / "snapshot", pathlib.Path(folder) / "storage0")
    # Times differ between the two runs.
    return {name: mask(answer).replace(str(now), "NOW") for name, answer in answers.items()}, now


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    parser.add_argument("--peer-bin", default=None)
    parser.add_argument("--daemon", default="vmstorage", help="which of the three is ours")
    args = parser.parse_args()
    peer = args.peer_bin or harness.peer_bin()
    if peer is None:
        print("skipped: VM_PEER_BIN names no original binaries")
        return 0
    theirs = {name: peer for name in ("vminsert", "vmstorage", "vmselect")}
    with tempfile.TemporaryDirectory(prefix="vmtest-") as root:
        root = pathlib.Path(root)
        want, want_now = scenario(root / "theirs", theirs)
        got, got_now = scenario(root / "ours", {**theirs, args.daemon: args.bin})
        for first, second in (("ours", "theirs"), ("theirs", "ours")):
            bins = theirs if second == "theirs" else {**theirs, args.daemon: args.bin}
            with harness.Cluster(root / first, bins) as cluster:
                name = f"snapshot of {first} opened by {second}"
                exported = mask(cluster.export('{__name__!=""}'))
                now = want_now if first == "theirs" else got_now
                want[name] = want["export after restart"]
                got[name] = exported.replace(str(now), "NOW")
                if first == "ours":
                    want[name], got[name] = got["export after restart"], got[name]
    differences = 0
    for name, answer in want.items():
        expected, actual = shifted(answer, want_now, got_now), shifted(got[name], want_now, got_now)
        if expected != actual:
            differences += 1
            at = next((i for i, (a, b) in enumerate(zip(expected, actual)) if a != b), 0)
            at = max(at - 60, 0)
            print(f"{name}:\n  original {expected[at:at + 700]}\n  ours     {actual[at:at + 700]}")
    print(f"{len(want)} answers, {differences} differ")
    return 1 if differences else 0


def shifted(text, *nows):
    """Times near the start of a run as their distance from it, in minutes."""
    def shift(match):
        value = int(match.group()[:10])
        distances = [value - now for now in nows if abs(value - now) < 10 * DAY]
        return f"now{min(distances, key=abs) // 60:+d}m" if distances else match.group()
    return re.sub(r"\b\d{10}(?:\d{3})?\b", shift, text)


if __name__ == "__main__":
    sys.exit(main())
