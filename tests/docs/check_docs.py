#!/usr/bin/env python3
"""What docs/ names must exist: tests in docs/compatibility.md, files and functions in docs/architecture.md, and every
src/ or tests/ path in any page. A row of docs/compatibility.md is done only with a test.

    check_docs.py --source DIR
"""
import argparse
import fnmatch
import pathlib
import re
import sys

CELLS = re.compile(r"(?<!\\)\|")


def tests_in(source):
    """Names of all tests: GoogleTest cases, their binaries, and what ctest runs in tests/."""
    names = set()
    for path in source.glob("src/**/*_test.cc"):
        for suite, case in re.findall(r"^TEST(?:_F|_P)?\((\w+), (\w+)\)", path.read_text(), re.M):
            names.add(f"{suite}.{case}")
    for path in source.glob("src/**/CMakeLists.txt"):
        names.update(f"vm_{name}_test" for name in re.findall(r"vm_module\((\w+)", path.read_text()))
    for path in source.glob("tests/**/CMakeLists.txt"):
        names.update(re.findall(r"add_test\(NAME (\w+)", path.read_text()))
    return names


def check_rows(page, known):
    for number, line in enumerate(page.read_text().splitlines(), 1):
        cells = [cell.strip() for cell in CELLS.split(line)]
        if not line.startswith("| ") or cells[-3:-1] == ["State", "Test"]:
            continue
        state, test = cells[-3], cells[-2]
        named = [name for quoted in re.findall(r"`([^`]+)`", test) for name in quoted.split()
                 if "." in name or name.startswith(("vm_", "cluster_"))]
        for name in named:
            if not any(fnmatch.fnmatch(one, name) for one in known):
                yield f"{page.name}:{number}: there is no test {name}"
        if state.startswith("done") and not named:
            yield f"{page.name}:{number}: done without a test"


def check_paths(page, source):
    for number, line in enumerate(page.read_text().splitlines(), 1):
        for path in re.findall(r"`((?:src|tests|docs|deploy|cmake)/[\w./-]+)`", line):
            if not (source / path).exists():
                yield f"{page.relative_to(source)}:{number}: there is no {path}"


def check_functions(page, source):
    """`folder/file.cc` Name: the name must occur in the file, which lies below src/."""
    for number, line in enumerate(page.read_text().splitlines(), 1):
        for path, names in re.findall(r"`([a-z_0-9/]+\.(?:cc|h))`((?:[ ,]+`[\w:~]+`)+)", line):
            file = source / "src" / path
            text = file.read_text() if file.exists() else ""
            for name in re.findall(r"`([\w:~]+)`", names):
                if not re.search(rf"\b{re.escape(name.split('::')[-1])}\b", text):
                    yield f"{page.name}:{number}: there is no {name} in src/{path}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--source", required=True, type=pathlib.Path)
    source = parser.parse_args().source
    problems = list(check_rows(source / "docs" / "compatibility.md", tests_in(source)))
    for page in [*source.glob("docs/**/*.md"), *source.glob("src/**/README.md"), source / "README.md"]:
        problems += check_paths(page, source)
    problems += check_functions(source / "docs" / "architecture.md", source)
    print("\n".join(problems) or "ok")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
