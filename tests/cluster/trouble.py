#!/usr/bin/env python3
"""Storage nodes in trouble, under load.

    trouble.py --bin DIR [--seed N]

1. One node is stopped by SIGTERM and started again later: no sample is lost, queries say isPartial meanwhile and only
   then, and the counters of vminsert tell that rows went to the other node.
2. With -replicationFactor=2 one node is killed: answers stay complete and are not called partial. These nodes read
   their files without mmap.
3. The disk of a node takes nothing for a while (a limit on the size of files, 0 bytes): rows are taken and found all
   the same, and are in files soon after the disk is back, as a kill shows.
"""
import argparse
import json
import resource
import signal
import tempfile
import time

import harness
from ledger import METRIC, Ledger, Load, metric, wait_for_all, wait_until_sent


def is_partial(cluster):
    status, body = cluster.api("query", query=f"count({METRIC})", nocache=1)
    answer = json.loads(body)
    assert status == 200, (status, body[:500])
    return answer["isPartial"]


def stopped_node(bins, folder, seed):
    ledger = Ledger(seed)
    with harness.Cluster(folder, bins, nodes=2) as cluster:
        first = cluster.storages[0]
        rerouted = lambda: metric(cluster.insert, "vm_rpc_rows_rerouted_from_here_total")  # noqa: E731
        with Load(ledger, cluster) as load:
            load.wait_for_batches(30)
            assert not is_partial(cluster)
            before = rerouted()
            status = first.stop(signal.SIGTERM)
            assert status == 0, f"exit status {status} after SIGTERM"
            harness.wait_for("queries are partial without the node", lambda: is_partial(cluster))
            harness.wait_for("rows rerouted from the stopped node", lambda: rerouted() > before)
            load.wait_for_batches(60)
            assert is_partial(cluster)
            sent = metric(cluster.insert, "vm_rpc_rows_rerouted_to_here_total")
            assert sent > 0, "no rows were rerouted to the other node"
            first.start()
            harness.wait_for("queries are whole with the node", lambda: not is_partial(cluster))
            load.wait_for_batches(30)
        wait_until_sent(cluster)
        report = wait_for_all(ledger, cluster)
        assert metric(cluster.insert, "vm_rpc_rows_dropped_on_overload_total") == 0
        for number, storage in enumerate(cluster.storages):
            rows = [metric(storage, "vm_rows", type=f"storage/{kind}") for kind in ("inmemory", "small")]
            assert sum(rows) > 0, f"node {number} holds nothing"
    print(f"ok: one of two nodes stopped and started, {len(ledger.batches)} batches: {report.summary()}, "
          f"{sent:.0f} rows rerouted", flush=True)


def killed_replica(bins, folder, seed):
    ledger = Ledger(seed)
    with harness.Cluster(folder, bins, nodes=2, storage_args=["-fs.disableMmap"], insert_args=["-replicationFactor=2"],
                         select_args=["-replicationFactor=2", "-dedup.minScrapeInterval=1ms"]) as cluster:
        with Load(ledger, cluster) as load:
            load.wait_for_batches(30)
        # What vminsert still holds has no copy yet.
        wait_until_sent(cluster)
        wait_for_all(ledger, cluster)
        assert not is_partial(cluster)
        cluster.storages[0].stop(signal.SIGKILL)
        report = wait_for_all(ledger, cluster)
        assert not report.doubled, report.summary()
        assert not is_partial(cluster)
        # The other node takes what comes meanwhile.
        with Load(ledger, cluster) as load:
            load.wait_for_batches(30)
        report = wait_for_all(ledger, cluster)
        assert not is_partial(cluster)
        # The second copy is tried after the first one can be read.
        incomplete = harness.wait_for("rows without a second copy are counted", lambda: metric(
            cluster.insert, "vm_rpc_rows_incompletely_replicated_total"))
        cluster.storages[0].start()
        report = wait_for_all(ledger, cluster)
        assert not report.doubled, report.summary()
    print(f"ok: one of two replicas killed, {len(ledger.batches)} batches: {report.summary()}, "
          f"{incomplete:.0f} rows with one copy", flush=True)


def failing_disk(bins, folder, seed):
    ledger = Ledger(seed)
    cluster = harness.Cluster(folder, bins, storage_args=["-inmemoryDataFlushInterval=1s"])
    storage = cluster.storages[0]
    # A write beyond the limit is an error then, not the end of the process.
    storage.command[:0] = ["env", "--ignore-signal=XFSZ"]

    def rows(kind):
        return metric(storage, "vm_rows", type=f"storage/{kind}")

    def waiting():
        return rows("inmemory") + metric(storage, "vm_pending_rows", type="storage")

    def limit_files(size):
        resource.prlimit(storage.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    with cluster:
        with Load(ledger, cluster) as load:
            load.wait_for_batches(20)
            harness.wait_for("rows in files", lambda: rows("small") > 0)
            limit_files(0)
            load.wait_for_batches(60)
        wait_until_sent(cluster)
        wait_for_all(ledger, cluster)
        in_files, in_memory = rows("small"), waiting()
        assert in_memory > 0, "rows went to files although the disk takes nothing"
        # Nothing is thrown away while it is tried again.
        before = ledger.count()
        with Load(ledger, cluster) as load:
            load.wait_for_batches(60)
        wait_until_sent(cluster)
        wait_for_all(ledger, cluster)
        assert rows("small") == in_files, (rows("small"), in_files)
        expected = in_memory + (ledger.count() - before) * ledger.series
        harness.wait_for("every row waits in memory", lambda: waiting() == expected)
        limit_files(resource.RLIM_INFINITY)
        harness.wait_for("rows in files once the disk is back", lambda: rows("inmemory") == 0)
        storage.stop(signal.SIGKILL)
        storage.start()
        report = wait_for_all(ledger, cluster)
    print(f"ok: a disk that took nothing for a while, {len(ledger.batches)} batches: {report.summary()}, "
          f"{in_memory:.0f} rows waited in memory", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    args = parser.parse_args()
    print(f"seed {args.seed}", flush=True)
    bins = {name: args.bin for name in ("vminsert", "vmstorage", "vmselect")}
    with tempfile.TemporaryDirectory(prefix="vmtest-") as root:
        stopped_node(bins, f"{root}/stopped", args.seed)
        killed_replica(bins, f"{root}/replicas", args.seed + 1)
        failing_disk(bins, f"{root}/disk", args.seed + 2)


if __name__ == "__main__":
    main()
