#!/usr/bin/env python3
"""Run a local cluster: two vmstorage, one vminsert, one vmselect, all on 127.0.0.1, data below --data.

Ctrl-C (or SIGTERM) stops it in the order that loses nothing: vminsert, vmselect, vmstorage.
"""
import argparse
import pathlib
import signal
import subprocess
import sys
import time
import urllib.request

STORAGE_PORTS = [(8400, 8401, 8482), (8410, 8411, 8492)]


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
    args = parser.parse_args()
    bins, data = pathlib.Path(args.bin).resolve(), pathlib.Path(args.data).resolve()
    data.mkdir(parents=True, exist_ok=True)
    started = []

    def start(name, binary, port, *flags):
        log = open(data / f"{name}.log", "ab")
        process = subprocess.Popen([bins / binary, f"-httpListenAddr=127.0.0.1:{port}", *flags],
                                   stdout=log, stderr=log, start_new_session=True)
        started.append((name, process))
        wait_healthy(name, process, port)

    def stop(*_):
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    try:
        for index, (insert, select, http) in enumerate(STORAGE_PORTS):
            start(f"vmstorage-{index}", "vmstorage", http, f"-storageDataPath={data}/vmstorage-{index}",
                  f"-vminsertAddr=127.0.0.1:{insert}", f"-vmselectAddr=127.0.0.1:{select}")
        start("vmselect", "vmselect", 8481, *[f"-storageNode=127.0.0.1:{s}" for _, s, _ in STORAGE_PORTS])
        start("vminsert", "vminsert", 8480, *[f"-storageNode=127.0.0.1:{i}" for i, _, _ in STORAGE_PORTS])
        print("cluster is up; logs and data are in", data)
        print("  Prometheus remote_write url: http://127.0.0.1:8480/insert/0/prometheus/api/v1/write")
        print("  text exposition:             http://127.0.0.1:8480/insert/0/prometheus/api/v1/import/prometheus")
        print("  Grafana data source url:     http://127.0.0.1:8481/select/0/prometheus")
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
