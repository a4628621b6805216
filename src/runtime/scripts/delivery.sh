# delivery: receives a release: whole and checked at its place, or not at all. Both drivers' ship scripts begin with it. Needs hashes.
set -eu
export LC_ALL=C
umask 022
root=$1 module=$2 release=$3 nonce=$4
there=$root/releases/$module/$release
fail() { printf 'failed %s\n' "$1"; exit 3; }
places() { # FOLDER…: makes the folders of the root that every driver needs, and these
	for each in "releases/$module" locks data "$@"; do
		mkdir -p "$root/$each" || fail mkdir
	done
	for each in tmp runs secrets; do
		[ -d "$root/$each" ] || mkdir -m 0700 "$root/$each" || fail mkdir
	done
}
receive() { # <tar: unpacks it in $tmp, which goes away with this shell. m/end is its last file: without it the delivery was cut.
	tmp=$root/tmp/$nonce
	mkdir -m 0700 "$tmp" || fail tmp
	trap 'chmod -R u+w "$tmp" 2>/dev/null; rm -rf "$tmp"' EXIT
	trap 'exit 4' HUP INT TERM PIPE
	tar -xpf - --no-same-owner -C "$tmp" || fail tar
	[ -f "$tmp/m/end" ] || fail cut
}
same() { # SUMS MODES DIR NAME…: the listing, modes and hashes of these folders are exactly those
	sums=$1 modes=$2 dir=$3
	shift 3
	[ "$#" -gt 0 ] || return 0
	[ -z "$(cd "$dir" && find "$@" ! -type f ! -type d)" ] &&
		(cd "$dir" && hashes "$@") >"$tmp/sums" &&
		cmp -s "$tmp/sums" "$sums" &&
		(cd "$dir" && find "$@" -type f -exec stat -c '%a %n' -- {} + | sort -k 2) >"$tmp/modes" &&
		cmp -s "$tmp/modes" "$modes"
}
