#!/usr/bin/env python3
"""Random MetricsQL queries to the original's vmselect and to ours, over one storage of the original: equal answers.

    random_queries.py --bin DIR [--peer-bin DIR] [--queries N] [--cached N] [--seed N]

Then queries whose results both keep (the rollup result cache), each again on overlapping ranges and at times one after the
other: ours must answer as the original does, and, over series without gaps, as it does with nocache=1.

Needs the original's binaries (--peer-bin or VM_PEER_BIN); without them it says so and ends with 77. Queries whose answer
the original does not define are not asked: those that pick among equal series, and texts that name one of several series.
"""
import argparse
import json
import math
import pathlib
import random
import struct
import sys
import tempfile
import urllib.parse

import harness

END = 1_700_000_040  # A whole minute; the data lies in the three hours before.
STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]

ROLLUPS = """absent_over_time ascent_over_time avg_over_time changes changes_prometheus count_over_time
decreases_over_time default_rollup delta delta_prometheus deriv deriv_fast descent_over_time distinct_over_time
first_over_time geomean_over_time histogram_over_time idelta ideriv increase increase_prometheus increase_pure
increases_over_time integrate irate lag last_over_time lifetime mad_over_time max_over_time median_over_time
min_over_time mode_over_time outlier_iqr_over_time present_over_time range_over_time rate rate_over_sum rate_prometheus
resets rollup rollup_candlestick rollup_delta rollup_deriv rollup_increase rollup_rate rollup_scrape_interval
scrape_interval stale_samples_over_time stddev_over_time stdvar_over_time sum2_over_time sum_over_time tfirst_over_time
timestamp timestamp_with_name tlast_change_over_time tlast_over_time tmax_over_time tmin_over_time
zscore_over_time""".split()
AGGREGATES = """sum min max avg count sum2 geomean group distinct stddev stdvar mode median mad share zscore
histogram""".split()
ARITHMETIC = ["+", "-", "*", "/", "%", "^", "atan2"]
COMPARISONS = ["==", "!=", ">", "<", ">=", "<=", ">bool", "!=bool", "<= bool"]
SET_OPERATORS = ["and", "or", "unless", "if", "ifnot", "default"]


def make_value(rng, kind, previous, time, index):
    if kind == "counter":
        if rng.random() < 0.004:
            return rng.choice([0, previous * 0.95, 3])
        return previous + rng.choice([0, 1, 2, 7.5, rng.random() * 20])
    if kind == "gauge":
        value = 20 + 10 * math.sin(time / 700 + index) + rng.gauss(0, 2)
        return -5 * value if rng.random() < 0.01 else value
    return rng.choice([0, 1, 2, -1, 0.5]) if rng.random() < 0.03 else previous


def make_series():
    """Counters, gauges and steps with gaps, jitter, resets, staleness markers, early ends and late starts."""
    rng = random.Random(5)
    series = []
    start = END - 3 * 3600
    for index in range(12):
        for name, kind in (("requests_total", "counter"), ("temp", "gauge"), ("flag", "step")):
            labels = {"__name__": name, "instance": f"host{index % 4}", "job": ("api", "db", "web")[index % 3],
                      "idx": str(index)}
            if index % 5 == 0 and kind == "gauge":
                del labels["job"]
            step = rng.choice([5, 10, 15, 15, 30, 60])
            time = END - 1500 if index == 7 else start + rng.uniform(0, 30)
            value = rng.choice([0, 5, 1e6])
            samples = []
            while time < (END - 2400 if index == 5 else END):
                value = make_value(rng, kind, value, time, index)
                stale = rng.random() < 0.004
                samples.append((int(time * 1000), STALE if stale else round(value, 4)))
                time += step + (rng.gauss(0, step * 0.02) if index % 2 else 0)
                if stale or rng.random() < 0.003:
                    time += rng.choice([60, 120, 400, 1000])
            series.append((labels, samples))
    return series


def make_steady_series():
    """A sample each 15 s: what a rollup finds out about the distance of samples does not depend on the range."""
    rng = random.Random(6)
    series = []
    for index in range(6):
        for name, kind in (("ticks_total", "counter"), ("level", "gauge")):
            labels = {"__name__": name, "instance": f"host{index % 3}", "job": ("api", "db")[index % 2], "idx": str(index)}
            value, samples = 5, []
            for time in range(END - 3 * 3600, END + 1, 15):
                value = round(value + rng.choice([0, 1, 2, 7.5]) if kind == "counter" else make_value(rng, kind, value, time, index), 4)
                samples.append((time * 1000, value))
            series.append((labels, samples))
    return series


