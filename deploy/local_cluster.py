#!/usr/bin/env python3
"""Run a local cluster: two vmstorage, one vminsert, one vmselect, all on 127.0.0.1, data below --data.

The daemons push their own metrics into the cluster each second, so that there is something to look at. Ctrl-C (or SIGTERM) stops it in the order that loses nothing: vminsert, vmselect, vmstorage.
"""
import argparse
import pathlib
import signal
import subprocess
import sys
import time
import urllib.request

# Of two vmstorage (vminsert, vmselect, HTTP), vminsert and vmselect.
PORTS = [8400, 8401, 8482, 8410, 8411, 8492, 8480, 8481]


def wait_healthy(name, process, port):
    for _ in range(200):
        if process.poll() is not None:
            sys.exit(f"{name} ended with status {process.returncode}; see its log")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.05)
    sys.exit(f"{name} did not become healthy; see its log")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True, help="folder of the three daemons")
    parser.add_argument("--data", default="data", help="folder for data and logs")
    parser.add_argument("--ports", type=int, nargs=len(PORTS), default=PORTS, metavar="PORT",
                        help=f"others than {PORTS}, in the same order")
    args = parser.parse_args()
    ports = args.ports
    storages, insert_http, select_http = [ports[0:3], ports[3:6]], ports[6], ports[7]
    write_url = f"http://127.0.0.1:{insert_http}/insert/0/prometheus/api/v1"
    bins, data = pathlib.Path(args.bin).resolve(), pathlib.Path(args.data).resolve()
    data.mkdir(parents=True, exist_ok=True)
    started = []

    def start(name, binary, port, *flags):
        log = open(data / f"{name}.log", "ab")
        process = subprocess.Popen([bins / binary, f"-httpListenAddr=127.0.0.1:{port}",
                                    f"-pushmetrics.url={write_url}/import/prometheus", "-pushmetrics.interval=1s",
                                    f'-pushmetrics.extraLabel=job="{binary}",instance="{name}"', *flags],
                                   stdout=log, stderr=log, start_new_session=True)
        started.append((name, process))
        wait_healthy(name, process, port)

    def stop(*_):
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    try:
        for index, (insert, select, http) in enumerate(storages):
            start(f"vmstorage-{index}", "vmstorage", http, f"-storageDataPath={data}/vmstorage-{index}",
                  f"-vminsertAddr=127.0.0.1:{insert}", f"-vmselectAddr=127.0.0.1:{select}")
        # Samples show after a second; the usual 30 are for clusters whose clients are late.
        start("vmselect", "vmselect", select_http, "-search.latencyOffset=1s", f"-cacheDataPath={data}/vmselect",
              *[f"-storageNode=127.0.0.1:{s}" for _, s, _ in storages])
        start("vminsert", "vminsert", insert_http, *[f"-storageNode=127.0.0.1:{i}" for i, _, _ in storages])
        query_url = f"http://127.0.0.1:{select_http}/select/0/prometheus"
        print("cluster is up; logs and data are in", data)
        print(f"  Prometheus remote_write url: {write_url}/write")
        print(f"  text exposition:             {write_url}/import/prometheus")
        print(f"  Grafana data source url:     {query_url}")
        print("  the cluster's own rows:      curl -g "
              f"'{query_url}/api/v1/query?query=sum(rate(vm_rows_inserted_total[10s]))by(type)'")
        print("Ctrl-C stops it.", flush=True)
        while True:
            for name, process in started:
                if process.poll() is not None:
                    print(f"{name} ended with status {process.returncode}", file=sys.stderr)
                    raise KeyboardInterrupt
            time.sleep(0.5)
    except KeyboardInterrupt:
        pass
    finally:
        for name, process in reversed(started):
            if process.poll() is None:
                process.terminate()
            process.wait()
            print(f"{name} stopped with status {process.returncode}")


if __name__ == "__main__":
    main()
