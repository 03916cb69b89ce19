"""The main job: a real Prometheus scrapes itself and a real node exporter each second and writes to the cluster;
what vmselect answers must be what Prometheus itself answers. With VM_PEER_BIN the same for clusters in which one of
the three daemons is the original."""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.parse

import clients
from harness import Cluster, free_ports, http_get, wait_for

SKIPPED = 77
AGE_SECONDS = 62     # Evaluation times are at least that old.
SPAN_SECONDS = 20    # Length of the range queries.
WARM_UP_SECONDS = 12  # Samples before the first evaluation time: the longest window.

# Both languages agree on these. Constants of comparisons lie far away from the data.
QUERIES = """
up
node_memory_MemTotal_bytes
sum(node_cpu_seconds_total)
sum by (mode) (node_cpu_seconds_total)
sum without (cpu) (node_cpu_seconds_total{mode!="idle"})
avg(node_cpu_seconds_total) by (cpu)
max(node_cpu_seconds_total{mode=~"user|system"})
min by (job) (up)
count(node_cpu_seconds_total)
count by (job) ({__name__=~"node_.*|go_.*"})
stddev(node_cpu_seconds_total{mode="user"})
stdvar by (cpu) (node_cpu_seconds_total)
quantile(0.9, node_cpu_seconds_total)
quantile by (mode) (0.25, node_cpu_seconds_total)
topk(1, node_memory_MemTotal_bytes)
bottomk(1, node_memory_MemTotal_bytes)
group(up) by (job)
count_values("n", up)
sum_over_time(node_load1[10s])
avg_over_time(node_memory_MemFree_bytes[10s])
min_over_time(node_memory_MemFree_bytes[10s])
max_over_time(node_memory_MemFree_bytes[10s])
count_over_time(up[10s])
last_over_time(node_memory_MemFree_bytes[5s])
stddev_over_time(node_memory_MemFree_bytes[10s])
stdvar_over_time(node_load1[10s])
quantile_over_time(0.75, node_memory_MemFree_bytes[10s])
present_over_time(up[10s])
max_over_time(sum(up)[10s:1s])
node_memory_MemTotal_bytes - node_memory_MemFree_bytes
node_memory_MemFree_bytes / node_memory_MemTotal_bytes * 100
-node_load1 % 7
2 ^ up
node_filesystem_size_bytes / on (device, mountpoint, instance, fstype) group_left node_filesystem_files
node_memory_MemTotal_bytes > 1000
node_memory_MemTotal_bytes < bool 1000
node_memory_MemTotal_bytes == 12345.678
up and on (job) node_load1
up or node_load1
up unless on (job) node_load1
label_replace(up, "host", "$1", "instance", "(.*):.*")
label_join(up, "both", "-", "job", "instance")
histogram_quantile(0.9, sum by (le) (prometheus_http_request_duration_seconds_bucket))
histogram_quantile(0.5, sum by (le, handler) (prometheus_http_request_duration_seconds_bucket))
abs(node_load1 - 1000)
ceil(node_load1 / 3)
floor(node_load1 / 3)
round(node_load1, 0.25)
clamp_max(node_load1, 0.001)
clamp_min(node_load1, 12345)
exp(node_load1 / 1e6)
ln(node_memory_MemTotal_bytes)
sqrt(node_memory_MemTotal_bytes)
sgn(node_load1 + 1)
scalar(sum(up)) + 1
vector(3)
time()
hour(vector(1e9))
absent(nonexistent_metric)
up offset 3s
sort_desc(sum by (mode) (node_cpu_seconds_total))
node_uname_info
count(count by (__name__) ({job="node"}))
timestamp(up)
""".strip().splitlines()

CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
- job_name: node
  static_configs: [{{targets: ["127.0.0.1:{node}"]}}]
- job_name: prometheus
  static_configs: [{{targets: ["127.0.0.1:{prometheus}"]}}]
