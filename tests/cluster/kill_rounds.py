#!/usr/bin/env python3
"""vmstorage is killed under load again and again: what it had been given long enough ago is there after each start.

    kill_rounds.py --bin DIR [--rounds 20] [--seed N]

The load: rows of eight protocols, queries, exports, forced merges and snapshots. A killed vmstorage may lose what it has
not written to files yet: at most the samples acknowledged within W = 2 x -inmemoryDataFlushInterval + 4 s before the
kill. Nothing older is missing, nothing is altered, nothing that was acknowledged after the kill is lost, and nothing is
doubled but rows whose acknowledgement a kill swallowed: vminsert sends them again and counts them. SIGTERM loses nothing.
"""
import argparse
import random
import signal
import tempfile
import time

import harness
import protocols
from ledger import Ledger, Load, metric, wait_for_all, wait_until_sent

FLUSH_INTERVAL_S = 2
WINDOW_S = 2 * FLUSH_INTERVAL_S + 4


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    args = parser.parse_args()
    print(f"seed {args.seed}", flush=True)
    chance = random.Random(args.seed)
    bins = {name: args.bin for name in ("vminsert", "vmstorage", "vmselect")}
    ledger = Ledger(args.seed, encoders=protocols.ALL)
    kills = []
    outages = []
    missing = set()
    oldest = 0.0
    slowest_start = 0.0
    unfinished_starts = 0
    maintenance = random.Random(args.seed + 1)

    def delivered_at(entry):
        """vminsert keeps what it acknowledged during an outage until the node is back."""
        return max([entry.acked_at, *(end for begin, end in outages if begin <= entry.acked_at <= end)])

    def may_miss(entry):
        """The node may have had the rows from the moment they were sent: the answer to us takes its time too."""
        return any(entry.sent_at <= killed <= delivered_at(entry) + WINDOW_S for killed in kills)

    with tempfile.TemporaryDirectory(prefix="vmtest-") as root:
        with harness.Cluster(root, bins, storage_args=[f"-inmemoryDataFlushInterval={FLUSH_INTERVAL_S}s"],
                             insert_args=protocols.INSERT_ARGS) as cluster:
            storage = cluster.storages[0]

            def maintain():
                time.sleep(maintenance.uniform(0.2, 2))
                path = maintenance.choice(["/internal/force_merge", "/internal/force_merge", "/snapshot/create",
                                           "/snapshot/delete_all"])
                status, body = harness.http_get(storage.url + path)
                assert status == 200, f"{path}: {status} {body[:500]!r}"

            def kill():
                storage.stop(signal.SIGKILL)
                kills.append(time.time())

            with Load(ledger, cluster, pause=0.05, writers=2, exports=True, jobs=[maintain]) as load:
                for number in range(args.rounds):
                    load.wait_for_batches(chance.randrange(5, 60))
                    time.sleep(chance.random())
                    if number % 5 == 4:
                        # Something that must not be lost: samples of this life of the node older than the window.
                        first = ledger.count()
                        harness.wait_for("samples older than the window", lambda: any(
                            entry.acked_at and entry.acked_at < time.time() - WINDOW_S
                            for entry in ledger.batches[first:]))
                    kill()
                    if number % 4 == 3:
                        # Once more while it opens its files.
                        storage.spawn()
                        time.sleep(chance.uniform(0.01, 0.3))
                        outages.append((kills[-1], time.time()))
                        kill()
                        unfinished_starts += 1
                    begin = time.time()
                    storage.start()
                    slowest_start = max(slowest_start, time.time() - begin)
                    try:
                        report = wait_for_all(ledger, cluster, may_miss)
                    except AssertionError as error:
                        raise AssertionError(f"{error}; the last kills: {kills[-3:]}") from error
                    outages.append((kills[-1], time.time()))
                    taken = {batch for _, batch in report.missing
                             if ledger.batches[batch].acked_at < kills[-1]} - missing
                    missing |= taken
                    oldest = max([oldest, *(kills[-1] - delivered_at(ledger.batches[batch]) for batch in taken)])
                    sent_again = metric(cluster.insert, "vm_rpc_rows_unacknowledged_total")
                    assert len(report.doubled) <= sent_again, (
                        f"{report.summary()}, but {sent_again:.0f} rows were sent again; {report.doubled[:5]}")
                    print(f"round {number}: {report.summary()}, {sent_again:.0f} rows sent again", flush=True)
                # Under load too.
                load.wait_for_batches(20)
                status = storage.stop(signal.SIGTERM)
                assert status == 0, f"exit status {status} after SIGTERM"
                storage.start()
                load.wait_for_batches(20)
            wait_until_sent(cluster)
            wait_for_all(ledger, cluster, may_miss)
            before = ledger.compare(ledger.export(cluster))
            status = storage.stop(signal.SIGTERM)
            assert status == 0, f"exit status {status} after SIGTERM"
            storage.start()
            harness.wait_for("the same export after SIGTERM",
                             lambda: ledger.compare(ledger.export(cluster)).summary() == before.summary())
            safe = sum(1 for entry in ledger.batches if entry.acked_at is not None and not may_miss(entry))
            assert safe > 0, "no sample was out of reach of a kill: nothing was proved"
            assert load.queries > 0 and load.exports > 0
    print(f"ok: {len(kills)} kills, {unfinished_starts} of them during a start, {len(ledger.batches)} batches, {safe} of "
          f"them out of reach of a kill; the oldest lost sample was delivered {oldest:.1f} s before its kill, {WINDOW_S} s "
          f"are allowed; the slowest start took {slowest_start:.1f} s; {load.queries} queries, {load.exports} exports; "
          f"{before.summary()}")


if __name__ == "__main__":
    main()