class Generator:
    NAMES = ("requests_total", "temp", "flag")

    def __init__(self, rng):
        self.rng = rng

    def choose(self, *options):
        return self.rng.choice(options)

    def selector(self):
        filters = self.choose("", "", '{job="api"}', '{instance=~"host[01]"}', '{job!="db"}', '{idx="5"}', '{idx="7"}',
                              '{job=~"a.*" or instance="host2"}', '{job=""}', '{idx=~"[0-3]"}')
        return self.rng.choice(self.NAMES) + filters

    def window(self):
        return self.choose("", "[5m]", "[1m]", "[30s]", "[20m]", "[1h]", "[3i]", "[90s]", "[5m]")

    def modifiers(self):
        if self.rng.random() < 0.7:
            return ""
        return self.choose(" offset 5m", " offset -1m", " offset 17s", " @ end()", " @ (start()+60)",
                           " offset 3m @ end()", " @ (end() - 10m) offset 1m")

    def rollup(self, depth=1):
        choose = self.choose
        arg = self.selector() + self.window() + self.modifiers()
        if depth > 0 and self.rng.random() < 0.25:
            arg = self.subquery(depth - 1)
        if self.rng.random() < 0.7:
            return f"{self.rng.choice(ROLLUPS)}({arg})" + choose("", "", "", "", " keep_metric_names")
        phi = choose("0.5", "0.9", "0", "1", "0.37", "-1", "1.5")
        return choose(
            f"quantile_over_time({phi}, {arg})",
            f'quantiles_over_time("phi", 0.1, 0.5, 0.99, {arg})',
            f'aggr_over_time(("min_over_time", "rate", "iqr_over_time"), {arg})',
            f'aggr_over_time("increase", {arg})',
            f"count_{choose('eq', 'ne', 'gt', 'le')}_over_time({arg}, 1)",
            f"sum_{choose('eq', 'gt', 'le')}_over_time({arg}, 20)",
            f"share_{choose('eq', 'gt', 'le')}_over_time({arg}, 15)",
            f'count_values_over_time("v", round({self.selector()}, 5)[5m:1m])',
            f"duration_over_time({arg}, 20)",
            f"predict_linear({arg}, 600)",
            f"holt_winters({arg}, 0.3, 0.7)",
            f"hoeffding_bound_{choose('lower', 'upper')}(0.9, {arg})",
            f'rollup({arg}, "{choose("min", "max", "avg")}")',
            f'rollup_candlestick({arg}, "{choose("open", "close", "high", "low")}")')

    def subquery(self, depth):
        inner = self.choose(self.selector(), self.rollup(depth), self.aggregate(0), f"{self.selector()} > 10")
        if self.rng.random() < 0.25:
            return f"({inner})"
        window = self.choose("5m", "10m", "1m", "", "30s")
        return f"({inner})[{window}:{self.choose('', '1m', '20s', '7s')}]" + self.modifiers()

    def grouping(self):
        return self.choose("", " by (job)", " by (instance, job)", " without (idx)", " without (instance, idx)",
                           " by (nope)", " by (__name__)")

    def aggregate(self, depth=1):
        arg = self.choose(self.selector(), self.rollup(depth), self.rollup(0))
        if self.rng.random() < 0.6:
            return f"{self.rng.choice(AGGREGATES)}({arg}){self.grouping()}"
        # Gauges with noise have no equal values to choose from.
        gauge = self.NAMES[1]
        unequal = self.choose(gauge, f"avg_over_time({gauge}[10m])", f"stddev_over_time({gauge}[1h])")
        end = self.choose("topk", "bottomk")
        by = self.choose("avg", "max", "min", "median")
        rest = self.choose("", ', "rest=others"', ', "rest"')
        return self.choose(
            f"quantile({self.choose('0.5', '0.9', '0.2')}, {arg})",
            f'quantiles("q", 0.25, 0.75, {arg})',
            f'count_values("v", round({self.selector()}, 10))',
            f"{end}({self.choose('1', '2', '3')}, {unequal})",
            f"{end}_{by}({self.choose('1', '2', '3')}, {unequal}{rest})",
            f"outliers_iqr({arg})",
            f"outliers_mad(2, {arg})",
            f"limitk(2, {arg})") + self.grouping()

    def binary(self):
        scalar = self.choose("1", "20", "time()", "0")
        left = self.choose(self.selector(), self.rollup(0), self.aggregate(0), scalar)
        right = self.choose(self.selector(), self.selector(), self.rollup(0), self.aggregate(0), scalar)
        operator = self.choose(self.rng.choice(ARITHMETIC), self.rng.choice(COMPARISONS), self.rng.choice(SET_OPERATORS))
        if operator == "%":  # Makes the last digits of a sum, whose order is not defined, the first ones.
            left = self.selector()
            right = self.choose(self.selector(), scalar)
        if operator == "default":  # Which of several right series fills a gap is not defined.
            modifier = self.choose("", " on (idx)")
        elif operator in SET_OPERATORS:
            modifier = self.choose("", " on (idx)", " on (job)", " ignoring (idx)", " on ()")
        else:
            modifier = self.choose("", "", "", " on (instance, job, idx)", " ignoring (idx)", " on (job)",
                                   " on (idx) group_left()", " on (instance) group_right(job)", " ignoring (nope)",
                                   ' on (idx) group_left(job) prefix "x_"', " on (job) group_left(*)")
            modifier += self.choose("", "", "", "", "", " fill(1)", " fill_left(2)", " fill_right(3)")
        expression = f"({left}) {operator}{modifier} ({right})"
        return f"({expression}) keep_metric_names" if self.rng.random() < 0.1 else expression

    def query(self):
        kind = self.rng.random()
        if kind < 0.45:
            return self.rollup()
        if kind < 0.7:
            return self.aggregate()
        if kind < 0.95:
            return self.binary()
        return f"({self.binary()}) {self.choose('+', '-', '*', '/', 'or')} ({self.selector()})"

    def request(self):
        rng = self.rng
        args = {"query": self.query(), "nocache": 1}
        if rng.random() < 0.3:
            path = "query"
            args["time"] = END - rng.choice([0, 17, 600, 3000])
            step = rng.choice(["", "", "15s", "1m"])
        else:
            path = "query_range"
            args["end"] = END - rng.choice([0, 13, 1000])
            args["start"] = args["end"] - rng.choice([300, 1800, 3600])
            step = rng.choice(["15s", "60s", "5m", "7s", "13m"])
        if step:
            args["step"] = step
        if rng.random() < 0.2:
            args["max_lookback"] = rng.choice(["1m", "5m", "20s"])
        return path, args


