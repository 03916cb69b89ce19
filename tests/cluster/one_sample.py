#!/usr/bin/env python3
"""One sample by each protocol, the whole way: vminsert -> 8400 -> parts and index -> restart -> 8401 -> query.

    one_sample.py --bin DIR --source DIR [--peer-bin DIR]

Without --peer-bin (or VM_PEER_BIN) only our own daemons run. With it the same scenario runs with every
mix of ours and the original's, and directories are opened by the other side.
"""
import argparse
import itertools
import pathlib
import subprocess
import sys
import tempfile
import time

import harness

NAMES = ("vminsert", "vmstorage", "vmselect")


def expect(got, want, what):
    if got != want:
        raise AssertionError(f"{what}:\n  got  {got!r}\n  want {want!r}")


def vector(answer):
    expect(answer["status"], "success", "query status")
    expect(answer["data"]["resultType"], "vector", "result type")
    return sorted((tuple(sorted(r["metric"].items())), r["value"]) for r in answer["data"]["result"])


def scenario(folder, bins, source):
    now = int(time.time()) - 120
    timestamp = now * 1000
    text = (f'# TYPE text_sample gauge\ntext_sample{{job="a",path="/x \\"y\\""}} 42.5 {timestamp}\n'
            f'text_sample{{job="b"}} -7 {timestamp}\n')
    remote = [({"__name__": "remote_sample", "instance": "h:1", "job": "node"},
               [(timestamp - 15000, 1e-3), (timestamp, 3.0)])]
    want_export = [
        ((("__name__", "remote_sample"), ("instance", "h:1"), ("job", "node")),
         [(timestamp - 15000, 0.001), (timestamp, 3)]),
        ((("__name__", "text_sample"), ("job", "a"), ("path", '/x "y"')), [(timestamp, 42.5)]),
        ((("__name__", "text_sample"), ("job", "b")), [(timestamp, -7)]),
    ]
    everything = '{__name__!=""}'
    with harness.Cluster(folder, bins) as cluster:
        status, body = cluster.import_text(text)
        expect((status, body), (204, b""), "text import")
        status, body = cluster.remote_write(remote)
        expect((status, body), (204, b""), "remote write")

        def all_there():
            cluster.flush()
            return cluster.export(everything) == want_export
        harness.wait_for("samples searchable", all_there)
        for _ in range(2):  # Before and after a restart of vmstorage.
            expect(cluster.export(everything), want_export, "export")
            expect(vector(cluster.query('text_sample{job="a"}', now)),
                   [((("__name__", "text_sample"), ("job", "a"), ("path", '/x "y"')), [now, "42.5"])],
                   "text query")
            expect(vector(cluster.query('{__name__=~"remote.+",job!="x"}', now)),
                   [((("__name__", "remote_sample"), ("instance", "h:1"), ("job", "node")), [now, "3"])],
                   "remote query")
            expect(vector(cluster.query('text_sample{job!~"a|c"}', now)),
                   [((("__name__", "text_sample"), ("job", "b")), [now, "-7"])], "negative regexp")
            expect(vector(cluster.query("no_such_metric", now)), [], "empty answer")
            expect(vector(cluster.query("42", now)), [((), [now, "42"])], "number")
            status = cluster.storages[0].stop()
            expect(status, 0, "exit status of vmstorage after SIGTERM")
            cluster.storages[0].start()
            harness.wait_for("vmselect sees the restarted node",
                             lambda: cluster.export(everything) == want_export)
        shared = harness.shared_dir(source)
        data = pathlib.Path(folder) / "storage0"
        expect(cluster.storages[0].stop(), 0, "exit status of vmstorage")
        if shared is not None:
            dump = subprocess.run([sys.executable, str(shared / "golden" / "check.py"), "--dump",
                                   str(data)], capture_output=True, text=True, check=False)
            expect(dump.returncode, 0, f"check.py --dump: {dump.stdout[-1000:]} {dump.stderr[-3000:]}")
            for part in ("remote_sample", "text_sample", str(timestamp)):
                if part not in dump.stdout:
                    raise AssertionError(f"check.py --dump does not show {part}:\n{dump.stdout[:2000]}")
        else:
            print("skipped: the directory reader of ../shared/golden is not here")
    return want_export


def reopen(folder, bins, want_export):
    """Open the directory of an earlier scenario with other daemons and compare the full export."""
    with harness.Cluster(folder, bins) as cluster:
        harness.wait_for("full export after the swap",
                         lambda: cluster.export('{__name__!=""}') == want_export)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    parser.add_argument("--source", required=True)
    parser.add_argument("--peer-bin", default=None)
    args = parser.parse_args()
    ours = {name: args.bin for name in NAMES}
    peer = args.peer_bin or harness.peer_bin()
    with tempfile.TemporaryDirectory(prefix="vmtest-") as root:
        root = pathlib.Path(root)
        want = scenario(root / "ours", ours, args.source)
        print("ok: ours, ours, ours")
        if peer is None:
            print("skipped: the mixed cells, VM_PEER_BIN names no original binaries")
            return
        theirs = {name: peer for name in NAMES}
        reopen(root / "ours", theirs, want)
        print("ok: our directory opened by the original")
        want = scenario(root / "theirs", theirs, args.source)
        reopen(root / "theirs", ours, want)
        print("ok: the original's directory opened by ours")
        for mask in itertools.product((0, 1), repeat=3):
            if sum(mask) in (0, 3):
                continue
            bins = {name: peer if bit else args.bin for name, bit in zip(NAMES, mask)}
            label = ", ".join(f"{name} {'original' if bit else 'ours'}" for name, bit in zip(NAMES, mask))
            scenario(root / ("mix" + "".join(map(str, mask))), bins, args.source)
            print("ok:", label)


if __name__ == "__main__":
    main()
