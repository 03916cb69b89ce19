#!/usr/bin/env python3
"""The names under which dashboards and alerts look for figures, letter for letter, from the first second on.

    figures.py --bin DIR
"""
import argparse
import re
import tempfile

import harness

PROCESS = [f"process_{name}" for name in (
    "cpu_cores_available cpu_seconds_total cpu_seconds_user_total cpu_seconds_system_total major_pagefaults_total "
    "minor_pagefaults_total num_threads resident_memory_bytes virtual_memory_bytes start_time_seconds "
    "virtual_memory_peak_bytes resident_memory_peak_bytes resident_memory_anon_bytes resident_memory_file_bytes "
    "resident_memory_shared_bytes io_read_bytes_total io_written_bytes_total io_read_syscalls_total "
    "io_write_syscalls_total io_storage_read_bytes_total io_storage_written_bytes_total max_fds open_fds "
    "memory_limit_bytes").split()]
CALLS = ("metric_rows", "metricmetadata_rows")
PROTOCOLS = ("clusternative csvimport datadogv1 datadogv2 graphite influx native newrelic opentelemetry opentsdb "
             "opentsdbhttp prometheus promremotewrite vmimport").split()
# What vminsert counts for each node and kind of rows.
NODE = [f"vm_rpc_{name}" for name in (
    "buf_pending_bytes connection_errors_total dial_errors_total handshake_errors_total rows_dropped_on_overload_total "
    "rows_dropped_on_unsupported_rpc rows_pending rows_pushed_total rows_rerouted_from_here_total "
    "rows_rerouted_to_here_total rows_sent_total send_duration_seconds_total").split()]
CONNECTION = ("read_bytes_total read_calls_total read_timeouts_total write_calls_total write_timeouts_total "
              "written_bytes_total").split()


def of_connections(kind, labels, first, first_error):
    for name in [*first, *CONNECTION]:
        yield f"vm_{kind}_{name}{{{labels}}}"
    for error in (first_error, "read", "write", "close"):
        yield f'vm_{kind}_errors_total{{{labels}, type="{error}"}}'


def listener(name):
    return of_connections("tcplistener", f'name="{name}", addr="ADDR"', ["accepts_total", "conns"], "accept")


def insert_names():
    for name in NODE:
        yield from (f'{name}{{name="vminsert", addr="ADDR", rpc_call="{call}"}}' for call in CALLS)
    for name in ("vmstorage_is_reachable", "vmstorage_is_read_only"):
        yield f'vm_rpc_{name}{{name="vminsert", addr="ADDR", rpc_call="metric_rows"}}'
    for name in ("rerouted_rows_processed_total", "reroutes_total", "rows_incompletely_replicated_total"):
        yield f'vm_rpc_{name}{{name="vminsert"}}'
    for call in CALLS:
        yield from of_connections("tcpdialer", f'name="vminsert_{call}", addr="ADDR"', ["dials_total", "conns"], "dial")
    yield from (f'vm_rows_inserted_total{{type="{protocol}"}}' for protocol in PROTOCOLS)
    yield from (f'vm_rows_ignored_total{{reason="{reason}"}}' for reason in (
        "too_many_labels", "too_long_label_name", "too_long_label_value", "too_long_metric_metadata_value"))
    yield from (f"vm_concurrent_insert_{name}" for name in (
        "capacity", "current", "limit_reached_total", "limit_timeout_total"))
    yield 'vm_http_requests_total{path="/insert/{}/prometheus/", protocol="promremotewrite"}'
    yield 'vm_http_request_errors_total{path="/insert/{}/prometheus/", protocol="promremotewrite"}'


