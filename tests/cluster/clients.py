"""Unpacks real clients from Debian packages into the build folder; nothing is installed."""
import fcntl
import pathlib
import subprocess

PACKAGES = {
    "prometheus": "usr/bin/prometheus",
    "promtool": "usr/bin/promtool",
    "prometheus-node-exporter": "usr/bin/prometheus-node-exporter",
}


def unpack(folder):
    """Paths of the clients by name, or a text that says why they cannot be had."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = {name: folder / path for name, path in PACKAGES.items()}
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not all(path.exists() for path in paths.values()):
            for package in ("prometheus", "prometheus-node-exporter"):
                done = subprocess.run(["apt-get", "download", package], cwd=folder, timeout=300,
                                      capture_output=True, text=True, check=False)
                if done.returncode != 0:
                    return f"apt-get download {package}: {done.stderr.strip()[-300:]}"
            for archive in folder.glob("*.deb"):
                subprocess.run(["dpkg", "-x", archive.name, "."], cwd=folder, check=True, timeout=120)
    return paths
