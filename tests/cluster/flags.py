#!/usr/bin/env python3
"""What command lines say reaches the place where it works, and what other programs read of the daemons is exact.

    flags.py --bin DIR [--peer-bin DIR]

With --peer-bin (or VM_PEER_BIN) the flags that the original's -help lists are compared with ours.
"""
import argparse
import http.server
import json
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time

import harness
from one_sample import expect

NAMES = ("vminsert", "vmstorage", "vmselect")
DEPRECATED = ["-bigMergeConcurrency=1", "-smallMergeConcurrency=1", "-finalMergeDelay=1s", "-snapshotCreateTimeout=1s",
              "-rpc.disableCompression"]


def refused(folder, *command):
    """Exit status and output of a command line that must not start."""
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=90, check=False)
    return ended.returncode, ended.stdout + ended.stderr


def flags_of(binary):
    help_text = subprocess.run([f"{binary}", "-help"], capture_output=True, text=True, timeout=90, check=False)
    return set(re.findall(r"^  -(\S+)", help_text.stdout + help_text.stderr, re.M))


def command_lines(binaries, peer, folder):
    for name in NAMES:
        status, text = refused(folder, f"{binaries}/{name}", "-noSuchFlag")
        expect(status, 2, f"{name}: exit status for an unknown flag")
        expect(text.splitlines()[0], "flag provided but not defined: -noSuchFlag", name)
    for retention in ("12h", "0"):
        status, text = refused(folder, f"{binaries}/vmstorage", f"-retentionPeriod={retention}")
        expect(f"-retentionPeriod cannot be smaller than a day; got {retention}" in text, True, text)
        expect(status != 0, True, f"a retention of {retention}")
    for flag, text_part in {"-memory.allowedBytes=100TiB": "cannot be less than or equal to zero, detected system memory limit",
                            "-memory.allowedPercent=100": "cannot be less than or equal to zero, detected system memory limit",
                            "-memory.allowedPercent=500": "-memory.allowedPercent must be in the range [1...100]; got 500",
                            "-memory.allowedPercent=-1": "-memory.allowedPercent must be in the range [1...100]; got -1",
                            "-httpListenAddr=127.0.0.1:99999": "cannot start http server at 127.0.0.1:99999"}.items():
        status, text = refused(folder, f"{binaries}/vminsert", "-storageNode=127.0.0.1:1", flag)
        expect((status, text_part in text), (255, True), f"{flag}: {text}")
    if peer is None:
        print("skipped: the flags of the original, VM_PEER_BIN names no original binaries")
        return
    for name in NAMES:
        missing = flags_of(f"{peer}/{name}") - flags_of(f"{binaries}/{name}")
        expect(sorted(missing), [], f"flags of the original's {name} that ours does not know")
    scrape = {flag for flag in flags_of(f"{binaries}/vmselect") if flag.startswith("promscrape.")}
    expect(len(scrape), 55, "promscrape flags of vmselect")


def values(daemon):
    _, body = harness.http_get(daemon.url + "/metrics")
    return dict(line.rsplit(" ", 1) for line in body.decode().splitlines() if line and not line.startswith("#"))


def send(port, text, udp=False):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM) as out:
        out.connect(("127.0.0.1", port))
        out.sendall(text.encode())


def lines_of(daemon):
    return daemon.log_path.read_text()


def wait_for_line(daemon, pattern):
    return harness.wait_for(f"{pattern} in the log of {daemon.name}", lambda: re.search(pattern, lines_of(daemon), re.M))


