#!/usr/bin/env python3
"""The Graphite API of vmselect, and the same data by vminsert's less usual protocols.

    graphite.py --bin DIR [--peer-bin DIR]

Our daemons answer what can be known beforehand. With --peer-bin (or VM_PEER_BIN) the original's vmselect is started beside ours at
the same vmstorage, and both must answer alike: metrics, tags, and each function of the render API. The original's vminsert gets the
same Zabbix history and DataDog sketches as ours, for another tenant.
"""
import argparse
import json
import math
import pathlib
import struct
import tempfile
import time
import urllib.parse

import harness
from harness import field, varint

NAMES = ("vminsert", "vmstorage", "vmselect")
STEP = 10
POINTS = 120


def expect(got, want, what):
    if got != want:
        raise AssertionError(f"{what}:\n  got  {got!r}\n  want {want!r}")


def sample_data(start_s):
    """List of (labels, samples): gaps, jitter, counters that begin again, labels."""
    rows = []
    for host in range(4):
        for number, metric in enumerate(("cpu.user", "cpu.system", "mem.used", "requests.count")):
            labels = {"__name__": f"servers.web{host}.{metric}"}
            samples = []
            for point in range(POINTS):
                if (point + host) % 17 == 0 or (host == 3 and point < 40):
                    continue
                value = 50 + 40 * math.sin(point / (5 + number) + host)
                if metric == "requests.count":
                    value = (point * (host + 1) * 3) % 1000
                at_ms = (start_s + point * STEP) * 1000 + (point * 37 + host * 11) % 1500
                samples.append((at_ms, round(value + host * 0.013, 3)))  # No two hosts are equal.
            rows.append((labels, samples))
    for zone in ("a", "b", "c"):
        samples = [((start_s + point * STEP) * 1000, point % 7 + len(zone)) for point in range(0, POINTS, 3)]
        rows.append(({"__name__": "tagged.load", "zone": zone, "dc": "eu" if zone != "c" else "us"}, samples))
    rows.append(({"__name__": "servers"}, [(start_s * 1000, 1)]))
    rows.append(({"__name__": "disk/sda/io", "host": "h.1"}, [(start_s * 1000, 2)]))
    return rows


METRICS = [
    "metrics/find?query=*", "metrics/find?query=servers.*", "metrics/find?query=servers.web*.cpu", "metrics/find?query=servers.web1.cpu.",
    "metrics/find?query=servers.web[1-2].*&wildcards=1", "metrics/find?query=servers.{web0,web3}.*.user&leavesOnly=1",
    "metrics/find?query=servers.web0,web3.cpu&automatic_variants=1", "metrics/find?query=serv&format=completer",
    "metrics/find?query=servers..user&format=completer", "metrics/find?query=*&format=completer&wildcards=1",
    "metrics/find?query=nothing.*", "metrics/find?query=servers.web1", "metrics/find?query=servers&jsonp=call",
    "metrics/find?query=disk/*&delimiter=/", "metrics/find?query=*&label=zone", "metrics/find?query=h*&label=host",
    "metrics/find", "metrics/find?query=a&format=x", "metrics/find?query=a&delimiter=xx", "metrics/find?query=a.[3-1]",
    "metrics/find/?query=tagged.*",
    "metrics/expand?query=servers.web*.cpu.*", "metrics/expand?query=servers.*&query=tagged.*", "metrics/expand?query=*&leavesOnly=1",
    "metrics/expand?query=servers.*&groupByExpr=1", "metrics/expand/?query=servers.*&jsonp=call", "metrics/expand",
    "metrics/index.json", "metrics/index.json/?jsonp=call",
    "tags", "tags?filter=z", "tags?limit=1", "tags?filter=(", "tags?limit=x", "tags/zone", "tags/zone?filter=a|b", "tags/zone?limit=2",
    "tags/name?filter=servers.web0", "tags/none", "tags/host",
    "tags/findSeries?expr=name=tagged.load", "tags/findSeries?expr=zone=~a|c&expr=name!=x", "tags/findSeries?expr=zone!=a&expr=dc=eu",
    "tags/findSeries?expr=dc=~e&limit=1", "tags/findSeries?expr=x", "tags/findSeries",
    "tags/findSeries?expr=name=tagged.load&extra_label=zone=b", "tags/findSeries?expr=name=tagged.load&extra_filters[]={zone=~\"a|b\"}",
    "tags/autoComplete/tags", "tags/autoComplete/tags?tagPrefix=z", "tags/autoComplete/tags?expr=name=tagged.load",
    "tags/autoComplete/tags?expr=name=tagged.load&tagPrefix=d&jsonp=call", "tags/autoComplete/tags?limit=1",
    "tags/autoComplete/tags?expr=name=tagged.load&limit=1",
    "tags/autoComplete/values?tag=zone", "tags/autoComplete/values?tag=zone&valuePrefix=a", "tags/autoComplete/values?tag=zone&expr=dc=eu",
    "tags/autoComplete/values?tag=name&expr=dc=eu", "tags/autoComplete/values?tag=name&valuePrefix=serv", "tags/autoComplete/values",
    "tags/autoComplete/values?tag=zone&expr=dc=eu&limit=1",
    "tags/delSeries?path=nothing", "tags/tagSeries?path=x", "functions/none", "render?target=x", "render",
]

