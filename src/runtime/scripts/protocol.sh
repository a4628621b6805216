# protocol: decides on the host whether a run may change something, and records how it ended: the lock, the tombstone, the fence, the
# witness and the result. Every script that carries out, ends or inspects a run begins with this file; it defines functions only.
# A driver's step defines check and change. It cannot take the lock, compare the fence or write a result in another way.
about() { # ROOT SCOPE RUN: sets the paths of a run
	root=$1 scope=$2 run=$3
	dir=$root/runs/$run
	lock=$root/locks/$scope
}
has_result() { [ -s "$1/result.json" ]; } # DIR. An empty file is what a full disk leaves: it is not a result.
has_tombstone() { [ -e "$1/tombstone" ]; } # DIR
is_lock() { # NAME: whether this is the name of a lock, not of a counter beside it
	case $1 in *.fence | *.tmp | *[!A-Za-z0-9._-]*) return 1 ;; esac
}
is_held() { ! flock -n -s "$1" true; } # LOCK. The lock is shared: two processes that ask at the same time are not a run.
take_lock() { # waits for the lock; 2 where its file cannot be opened
	# Tried in a subshell first: a failed redirection of exec would end this shell without a result.
	(: >>"$lock") 2>/dev/null || return 2
	exec 9>>"$lock"
	flock -w 30 9 || return 1
}
durable() { sync -f "$1" 2>/dev/null || sync; } # FILE: its file system survives a power failure as it is now
forget_secrets() { rm -rf "${dir:?}/s" "${dir:?}"/final* "${dir:?}/home"; }
result() { # RC STEP: records how the run ended, and ends the shell
	# First make room: a result that cannot be written whole does not count, and is asked for again.
	forget_secrets
	printf '{"run":"%s","nonce":"%s","rc":%d,"step":"%s"}\n' "$run" "$nonce" "$1" "$2" >"$dir/result.tmp" || exit 1
	durable "$dir/result.tmp"
	mv -T "$dir/result.tmp" "$dir/result.json"
	exit 0
}
check_orders() { # everything that p/orders lists is there, whole, and p/orders is the listing that was announced
	[ "$orders" = - ] && return 0
	[ "$(sha256sum "$dir/p/orders" 2>/dev/null)" = "$orders  $dir/p/orders" ] || return 1
	(cd "$dir/p" && sha256sum --check --quiet orders) >/dev/null 2>&1
}
enter() { # takes the lock; refuses a run that a person ended, and one that is older than the newest run here
	case $genesis in '' | *[!0-9a-f]*) result 1 orders ;; esac
	case $fence in '' | *[!0-9]*) result 1 orders ;; esac
	take_lock
	case $? in 0) ;; 1) result 1 lock ;; *) result 1 lockfile ;; esac
	! has_tombstone "$dir" || result 1 tombstone
	counter=$lock.$genesis.fence
	last=0
	[ ! -s "$counter" ] || read -r last <"$counter"
	case $last in '' | *[!0-9]*) result 1 counter ;; esac
	[ "$fence" -gt "$last" ] || result 1 fence
}
seq_in() { sed -n 's/.*"seq":\([0-9]\{1,15\}\)[,}].*/\1/p' "$1" 2>/dev/null | head -n 1; } # FILE
leave_traces() { # stores the fencing number and the witness, durably, before the first change
	printf '%s\n' "$witness" >"$dir/witness" || result 1 witness
	ours=$(seq_in "$dir/witness")
	[ -n "$ours" ] || result 1 orders
	printf '%s\n' "$fence" >"$counter.tmp" && mv -T "$counter.tmp" "$counter" || result 1 witness
	# A run of another scope may have left a newer witness: it never goes back within one record.
	exec 8>>"$root/locks/.witness"
	flock -w 30 8 || result 1 witness
	theirs=$(seq_in "$root/witness.json")
	if ! grep -q "\"genesis\":\"$genesis\"" "$root/witness.json" 2>/dev/null || [ "${theirs:-0}" -lt "$ours" ]; then
		cp "$dir/witness" "$root/witness.$run.tmp" && mv -T "$root/witness.$run.tmp" "$root/witness.json" || result 1 witness
	fi
	exec 8>&-
	durable "$root/locks"
}
carry_out() { # the arguments of run: the driver's check and change, in the only order there is
	set -u
	export LC_ALL=C
	umask 077
	about "$1" "$3" "$4"
	module=$2 nonce=$5 fence=$6 genesis=$7 witness=$8 orders=$9
	shift 9
	check_orders || result 1 orders
	enter
	check "$@"
	leave_traces
	change "$@"
	result 0 "done"
}
