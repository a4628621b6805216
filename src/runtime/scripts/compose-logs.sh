# compose-logs ROOT PROJECT ENGINE LINES SERVICES SECRETS: how the containers of some services are, what their health checks said last, and
# the last LINES lines of each (0: none). SERVICES and SECRETS are lists, one a line. The values of the secret files are masked here,
# before anything leaves the host; where one cannot be read, nothing but states is told. Only reads.
project=$2 engine=$3 lines=$4 services=$5 secrets=$6
tmp=$(mktemp -d) || exit 0
trap 'rm -rf "$tmp"' EXIT
trap 'exit 4' HUP INT TERM PIPE
private "$tmp/home"
limit=20
least=4
tab=$(printf '\t') mark=$(printf '\001')
read_as() { # <texts, one a line: each as it is written, without blanks and quotes around it, and as Compose reads it
	sed -e p -e 's/^[[:space:]]*//;s/[[:space:],;]*$//;p;s/[[:space:]]#.*$//;p;s/^["'\'']//;s/["'\'']$//;p' \
		-e "s/\\\\\\\\/$mark/g" -e 's/\\n/\
/g' -e "s/\\\\t/$tab/g" -e 's/\\r//g;s/\\\(.\)/\1/g' -e "s/$mark/\\\\/g"
}
values() { # FILE: what is masked of a secret file, a value a line
	tr -d '\000\r\001' <"$1" >"$tmp/plain"
	{
		# Every line, and what it sets its key to.
		while IFS= read -r each || [ -n "$each" ]; do
			printf '%s\n' "$each"
			case $each in *=*) printf '%s\n' "${each#*=}" ;; esac
			case $each in *:*) printf '%s\n' "${each#*:}" ;; esac
		done <"$tmp/plain"
		# Members of JSON, several on a line; and the password in a URL.
		# shellcheck disable=SC2020 # each of these characters becomes a line break
		sed 's/"[^"]*"[[:space:]]*:/,/g' "$tmp/plain" | tr ',[]{}' '\n\n\n\n\n'
		sed -n 's|.*://[^/@]*:\([^/@]*\)@.*|\1|p' "$tmp/plain"
	} | read_as
}
masks() { # makes of $tmp/values a sed script; the longest come first, so that none is left in parts by a shorter one
	: >>"$tmp/values"
	sort -u "$tmp/values" | grep -E ".{$least,}" >"$tmp/long"
	while IFS= read -r each; do printf '%s %s\n' "${#each}" "$each"; done <"$tmp/long" | sort -rn |
		sed 's/^[0-9]* //;s/[][\/.*^$]/\\&/g;s/.*/s\/&\/***\/g/' >"$tmp/masks"
	[ "$(wc -l <"$tmp/long")" -eq "$(wc -l <"$tmp/masks")" ]
}
masked=yes
printf '%s\n' "$secrets" | while IFS= read -r each; do
	[ -n "$each" ] && [ -e "$root/secrets/$each" ] || continue
	if [ -f "$root/secrets/$each" ] && [ -r "$root/secrets/$each" ] && [ "$(wc -c <"$root/secrets/$each")" -le 65536 ]; then
		values "$root/secrets/$each" >>"$tmp/values" && continue
	fi
	printf 'unmasked %s\n' "$each"
	: >"$tmp/unmasked"
done
[ ! -e "$tmp/unmasked" ] || masked=no
masks || { printf 'unmasked the secret files\n' && masked=no; }
# What is cut is cut after it was masked: half a value is not found any more.
told() { # WORD COUNT <text
	sed -f "$tmp/masks" >"$tmp/said" || return 0
	tail -n "$2" "$tmp/said" | cut -c 1-500 | sed "s/^/$1 /"
	printf '\n'
}
state='{"service":{{json (index .Config.Labels "com.docker.compose.service")}},"name":{{json .Name}},"status":{{json .State.Status}},"exit":{{.State.ExitCode}},"oom":{{json .State.OOMKilled}},"health":{{with index .State "Health"}}{{json .Status}}{{else}}null{{end}}}'
# shellcheck disable=SC2016 # a variable of Docker's template, not of the shell
check='{{with index .State "Health"}}{{$said := ""}}{{range .Log}}{{$said = .Output}}{{end}}{{$said}}{{end}}'
printf '%s\n' "$services" | while IFS= read -r each; do
	[ -n "$each" ] || continue
	for id in $(docker_ ps -aq --no-trunc --filter "label=com.docker.compose.project=$project" \
		--filter "label=com.docker.compose.service=$each" --filter label=com.docker.compose.oneoff=False 2>/dev/null); do
		printf 'container ' && docker_ inspect --format "$state" "$id" 2>/dev/null || printf '\n'
		[ "$masked" = yes ] || continue
		docker_ inspect --format "$check" "$id" >"$tmp/check" 2>/dev/null
		# Docker keeps 4096 bytes: the last line of more than that is no whole one.
		[ "$(wc -c <"$tmp/check")" -lt 4096 ] || sed -i '$d' "$tmp/check"
		! grep -q . "$tmp/check" || told check 5 <"$tmp/check"
		[ "$lines" -eq 0 ] || docker_ logs --tail "$lines" "$id" 2>&1 | told log "$lines"
	done
done