class CachedGenerator(Generator):
    """Queries on ranges that overlap, made of whole steps; instant queries with long windows."""

    def requests(self):
        rng = self.rng
        if rng.random() < 0.3:
            # -search.minWindowForInstantRollupOptimization is 10m here.
            function = self.choose("sum_over_time", "count_over_time", "max_over_time", "min_over_time", "avg_over_time", "rate", "increase",
                                   "increase_pure", "count_gt_over_time", "last_over_time")
            arg = f"{self.selector()}[{self.choose('15m', '20m', '1h', '5m')}]{self.choose('', '', ' offset 5m')}"
            query = f"{function}({arg}, 20)" if function == "count_gt_over_time" else f"{function}({arg})"
            if rng.random() < 0.5:
                query = f"{self.choose('sum', 'max', 'min', 'avg', 'count')}({query}){self.choose('', ' by (job)')}"
            time = END - 4000
            for _ in range(5):
                yield "query", {"query": query, "time": time, "step": "1m"}
                time += rng.choice([0, 20, 60, 133, 400, 900, -60])
            return
        query, step = self.query(), rng.choice([15, 60, 300])
        # In the original their values hang on the ranges that were asked for before; ours does not keep them.
        while any(name in query for name in ('"rate", "iqr', "rollup_")):
            query = self.query()
        for _ in range(4):
            start = (END - rng.choice([600, 1800, 3600, 5400])) // step * step
            end = min(start + rng.choice([300, 900, 1800, 3000, 3600]), END) // step * step
            yield "query_range", {"query": query, "start": start, "end": max(end, start + step), "step": f"{step}s"}


class SteadyGenerator(CachedGenerator):
    NAMES = ("ticks_total", "level", "ticks_total")


def is_close(want, got):
    want, got = float(want), float(got)
    if math.isnan(want) or math.isnan(got):
        return math.isnan(want) and math.isnan(got)
    return want == got or abs(want - got) <= 1e-9 * max(abs(want), abs(got), 1e-3)


def name_of(series):
    return sorted(series["metric"].items())


def has_order(query):
    """Within a group topk has an order; that of groups is not defined."""
    return not (query.startswith(("topk", "bottomk")) and (" by (" in query or " without (" in query))


def difference(query, want, got, is_ordered=True):
    """Empty when the answers are equal, with `is_ordered` also in their order; `want` and `got` are (status, body)."""
    if want[0] != got[0]:
        return f"status {want[0]} {want[1][:400]!r}, got {got[0]} {got[1][:400]!r}"
    want_json, got_json = json.loads(want[1]), json.loads(got[1])
    if want[0] != 200:
        texts = [answer.get("error", "") for answer in (want_json, got_json)]
        if all("duplicate " in text for text in texts):  # Which two of many are named is not defined.
            texts = [text[:text.index("duplicate ")] for text in texts]
        return "" if texts[0] == texts[1] else f"error {texts[0][:600]!r}, got {texts[1][:600]!r}"
    want_list, got_list = want_json["data"]["result"], got_json["data"]["result"]
    if not is_ordered or not has_order(query):
        want_list.sort(key=name_of)
        got_list.sort(key=name_of)
    if [name_of(s) for s in want_list] != [name_of(s) for s in got_list]:
        return f"series {[s['metric'] for s in want_list][:8]}, got {[s['metric'] for s in got_list][:8]}"
    for want_series, got_series in zip(want_list, got_list):
        want_points = want_series.get("values") or [want_series["value"]]
        got_points = got_series.get("values") or [got_series["value"]]
        if [point[0] for point in want_points] != [point[0] for point in got_points]:
            return f"{want_series['metric']}: {len(want_points)} points, got {len(got_points)}"
        for want_point, got_point in zip(want_points, got_points):
            if not is_close(want_point[1], got_point[1]):
                return f"{want_series['metric']}: {want_point}, got {got_point}"
    return ""


