# hashes NAME…: the lines of sha256sum for the files in the current folder, sorted by name; several are at it at once. Needs $tmp.
hashes() {
	rm -rf "$tmp/parts" && mkdir "$tmp/parts" || return 1
	# shellcheck disable=SC2016 # the inner sh expands it
	find "$@" -type f -print0 | xargs -0 -r -P 4 -n 16 sh -c 'sha256sum -- "$@" >>"$0/$$"' "$tmp/parts" || return 1
	find "$tmp/parts" -type f -exec cat {} + | sort -k 2
}
