# compose-render ROOT MODULE RELEASE PROJECT FOLDER ENGINE <tar (t/ what rendering reads, p/ how): the model, without any value of a
# secret: it is rendered with files that hold their names alone. Changes nothing but a private folder, which it removes.
module=$2 release=$root/releases/$2/$3 project=$4 folder=$5 engine=$6
say() { printf '%s\n' "$*"; }
command -v docker >/dev/null 2>&1 || { printf 'missing docker\nend\n'; exit 0; }
if [ -d "$root/tmp" ] && [ -w "$root/tmp" ]; then tmp=$(mktemp -d "$root/tmp/XXXXXXXXXXXX"); else tmp=$(mktemp -d); fi || { say 'failed tmp'; exit 0; }
trap 'rm -rf "$tmp"' EXIT
trap 'exit 4' HUP INT TERM PIPE
tar -xf - --no-same-owner -C "$tmp" && [ -f "$tmp/p/end" ] || { say 'failed tar'; exit 0; }
p=$tmp/p
private "$tmp/home"
mkdir -p "$p/stand-in"
# One question for the engine, where it keeps everything, and the plugin.
limit=20
docker_ info --format '{{.ServerVersion}}
{{json .DockerRootDir}}
{{range .ClientInfo.Plugins}}{{if eq .Name "compose"}}{{.Version}}{{end}}{{end}}' >"$tmp/info" 2>/dev/null &
info=$!
limit=60
told() { # what it said: lines of "compose", "engine" and "data_root"
	wait "$info" && [ -s "$tmp/info" ] || : >"$tmp/info"
	{ read -r version && read -r kept && read -r plugin; } <"$tmp/info"
	[ -n "${plugin:-}" ] || plugin=$(docker_ compose version --short 2>/dev/null | head -n 1)
	say "compose ${plugin#v}"
	say "engine ${version:--}"
	[ -z "${version:-}" ] || say "data_root ${kept:-}"
}
secret_files <"$p/secrets"
secret_values <"$p/env_secrets"
secret_keys <"$p/keys"
if render "$tmp/t" "$tmp/p/stand-in" "$tmp/model"; then
	sed -n 's/^      "image": "\(.*\)",\{0,1\}$/\1/p' "$tmp/model" | sort -u >"$tmp/images"
	limit=20
	told
	[ -n "${version:-}" ] || : >"$tmp/images"
	while IFS= read -r image; do
		id=$(docker_ image inspect --format '{{.Id}}' -- "$image" 2>/dev/null) || id=-
		printf 'image %s %s\n' "$id" "$image"
	done <"$tmp/images"
	printf 'model\n'
	cat "$tmp/model"
else
	told
	# Rendered without a secret's value: what Compose says cannot hold one.
	printf 'error %s\n' "$(sed "s|$tmp/t/||g" "$tmp/model.err" | tail -n 1 | cut -c 1-500)"
	say end
fi