remote_write:
{remote_writes}
"""


class Process:
    def __init__(self, command, log_path):
        with open(log_path, "ab") as log:
            self.process = subprocess.Popen([str(c) for c in command], stdout=log, stderr=log)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.process.terminate()
        self.process.wait(timeout=90)


def ask(base, path, **args):
    status, body = http_get(f"{base}/api/v1/{path}?" + urllib.parse.urlencode(args, doseq=True))
    if status != 200:
        raise AssertionError(f"{path} {args}: {status} {body[:500]!r}")
    return json.loads(body)


def by_labels(answer):
    """{labels without the name: [(time, value)]}"""
    data = answer["data"]
    if data["resultType"] == "scalar":
        return {(): [(data["result"][0], float(data["result"][1]))]}
    result = {}
    for series in data["result"]:
        labels = tuple(sorted((k, v) for k, v in series["metric"].items() if k != "__name__"))
        points = series["values"] if "values" in series else [series["value"]]
        result.setdefault(labels, []).extend((t, float(v)) for t, v in points)
    return {labels: sorted(points) for labels, points in result.items()}


def same(ours, theirs):
    """Why two answers differ, or None. Tolerance: 1e-9 of the largest operand."""
    if ours.keys() != theirs.keys():
        return f"series: only ours {sorted(ours.keys() - theirs.keys())[:3]}, only Prometheus {sorted(theirs.keys() - ours.keys())[:3]}"
    for labels, points in ours.items():
        other = theirs[labels]
        if [t for t, _ in points] != [t for t, _ in other]:
            return f"{labels}: times {[t for t, _ in points][:30]} and {[t for t, _ in other][:30]}"
        for (t, a), (_, b) in zip(points, other):
            if not (a == b or (a != a and b != b) or abs(a - b) <= 1e-9 * max(abs(a), abs(b))):
                # Variances subtract large squares: both are right to the digits of the operands.
                if abs(a - b) > 1e-9 * max(1.0, abs(a), abs(b)):
                    return f"{labels} at {t}: {a!r} and {b!r}"
    return None


def quiet_fraction(prometheus, at):
    """A fraction of a second that no target is scraped at, and at least 100 ms away from all scrapes."""
    answer = ask(prometheus, "query", query="timestamp(up)", time=at)
    taken = [float(series["value"][1]) % 1 for series in answer["data"]["result"]]
    assert taken, "no target is scraped"

    def distance(fraction):
        return min(min(abs(fraction - x), 1 - abs(fraction - x)) for x in taken)
    best = max((i / 100 for i in range(100)), key=distance)
    assert distance(best) > 0.1, taken
    return best


def promtool(tool, *args):
    done = subprocess.run([str(tool), "query", *args], capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != 0:
        raise AssertionError(f"promtool query {args}: {done.stdout} {done.stderr}")
    return done.stdout


def compare_promtool(tool, ours, theirs, start, end):
    for kind, args in {
        "instant": ["--time", f"{end:.3f}", "{}", "sum by (mode) (node_cpu_seconds_total)"],
        "range": ["--start", f"{start:.3f}", "--end", f"{end:.3f}", "--step", "5s", "{}", "count(node_cpu_seconds_total) by (mode)"],
        "series": ["--start", f"{start:.3f}", "--end", f"{end:.3f}", "--match", "node_cpu_seconds_total", "{}"],
        "labels": ["--start", f"{start:.3f}", "--end", f"{end:.3f}", "{}", "mode"],
    }.items():
        outputs = []
        for base in (ours, theirs):
            text = promtool(tool, kind, *[base if a == "{}" else a for a in args])
            outputs.append(sorted(text.split() if kind == "labels" else text.splitlines()))
        if outputs[0] != outputs[1] or not outputs[0]:
            raise AssertionError(f"promtool query {kind}:\n  ours       {outputs[0][:5]}\n  Prometheus {outputs[1][:5]}")


def compare(name, ours, theirs, start, end):
    failures = []
    for query in QUERIES:
        for path, args in (("query", {"time": f"{end:.3f}"}),
                           ("query_range", {"start": f"{start:.3f}", "end": f"{end:.3f}", "step": "1s"})):
            try:
                got = by_labels(ask(ours, path, query=query, nocache=1, **args))
                want = by_labels(ask(theirs, path, query=query, **args))
                difference = same(got, want)
            except AssertionError as error:
                difference = str(error)
            if difference:
                failures.append(f"{name}: {path} {query}\n    {difference}")
    return failures


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    parser.add_argument("--clients", required=True, help="folder to unpack Prometheus into")
    parser.add_argument("--peer-bin", default=os.environ.get("VM_PEER_BIN", ""))
    args = parser.parse_args()
    tools = clients.unpack(args.clients)
    if isinstance(tools, str):
        print("skipped: no Prometheus:", tools)
        sys.exit(SKIPPED)

    names = ("vminsert", "vmstorage", "vmselect")
    plans = {"ours": {n: args.bin for n in names}}
    if args.peer_bin:
        for replaced in names:
            plans[f"original {replaced}"] = {n: args.peer_bin if n == replaced else args.bin for n in names}

    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        made = {}
        try:
            for name, bins in plans.items():
                made[name] = Cluster(root / name.replace(" ", "_"), bins, nodes=2).__enter__()
            run(root, tools, made)
        finally:
            for cluster in made.values():
                cluster.__exit__()


def run(root, tools, made):
    node_port, prometheus_port = free_ports(2)
    writes = "\n".join(
        f'- {{url: "{c.insert.url}/insert/0/prometheus/api/v1/write", name: "{name.replace(" ", "_")}", '
        "queue_config: {batch_send_deadline: 1s, max_shards: 2}}" for name, c in made.items())
    config = root / "prometheus.yml"
    config.write_text(CONFIG.format(node=node_port, prometheus=prometheus_port, remote_writes=writes))
    theirs = f"http://127.0.0.1:{prometheus_port}"
    with Process([tools["prometheus-node-exporter"], f"--web.listen-address=127.0.0.1:{node_port}"], root / "node.log"), \
            Process([tools["prometheus"], f"--config.file={config}", f"--storage.tsdb.path={root / 'tsdb'}",
                     f"--web.listen-address=127.0.0.1:{prometheus_port}"], root / "prometheus.log"):
        wait_for("Prometheus ready", lambda: http_get(theirs + "/-/ready")[0] == 200, 180)
        wait_for("both targets up", lambda: ask(theirs, "query", query="sum(up) == 2")["data"]["result"], 180)
        first = time.time()
        start = int(first) + WARM_UP_SECONDS
        end = start + SPAN_SECONDS
        # A sample is a fact only some time after it was scraped: in flight, unflushed, or not yet visible.
        wait_for("samples old enough", lambda: time.time() > end + AGE_SECONDS, 2 * AGE_SECONDS + 120)
        fraction = quiet_fraction(theirs, end)
        start, end = start + fraction, end + fraction
        failures = []
        for name, cluster in made.items():
            cluster.flush()
            ours = f"{cluster.select.url}/select/0/prometheus"
            failures += compare(name, ours, theirs, start, end)
            compare_promtool(tools["promtool"], ours, theirs, start, end)
        if failures:
            raise AssertionError(f"{len(failures)} answers differ:\n" + "\n".join(f[:600] for f in failures[:30]))
        for name in made:
            print(f"ok: {name}: {2 * len(QUERIES)} answers and promtool as Prometheus")


if __name__ == "__main__":
    main()
