# compose-look ROOT MODULE RELEASE PROJECT FOLDER ENGINE <tar (as for compose-render, and p/override.json): the final model, what
# runs, and what lies where the model reaches. Changes nothing but a private folder, which it removes.
module=$2 release=$root/releases/$2/$3 project=$4 folder=$5 engine=$6
say() { printf '%s\n' "$*"; }
if [ -d "$root/tmp" ] && [ -w "$root/tmp" ]; then tmp=$(mktemp -d "$root/tmp/XXXXXXXXXXXX"); else tmp=$(mktemp -d); fi || { say 'failed tmp'; exit 0; }
trap 'rm -rf "$tmp"' EXIT
trap 'exit 4' HUP INT TERM PIPE
tar -xf - --no-same-owner -C "$tmp" && [ -f "$tmp/p/end" ] || { say 'failed tar'; exit 0; }
p=$tmp/p
private "$tmp/home"
mkdir -p "$p/stand-in"
own_secrets "$tmp/s"
render "$tmp/t" "$p/stand-in" "$tmp/shown" "$p/override.json" &
shown=$!
# Beside each container, what it has mounted of the host: where that really lies is asked below.
container="$container"'{{range .Mounts}}{{if eq .Type "bind"}}{{printf "\nsource %s" .Source}}{{end}}{{end}}'
volume='volume {"name":{{json .Name}},"driver":{{json .Driver}},"options":{{json .Options}},"labels":{{json .Labels}}}{{with index .Options "device"}}{{printf "\nsource %s" .}}{{end}}'
network='network {"id":{{json .Id}},"name":{{json .Name}},"driver":{{json .Driver}},"options":{{json .Options}},"internal":{{json .Internal}},"attachable":{{json .Attachable}},"ipv6":{{json .EnableIPv6}},"ipam":{{json .IPAM.Config}},"labels":{{json .Labels}},"attached":{{json .Containers}}}'
those() { # KIND FORMAT NAME…: a line for each that is there, and nothing else may go wrong
	kind=$1 format=$2
	shift 2
	[ "$#" -eq 0 ] || docker_ "$kind" inspect --format "$format" -- "$@" 2>"$tmp/$kind.err" || ! grep -qvi 'no such\|not found' "$tmp/$kind.err"
}
every() { # every volume: one that goes away meanwhile is not there
	# shellcheck disable=SC2086 # each name is a word of its own: no name of a volume has a blank or a pattern in it
	names=$(docker_ volume ls -q 2>/dev/null) && those volume "$volume" $names
}
used() { # the networks that the model names
	set --
	while IFS= read -r each; do set -- "$@" "$each"; done <"$p/networks"
	those network "$network" "$@"
}
containers >"$tmp/containers" &
seen=$!
every >"$tmp/volumes" &
volumes=$!
used >"$tmp/networks" &
networks=$!
if render "$tmp/t" "$tmp/s" "$tmp/final" "$p/override.json"; then
	# Compose hashes a namespace that is shared with another service as that of its container.
	sed -n 's/^      "network_mode": "service:\([^"]*\)".*/\1/p; s/^      "ipc": "service:\([^"]*\)".*/\1/p; s/^      "pid": "service:\([^"]*\)".*/\1/p' \
		"$tmp/final" | sort -u | while IFS= read -r each; do
		# It becomes a pattern of sed.
		case $each in '' | *[!A-Za-z0-9_.-]*) continue ;; esac
		id=$(of_service "$each" -a --filter label=com.docker.compose.oneoff=False | head -n 1)
		[ -z "$id" ] || for key in network_mode ipc pid; do
			printf 's|^      "%s": "service:%s"|      "%s": "container:%s"|\n' "$key" \
				"$(printf '%s' "$each" | sed 's/[.]/[.]/g')" "$key" "$id"
		done
	done >"$tmp/shared"
	sed -f "$tmp/shared" "$tmp/final" | compose_ "$release/$folder" --env-file=/dev/null --profile='*' --file=- \
		config --hash='*' 2>/dev/null | sed 's/^/hash /'
	printf 'final %s\n' "$(cat "$p/salt" "$tmp/final" | sum)"
else
	say 'failed final'
fi
answer() { # PROCESS KIND FILE: its lines of that kind, if it got to its end
	wait "$1" || { say 'failed containers'; return; }
	grep "^$2 " "$3" || :
}
answer "$seen" container "$tmp/containers"
answer "$volumes" volume "$tmp/volumes"
answer "$networks" network "$tmp/networks"
sed -n 's|^source /|/|p' "$tmp/containers" "$tmp/volumes" | sort -u >"$tmp/sources"
sed 's/^/source /' "$tmp/sources"
tr '\n' '\000' <"$tmp/sources" | xargs -0 -r realpath -m -- >"$tmp/leads" 2>/dev/null
if [ "$(wc -l <"$tmp/leads")" -ne "$(wc -l <"$tmp/sources")" ]; then
	while IFS= read -r each; do realpath -m -- "$each" 2>/dev/null || printf '%s\n' "$each"; done <"$tmp/sources" >"$tmp/leads"
fi
sed 's/^/leads /' "$tmp/leads"
count=0
while IFS= read -r each; do
	printf 'bind %s %s\n' "$count" "$(realpath -e -- "$each" 2>/dev/null || printf -)"
	count=$((count + 1))
done <"$p/binds"
count=0
while IFS= read -r each; do
	printf 'sacred %s %s\n' "$count" "$(realpath -m -- "$each" 2>/dev/null || printf -)"
	count=$((count + 1))
done <"$p/sacred"
while IFS= read -r each; do [ ! -e "$root/files/$each" ] || printf 'have %s\n' "$each"; done <"$p/contents"
cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | while read -r _ here _ state _; do [ "$state" != 0A ] || printf 'listen %s\n' "$here"; done
if wait "$shown"; then
	printf 'model\n'
	cat "$tmp/shown"
else
	say 'failed shown'
fi