CPU = "servers.web*.cpu.user"
COUNT = "servers.web*.requests.count"
SORTED = f"sortByName({CPU})"
TARGETS = [
    CPU, "servers.*.cpu.*", "servers.web{0,2}.mem.used", "nothing", "seriesByTag('name=tagged.load')",
    "seriesByTag('name=tagged.load','zone!=a')", "seriesByTag('zone=~[ab]')", "tagged.load",
    f"absolute(offset({CPU},-60))", f"add({CPU},1.5)", f"aggregate({CPU},'sum')", f"aggregate({CPU},'stddev',0.9)",
    f"aggregate({CPU},'median')", f"aggregate({CPU},'avg_zero')", f"aggregate({CPU},'count')", f"aggregate({CPU},'nope')",
    f"aggregateLine({CPU},'max')", f"aggregateLine({CPU},'min',true)",
    f"aggregateSeriesLists({SORTED},sortByName(servers.web*.cpu.system),'sum')", "aggregateWithWildcards(servers.web*.cpu.*,'max',1)",
    f"alias({CPU},'x')", f"aliasByMetric({CPU})", f"aliasByNode({CPU},1,-1)", "aliasByTags(tagged.load,'zone','name')",
    f"aliasByNode(scale({CPU},2),1)", f"aliasQuery({CPU},'cpu.user','mem.used','last %d')", f"aliasSub({CPU},'web(\\d)','<\\1>')",
    f"applyByNode({CPU},1,'sumSeries(%.cpu.*)')", f"applyByNode({CPU},1,'sumSeries(%.cpu.*)','of %')", f"alpha({CPU},0.5)",
    "areaBetween(servers.web{0,1}.cpu.user)", f"asPercent({CPU})", f"asPercent({CPU},200)", f"asPercent({CPU},sumSeries(servers.web*.cpu.*))",
    "asPercent(servers.web*.cpu.*,None,1)", "asPercent(servers.web*.cpu.user,servers.web*.cpu.*,1)", f"averageAbove({CPU},50)",
    f"averageBelow({CPU},50)", f"averageOutsidePercentile({CPU},30)", f"averageSeries({CPU})", f"avg({CPU},tagged.load)",
    "averageSeriesWithWildcards(servers.web*.cpu.*,1)", f"changed({COUNT})", f"color({CPU},'red')", f"consolidateBy({CPU},'max')",
    "constantLine(12.5)", f"countSeries({CPU})", f"cumulative({CPU})", f"currentAbove({CPU},20)", f"currentBelow({CPU},20)",
    f"dashed({CPU})", f"delay({CPU},3)", f"delay({CPU},-2)", f"derivative({COUNT})", f"diffSeries({SORTED})",
    "diffSeriesLists(sortByName(servers.web*.cpu.user),sortByName(servers.web*.cpu.system))", f"divideSeries({CPU},sumSeries({CPU}))",
    f"divideSeries({CPU},nothing)", f"divideSeries({CPU},{CPU})", "divideSeriesLists(sortByName(servers.web*.cpu.user),sortByName(servers.web*.cpu.system))",
    f"drawAsInfinite({CPU})", "events('a','b')", f"exclude({CPU},'web[12]')", f"exp(scale({CPU},0.01))",
    f"exponentialMovingAverage({CPU},5)", f"exponentialMovingAverage({CPU},'1min')", f"fallbackSeries(nothing,{CPU})", f"fallbackSeries({CPU},nothing)",
    f"filterSeries({CPU},'max','>',80)", f"grep({CPU},'web0')", f"group({CPU},tagged.load)", "groupByNode(servers.web*.cpu.*,1,'sum')",
    "groupByNode(servers.web*.cpu.*,-1)", "groupByNodes(servers.web*.*.*,'max',0,2)", "groupByTags(tagged.load,'sum','dc')",
    "groupByTags(seriesByTag('name=tagged.load'),'max','dc','name')", f"highest({CPU},2,'max')", f"highestAverage({CPU},2)", f"highestCurrent({CPU},1)",
    f"highestMax({CPU},3)", f"hitcount({COUNT},'1min')", f"hitcount({COUNT},'1min',true)", "identity('id')", f"integral({COUNT})",
    f"integralByInterval({COUNT},'5min')", f"interpolate({CPU})", f"interpolate(tagged.load,1)", f"invert({CPU})", f"isNonNull({CPU})",
    f"keepLastValue({CPU})", f"keepLastValue(tagged.load,1)", f"limit({SORTED},2)", f"lineWidth({CPU},2)", f"linearRegression({CPU})",
    f"log({CPU})", f"logarithm({CPU},2)", f"logit(scale({CPU},0.01))", f"lowest({CPU},2)", f"lowestAverage({CPU},1)", f"lowestCurrent({CPU},2)",
    f"mapSeries({CPU},1)", f"maxSeries({CPU})", f"max({CPU})", f"maximumAbove({CPU},89)", f"maximumBelow({CPU},95)", f"minMax({CPU})",
    f"minSeries({CPU})", f"min({CPU})", f"minimumAbove({CPU},5)", f"minimumBelow({CPU},15)", f"mostDeviant({CPU},2)", f"movingAverage({CPU},5)",
    f"movingAverage({CPU},'1min',0.5)", f"movingMax({CPU},3)", f"movingMedian({CPU},4)", f"movingMin({CPU},3)", f"movingSum({CPU},'30s')",
    f"movingWindow({CPU},4,'stddev')", f"movingAverage(summarize({CPU},'1min','avg'),2)", f"multiplySeries({SORTED})",
    "multiplySeriesLists(sortByName(servers.web*.cpu.user),sortByName(servers.web*.cpu.system))",
    "multiplySeriesWithWildcards(servers.web*.cpu.*,2)", f"nPercentile({CPU},90)", f"nonNegativeDerivative({COUNT})",
    f"nonNegativeDerivative({COUNT},999)", f"nonNegativeDerivative({COUNT},None,0)", f"offset({CPU},1)", f"offsetToZero({CPU})", f"perSecond({COUNT})",
    f"perSecond({COUNT},999)", f"percentileOfSeries({CPU},75)", f"pow({CPU},2)", "powSeries(scale(servers.web0.cpu.user,0.01),constantLine(2))",
    f"rangeOfSeries({CPU})", f"removeAbovePercentile({CPU},80)", f"removeAboveValue({CPU},50)", f"removeBelowPercentile({CPU},20)",
    f"removeBelowValue({CPU},50)", f"removeBetweenPercentile({CPU},30)", f"removeEmptySeries({CPU},0.8)", f"round({CPU},1)", f"roundFunction({CPU})",
    f"scale({CPU},1e3)", f"scaleToSeconds({COUNT},60)", f"secondYAxis({CPU})", f"setXFilesFactor({CPU},0.9)",
    f"sumSeries(setXFilesFactor({CPU},0.9))", f"sigmoid({CPU})", "sinFunction('sin',2)", "sin('sin',1,30)", f"smartSummarize({CPU},'5min','avg')",
    f"smartSummarize({CPU},'5min','max','h')", f"sortBy({CPU},'max')", f"sortByMaxima({CPU})", f"sortByMinima({CPU})", f"sortByName({CPU},true,true)",
    f"sortByTotal({CPU})", f"squareRoot({CPU})", f"stacked({SORTED})", f"stddevSeries({SORTED})", f"stdev({CPU},5)", f"substr({CPU},1,3)",
    f"sumSeries({CPU})", f"sum({CPU},tagged.load)", "sumSeriesLists(sortByName(servers.web*.cpu.user),sortByName(servers.web*.cpu.system))",
    "sumSeriesWithWildcards(servers.web*.cpu.*,1,3)", f"summarize({COUNT},'5min')", f"summarize({COUNT},'5min','last')",
    f"summarize({COUNT},'2min','avg',true)", "threshold(5,'limit')", "threshold(5)", "time('t')", "timeFunction('t',30)", f"timeShift({CPU},'5min')",
    f"timeShift({CPU},'+5min')", f"timeSlice({CPU},'-10min')", f"timeStack({CPU},'5min',0,2)", f"transformNull({CPU})", f"transformNull({CPU},-1)",
    f"transformNull(tagged.load,5,{CPU})", f"unique({CPU},{CPU})", f"useSeriesAbove({CPU},80,'cpu.user','mem.used')",
    f"weightedAverage({CPU},servers.web*.mem.used,1)", f"xFilesFactor({CPU},0.5)",
    f"holtWintersForecast({CPU},'5min','1min')", f"holtWintersConfidenceBands({CPU},3,'5min','1min')",
    f"holtWintersAberration({CPU},1,'5min','1min')", "holtWintersConfidenceArea(servers.web0.cpu.user,3,'5min','1min')",
    f"{CPU}|scale(2)|aliasByNode(1)", f"sumSeries({CPU})|movingAverage(5)|alias('moving')", "unknown(x)", "scale(", "scale(x)", "5",
    f"averageSeries(movingAverage(scale({CPU},2),3))", f"sumSeries(scale({CPU},2),summarize({CPU},'1min','avg'))",
]


