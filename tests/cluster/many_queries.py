#!/usr/bin/env python3
"""Two storage nodes, many queries: every one is answered, by both nodes' data.

A query that waits for several nodes once missed the last answer now and then.
"""
import argparse
import http.client
import tempfile
import time

import harness


def ask_on_one_connection(port, method, path, body, status):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.connect()
    first = connection.sock
    for number in range(30):
        connection.request(method, path, body)
        response = connection.getresponse()
        answer = response.read()
        assert response.status == status, (number, path, response.status, answer[:300])
        assert connection.sock is first, f"the connection was closed after {number + 1} requests"
        time.sleep(0.002)
    connection.close()


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
            # As browsers and Grafana ask: one connection for all.
            path = "/select/0/prometheus/api/v1/query?query=count(spread)&nocache=1&time=" + str(now)
            ask_on_one_connection(cluster.select.http_port, "GET", path, None, 200)
            path = "/insert/0/prometheus/api/v1/import/prometheus"
            ask_on_one_connection(cluster.insert.http_port, "POST", path, b"kept 1\n", 204)
    print(f"ok: {args.queries} queries over two nodes, and more on kept connections")


if __name__ == "__main__":
    main()