def listeners_and_levels(folder, bins):
    graphite, influx, opentsdb, opentsdb_http, native, upper_http = harness.free_ports(6)
    insert_args = [f"-graphiteListenAddr=127.0.0.1:{graphite}", f"-influxListenAddr=127.0.0.1:{influx}",
                   f"-opentsdbListenAddr=127.0.0.1:{opentsdb}", f"-opentsdbHTTPListenAddr=127.0.0.1:{opentsdb_http}",
                   f"-clusternativeListenAddr=127.0.0.1:{native}", "-sortLabels", "-usePromCompatibleNaming",
                   "-graphiteTrimTimestamp=1m", "-influxTrimTimestamp=1m", "-opentsdbTrimTimestamp=1m",
                   "-opentsdbhttpTrimTimestamp=1m", "-csvTrimTimestamp=1m", "-maxLabelsPerTimeseries=5"]
    storage_args = [*DEPRECATED, "-logNewSeries", "-storage.maxHourlySeries=1000", "-storage.maxDailySeries=2000",
                    "-memory.allowedBytes=100MB", "-storage.cacheSizeStorageTSID=3MB", "-storage.cacheSizeIndexDBIndexBlocks=4MB",
                    "-storage.cacheSizeIndexDBDataBlocks=5MB", "-storage.cacheSizeIndexDBTagFilters=6MB",
                    "-search.maxUniqueTimeseries=77"]
    with harness.Cluster(folder, bins, insert_args=insert_args, storage_args=storage_args) as cluster:
        storage, insert = cluster.storages[0], cluster.insert
        upper = harness.Daemon(f"{bins['vminsert']}/vminsert",
                               [f"-httpListenAddr=127.0.0.1:{upper_http}", f"-storageNode=127.0.0.1:{native}"],
                               cluster.folder / "upper.log", upper_http).start()
        try:
            node = insert.command[2].partition("=")[2]
            wait_for_line(insert, rf'successfully dialed -storageNode="{node}"$')
            wait_for_line(upper, rf'successfully dialed -storageNode="127.0.0.1:{native}"$')
            for port in ("vminsert", "vmselect"):
                wait_for_line(storage, rf"accepting {port} conns at 127\.0\.0\.1:\d+$")
            wait_for_line(storage, rf'successfully opened storage "{cluster.folder}/storage0"')
            wait_for_line(storage, r"started server at http://127\.0\.0\.1:\d+/")

            minute = int(time.time()) // 60 * 60 - 300
            late = minute + 17
            send(graphite, f"graphite.tcp;b=1;a=2 1 {late}\n")
            send(graphite, f"graphite.udp 2 {late}\n", udp=True)
            send(influx, f"influx,t=x tcp=3 {late}\n")
            send(influx, f"influx udp=4 {late}\n", udp=True)
            send(opentsdb, f"put opentsdb.tcp {late} 5\n")
            send(opentsdb, f"put opentsdb.udp {late} 6\n", udp=True)
            put = json.dumps({"metric": "opentsdb.http", "timestamp": late, "value": 7, "tags": {}}).encode()
            expect(harness.http_post(f"http://127.0.0.1:{opentsdb_http}/insert/0/opentsdb/api/put", put)[0], 204, "put")
            csv = f"{late},8\n".encode()
            expect(harness.http_post(f"{insert.url}/insert/0/prometheus/api/v1/import/csv?format=1:time:unix_s,2:metric:csv",
                                     csv)[0], 204, "csv")
            text = f"two_levels 9 {minute * 1000}\n".encode()
            expect(harness.http_post(f"{upper.url}/insert/0/prometheus/api/v1/import/prometheus", text)[0], 204, "upper")
            expect(cluster.import_text(f'too_many{{a="1",b="1",c="1",d="1",e="1"}} 1 {minute * 1000}\n')[0], 204, "labels")
            want = {"graphite_tcp": 1, "graphite_udp": 2, "influx_tcp": 3, "influx_udp": 4, "opentsdb_tcp": 5,
                    "opentsdb_udp": 6, "opentsdb_http": 7, "csv": 8, "two_levels": 9}

            def all_there():
                cluster.flush()
                return {dict(name)["__name__"]: samples for name, samples in cluster.export('{__name__!=""}')} == {
                    name: [(minute * 1000, value)] for name, value in want.items()}
            harness.wait_for("rows of every listener, trimmed to minutes", all_there)

            shown = values(insert)
            expect(shown[f'vm_rpc_rows_sent_total{{name="vminsert", addr="{node}", rpc_call="metric_rows"}}'], str(len(want)),
                   "rows sent")
            expect(shown['vm_rows_ignored_total{reason="too_many_labels"}'], "1", "series with too many labels")
            for name in ("vminsert", "vmstorage", "vmselect"):
                daemon = {"vminsert": insert, "vmstorage": storage, "vmselect": cluster.select}[name]
                mine = values(daemon)
                expect(any(key.startswith(f'vm_app_version{{version="{name}-') for key in mine), True, f"version of {name}")
                expect(mine['flag{name="httpListenAddr", value="127.0.0.1:%d", is_set="true"}' % daemon.http_port], "1", name)
                for path, answer in {"/health": (200, b"OK"), "/-/healthy": (200, b"VictoriaMetrics is Healthy.\n"),
                                     "/-/ready": (200, b"VictoriaMetrics is Ready.\n"), "/ping": (204, b""),
                                     "/robots.txt": (200, b"User-agent: *\nDisallow: /\n")}.items():
                    expect(harness.http_get(daemon.url + path), answer, f"{name} {path}")
            expect(harness.http_get(f"{cluster.select.url}/select/0/prometheus/-/ready"), (200, b"VictoriaMetrics is Ready.\n"),
                   "ready below the tenant")

            stored = values(storage)
            for name, value in {
                    "vm_missing_tsids_for_metric_id_total": "0",
                    'vm_indexdb_items_dropped_total{reason="too_long_item"}': "0",
                    "vm_hourly_series_limit_max_series": "1000", "vm_daily_series_limit_max_series": "2000",
                    "vm_hourly_series_limit_current_series": "9", "vm_daily_series_limit_current_series": "9",
                    "vm_hourly_series_limit_rows_dropped_total": "0", "vm_daily_series_limit_rows_dropped_total": "0",
                    "vm_search_max_unique_timeseries": "77", "vm_allowed_memory_bytes": "100000000",
                    'vm_cache_size_max_bytes{type="storage/tsid"}': "3000000",
                    'vm_cache_size_max_bytes{type="indexdb/indexBlocks"}': "4000000",
                    'vm_cache_size_max_bytes{type="indexdb/dataBlocks"}': "5000000",
                    'vm_cache_size_max_bytes{type="indexdb/tagFiltersToMetricIDs"}': "6000000"}.items():
                expect(stored.get(name), value, name)
            for name in ("vm_metrics_metadata_storage_items", "vm_metrics_metadata_storage_size_bytes",
                         'vm_cache_size{type="storage/metricNamesStatsTracker"}'):
                expect(name in stored, True, name)
            wait_for_line(storage, r"new series created: .*two_levels")

            expect(harness.http_get(storage.url + "/internal/force_merge")[0], 200, "forced merge")
            wait_for_line(storage, r'forced merge for partition_prefix="" has been successfully finished')
            harness.wait_for("the same rows after a forced merge", all_there)
            status, body = harness.http_get(storage.url + "/internal/log_new_series?seconds=5")
            expect((status, json.loads(body)["status"]), (200, "success"), "log_new_series")

            # Rows taken just before SIGTERM arrive.
            last = f"last_words 10 {minute * 1000}\n".encode()
            expect(harness.http_post(f"{upper.url}/insert/0/prometheus/api/v1/import/prometheus", last)[0], 204, "last")
            expect(upper.stop(signal.SIGTERM), 0, "exit status of the upper vminsert")
            expect(insert.stop(signal.SIGTERM), 0, "exit status of vminsert")
            want["last_words"] = 10
            harness.wait_for("rows of the last moment", all_there)
            expect(cluster.select.stop(signal.SIGTERM), 0, "exit status of vmselect")
        finally:
            upper.stop()
    print("ok: listeners, two levels, limits, figures, start lines and SIGTERM")


