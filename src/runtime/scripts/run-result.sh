# run-result ROOT SCOPE RUN: prints what became of a run. Changes nothing.
set -u
about "$@"
if has_result "$dir"; then
	# How long ago it ended: whoever began it may still be watching what became of it.
	printf 'age %s\n' "$(($(date +%s) - $(stat -c %Y "$dir/result.json")))"
	cat "$dir/result.json"
elif has_tombstone "$dir"; then
	printf 'tombstone\n'
elif [ ! -d "$dir" ]; then
	printf 'never\n'
elif [ -e "$lock" ] && is_held "$lock"; then
	printf 'running\n'
else
	printf 'begun\n'
fi
