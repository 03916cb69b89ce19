#!/usr/bin/env python3
"""Check every quoted include under src/ against cmake/layers.txt.

Main files of a daemon (src/<daemon>/*.cc, *.h) may include everything of lib and of their daemon.
Exit status 1 and one line per wrong include.
"""
import pathlib
import re
import sys

DAEMONS = ("insert", "storage", "select")
INCLUDE = re.compile(r'^\s*#include\s+"([^"]+)"')


def read_layers(path):
    lib, allowed = {}, {}
    for line in path.read_text().splitlines():
        line = line.split("#")[0].strip()
        if not line:
            continue
        if line.startswith("lib "):
            _, layer, folder = line.split()
            lib[folder] = int(layer)
        else:
            head, _, names = line.partition(":")
            daemon, folder = head.split()
            allowed[(daemon, folder)] = set(names.split())
    return lib, allowed


def problem(source, target, lib, allowed):
    """Say what is wrong with an include from `source` to `target` (path parts), or None."""
    if target[0] == "lib":
        if target[1] not in lib:
            return f"unknown lib folder {target[1]}"
        if source[0] != "lib" or source[1] == target[1]:
            return None
        if lib[target[1]] >= lib.get(source[1], -1):
            return f"lib/{source[1]} may not include lib/{target[1]} (layer not lower)"
        return None
    if target[0] not in DAEMONS:
        return "includes are written from src/"
    if source[0] != target[0]:
        return f"{source[0]} may not include {target[0]}"
    if len(source) == 2 or source[1] == target[1]:
        return None
    if (source[0], source[1]) not in allowed:
        return f"folder {source[0]}/{source[1]} is not in layers.txt"
    if target[1] not in allowed[(source[0], source[1])]:
        return f"{source[0]}/{source[1]} may not include {target[0]}/{target[1]}"
    return None


def main():
    root = pathlib.Path(sys.argv[1])
    lib, allowed = read_layers(root / "cmake" / "layers.txt")
    bad = seen = 0
    for path in sorted((root / "src").rglob("*")):
        if path.suffix not in (".h", ".cc"):
            continue
        source = path.relative_to(root / "src").parts
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            seen += 1
            text = problem(source, pathlib.PurePosixPath(match[1]).parts, lib, allowed)
            if text:
                bad += 1
                print(f"{path.relative_to(root)}:{number}: {text}")
    print(f"{seen} includes checked, {bad} wrong")
    sys.exit(1 if bad or not seen else 0)


if __name__ == "__main__":
    main()
