#!/usr/bin/env python3
"""The rules of the house that no compiler knows: which room may include which, and how long a function or a file may be."""
import re
import subprocess
import sys

FUNCTION_LINES, FILE_LINES = 70, 500
# A room includes only rooms below it; config is plain data for those who read it.
ROOMS = ["main", "commands", "poll", "protocol", "mail", "store", "report", "base"]
READ_CONFIG = {"main", "commands", "poll", "config"}
BELOW_CONFIG = {"base"}


def room(path):
    parts = path.split("/")
    return parts[0] if parts[0] == "config" else parts[1] if len(parts) > 2 else "main"


def faults_of_includes(path, lines):
    own = room(path)
    for number, line in enumerate(lines, 1):
        match = re.match(r'#include "([^"]+)"', line)
        if not match:
            continue
        other = match[1].split("/")[0] if "/" in match[1] else own
        if other == own:
            continue
        if other == "config":
            good = own in READ_CONFIG
        elif own == "config":
            good = other in BELOW_CONFIG
        else:
            good = other in ROOMS and own in ROOMS and ROOMS.index(other) > ROOMS.index(own)
        if not good:
            yield f"{path}:{number}: {own} must not include {match[1]}"


def faults_of_length(path, lines):
    if len(lines) > FILE_LINES:
        yield f"{path}: {len(lines)} lines, at most {FILE_LINES}"
    start = None
    for number, line in enumerate(lines, 1):
        if line.startswith("{"):
            start = number
        elif line.startswith("}") and start:
            if number - start > FUNCTION_LINES:
                yield f"{path}:{start}: a function of {number - start} lines, at most {FUNCTION_LINES}"
            start = None


def main():
    files = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "--", "*.c", "*.h"], capture_output=True, text=True,
                           check=True).stdout.split()
    faults = []
    for path in files:
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
        if path.startswith(("src/", "config/")):
            faults += faults_of_includes(path, lines)
        faults += faults_of_length(path, lines)
    print("\n".join(faults), end="\n" if faults else "")
    return 1 if faults else 0


sys.exit(main())
