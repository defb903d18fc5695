#!/bin/bash
# shellcheck disable=SC2317  # the functions are called by their names
# make lint: what can be found without running anything. Prints what is wrong, and one line for each check.
set -u
cd "$(dirname "$0")/../.." || exit 70
make=${MAKE:-make}
failed=0

check() {
    local name=$1 output
    shift
    if output=$("$@" 2>&1) && [ -z "$output" ]; then
        echo "lint: $name: clean"
    else
        printf '%s\n' "$output"
        echo "lint: $name: FAILED"
        failed=1
    fi
}

compiler() { $make -s -j2 all unit bench-tools CC="$1" BUILD="build/lint-$1" PROGRAM="build/lint-$1/popferry" WERROR=1; }

# References to manuals that this machine does not have are no fault of the page.
manuals() {
    mandoc -Tlint contrib/man/*.[15] 2>&1 | grep -v -e 'referenced manual not found' -e 'outdated mandoc.db'
    [ "${PIPESTATUS[0]}" -lt 6 ]
}

scripts() {
    # shellcheck disable=SC2046
    shellcheck $(git ls-files -co --exclude-standard -- '*.sh' .ci/run contrib/debian/'*.p*' contrib/debian/*.sh | sort -u) &&
        shellcheck -s bash contrib/completions/popferry.bash
}

completions() {
    bash -n contrib/completions/popferry.bash
    ! command -v zsh >/dev/null || zsh -n contrib/completions/_popferry
    ! command -v fish >/dev/null || fish -n contrib/completions/popferry.fish
}

units() {
    systemd-analyze security --offline=true --threshold=20 contrib/systemd/popferry.service >/dev/null
}

python() {
    git ls-files -co --exclude-standard -- '*.py' | xargs python3 -c 'import ast, sys
for path in sys.argv[1:]: ast.parse(open(path).read(), path)'
}

# What is suppressed here is wrong about this code: values that a callee sets before it returns 0, a list cell on the stack.
static() {
    cppcheck --quiet --std=c11 --enable=warning,portability,performance --inline-suppr --error-exitcode=1 -j2 \
        --suppress=missingIncludeSystem --suppress=unknownMacro --suppress=uninitvar --suppress=autoVariables \
        --suppress=nullPointerRedundantCheck -D_GNU_SOURCE '-DPOPFERRY_VERSION="0"' -Isrc -I. src config
}

check 'gcc -Werror' compiler gcc
check 'clang -Werror' compiler clang
check 'house rules' python3 tests/lint/house.py
command -v mandoc >/dev/null && check mandoc manuals
command -v shellcheck >/dev/null && check shellcheck scripts
check completions completions
command -v systemd-analyze >/dev/null && check 'systemd units' units
check python python
command -v cppcheck >/dev/null && check cppcheck static
exit $failed
