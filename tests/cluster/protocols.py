"""The same samples in every protocol that keeps labels, timestamps and values as they are.

`rows` is a list of (labels dict, [(timestamp_ms, value)]). An encoder returns (path below the tenant, body, headers). The
daemon needs INSERT_ARGS. Timestamps of datadog are whole seconds, so the ledger's steps are too.
"""
import decimal
import gzip
import json
import struct

from harness import field, snappy_literal, varint, write_request

INSERT_ARGS = ["-influxSkipSingleField", "-opentelemetry.promoteScopeMetadata=false"]


def text_line(labels, sample):
    name = labels["__name__"]
    rest = ",".join(f'{key}="{value}"' for key, value in labels.items() if key != "__name__")
    return f"{name}{{{rest}}} {sample[1]!r} {sample[0]}\n"


def text(rows):
    body = "".join(text_line(labels, sample) for labels, samples in rows for sample in samples)
    return "prometheus/api/v1/import/prometheus", body.encode(), {}


def remote_write(rows):
    return "prometheus/api/v1/write", snappy_literal(write_request(rows)), {
        "Content-Type": "application/x-protobuf", "Content-Encoding": "snappy",
        "X-Prometheus-Remote-Write-Version": "0.1.0"}


def json_lines(rows):
    body = "".join(json.dumps({"metric": labels, "values": [value for _, value in samples],
                               "timestamps": [timestamp for timestamp, _ in samples]}) + "\n"
                   for labels, samples in rows)
    return "prometheus/api/v1/import", gzip.compress(body.encode(), 1), {"Content-Encoding": "gzip"}


def csv(rows):
    names = [name for name in rows[0][0] if name != "__name__"]
    columns = [f"{at}:label:{name}" for at, name in enumerate(names, 1)]
    columns += [f"{len(names) + 1}:metric:{rows[0][0]['__name__']}", f"{len(names) + 2}:time:unix_ms"]
    body = "".join(",".join([*(labels[name] for name in names), repr(value), str(timestamp)]) + "\n"
                   for labels, samples in rows for timestamp, value in samples)
    return "prometheus/api/v1/import/csv?format=" + ",".join(columns), body.encode(), {}


def influx(rows):
    body = ""
    for labels, samples in rows:
        tags = "".join(f",{name}={value}" for name, value in labels.items() if name != "__name__")
        body += "".join(f"{labels['__name__']}{tags} value={value!r} {timestamp}\n" for timestamp, value in samples)
    return "influx/write?precision=ms", body.encode(), {}


def datadog(rows):
    series = [{"metric": labels["__name__"],
               "points": [{"timestamp": timestamp // 1000, "value": value} for timestamp, value in samples],
               "tags": [f"{name}:{value}" for name, value in labels.items() if name != "__name__"]}
              for labels, samples in rows]
    return "datadog/api/v2/series", json.dumps({"series": series}).encode(), {"Content-Type": "application/json"}


def otlp(rows):
    metrics = b""
    for labels, samples in rows:
        attributes = b"".join(field(7, field(1, name.encode()) + field(2, field(1, value.encode())))
                              for name, value in labels.items() if name != "__name__")
        points = b"".join(field(1, b"\x19" + struct.pack("<Q", timestamp * 10**6) + b"\x21" +
                                struct.pack("<d", value) + attributes) for timestamp, value in samples)
        metrics += field(2, field(1, labels["__name__"].encode()) + field(5, points))
    return "opentelemetry/v1/metrics", field(1, field(2, metrics)), {"Content-Type": "application/x-protobuf"}


def zigzag(n):
    return varint(n << 1 if n >= 0 else (-n << 1) - 1)


def native(rows):
    """One block of one sample each."""
    timestamps = [timestamp for _, samples in rows for timestamp, _ in samples]
    out = b"".join(struct.pack(">q", timestamp << 1) for timestamp in (min(timestamps), max(timestamps)))
    for labels, samples in rows:
        name = labels["__name__"].encode() + b"\x01"
        for key, value in sorted(labels.items()):
            if key != "__name__":
                name += key.encode() + b"\x01" + value.encode() + b"\x01"
        for timestamp, value in samples:
            sign, digits, exponent = decimal.Decimal(repr(value)).normalize().as_tuple()
            mantissa = int("".join(map(str, digits))) * (-1 if sign else 1)
            # Constant timestamps and values (3), 64 bits of precision, no data behind.
            block = (zigzag(timestamp) * 2 + zigzag(mantissa) + varint(1) + zigzag(exponent) + b"\x03\x03\x40" +
                     varint(0) * 2)
            out += struct.pack(">I", len(name)) + name + struct.pack(">I", len(block)) + block
    return "prometheus/api/v1/import/native", out, {}


ALL = [remote_write, text, json_lines, csv, influx, datadog, otlp, native]
