"""`make run` as a newcomer meets it: ten seconds after the start the cluster answers about itself, and it stops cleanly."""
import argparse
import json
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse

from harness import free_ports, http_get, wait_for

PATIENCE_S = 90  # Ten are promised, which the last line shows. A machine that does other things too may need more.


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    parser.add_argument("--source", required=True)
    args = parser.parse_args()
    script = pathlib.Path(args.source) / "deploy" / "local_cluster.py"
    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        process = subprocess.Popen([sys.executable, str(script), "--bin", args.bin, "--data", folder, "--ports",
                                    *map(str, free_ports(8))], stdout=subprocess.PIPE, text=True)
        try:
            url = None
            for line in process.stdout:
                found = re.search(r"Grafana data source url:\s+(\S+)", line)
                url = found.group(1) if found else url
                if "Ctrl-C" in line:
                    break
            assert url, "the cluster did not say where to ask"

            def ask(path, **query):
                status, body = http_get(f"{url}/api/v1/{path}?" + urllib.parse.urlencode(query))
                assert status == 200, (path, query, status, body[:500])
                return json.loads(body)["data"]

            for query, series in {'count(vm_app_version) by (job)': 3, 'sum(rate(vm_rows_inserted_total[5s])) > 0': 1,
                                  'process_resident_memory_bytes{job="vmstorage"}': 2}.items():
                wait_for(query, lambda q=query, n=series: len(ask("query", query=q)["result"]) == n, PATIENCE_S)

            def points():
                now = time.time()
                graph = ask("query_range", query="rate(process_cpu_seconds_total[5s])", start=now - 10, end=now, step="1s")
                return max((len(series["values"]) for series in graph["result"]), default=0)

            wait_for("a line to draw", lambda: points() >= 3, PATIENCE_S)
        finally:
            process.send_signal(signal.SIGINT)
            rest, _ = process.communicate(timeout=60)
        assert rest.count("stopped with status 0") == 4, rest
    print(f"ok: graphable {time.monotonic() - started:.1f} s after the start, all four daemons stopped")


if __name__ == "__main__":
    main()
