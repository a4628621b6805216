# run ROOT MODULE SCOPE RUN NONCE FENCE GENESIS WITNESS ORDERS [ARGUMENT…] <tar (p/): carries out a driver's step, once, and prints its
# result. ORDERS is the digest of p/orders, the listing of everything else in p/; with `-` nothing is read. The driver gets the other
# arguments. The step runs in a session of its own and writes to files: it does not die with the link.
set -u
export LC_ALL=C
umask 077
about "$1" "$3" "$4"
nonce=$5
if ! mkdir -m 0700 "$dir" 2>/dev/null; then
	# This run was begun before, and is never begun twice. Its folder has what became of it.
	has_result "$dir" && cat "$dir/result.json" && exit 0
	printf 'again\n'
	exit 5
fi
[ "$9" = - ] || tar -xf - --no-same-owner -C "$dir" 2>/dev/null
# Written whole or not carried out at all: on a full disk half a script would be left.
# shellcheck disable=SC2016 # the last line of the step, as it is written
step >"$dir/step.sh" && [ "$(tail -n 1 "$dir/step.sh")" = 'carry_out "$@"' ] || (result 1 orders)
if ! has_result "$dir"; then
	setsid sh "$dir/step.sh" "$@" </dev/null >"$dir/log" 2>&1 &
	wait $! || :
fi
has_result "$dir" || { printf 'unfinished\n'; exit 6; }
cat "$dir/result.json"