def get(daemon, path, tenant):
    return harness.http_get(f"{daemon.url}/select/{tenant}/graphite/{urllib.parse.quote(path, safe='/?&=%~:+,*')}")


def render(daemon, tenant, **args):
    pairs = [(key, item) for key, value in args.items() for item in (value if isinstance(value, list) else [value])]
    return harness.http_get(f"{daemon.url}/select/{tenant}/graphite/render?{urllib.parse.urlencode(pairs)}")


def is_close(a, b):
    if a is None or b is None:
        return a is b
    return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9)


def difference(ours, theirs):
    """What is different in two answers of the render API; None: nothing."""
    if ours[0] != theirs[0]:
        return f"status {ours[0]} and {theirs[0]}: {ours[1][:300]!r} {theirs[1][:300]!r}"
    if ours[0] != 200:
        return None
    a, b = json.loads(ours[1]), json.loads(theirs[1])
    if isinstance(a, dict) or isinstance(b, dict):
        return None if a == b else f"{str(a)[:300]} and {str(b)[:300]}"

    def key(series):
        return series["target"], sorted(series["tags"].items()), str(series["datapoints"][:3])
    a, b = sorted(a, key=key), sorted(b, key=key)
    for one, other in zip(a, b):
        for name in ("target", "tags"):
            if one[name] != other[name]:
                return f"{name}: {one[name]} and {other[name]}"
        points = list(zip(one["datapoints"], other["datapoints"]))
        wrong = [pair for pair in points if pair[0][1] != pair[1][1] or not is_close(pair[0][0], pair[1][0])]
        if len(one["datapoints"]) != len(other["datapoints"]) or wrong:
            return f"points of {one['target']}: {len(one['datapoints'])} and {len(other['datapoints'])}, {wrong[:3]}"
    return None if len(a) == len(b) else f"{len(a)} and {len(b)} series"


