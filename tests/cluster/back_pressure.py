#!/usr/bin/env python3
"""What happens between vminsert and a storage node that is slow, stands still, takes nothing or whose answers are lost.

    back_pressure.py --bin DIR [--seed N]

1. A node stands still: vminsert takes what its buffers hold, then clients wait and get 503 after -insert.maxQueueDuration.
   Nothing that was acknowledged is lost or doubled when the node goes on.
2. Answers come late: nothing is lost or doubled. An answer is lost with its connection: the rows are sent again, stored
   twice, and counted.
3. A node whose disk takes nothing until its memory has no room says read-only: clients wait and get 503 as above.
4. With -storage.vminsertConnsShutdownDuration a node that ends closes the connections of one peer after the other's.
"""
import argparse
import http.client
import resource
import signal
import socket
import tempfile
import threading
import time

import harness
from ledger import Ledger, Load, metric, wait_for_all, wait_until_sent


FILLER_MS = 1_700_000_000_000


class Proxy:
    """Relays one port. What the server sends may be held back, or be dropped together with its connection."""

    def __init__(self, target_port):
        self.target_port = target_port
        self.delay = 0.0
        self.answers_to_lose = 0
        self.lost = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.target_port))
            except OSError:
                client.close()
                continue
            threading.Thread(target=self.relay, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self.relay, args=(server, client, True), daemon=True).start()

    def relay(self, source, target, is_answer):
        try:
            while piece := source.recv(1 << 16):
                if is_answer and piece == bytes(8):  # The answer to a packet: no error.
                    time.sleep(self.delay)
                    if self.answers_to_lose > 0:
                        self.answers_to_lose -= 1
                        self.lost += 1
                        break
                target.sendall(piece)
        except OSError:
            pass
        for s in (source, target):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.listener.close()