def load(cluster):
    series = make_series() + make_steady_series()
    for at in range(0, len(series), 10):
        status, body = cluster.remote_write(series[at:at + 10])
        assert status == 204, (status, body)

    def all_there():
        cluster.flush()
        _, body = cluster.api("series", match='{__name__!=""}', start=END - 20000, end=END + 100)
        return len(json.loads(body)["data"]) == len(series)
    harness.wait_for("series searchable", all_there)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    parser.add_argument("--peer-bin", default=harness.peer_bin())
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--cached", type=int, default=200, help="queries that are repeated on overlapping ranges")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--query", action="append", help="ask this instead, as a range query")
    args = parser.parse_args()
    if args.peer_bin is None:
        print("skipped: needs the original's binaries in VM_PEER_BIN")
        sys.exit(77)
    generator = Generator(random.Random(args.seed))
    fixed = [("query_range", {"query": query, "start": END - 3600, "end": END, "step": "60s", "nocache": 1})
             for query in args.query or ()]
    bad = 0
    statuses = {}
    cache_args = ["-search.minWindowForInstantRollupOptimization=10m"]
    with tempfile.TemporaryDirectory(prefix="vmtest-") as root:
        with harness.Cluster(root, {name: args.peer_bin for name in ("vminsert", "vmstorage", "vmselect")},
                             select_args=cache_args) as cluster:
            load(cluster)
            port, = harness.free_ports(1)
            nodes = [arg for arg in cluster.select.command if arg.startswith("-storageNode")]
            ours = harness.Daemon(pathlib.Path(args.bin) / "vmselect",
                                  [f"-httpListenAddr=127.0.0.1:{port}", f"-cacheDataPath={root}/ours-cache", *nodes, *cache_args],
                                  pathlib.Path(root) / "ours.log", port)

            def ask_ours(path, query_args):
                return harness.http_get(f"{ours.url}/select/0/prometheus/api/v1/{path}?" + urllib.parse.urlencode(query_args))

            def check(path, query_args, want, got, what):
                nonlocal bad
                statuses[want[0]] = statuses.get(want[0], 0) + 1
                # With the cache series are sorted by sorted labels.
                problem = difference(query_args["query"], want, got, what != ", without the cache")
                if problem:
                    bad += 1
                    print(f"{path} {query_args}{what}\n    {problem}")
            ours.start()
            try:
                for path, query_args in fixed or (generator.request() for _ in range(args.queries)):
                    check(path, query_args, cluster.api(path, **query_args), ask_ours(path, query_args), "")
                if not fixed:
                    for kind in (CachedGenerator, SteadyGenerator):
                        cached = kind(random.Random(args.seed))
                        for _ in range(args.cached // 2):
                            for path, query_args in cached.requests():
                                got = ask_ours(path, query_args)
                                check(path, query_args, cluster.api(path, **query_args), got, ", with the cache")
                                # Over a long window and with the cache a rate is an increase by second, and an average has no name.
                                is_other = path == "query" and any(name in query_args["query"] for name in ("rate(", "avg_over_time("))
                                is_other = is_other or "limitk" in query_args["query"]  # Picks by names, whose tags have another order.
                                if kind is SteadyGenerator and not is_other:
                                    check(path, query_args, ask_ours(path, {**query_args, "nocache": 1}), got, ", without the cache")
                    check_hits(ours)
            finally:
                ours.stop()
    if bad:
        sys.exit(f"{bad} of {sum(statuses.values())} answers differ")
    print(f"ok: {statuses} answers by status, all equal")


def check_hits(daemon):
    """The cache was used."""
    counts = {}
    for line in harness.http_get(daemon.url + "/metrics")[1].decode().splitlines():
        if line.startswith("vm_rollup_result_cache_"):
            name, value = line.split()
            counts[name.removeprefix("vm_rollup_result_cache_").removesuffix("_total")] = int(value)
    print("the cache:", counts)
    assert min(counts["full_hits"], counts["partial_hits"], counts["miss"]) > 0, counts


if __name__ == "__main__":
    main()
