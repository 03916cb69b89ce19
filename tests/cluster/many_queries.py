#!/usr/bin/env python3
"""Two storage nodes, many queries: every one is answered, by both nodes' data.

A query that waits for several nodes once missed the last answer now and then.
"""
import argparse
import tempfile
import time

import harness


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    parser.add_argument("--queries", type=int, default=300)
    args = parser.parse_args()
    bins = {name: args.bin for name in ("vminsert", "vmstorage", "vmselect")}
    now = int(time.time()) - 120
    text = "".join(f'spread{{series="{i}"}} {i} {now * 1000}\n' for i in range(100))
    with tempfile.TemporaryDirectory(prefix="vmtest-") as root:
        with harness.Cluster(root, bins, nodes=2) as cluster:
            status, body = cluster.import_text(text)
            assert (status, body) == (204, b""), (status, body)

            def all_there():
                cluster.flush()
                return len(cluster.export('{__name__="spread"}')) == 100
            harness.wait_for("100 series searchable", all_there)
            for storage in cluster.storages:
                _, metrics = harness.http_get(storage.url + "/metrics")
                added = [line for line in metrics.decode().splitlines()
                         if line.startswith("vm_rows_added_to_storage_total")]
                assert added and float(added[0].split()[-1]) > 10, added
            for _ in range(args.queries):
                answer = cluster.query("count(spread)", now)
                assert answer["data"]["result"][0]["value"] == [now, "100"], answer
    print(f"ok: {args.queries} queries over two nodes")


if __name__ == "__main__":
    main()
