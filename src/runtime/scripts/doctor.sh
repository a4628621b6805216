# doctor ROOT ENGINE SECRETS KEYS NETWORKS: what an apply needs here, as lines of "key value"; the last three arguments are lists, one
# a line. Changes nothing but a private folder, which it removes. No value of any secret is printed, and nothing in anybody's words.
engine=$2 secrets=$3 keys=$4 networks=$5
say() { printf '%s\n' "$*"; }
has() { command -v "$1" >/dev/null 2>&1; }
plain() { # NAME NUMBER: the name, or the number where the name is not made of plain letters
	case $1 in '' | -* | *[!A-Za-z0-9._+-]*) printf '%s' "$2" ;; *) printf '%s' "$1" ;; esac
}
say "account $(id -u) $(plain "$(id -un)" "$(id -u)") $(plain "$(id -gn)" "$(id -g)")"
for each in sudo systemctl; do has "$each" && say "has $each"; done
folder() { # NAME DIR
	if [ -d "$2" ]; then
		# Without stat nothing is known of it; that stat is missing is told above.
		say "folder $1 $(stat -L -c '%a %u' "$2" 2>/dev/null || echo '- -')"
	elif [ -e "$2" ] || [ -L "$2" ]; then
		say "folder $1 other"
	else
		say "folder $1 absent"
	fi
}
folder root "$root"
folder secrets "$root/secrets"
printf '%s\n' "$secrets" | secret_files
# A file with keys is one that is read as environment.
printf '%s\n' "$keys" | sed 's/^[^ ]* //' | sort -u | secret_values
printf '%s\n' "$keys" | secret_keys
if has flock; then
	for each in "$root"/locks/*; do
		[ -f "$each" ] && [ -r "$each" ] || continue
		is_lock "${each##*/}" && is_held "$each" && say "lock ${each##*/}"
	done
fi
d='[0-9]' x='[0-9a-f]'
for each in "$root"/runs/$d$d$d$d$d$d$d${d}T$d$d$d$d$d${d}Z-$x$x$x$x$x$x$x$x; do
	[ -d "$each" ] && ! has_result "$each" && ! has_tombstone "$each" && say "run ${each##*/}"
done
offer() { # PACKAGE…: those that apt would install, and that are not of Compose's first generation
	has apt-cache || return 0
	for each in "$@"; do
		apt-cache show "$each" 2>/dev/null | grep -qE "$pattern" && say "offer $each"
	done
}
composes() { # OLDEST is 2.20
	pattern='^Version: ([0-9]+:)?(2\.[2-9][0-9]|[3-9]\.|[1-9][0-9]+\.)'
	offer docker-compose-plugin docker-compose-v2 docker-compose
}
case $engine in
unix://*)
	socket=${engine#unix://}
	if [ -S "$socket" ]; then say "socket $(plain "$(stat -L -c %G "$socket" 2>/dev/null)" -)"; else say 'socket absent'; fi
	;;
esac
[ -S /var/run/docker.sock ] && say 'has standard'
if ! has docker; then
	say 'docker absent'
	pattern='^Version: '
	offer docker-ce docker.io
	composes
	say end
	exit 0
fi
tmp=$(mktemp -d) || { say 'failed tmp'; say end; exit 0; }
trap 'rm -rf "$tmp"' EXIT
trap 'exit 4' HUP INT TERM PIPE
private "$tmp/home"
limit=20
if docker_ version --format '{{.Server.Version}}' >"$tmp/engine" 2>"$tmp/why" </dev/null; then
	say "engine $(head -n 1 "$tmp/engine")"
	if docker_ network ls --format '{{.Name}}' >"$tmp/networks" 2>/dev/null </dev/null; then
		printf '%s\n' "$networks" | while IFS= read -r each; do
			[ -z "$each" ] || grep -qxF -e "$each" "$tmp/networks" || say "network $each"
		done
	fi
else
	# 124 is what timeout ends with.
	case $? in 124 | 137) why=hangs ;; *) why=off ;; esac
	grep -qi 'permission denied' "$tmp/why" && why=denied
	say "engine - $why"
fi
if docker_ compose version --short >"$tmp/compose" 2>/dev/null </dev/null; then
	version=$(head -n 1 "$tmp/compose")
else
	version=
fi
say "compose ${version:--}"
case ${version#v} in 2.[2-9][0-9]* | [3-9].* | [1-9][0-9]*) ;; *) composes ;; esac
say end
