# run-tombstone ROOT SCOPE RUN: makes sure, under the lock, that a run without a result can never change anything again.
set -eu
umask 077
about "$@"
mkdir -p "$root/runs" "$root/locks"
take_lock && rc=0 || rc=$?
case $rc in
0) ;;
1) printf 'running\n' && exit 0 ;;
*) exit 1 ;;
esac
if has_result "$dir"; then
	cat "$dir/result.json"
else
	mkdir -p "$dir"
	: >"$dir/tombstone"
	forget_secrets
	durable "$dir"
	printf 'tombstone\n'
fi
