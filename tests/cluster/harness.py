"""Starts real daemons on free loopback ports and talks to them. Standard library only."""
import http.client
import json
import os
import pathlib
import random
import signal
import socket
import struct
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request


def ephemeral_begin():
    """The first port the kernel gives to connections and to sockets bound to port 0."""
    try:
        with open("/proc/sys/net/ipv4/ip_local_port_range") as limits:
            return int(limits.read().split()[0])
    except OSError:
        return 32768


CLAIMS = []


def free_ports(count):
    """Ports of 127.0.0.1 that nobody listens at, never given twice while this process runs, also not to other processes
    that use this function. They lie below the range of which the kernel takes the ports of connections: else a connection
    or a socket bound to port 0 could take one before the daemon that it is meant for starts."""
    ports = []
    first, end = 10000, ephemeral_begin()
    if end - first < 1000:
        first, end = 20000, 32000
    while len(ports) < count:
        port = random.SystemRandom().randrange(first, end)
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                # A name without a file, held until the process ends.
                claim.bind(f"\0vm-test-port-{port}")
                probe.bind(("127.0.0.1", port))
            except OSError:
                claim.close()
                continue
        CLAIMS.append(claim)
        ports.append(port)
    return ports


def wait_for(what, condition, seconds=90.0):
    """Poll `condition` until it returns something true; fail with `what` after `seconds`. Those are for a machine that is
    slow and busy with other things: they cost nothing where the condition comes soon."""
    end = time.monotonic() + seconds
    last = None
    while time.monotonic() < end:
        try:
            value = condition()
            if value:
                return value
        except (OSError, http.client.HTTPException, AssertionError, ValueError) as error:
            last = error
        time.sleep(0.05)
    raise AssertionError(f"{what} did not happen within {seconds} s (last: {last})")