def sketches_body(start_s):
    """DataDog sketches of three metrics at two times."""
    def zigzag(n):
        return varint(n * 2 if n >= 0 else -n * 2 - 1)

    def number(tag, value):
        return varint(tag << 3) + varint(value)

    def double(tag, value):
        return varint(tag << 3 | 1) + struct.pack("<d", value)
    body = b""
    for seed in range(3):
        points = b""
        for moment in range(2):
            keys = [-1500 + seed, -900, 0, 1200 + seed, 1338, 1400 + moment, 1550]
            counts = [1, 2, 3, 5 + moment, 8, 13, 21]
            points += field(7, number(1, start_s + moment * 10) + number(2, sum(counts)) + double(3, -9.75) + double(4, 123.5)
                            + double(6, 456.25 + seed) + field(7, b"".join(zigzag(k) for k in keys))
                            + field(8, b"".join(varint(n) for n in counts)))
        body += field(1, field(1, b"sketch-%d..x" % seed) + field(2, b"host%d" % seed) + field(4, b"env:prod") + field(4, b"bare") + points)
    return body


def zabbix_body(start_s):
    lines = []
    for host in range(2):
        for kind, value in ((0, 1.5), (3, 7), (4, "text")):
            lines.append(json.dumps({
                "host": {"host": f"h{host}", "name": f"Host {host}"}, "groups": ["g1", "g2"],
                "item_tags": [{"tag": "a", "value": "1"}, {"tag": "a", "value": ""}, {"tag": "b", "value": "x y"}],
                "itemid": host, "name": f"item.{kind}", "clock": start_s, "ns": 123456789, "value": value, "type": kind}))
    return "\n".join(lines + ["{bad", ""]).encode()


