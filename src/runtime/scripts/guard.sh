# guard: what stands before every change on a host: the scope's lock, the tombstone, the fencing number and the witness. The step of a run
# sources it, with $root, $scope, $run, $fence, $genesis and $dir set, and result() defined.
lock=$root/locks/$scope
counter=$lock.$genesis.fence
enter() { # takes the lock, and refuses what a person ended or what is older than what was done here
	case $genesis in '' | *[!0-9a-f]*) result 1 orders ;; esac
	exec 9>>"$lock"
	flock -w 30 9 || result 1 lock
	[ ! -e "$dir/tombstone" ] || result 1 tombstone
	last=0
	[ -s "$counter" ] && read -r last <"$counter"
	case $last in '' | *[!0-9]*) result 1 counter ;; esac
	[ "$fence" -gt "$last" ] || result 1 fence
}
seq_in() { sed -n 's/.*"seq":\([0-9]\{1,15\}\)[,}].*/\1/p' "$1" 2>/dev/null | head -n 1; }
leave() { # FILE: leaves the fencing number and the witness in FILE, before the first change
	printf '%s\n' "$fence" >"$counter.tmp" && mv -T "$counter.tmp" "$counter" || result 1 witness
	# A run of another scope may have left a newer one: it never goes back.
	exec 8>>"$root/locks/.witness"
	flock -w 30 8 || result 1 witness
	there=$(seq_in "$root/witness.json")
	if ! grep -q "\"genesis\":\"$genesis\"" "$root/witness.json" 2>/dev/null || [ "${there:-0}" -lt "$(seq_in "$1")" ]; then
		cp "$1" "$root/witness.$run.tmp" && mv -T "$root/witness.$run.tmp" "$root/witness.json" || result 1 witness
	fi
	exec 8>&-
}
