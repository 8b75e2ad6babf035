#!/bin/sh
# A Chromium for the browser tests: the one that is there, Debian's through apt where one may, else Playwright's own.
set -e
for name in chromium chromium-browser google-chrome; do
    if command -v "$name" >/dev/null 2>&1; then exit 0; fi
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null
else
    "${BIN:-.venv/bin}/playwright" install chromium
fi