def check_ours(cluster, start_s):
    status, body = get(cluster.select, "metrics/find?query=servers.*", 0)
    expect(status, 200, "metrics/find")
    expect([item["text"] for item in json.loads(body)], ["web0", "web1", "web2", "web3"], "metrics/find")
    status, body = get(cluster.select, "tags/zone", 0)
    expect(json.loads(body), {"tag": "zone", "values": [{"count": 1, "value": zone} for zone in "abc"]}, "tags/zone")
    for path, want in (("tags", [{"tag": name} for name in ("dc", "host", "name", "zone")]), ("tags?filter=z", [{"tag": "zone"}]),
                       ("tags/autoComplete/tags?tagPrefix=d", ["dc"]), ("tags/autoComplete/values?tag=zone&valuePrefix=b", ["b"]),
                       ("tags/name?filter=tagged", {"tag": "name", "values": [{"count": 1, "value": "tagged.load"}]})):
        status, body = get(cluster.select, path, 0)
        expect((status, json.loads(body)), (200, want), path)
    status, body = render(cluster.select, 0, format="json", target="sumSeries(tagged.load)|alias('sum')", **{"from": start_s, "until": start_s + 30})
    expect(json.loads(body), [{"target": "sum", "tags": {"aggregatedBy": "sum", "name": "tagged.load"},
                               "datapoints": [[3, start_s], [None, start_s + 10], [None, start_s + 20]]}], "render")
    status, body = get(cluster.select, "functions/scale", 0)
    expect(json.loads(body)["name"], "scale", "functions")


def check_ingested(cluster, inserts, start_s):
    """Each vminsert gets the same for a tenant of its own."""
    exports = []
    for tenant, insert in enumerate(inserts, 10):
        for path, body, want in (("datadog/api/beta/sketches", sketches_body(start_s), 202),
                                 ("zabbixconnector/api/v1/history", zabbix_body(start_s), 200)):
            status, answer = harness.http_post(f"{insert.url}/insert/{tenant}/{path}?extra_label=by=test", body)
            expect((status, answer), (want, b""), path)

        def taken():
            cluster.flush()
            return len(cluster.export('{__name__!=""}', str(tenant))) == 31
        harness.wait_for(f"rows of tenant {tenant}", taken)
        exports.append(cluster.export('{__name__!=""}', str(tenant)))
    for other in exports[1:]:
        expect(exports[0], other, "what our vminsert and the original's have stored")


