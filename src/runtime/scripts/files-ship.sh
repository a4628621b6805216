# files-ship ROOT MODULE RELEASE NONCE <tar: t/ (the files), m/sums (sha256sum's own lines) and m/modes ("mode path"), all sorted, m/end.
places live
receive
[ -d "$tmp/t" ] || fail cut
find "$tmp/t" -type d -exec chmod 0755 {} +
same "$tmp/m/sums" "$tmp/m/modes" "$tmp/t" . || fail content
if [ -e "$there" ] || [ -L "$there" ]; then
	[ -d "$there" ] && [ ! -L "$there" ] && same "$tmp/m/sums" "$tmp/m/modes" "$there" . || fail altered
	printf 'shipped reused\n'
else
	sync -f "$tmp/t" 2>/dev/null || sync
	mv -T "$tmp/t" "$there" || fail rename
	sync -f "$root/releases/$module" 2>/dev/null || sync
	printf 'shipped new\n'
fi
