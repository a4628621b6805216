# compose-ship ROOT MODULE RELEASE NONCE <tar: the release and the contents that are mounted, each at its place: delivered whole and
# checked here, or not at all. m/sums and m/modes tell of everything below r/ (the release) and f/ (contents that were not here yet);
# m/kept-sums and m/kept-modes of contents that lie here already, m/kept of their names; m/data of folders that must be there;
# m/copies of files that are here in another content: from, to.
places files
[ -s "$root/key" ] || (umask 077 && head -c 32 /dev/urandom | sha256sum >"$root/key.$nonce" && mv -T "$root/key.$nonce" "$root/key") || fail mkdir
receive
mkdir -p "$tmp/r" "$tmp/f"
while IFS= read -r from && IFS= read -r to; do
	mkdir -p "$tmp/f/${to%/*}" && cp -p "$root/files/$from" "$tmp/f/$to" || fail altered
done <"$tmp/m/copies"
find "$tmp/r" "$tmp/f" -type d -exec chmod 0755 {} +
same "$tmp/m/sums" "$tmp/m/modes" "$tmp" r f || fail content
set --
while IFS= read -r each; do
	# find has no --: what begins with a dash would be a part of its expression.
	case $each in -*) fail altered ;; esac
	set -- "$@" "$each"
done <"$tmp/m/kept"
same "$tmp/m/kept-sums" "$tmp/m/kept-modes" "$root/files" "$@" || fail altered
if [ -e "$there" ] || [ -L "$there" ]; then
	sed -n 's|^\(.\{64\}\)  r/|\1  ./|p' "$tmp/m/sums" >"$tmp/there-sums"
	sed -n 's|^\([0-7]*\) r/|\1 ./|p' "$tmp/m/modes" >"$tmp/there-modes"
	[ -d "$there" ] && [ ! -L "$there" ] && same "$tmp/there-sums" "$tmp/there-modes" "$there" . || fail altered
	answer='shipped reused'
else
	answer='shipped new'
fi
sync -f "$tmp" 2>/dev/null || sync
for each in "$tmp"/f/*; do
	[ -e "$each" ] || continue
	# Somebody else may have brought the same meanwhile: the name says what is in it.
	mv -T "$each" "$root/files/${each##*/}" 2>/dev/null || [ -e "$root/files/${each##*/}" ] || fail rename
done
[ "$answer" = 'shipped reused' ] || mv -T "$tmp/r" "$there" || fail rename
data=$(realpath -e -- "$root/data") || fail mkdir
while IFS= read -r each; do
	[ -e "$root/data/$each" ] && continue
	# No link may lead elsewhere by now.
	case $(realpath -m -- "$root/data/$each") in "$data"/*) mkdir -p "$root/data/$each" || fail mkdir ;; *) fail mkdir ;; esac
done <"$tmp/m/data"
sync -f "$root/releases/$module" 2>/dev/null || sync
printf '%s\n' "$answer"
