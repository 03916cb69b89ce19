#!/bin/sh
# Install the Debian 12 packages that the build and the tests need. Idempotent, quick when nothing
# is missing, never removes a package.
set -eu

packages="ca-certificates ccache cmake g++ git libboost1.81-dev libfmt-dev libgmock-dev libgtest-dev
libre2-dev libsnappy-dev libspdlog-dev libssl-dev libxxhash-dev libyaml-cpp-dev libzstd-dev make mold ninja-build
nlohmann-json3-dev libprotozero-dev pkg-config python3 python3-zstandard tzdata zlib1g-dev"

missing=""
for package in $packages; do
  status=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
  [ "$status" = "install ok installed" ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

sudo=""
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null 2>&1 || {
    echo "these packages are missing and neither root nor sudo is at hand:$missing" >&2
    exit 1
  }
  sudo="sudo"
fi
echo "installing:$missing"
# shellcheck disable=SC2086
install() {
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends --no-remove $missing
}
install || { $sudo apt-get update -q && install; }
