#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# page.sh DIR: the page of the agent's metrics as one file, from page.html, page.css and page.js in DIR, to stdout as a C
# header: PAGE_TEXT, in which @REASONS@ is left to the agent, and PAGE_POLICY, the policy that lets this script and this
# style run, and nothing else. With --html the text alone.
set -euo pipefail

[ "$1" != --html ] || { html=1 && shift; }
style=$(<"$1/page.css")
script=$(<"$1/page.js")
text=$(<"$1/page.html")
text=${text/@STYLE@/"$style"}
text=${text/@SCRIPT@/"$script"}
if [ -n "${html-}" ]; then
	printf '%s\n' "$text"
	exit
fi

hash_of() {
	printf '%s' "$1" | sha256sum | cut -c 1-64 | tr a-f A-F | basenc --base16 -d | base64 -w 0
}

echo "/* Written by the build. */"
printf '#define PAGE_POLICY "%s"\n' "default-src 'none'; script-src 'sha256-$(hash_of "$script")'; \
style-src 'sha256-$(hash_of "$style")'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
require-trusted-types-for 'script'"
echo "#define PAGE_TEXT \\"
# shellcheck disable=SC1003 # backslashes for C
printf '%s\n' "$text" | sed 's/\\/\\\\/g; s/"/\\"/g; s/?/\\?/g; s/.*/"&\\n" \\/; $s/ \\$//'