def is_empty_there(path):
    """The original asks its nodes for the range without times here, in which they find nothing."""
    name, _, args = path.partition("?")
    is_list = name in ("tags", "tags/zone", "tags/name", "tags/none", "tags/host")
    return is_list or (name.startswith("tags/autoComplete/") and "expr=" not in args and "extra_" not in args)


def compare(cluster, theirs, start_s):
    wrong = []
    for path in METRICS:
        ours, other = get(cluster.select, path, 0), get(theirs, path, 0)
        if is_empty_there(path) and other[0] == ours[0] == 200 and other[1].endswith((b"[]", b"[]}")):
            continue
        # Texts of errors are our own.
        if ours != other and (ours[0] == 200 or ours[0] != other[0]):
            wrong.append(f"{path}: {ours} and {other}")
    ranges = [{"from": start_s, "until": start_s + POINTS * STEP}, {"from": start_s + 3, "until": start_s + 605, "maxDataPoints": 20},
              {"from": start_s, "until": start_s + 600, "storage_step": "30s", "xFilesFactor": "0.5"}]
    for target in TARGETS:
        for args in ranges if target in (CPU, f"sumSeries({CPU})", f"consolidateBy({CPU},'max')") else ranges[:1]:
            both = [render(daemon, 0, format="json", target=target, **args) for daemon in (cluster.select, theirs)]
            found = difference(*both)
            if found:
                wrong.append(f"{target} {args}: {found}")
    print(f"{len(METRICS)} paths and {len(TARGETS)} targets compared, {len(wrong)} different")
    if wrong:
        raise AssertionError("\n".join(wrong))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    parser.add_argument("--peer-bin", default=harness.peer_bin())
    options = parser.parse_args()
    start_s = (int(time.time()) - 3600) // 600 * 600
    zabbix = ["-zabbixconnector.addGroupsValue=yes", "-zabbixconnector.addEmptyTagsValue=none"]
    with tempfile.TemporaryDirectory() as root:
        bins = dict.fromkeys(NAMES, options.bin)
        with harness.Cluster(root, bins, insert_args=zabbix) as cluster:
            rows = sample_data(start_s)
            lines = "".join(json.dumps({"metric": labels, "values": [v for _, v in samples], "timestamps": [t for t, _ in samples]}) + "\n"
                            for labels, samples in rows)
            expect(cluster.insert_body("prometheus/api/v1/import", lines.encode(), {}), (204, b""), "import")

            def all_there():
                cluster.flush()
                return len(cluster.export('{__name__!=""}')) == len(rows)
            harness.wait_for("samples searchable", all_there)
            check_ours(cluster, start_s)
            peers = []
            try:
                if options.peer_bin is not None:
                    http_insert, http_select = harness.free_ports(2)
                    nodes = {daemon: [arg for arg in daemon.command if arg.startswith("-storageNode=")]
                             for daemon in (cluster.insert, cluster.select)}
                    folder = pathlib.Path(root)
                    insert = harness.Daemon(pathlib.Path(options.peer_bin) / "vminsert",
                                            [f"-httpListenAddr=127.0.0.1:{http_insert}", *nodes[cluster.insert], *zabbix],
                                            folder / "peer-insert.log", http_insert)
                    select = harness.Daemon(pathlib.Path(options.peer_bin) / "vmselect",
                                            [f"-httpListenAddr=127.0.0.1:{http_select}", *nodes[cluster.select],
                                             f"-cacheDataPath={folder / 'peer-cache'}"], folder / "peer-select.log", http_select)
                    for daemon in (insert, select):
                        peers.append(daemon.start())
                check_ingested(cluster, [cluster.insert, *peers[:1]], start_s)
                if peers:
                    compare(cluster, peers[1], start_s)
            finally:
                for daemon in peers:
                    daemon.stop()
    print("ok")


if __name__ == "__main__":
    main()