def storage_names():
    yield from (*listener("vminsert"), *listener("vmselect"))
    for kind in ("storage/inmemory", "storage/small", "storage/big"):
        yield from (f'{name}{{type="{kind}"}}' for name in (
            "vm_rows", "vm_parts", "vm_blocks", "vm_data_size_bytes", "vm_active_merges", "vm_rows_merged_total"))
    yield from (f'{name}{{type="indexdb/file"}}' for name in (
        "vm_rows", "vm_parts", "vm_data_size_bytes", "vm_active_merges"))
    yield from (f'{name}{{type="indexdb/inmemory"}}' for name in ("vm_rows", "vm_parts", "vm_data_size_bytes"))
    yield from ("vm_new_timeseries_created_total", "vm_rows_added_to_storage_total", "vm_slow_row_inserts_total",
                'vm_pending_rows{type="storage"}', 'vm_pending_rows{type="indexdb"}', "vm_vminsert_metrics_read_total",
                'vm_deduplicated_samples_total{type="merge"}', "vm_snapshots",
                "vm_vmselect_concurrent_requests_capacity", "vm_vmselect_concurrent_requests_current",
                'vm_vmselect_concurrent_requests_limit_reached_total{addr="ADDR"}',
                'vm_vmselect_concurrent_requests_limit_timeout_total{addr="ADDR"}',
                'vm_free_disk_space_bytes{path="DIR"}', 'vm_free_disk_space_limit_bytes{path="DIR"}', 'vm_storage_is_read_only{path="DIR"}')
    for cache in ("storage/tsid", "storage/indexBlocks", "indexdb/indexBlocks", "indexdb/dataBlocks",
                  "indexdb/tagFiltersToMetricIDs"):
        yield from (f'vm_cache_{name}{{type="{cache}"}}' for name in (
            "entries", "size_bytes", "size_max_bytes", "requests_total", "misses_total"))


def select_names():
    yield from (f"vm_concurrent_select_{name}" for name in (
        "capacity", "current", "limit_reached_total", "limit_timeout_total"))
    for path in ("query", "query_range", "series", "labels", "export"):
        yield f'vm_http_requests_total{{path="/select/{{}}/prometheus/api/v1/{path}"}}'
        yield f'vm_http_request_errors_total{{path="/select/{{}}/prometheus/api/v1/{path}"}}'
    yield "vm_slow_queries_total"
    for cache in ("multitenancy/tenants", "promql/parse", "promql/regexp", "promql/rollupResult"):
        yield from (f'vm_cache_{name}{{type="{cache}"}}' for name in ("entries", "requests_total", "misses_total"))
    yield from (f'vm_cache_{name}{{type="promql/rollupResult"}}' for name in ("size_bytes", "size_max_bytes"))
    yield from (f'vm_cache_{name}{{type="promql/regexp"}}' for name in ("chars_current", "chars_max"))
    yield from (f"vm_rollup_result_cache_{name}_total" for name in ("requests", "full_hits", "partial_hits", "miss", "resets"))
    yield "vm_too_big_rollup_results_total"
    node = 'name="vmselect", addr="ADDR"'
    yield from (f"vm_{name}{{{node}}}" for name in (
        "concurrent_queries", "metric_blocks_read_total", "tcpdialer_conns_idle", "tcpdialer_addr_available"))
    for action in ("search searchMetricNames labelNames labelValues seriesCount metricsMetadata tagValueSuffixes tsdbStatus deleteSeries "
                   "registerMetricNames tenants").split():
        yield from (f'vm_{name}{{action="{action}", type="rpcClient", {node}}}' for name in ("requests_total", "request_errors_total"))
    yield from of_connections("tcpdialer", node, ["dials_total", "conns"], "dial")
    yield 'vm_deduplicated_samples_total{type="select"}'
    yield 'vm_metric_rows_skipped_total{name="vmselect"}'


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    bins = {name: parser.parse_args().bin for name in ("vminsert", "vmstorage", "vmselect")}
    with tempfile.TemporaryDirectory(prefix="vmtest-") as root, harness.Cluster(root, bins) as cluster:
        for daemon, wanted in ((cluster.insert, insert_names()), (cluster.storages[0], storage_names()),
                               (cluster.select, select_names())):
            text = harness.http_get(daemon.url + "/metrics")[1].decode().replace(f"{root}/storage0", "DIR")
            shown = {line.rsplit(" ", 1)[0] for line in re.sub(r"127\.0\.0\.1:\d+", "ADDR", text).splitlines()}
            wanted = [*PROCESS, *listener("http"), *wanted]
            missing = [name for name in wanted if name not in shown]
            assert not missing, f"{daemon.name} does not show: {missing}"
            print(f"ok: {daemon.name} shows {len(wanted)} names")


if __name__ == "__main__":
    main()