def fill_until_refused(cluster):
    """Send until vminsert refuses with 503, which must say why and be counted. Returns the count."""
    refused, stopping, failures = threading.Event(), threading.Event(), []

    def fill(thread):
        for part in range(10**6):
            if stopping.is_set():
                return
            rows = "".join(f'filler{{number="{number}",text="{"x" * 500}"}} {part} {FILLER_MS + thread + 10 * part}\n'
                           for number in range(1500))
            try:
                status, body = harness.http_post(
                    f"{cluster.insert.url}/insert/0/prometheus/api/v1/import/prometheus", rows.encode())
            except (OSError, http.client.HTTPException):
                continue
            if status == 503:
                if b"cannot process insert request for" not in body:
                    failures.append(body[:300])
                refused.set()
            elif status != 204:
                failures.append((status, body[:300]))

    threads = [threading.Thread(target=fill, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    try:
        assert refused.wait(180), "nothing was refused"
        limit = metric(cluster.insert, "vm_concurrent_insert_limit_timeout_total")
        assert limit > 0, "refusals are not counted"
    finally:
        stopping.set()
        # Requests that have a slot wait until their rows have room: the caller sees to that.
        cluster.fillers = threads
    assert not failures, failures[:3]
    return limit


def standing_still(bins, folder, seed):
    ledger = Ledger(seed)
    queue_s = 1
    with harness.Cluster(folder, bins, insert_args=[
            f"-insert.maxQueueDuration={queue_s}s", "-maxConcurrentInserts=2", "-memory.allowedBytes=32MB"]) as cluster:
        storage = cluster.storages[0]
        with Load(ledger, cluster, writers=2) as load:
            load.wait_for_batches(20)
        storage.process.send_signal(signal.SIGSTOP)
        try:
            limit = fill_until_refused(cluster)
        finally:
            storage.process.send_signal(signal.SIGCONT)
        for thread in cluster.fillers:
            thread.join()
        with Load(ledger, cluster, writers=2) as load:
            load.wait_for_batches(20)
        wait_until_sent(cluster)
        report = wait_for_all(ledger, cluster)
        assert not report.doubled, report.summary()
    print(f"ok: a node that stood still, clients were refused {limit:.0f} times: {report.summary()}", flush=True)


def full_disk(bins, folder, seed):
    ledger = Ledger(seed)
    queue_s = 1
    cluster = harness.Cluster(
        folder, bins, storage_args=["-memory.allowedBytes=32MB", "-inmemoryDataFlushInterval=1s"],
        insert_args=[f"-insert.maxQueueDuration={queue_s}s", "-maxConcurrentInserts=2", "-memory.allowedBytes=32MB"])
    storage = cluster.storages[0]
    # A write beyond the limit is an error then, not the end of the process.
    storage.command[:0] = ["env", "--ignore-signal=XFSZ"]
    with cluster:
        with Load(ledger, cluster) as load:
            load.wait_for_batches(20)
        wait_until_sent(cluster)
        wait_for_all(ledger, cluster)
        resource.prlimit(storage.process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        with Load(ledger, cluster) as load:
            load.wait_for_batches(20)
        limit = fill_until_refused(cluster)
        # A slow machine refuses before the node has noticed that it has no room.
        harness.wait_for("the node without room is read-only", lambda: metric(storage, "vm_storage_is_read_only") == 1)
        harness.wait_for("vminsert knows it", lambda: metric(cluster.insert, "vm_rpc_vmstorage_is_read_only") == 1)
        with open(f"/proc/{storage.process.pid}/status") as status:
            memory = int(next(line for line in status if line.startswith("RssAnon")).split()[1]) >> 10
        resource.prlimit(storage.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        # vminsert asks a read-only node each 30 s whether it takes rows again.
        harness.wait_for("the node takes rows again",
                         lambda: metric(cluster.insert, "vm_rpc_vmstorage_is_read_only") == 0, 180)
        for thread in cluster.fillers:
            thread.join()
        with Load(ledger, cluster) as load:
            load.wait_for_batches(20)
        wait_until_sent(cluster)
        report = wait_for_all(ledger, cluster)
        assert not report.doubled, report.summary()
    print(f"ok: a disk that took nothing until vmstorage had no room, {memory} MiB, clients were refused {limit:.0f} times: "
          f"{report.summary()}", flush=True)


def answers(bins, folder, seed):
    ledger = Ledger(seed)
    cluster = harness.Cluster(folder, bins)
    target = int(next(a for a in cluster.storages[0].command if a.startswith("-vminsertAddr=")).rsplit(":", 1)[1])
    proxy = Proxy(target)
    cluster.insert.command = [f"-storageNode=127.0.0.1:{proxy.port}" if a.startswith("-storageNode=") else a
                              for a in cluster.insert.command]
    again = lambda: metric(cluster.insert, "vm_rpc_rows_unacknowledged_total")  # noqa: E731
    with cluster:
        with Load(ledger, cluster) as load:
            load.wait_for_batches(20)
            proxy.delay = 1.0
            load.wait_for_batches(60)
            proxy.delay = 0.0
        wait_until_sent(cluster)
        report = wait_for_all(ledger, cluster)
        assert not report.doubled and again() == 0, f"{report.summary()}, {again()} sent again"
        with Load(ledger, cluster) as load:
            load.wait_for_batches(20)
            proxy.answers_to_lose = 3
            harness.wait_for("three answers lost", lambda: proxy.lost == 3)
            load.wait_for_batches(20)
        wait_until_sent(cluster)
        wait_for_all(ledger, cluster)
        report = harness.wait_for("rows stored twice", lambda: (r := ledger.check(cluster)).doubled and r)
        sent_again = again()
        # What was sent and not answered was stored all the same: each row twice, no more and no less.
        assert 0 < len(report.doubled) <= sent_again, f"{report.summary()}, {sent_again:.0f} sent again"
        assert metric(cluster.insert, "vm_rpc_connection_errors_total") >= 1
    proxy.close()
    print(f"ok: late answers and 3 lost ones: {report.summary()}, {sent_again:.0f} rows sent again", flush=True)


def gradual_shutdown(bins, folder):
    duration_s = 6
    cluster = harness.Cluster(folder, bins, storage_args=[f"-storage.vminsertConnsShutdownDuration={duration_s}s"])
    storage = cluster.storages[0]
    port = int(next(a for a in storage.command if a.startswith("-vminsertAddr=")).rsplit(":", 1)[1])
    storage.start()
    try:
        peers = []
        for number in range(4):
            s = socket.create_connection(("127.0.0.1", port), timeout=90, source_address=(f"127.0.0.{number + 2}", 0))
            for piece, size in ((b"vminsert.03", 2), (b"\0", 3)):
                s.sendall(piece)
                got = b""
                while len(got) < size:
                    got += s.recv(size - len(got))
            s.sendall(b"ok")
            peers.append(s)
        # The last step of a handshake is not answered; the gauge says when all are through.
        harness.wait_for("four peers", lambda: metric(storage, "vm_vminsert_conns") == 4)
        ends = [0.0] * len(peers)

        def wait(number):
            try:
                peers[number].recv(1)
            except OSError:
                pass
            ends[number] = time.monotonic()

        threads = [threading.Thread(target=wait, args=(number,)) for number in range(len(peers))]
        for thread in threads:
            thread.start()
        begin = time.monotonic()
        storage.process.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join()
    finally:
        status = storage.stop()
    assert status == 0, f"exit status {status} after SIGTERM"
    took = sorted(end - begin for end in ends)
    steps = [later - earlier for earlier, later in zip(took, took[1:])]
    # Two seconds between them, of which a busy machine may hide three quarters.
    assert took[-1] - took[0] > duration_s * 0.6, f"connections closed at {took}"
    assert min(steps) > duration_s / 3 * 0.25, f"connections closed at {took}"
    print("ok: connections of four peers closed after " + ", ".join(f"{t:.1f}" for t in took) + " s", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    args = parser.parse_args()
    print(f"seed {args.seed}", flush=True)
    bins = {name: args.bin for name in ("vminsert", "vmstorage", "vmselect")}
    with tempfile.TemporaryDirectory(prefix="vmtest-") as root:
        gradual_shutdown(bins, f"{root}/shutdown")
        answers(bins, f"{root}/answers", args.seed)
        standing_still(bins, f"{root}/still", args.seed + 1)
        full_disk(bins, f"{root}/full", args.seed + 2)


if __name__ == "__main__":
    main()
