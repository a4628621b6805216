# compose-watch ROOT MODULE PROJECT ENGINE SEEN WAIT_MS SERVICES SECRETS [PROBE…]: how the containers of some services are. Answers
# as soon as that is not what SEEN (a digest) says, or with a look that began after WAIT_MS. SERVICES and SECRETS are lists, one a line; each PROBE is
# "KIND ARGUMENTS…", quoted for sh. Only reads.
clock() { # sets `now`: hundredths of a second, by Linux itself. By a clock of whole seconds it may end early, and is asked again.
	now=$(date +%s)00
	[ ! -r /proc/uptime ] || read -r up _ </proc/uptime || return
	case ${up:-} in [0-9]*.[0-9][0-9]) now=$((${up%.*} * 100 + 1${up#*.} - 100)) ;; esac
}
clock
module=$2 project=$3 engine=$4 seen=$5 until=$((now + ($6 + 9) / 10)) services=$7 secrets=$8
shift 8
tmp=$(mktemp -d) || { printf 'failed tmp\n'; exit 0; }
trap 'rm -rf "$tmp"' EXIT
trap 'exit 4' HUP INT TERM PIPE
private "$tmp/home"
limit=20
probes() {
	number=0
	for each in "$@"; do
		number=$((number + 1))
		case $each in
		"'exec' "*) answer=$(eval "set -- ${each#"'exec' "}"; exec_probe "$@") ;;
		*) answer=$(eval "probe $each") ;;
		esac
		printf 'probe %s %s\n' "$number" "$answer"
	done
}
exec_probe() { # SERVICE COMMAND…
	service=$1
	shift
	id=$(of_service "$service" --filter label=com.docker.compose.oneoff=False | head -n 1)
	[ -n "$id" ] || { printf 'fail refused\n'; return; }
	limit=10
	docker_ exec -- "$id" "$@" >/dev/null 2>&1 </dev/null && printf 'pass\n' || printf 'fail status\n'
}
sample() {
	if containers --filter "label=com.docker.compose.project=$project" >"$tmp/all"; then
		printf '%s\n' "$services" | while IFS= read -r each; do
			[ -z "$each" ] || grep -F "\"service\":\"$each\"" "$tmp/all" || :
		done
	else
		printf 'failed engine\n'
	fi
}
while :; do
	clock
	begun=$now
	sample >"$tmp/sample"
	probes "$@" >>"$tmp/sample"
	state=$(sum <"$tmp/sample")
	[ "$state" = "$seen" ] && [ "$begun" -lt "$until" ] || break
	clock
	left=$((until - now))
	[ "$left" -gt 0 ] || continue
	[ "$left" -lt 30 ] || left=20
	sleep "0.$((left / 10))$((left % 10))"
done
cat "$tmp/sample"
printf '%s\n' "$secrets" | while IFS= read -r each; do
	[ -z "$each" ] || [ ! -f "$root/secrets/$each" ] || [ ! -r "$root/secrets/$each" ] ||
		printf 'secret %s %s\n' "$(cat "$root/key" "$root/secrets/$each" | sum)" "$each"
done
printf 'sample %s\n' "$state"