class Daemon:
    def __init__(self, binary, args, log_path, http_port):
        self.name = pathlib.Path(binary).name
        self.command = [str(binary)] + args
        self.log_path = pathlib.Path(log_path)
        self.http_port = http_port
        self.process = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.http_port}"

    def spawn(self):
        """Start the process and wait for nothing."""
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log)

    def start(self):
        self.spawn()
        wait_for(f"{self.name} healthy", self.healthy)
        return self

    def healthy(self):
        if self.process.poll() is not None:
            raise SystemExit(f"{self.name} ended with {self.process.returncode}:\n"
                             f"{self.log_path.read_text(errors='replace')[-4000:]}")
        return http_get(self.url + "/health")[0] == 200

    def stop(self, sig=signal.SIGTERM):
        """End the process; returns its exit status."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(sig)
            try:
                self.process.wait(timeout=90)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError(f"{self.name} did not end within 90 s after signal {sig}")
        status, self.process = self.process.returncode, None
        return status


class Cluster:
    """`bins` maps vminsert, vmstorage and vmselect to the folder of the binary."""

    def __init__(self, folder, bins, nodes=1, storage_args=(), insert_args=(), select_args=()):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.storages = []
        insert_nodes, select_nodes = [], []
        for index in range(nodes):
            http, insert, select = free_ports(3)
            data = self.folder / f"storage{index}"
            self.storages.append(Daemon(
                pathlib.Path(bins["vmstorage"]) / "vmstorage",
                [f"-storageDataPath={data}", f"-httpListenAddr=127.0.0.1:{http}",
                 f"-vminsertAddr=127.0.0.1:{insert}", f"-vmselectAddr=127.0.0.1:{select}",
                 "-retentionPeriod=100y", *storage_args],
                self.folder / f"vmstorage{index}.log", http))
            insert_nodes.append(f"-storageNode=127.0.0.1:{insert}")
            select_nodes.append(f"-storageNode=127.0.0.1:{select}")
        insert_http, select_http = free_ports(2)
        self.insert = Daemon(pathlib.Path(bins["vminsert"]) / "vminsert",
                             [f"-httpListenAddr=127.0.0.1:{insert_http}", *insert_nodes,
                              *insert_args], self.folder / "vminsert.log", insert_http)
        self.select = Daemon(pathlib.Path(bins["vmselect"]) / "vmselect",
                             [f"-httpListenAddr=127.0.0.1:{select_http}",
                              f"-cacheDataPath={self.folder / 'select-cache'}", *select_nodes,
                              *select_args], self.folder / "vmselect.log", select_http)

    def __enter__(self):
        try:
            for daemon in [*self.storages, self.insert, self.select]:
                daemon.start()
            # The original places rows on shifted nodes until its workers have dialed.
            time.sleep(0.5)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc):
        if exc and exc[0] is not None:
            self.describe()
        for daemon in [self.select, self.insert, *self.storages]:
            daemon.stop()

    def describe(self):
        """Print what helps to understand a failure: the folder goes away with the test."""
        for daemon in [self.select, self.insert, *self.storages]:
            print(f"--- the end of the log of {daemon.log_path.name}:", flush=True)
            print("\n".join(daemon.log_path.read_text(errors="replace").splitlines()[-40:]))
            try:
                _, body = http_get(daemon.url + "/metrics")
            except OSError as error:
                print(f"--- no metrics: {error}")
                continue
            print("--- its vm_* metrics that are not 0:")
            shown = [line for line in body.decode().splitlines() if line.startswith("vm_") and not line.endswith(" 0")
                     and not line.startswith("vm_log_") and "_bucket{" not in line]
            print("\n".join(shown), flush=True)

    def flush(self):
        for storage in self.storages:
            http_get(storage.url + "/internal/force_flush")

    def insert_body(self, path, body, headers, tenant="0"):
        return http_post(f"{self.insert.url}/insert/{tenant}/{path}", body, headers)

    def import_text(self, text, tenant="0"):
        return http_post(f"{self.insert.url}/insert/{tenant}/prometheus/api/v1/import/prometheus",
                         text.encode())

    def remote_write(self, series, tenant="0"):
        """`series`: list of (labels dict in order, [(timestamp_ms, value)])."""
        return http_post(f"{self.insert.url}/insert/{tenant}/prometheus/api/v1/write",
                         snappy_literal(write_request(series)),
                         {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy",
                          "X-Prometheus-Remote-Write-Version": "0.1.0"})

    def api(self, path, tenant="0", **args):
        pairs = []
        for key, value in args.items():
            key = "match[]" if key == "match" else key
            for item in value if isinstance(value, list) else [value]:
                pairs.append((key, str(item)))
        url = (f"{self.select.url}/select/{tenant}/prometheus/api/v1/{path}?"
               + urllib.parse.urlencode(pairs))
        status, body = http_get(url)
        return status, body

    def query(self, query, time_s, tenant="0"):
        status, body = self.api("query", tenant, query=query, time=time_s, nocache=1)
        if status != 200:
            raise AssertionError(f"{query}: {status} {body[:500]!r}")
        return json.loads(body)

    def export(self, match, tenant="0"):
        """Sorted list of (sorted labels, timestamps, values) of every exported line, joined."""
        status, body = self.api("export", tenant, match=match, start=1, end=4102444800)
        if status != 200:
            raise AssertionError(f"export: {status} {body[:500]!r}")
        series = {}
        for line in body.decode().splitlines():
            row = json.loads(line)
            samples = series.setdefault(tuple(sorted(row["metric"].items())), [])
            samples.extend(zip(row["timestamps"], row["values"]))
        return sorted((name, sorted(samples, key=lambda s: s[0]))
                      for name, samples in series.items())


def http_get(url):
    return http_request(urllib.request.Request(url))


def http_post(url, body, headers=None):
    return http_request(urllib.request.Request(url, data=body, headers=headers or {}))


def http_request(request):
    try:
        with urllib.request.urlopen(request, timeout=90) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def varint(n):
    out = bytearray()
    while n >= 0x80:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def field(number, body):
    return varint(number << 3 | 2) + varint(len(body)) + body


def write_request(series):
    """A prometheus.WriteRequest (remote write 1.0) as protobuf."""
    out = b""
    for labels, samples in series:
        body = b""
        for name, value in labels.items():
            body += field(1, field(1, name.encode()) + field(2, value.encode()))
        for timestamp, value in samples:
            body += field(2, b"\x09" + struct.pack("<d", value) + b"\x10" + varint(timestamp))
        out += field(1, body)
    return out


def snappy_literal(data):
    """A valid snappy block: one literal."""
    if not data:
        return varint(0)
    return varint(len(data)) + bytes([63 << 2]) + struct.pack("<I", len(data) - 1) + data


def shared_dir(source_dir):
    path = pathlib.Path(source_dir).parent / "shared"
    return path if path.is_dir() else None


def peer_bin():
    folder = os.environ.get("VM_PEER_BIN")
    return pathlib.Path(folder) if folder else None
