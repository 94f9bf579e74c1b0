#!/bin/sh
# Builds the page and drives it in Chromium.
#
#   ./test.sh [ENVIRONMENT]
#
# Exit status 3: the machine lacks a tool, which is named.
set -eu

cd "$(dirname "$0")"
environment=${1:-target/venv}
if ! { command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null; then
    echo "no Chromium to test the page in: on Debian 'apt-get install chromium'" >&2
    exit 3
fi
if ! [ -x "$environment/bin/pip" ] && ! python3 -m venv "$environment"; then
    echo "no Python with venv and pip: on Debian 'apt-get install python3-venv'" >&2
    exit 3
fi
if ! "$environment/bin/pip" --quiet --disable-pip-version-check install "playwright>=1.50,<2"; then
    echo "no playwright: pip could not install it" >&2
    exit 3
fi
./run.sh build
"$environment/bin/python" -m unittest tests/test_page.py