def no_disk_space(folder, bins):
    """A node without free space says so and takes nothing; the other one gets its rows. Duplicates leave one sample."""
    with harness.Cluster(folder, bins, nodes=2, storage_args=["-dedup.minScrapeInterval=10s"]) as cluster:
        full = cluster.storages[0]
        full.stop()
        full.command.append("-storage.minFreeDiskSpaceBytes=1000TB")
        full.start()
        gauge = f'vm_storage_is_read_only{{path="{cluster.folder}/storage0"}}'
        harness.wait_for("a node that only reads", lambda: values(full)[gauge] == "1")
        at = int(time.time()) // 60 * 60 - 300
        rows = "".join(f'spread{{i="{i}"}} {value} {(at + value) * 1000}\n' for i in range(50) for value in (1, 2, 10))
        expect(cluster.import_text(rows)[0], 204, "import")

        def all_there():
            cluster.flush()
            return [[stamp for stamp, _ in samples] for _, samples in cluster.export("spread")] == [
                [(at + 10) * 1000]] * 50
        harness.wait_for("rows of 50 series on the other node, one sample per interval", all_there)
        for kind in ("inmemory", "small", "big"):
            expect(values(full).get(f'vm_rows{{type="storage/{kind}"}}'), "0", "rows of the full node")
    print("ok: a node without disk space only reads; one sample per interval of deduplication is kept")


class OtherSelect(http.server.BaseHTTPRequestHandler):
    """Stands for another vmselect that is told to forget what it keeps."""
    asked = []

    def do_POST(self):
        self.asked.append(self.path)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args):
        pass


