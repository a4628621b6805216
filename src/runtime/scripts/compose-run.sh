# compose-run ROOT MODULE SCOPE RUN NONCE FENCE RELEASE PROJECT FOLDER ENGINE ORDERS <tar (p/ how to render, and what is expected):
# lets Compose change the named services, once. ORDERS is the digest of p/orders, the listing of everything else in p/.
# The change itself runs in a session of its own and writes to files: it never dies with the link.
set -u
export LC_ALL=C
umask 077
root=$1 run=$4
dir=$root/runs/$run
if ! mkdir -m 0700 "$dir" 2>/dev/null; then
	# This run was begun before: it is never begun twice. What became of it is in its folder.
	[ -s "$dir/result.json" ] && cat "$dir/result.json" && exit 0
	printf 'again\n'
	exit 5
fi
tar -xf - --no-same-owner -C "$dir" 2>/dev/null
guard >"$dir/guard.sh"
cat >"$dir/step.sh" <<'STEP'
set -u
export LC_ALL=C
root=$1 module=$2 scope=$3 run=$4 nonce=$5 fence=$6 project=$8 folder=$9
release=$root/releases/$module/$7
shift 9
engine=$1 orders=$2
dir=$root/runs/$run
p=$dir/p
result() { # RC STEP
	# Room first: a result that could not be written whole is none, and is asked for again.
	rm -rf "$dir/s" "$dir"/final* "$dir/home"
	printf '{"run":"%s","nonce":"%s","rc":%d,"step":"%s"}\n' "$run" "$nonce" "$1" "$2" >"$dir/result.tmp" || exit 1
	sync -f "$dir/result.tmp" 2>/dev/null || sync
	mv -T "$dir/result.tmp" "$dir/result.json"
	exit 0
}
[ "$(sha256sum "$p/orders" 2>/dev/null)" = "$orders  $p/orders" ] && (cd "$p" && sha256sum --check --quiet orders) >/dev/null 2>&1 || result 1 orders
. "$p/lib.sh"
read -r genesis <"$p/genesis"
. "$dir/guard.sh"
enter
private "$dir/home"
own_secrets "$dir/s"
render "$release" "$dir/s" "$dir/final" "$p/override.json" || result 1 render
[ "$(cat "$p/salt" "$dir/final" | sum)" = "$(cat "$p/final")" ] || result 1 expected
while IFS= read -r real && IFS= read -r path; do
	[ "$(realpath -e -- "$path" 2>/dev/null)" = "$real" ] || result 1 expected
done <"$p/reals"
leave "$p/witness"
limit=3600
# Docker's commands hold the lock with this shell: should it be killed, they still are at it. No container inherits it.
compose_up() { # LIST OPTION…: the services of a list
	list=$1
	shift
	set -- "$@" --no-build --pull=never --no-deps --
	while IFS= read -r each; do set -- "$@" "$each"; done <"$list"
	# With every profile: one that is named may share the network of another, which then is needed as well.
	[ ! -s "$list" ] || compose_ "$release/$folder" --env-file=/dev/null --profile='*' --file=- up "$@" <"$dir/final" >>"$dir/up" 2>&1
}
up() { # What Compose would start as it is, although its network is another by now, is made anew first.
	compose_up "$p/anew" --no-start --force-recreate && compose_up "$p/changed" -d
}
leftovers() { # what a kill in the middle of a recreation left: "<12 digits>_<name>", created and never started
	docker_ ps -a --no-trunc --filter "label=com.docker.compose.project=$project" --filter status=created --format '{{.ID}} {{.Names}}' |
		while read -r id name; do
			case $name in [0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]_*)
				docker_ rm -f -- "$id" >/dev/null 2>&1 ;;
			esac
		done
}
while IFS= read -r id; do
	docker_ stop -- "$id" >/dev/null 2>&1
	# Somebody may have removed it meanwhile.
	docker_ rm -- "$id" >/dev/null 2>&1 || [ -z "$(docker_ ps -aq --filter "id=$id")" ] || result 1 remove
done <"$p/remove"
# Compose does not start what is paused.
while IFS= read -r each; do
	for id in $(of_service "$each" --filter status=paused); do
		docker_ unpause -- "$id" >/dev/null 2>&1
	done
done <"$p/changed"
if ! up; then
	grep -q 'already in use' "$dir/up" || result 1 up
	leftovers
	up || result 1 up
fi
result 0 done
STEP
setsid sh "$dir/step.sh" "$@" </dev/null >"$dir/log" 2>&1 &
wait $! || :
[ -s "$dir/result.json" ] || { printf 'unfinished\n'; exit 6; }
cat "$dir/result.json"
