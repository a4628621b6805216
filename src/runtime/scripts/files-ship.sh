# files-ship ROOT MODULE RELEASE NONCE <tar: the release at its place: delivered whole and checked here, or not at all.
# The tar holds t/ (the files), m/sums (sha256sum's own lines) and m/modes ("mode path"), all sorted.
set -eu
export LC_ALL=C
umask 022
root=$1 module=$2 release=$3 nonce=$4
fail() { printf 'failed %s\n' "$1"; exit 3; }
mkdir -p "$root/live" "$root/releases/$module" "$root/locks" "$root/data" || fail mkdir
for private in tmp runs secrets; do
	[ -d "$root/$private" ] || mkdir -m 0700 "$root/$private" || fail mkdir
done
tmp=$root/tmp/$nonce
mkdir -m 0700 "$tmp" || fail tmp
trap 'chmod -R u+w "$tmp" 2>/dev/null; rm -rf "$tmp"' EXIT
trap 'exit 4' HUP INT TERM PIPE
tar -xpf - --no-same-owner -C "$tmp" || fail tar
[ -d "$tmp/t" ] && [ -f "$tmp/m/sums" ] && [ -f "$tmp/m/modes" ] || fail cut
same() { # DIR: its listing, modes and hashes are exactly those of the manifest
	[ -z "$(cd "$1" && find . ! -type f ! -type d)" ] &&
		(cd "$1" && hashes .) >"$tmp/sums" &&
		cmp -s "$tmp/sums" "$tmp/m/sums" &&
		(cd "$1" && find . -type f -exec stat -c '%a %n' -- {} + | sort -k 2) >"$tmp/modes" &&
		cmp -s "$tmp/modes" "$tmp/m/modes"
}
find "$tmp/t" -type d -exec chmod 0755 {} +
same "$tmp/t" || fail content
there=$root/releases/$module/$release
if [ -e "$there" ] || [ -L "$there" ]; then
	[ -d "$there" ] && [ ! -L "$there" ] && same "$there" || fail altered
	printf 'shipped reused\n'
else
	sync -f "$tmp/t" 2>/dev/null || sync
	mv -T "$tmp/t" "$there" || fail rename
	sync -f "$root/releases/$module" 2>/dev/null || sync
	printf 'shipped new\n'
fi
