# run-tombstone ROOT SCOPE RUN: makes sure, under the lock, that a run without a result can never change anything again.
set -eu
umask 077
root=$1 scope=$2 run=$3
dir=$root/runs/$run
mkdir -p "$root/runs" "$root/locks"
exec 9>>"$root/locks/$scope"
flock -w 30 9 || { printf 'running\n'; exit 0; }
if [ -s "$dir/result.json" ]; then
	cat "$dir/result.json"
else
	mkdir -p "$dir"
	: >"$dir/tombstone"
	rm -rf "$dir/s" "$dir"/final* "$dir/home"
	sync -f "$dir" 2>/dev/null || sync
	printf 'tombstone\n'
fi
