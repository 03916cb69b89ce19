#!/usr/bin/env python3
"""Results of rollups that vmselect keeps: what is asked again comes without vmstorage, also after a restart, and what changes
is seen: new samples, late samples, deleted series.

    rollup_cache.py --bin DIR
"""
import argparse
import json
import tempfile
import time
import urllib.parse

import harness
from one_sample import expect

STEP = 15


def counts(daemon):
    time.sleep(1.1)  # The page is kept for a second.
    found = {}
    for line in harness.http_get(daemon.url + "/metrics")[1].decode().splitlines():
        if line.startswith("vm_rollup_result_cache_"):
            name, value = line.split()
            found[name.removeprefix("vm_rollup_result_cache_").removesuffix("_total")] = int(value)
    return found


def ask(cluster, start, end, query="sum_over_time(m[1m])", **more):
    status, body = cluster.api("query_range", query=query, start=start, end=end, step=STEP, **more)
    assert status == 200, body
    return {series["metric"].get("i"): dict(series["values"]) for series in json.loads(body)["data"]["result"]}


def load(cluster, now):
    lines = [f'm{{i="{i}"}} {i + 1} {(now - 3600 + STEP * k) * 1000}' for i in range(3) for k in range(3600 // STEP)]
    assert cluster.import_text("\n".join(lines) + "\n")[0] == 204

    def there():
        cluster.flush()
        return sum(len(samples) for _, samples in cluster.export("m")) == len(lines)
    harness.wait_for("samples searchable", there)


def restart(cluster, *args):
    expect(cluster.select.stop(), 0, "exit status of vmselect")
    command = list(cluster.select.command)
    cluster.select.command += args
    cluster.select.start()
    cluster.select.command = command


def check_hits(cluster, now):
    old = now - 3600, now - 1800
    first = ask(cluster, *old)
    expect(sorted(first), ["0", "1", "2"], "series")
    expect(counts(cluster.select)["miss"], 1, "the first question")
    expect(ask(cluster, *old), first, "the same again")
    expect(counts(cluster.select)["full_hits"], 1, "the same again")
    expect(ask(cluster, *old, nocache=1), first, "nocache=1")
    expect(counts(cluster.select)["requests"], 2, "nocache=1")
    longer = ask(cluster, now - 3600, now - 900)
    expect(counts(cluster.select)["partial_hits"], 1, "more of it")
    expect(longer, ask(cluster, now - 3600, now - 900, nocache=1), "more of it")
    # With no storage what was kept is all there is.
    cluster.storages[0].stop()
    expect(ask(cluster, *old), first, "without vmstorage")
    cluster.storages[0].start()
    harness.wait_for("vmstorage again", lambda: ask(cluster, *old, nocache=1) == first)
    return first


def check_restart(cluster, now, first):
    old = now - 3600, now - 1800
    restart(cluster)
    expect(ask(cluster, *old), first, "after a restart")
    expect(counts(cluster.select)["full_hits"], 1, "after a restart")
    restart(cluster, "-search.resetRollupResultCacheOnStartup")
    expect(ask(cluster, *old), first, "after a restart without what was kept")
    expect(counts(cluster.select)["full_hits"], 0, "-search.resetRollupResultCacheOnStartup")
    restart(cluster, "-search.disableCache")
    for _ in range(2):
        expect(ask(cluster, *old), first, "without a cache")
    expect(counts(cluster.select)["requests"], 0, "-search.disableCache")
    restart(cluster, "-search.resetCacheAuthKey=secret")
    ask(cluster, *old)
    expect(counts(cluster.select)["full_hits"], 0, "a cache after none")
    url = cluster.select.url + "/internal/resetRollupResultCache"
    expect(harness.http_get(url)[0], 401, "reset without the key")
    ask(cluster, *old)
    expect(counts(cluster.select)["full_hits"], 1, "after a reset that was refused")
    expect(harness.http_get(url + "?authKey=secret")[0], 200, "reset")
    ask(cluster, *old)
    expect(counts(cluster.select)["full_hits"], 1, "after a reset")
    restart(cluster)


def check_changes(cluster, now):
    """`now` is about the real time: the last five minutes are not kept."""
    recent = now - 600, now // STEP * STEP
    before = ask(cluster, *recent)
    expect(ask(cluster, *recent), before, "recent points")
    late = now - 120
    assert cluster.import_text(f'm{{i="0"}} 1000 {late * 1000}\n')[0] == 204

    def is_seen():
        cluster.flush()
        return ask(cluster, *recent) == ask(cluster, *recent, nocache=1) != before
    harness.wait_for("a late sample is seen", is_seen)
    hits = counts(cluster.select)
    assert hits["partial_hits"] > 0, hits
    status, _ = harness.http_post(f"{cluster.select.url}/delete/0/prometheus/api/v1/admin/tsdb/delete_series?"
                                  + urllib.parse.urlencode({"match[]": 'm{i="2"}'}), b"")
    expect(status, 204, "deletion")
    expect(sorted(ask(cluster, *recent)), ["0", "1"], "after a deletion")
    expect(counts(cluster.select)["resets"], 1, "a deletion")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    bins = {name: parser.parse_args().bin for name in ("vminsert", "vmstorage", "vmselect")}
    with tempfile.TemporaryDirectory(prefix="vmtest-") as root, harness.Cluster(root, bins) as cluster:
        now = int(time.time()) // STEP * STEP
        load(cluster, now)
        first = check_hits(cluster, now)
        check_restart(cluster, now, first)
        check_changes(cluster, now)
    print("ok")


if __name__ == "__main__":
    main()
