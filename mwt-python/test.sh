#!/bin/sh
# Builds the wheel, installs it into an environment of its own and runs its tests there.
#
#   ./test.sh [ENVIRONMENT]
#
# Exit status 3: the machine lacks a tool, which is named.
set -eu

cd "$(dirname "$0")"
environment=${1:-target/venv}
if ! [ -x "$environment/bin/pip" ] && ! python3 -m venv "$environment"; then
    echo "no Python with venv and pip: on Debian 'apt-get install python3-venv'" >&2
    exit 3
fi
pip="$environment/bin/pip --quiet --disable-pip-version-check"
if ! $pip install "maturin>=1.9,<2" numpy; then
    echo "no maturin: pip could not install it" >&2
    exit 3
fi
# The tests of what these bring are skipped without them.
$pip install scikit-learn pandas matplotlib pillow || true
rm -rf target/test-wheel
"$environment/bin/maturin" build --quiet --release --locked --interpreter "$environment/bin/python" --out target/test-wheel
$pip install --force-reinstall --no-deps target/test-wheel/*.whl
"$environment/bin/python" -m unittest discover tests
