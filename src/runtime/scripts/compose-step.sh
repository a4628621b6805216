# compose-step RELEASE PROJECT FOLDER ENGINE: lets Compose change the named services. p/ says how to render, what must come out of it, and
# what is to be done.
check() {
	p=$dir/p
	release=$root/releases/$module/$1 project=$2 folder=$3 engine=$4
	private "$dir/home"
	own_secrets "$dir/s"
	render "$release" "$dir/s" "$dir/final" "$p/override.json" || result 1 render
	[ "$(cat "$p/salt" "$dir/final" | sum)" = "$(cat "$p/final")" ] || result 1 expected
	while IFS= read -r real && IFS= read -r path; do
		[ "$(realpath -e -- "$path" 2>/dev/null)" = "$real" ] || result 1 expected
	done <"$p/reals"
}
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
change() {
	limit=3600
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
}