def limits(folder, bins):
    """What one node lets through: labels, values, series, memory by percent. New series are logged for a while. A
    deletion is told to the other vmselects."""
    other = http.server.HTTPServer(("127.0.0.1", 0), OtherSelect)
    threading.Thread(target=other.serve_forever, daemon=True).start()
    storage_args = ["-search.maxTagKeys=2", "-search.maxTagValues=3", "-search.maxUniqueTimeseries=4",
                    "-memory.allowedPercent=10"]
    select_args = [f"-selectNode=127.0.0.1:{other.server_port}"]
    with other, harness.Cluster(folder, bins, storage_args=storage_args, select_args=select_args) as cluster:
        storage = cluster.storages[0]
        at = int(time.time()) // 60 * 60 - 300

        def write(name, series):
            rows = "".join(f'{name}{{a="{i}",b="{i}",c="x"}} 1 {at * 1000}\n' for i in range(series))
            expect(cluster.import_text(rows)[0], 204, name)

        write("few", 4)
        harness.wait_for("all of four series", lambda: cluster.flush() or len(cluster.export("few")) == 4)
        expect("new series created" in lines_of(storage), False, "nobody has asked for new series")
        harness.http_get(storage.url + "/internal/log_new_series?seconds=1")
        time.sleep(1.5)
        write("later", 1)
        harness.wait_for("the later series", lambda: cluster.flush() or len(cluster.export("later")) == 1)
        expect("new series created" in lines_of(storage), False, "the second has passed")
        harness.http_get(storage.url + "/internal/log_new_series?seconds=60")
        write("many", 5)
        wait_for_line(storage, r"new series created: .*many")

        def refused_query():
            status, body = cluster.api("query", query="many", time=at, nocache=1)
            return status == 422 and b"the number of matching timeseries exceeds 4" in body
        harness.wait_for("a query for five series is refused", refused_query)
        span = {"start": at - 60, "end": at + 60}
        expect(len(json.loads(cluster.api("labels", **span)[1])["data"]), 2, "label names")
        expect(len(json.loads(cluster.api("label/a/values", **span)[1])["data"]), 3, "label values")
        target = "/delete/0/prometheus/api/v1/admin/tsdb/delete_series?match[]=few"
        expect(harness.http_post(cluster.select.url + target, b"")[0], 204, "deletion")
        expect(OtherSelect.asked, ["/internal/resetRollupResultCache"], "what the other vmselect was told")
        for send_request in (harness.http_get, lambda url: harness.http_post(url, b"")):
            status, body = send_request(storage.url + "/snapshot/create")
            expect((status, json.loads(body)["status"]), (200, "ok"), "snapshot by any method")
            status, body = send_request(f"{storage.url}/snapshot/delete?snapshot={json.loads(body)['snapshot']}")
            expect((status, body), (200, b'{"status":"ok"}'), "deletion by any method")
        shown = values(storage)
        share = float(shown["vm_allowed_memory_bytes"]) / float(shown["vm_available_memory_bytes"])
        expect(round(share, 3), 0.1, "share of the memory")
        other.shutdown()
    print("ok: limits on labels, values and series, share of the memory, new series logged when asked")


def ports_and_logs(folder, binaries):
    """Ports of the system's choice are told; JSON lines on standard output."""
    with subprocess.Popen(
            [f"{binaries}/vmstorage", f"-storageDataPath={folder}/ports", "-httpListenAddr=127.0.0.1:0",
             "-vminsertAddr=127.0.0.1:0", "-vmselectAddr=127.0.0.1:0", "-loggerFormat=json", "-loggerOutput=stdout"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        told = {}
        for line in process.stdout:
            message = json.loads(line)["msg"]
            for name, pattern in {"http": r"started server at http://(127\.0\.0\.1:\d+)/",
                                  "vminsert": r"^accepting vminsert conns at (127\.0\.0\.1:\d+)$",
                                  "vmselect": r"^accepting vmselect conns at (127\.0\.0\.1:\d+)$"}.items():
                found = re.search(pattern, message)
                told.update({name: found.group(1)} if found else {})
            if len(told) == 3:
                break
        expect(harness.http_get(f"http://{told['http']}/health"), (200, b"OK"), "health at the port that was told")
        for name in ("vminsert", "vmselect"):
            socket.create_connection(("127.0.0.1", int(told[name].rpartition(":")[2])), 60).close()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=90)
        expect((process.returncode, errors), (0, ""), "exit status and standard error after SIGINT")
    print("ok: ports of the system's choice, JSON lines on standard output")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    parser.add_argument("--peer-bin", default=None)
    args = parser.parse_args()
    binaries = str(pathlib.Path(args.bin).resolve())
    bins = {name: binaries for name in NAMES}
    with tempfile.TemporaryDirectory(prefix="vmtest-") as root:
        command_lines(binaries, args.peer_bin or harness.peer_bin(), root)
        listeners_and_levels(f"{root}/flags", bins)
        no_disk_space(f"{root}/full", bins)
        limits(f"{root}/limits", bins)
        ports_and_logs(root, binaries)


if __name__ == "__main__":
    main()
