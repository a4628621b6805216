# run-result ROOT SCOPE RUN: what became of a run. Changes nothing.
set -u
root=$1 scope=$2 run=$3
dir=$root/runs/$run
if [ -s "$dir/result.json" ]; then
	# How long ago it ended: whoever began it may still watch what became of it.
	printf 'age %s\n' "$(($(date +%s) - $(stat -c %Y "$dir/result.json")))"
	cat "$dir/result.json"
elif [ -e "$dir/tombstone" ]; then
	printf 'tombstone\n'
elif [ ! -d "$dir" ]; then
	printf 'never\n'
elif [ -e "$root/locks/$scope" ] && ! flock -n "$root/locks/$scope" true; then
	printf 'running\n'
else
	printf 'begun\n'
fi
