# compose-lib: how Docker and Compose are asked: with nothing of the account's own settings, and each question within a deadline.
set -u
export LC_ALL=C
umask 077
private() { # DIR: from here on it is HOME and Docker's configuration; of the account's own only the plugins are kept
	home=$1
	mkdir -p "$home/docker"
	[ ! -d "${HOME:-/nonexistent}/.docker/cli-plugins" ] || ln -s "$HOME/.docker/cli-plugins" "$home/docker/cli-plugins"
}
docker_() { # ARGUMENTS…
	env -i PATH="$PATH" LC_ALL=C HOME="$home" DOCKER_CONFIG="$home/docker" DOCKER_HOST="$engine" \
		COMPOSE_DISABLE_ENV_FILE=1 COMPOSE_IGNORE_ORPHANS=1 COMPOSE_EXPERIMENTAL_GIT_REMOTE=false \
		COMPOSE_EXPERIMENTAL_OCI_REMOTE=false COMPOSE_ANSI=never COMPOSE_PROGRESS=plain \
		timeout -k 5 "${limit:-60}" docker "$@"
}
# Words from outside are values that stand in one word with their option (--file=…), or stand behind a --: none is ever an option.
compose_() { # FOLDER ARGUMENTS…: Compose for the project; relative paths are taken from FOLDER
	from=$1
	shift
	docker_ compose --project-name="$project" --project-directory="$from" "$@"
}
of_service() { # SERVICE OPTION…: ids of its containers, whole
	each_=$1
	shift
	docker_ ps -q --no-trunc --filter "label=com.docker.compose.project=$project" --filter "label=com.docker.compose.service=$each_" "$@"
}
# Fields of a container that may leave the host: none of them holds a variable or an argument.
container='container {"id":{{json .Id}},"name":{{json .Name}},"image":{{json .Image}},"status":{{json .State.Status}},"exit":{{.State.ExitCode}},"started":{{json .State.StartedAt}},"health":{{with index .State "Health"}}{{json .Status}}{{else}}null{{end}},"restarts":{{.RestartCount}},"restart":{{json .HostConfig.RestartPolicy.Name}},"project":{{json (index .Config.Labels "com.docker.compose.project")}},"service":{{json (index .Config.Labels "com.docker.compose.service")}},"hash":{{json (index .Config.Labels "com.docker.compose.config-hash")}},"oneoff":{{json (index .Config.Labels "com.docker.compose.oneoff")}},"module":{{json (index .Config.Labels "dev.platformctl.module")}},"root":{{json (index .Config.Labels "dev.platformctl.root")}},"named":{{json (index .Config.Labels "dev.platformctl.image")}},"image_name":{{json .Config.Image}},"mounts":{{json .Mounts}},"ports":{{json .HostConfig.PortBindings}},"on":[{{range .NetworkSettings.Networks}}{{json .NetworkID}},{{end}}null]}'
containers() { # FILTER…: a line for each; one that goes away meanwhile is not there, and nothing else may go wrong
	ids=$(docker_ ps -aq --no-trunc "$@" 2>/dev/null) || return 1
	# shellcheck disable=SC2086 # each id is a word of its own
	[ -z "$ids" ] || docker_ inspect --type container --format "$container" -- $ids 2>"$home/inspect" || ! grep -qv 'No such' "$home/inspect"
}
render() { # BASE SECRETS OUT [FILE…]: renders the services of $p/services; more files are merged over the tracked ones
	base=$1 secrets=$2 out=$3
	shift 3
	{
		cat "$p/vars"
		# What is said last counts.
		printf "PLATFORM_ROOT='%s'\nPLATFORM_SECRETS='%s'\nPLATFORM_DATA='%s'\n" "$root" "$secrets" "$root/data"
	} >"$out.env"
	more=${1:-}
	set --
	while IFS= read -r each; do set -- "$@" --env-file="$base/$each"; done <"$p/env_files"
	set -- "$@" --env-file="$out.env"
	while IFS= read -r each; do set -- "$@" --profile="$each"; done <"$p/profiles"
	while IFS= read -r each; do set -- "$@" --file="$base/$each"; done <"$p/files"
	[ -z "$more" ] || set -- "$@" --file="$more"
	set -- "$@" config --format=json --
	while IFS= read -r each; do set -- "$@" "$each"; done <"$p/services"
	compose_ "$base/$folder" "$@" >"$out.raw" 2>"$out.err" </dev/null || return 1
	# What was rendered here stands for the release and for the secrets at their place.
	sed "s|$base/|$release/|g; s|$secrets\([^A-Za-z0-9._-]\)|$root/secrets\1|g" "$out.raw" >"$out"
	rm -f "$out.raw"
}
own_secrets() { # DIR: the folder of secrets as the module may see it: its own files, and empty ones where others' are named
	mkdir -p "$1"
	[ ! -d "$p/stand-in" ] || cp -R "$p/stand-in/." "$1/"
	while IFS= read -r each; do
		[ -f "$root/secrets/$each" ] || continue
		mkdir -p "$1/$(dirname -- "$each")"
		rm -f "$1/$each"
		ln -s "$root/secrets/$each" "$1/$each"
	done <"$p/secrets"
}
sum() { sha256sum | { read -r digest _; printf '%s' "$digest"; }; }
