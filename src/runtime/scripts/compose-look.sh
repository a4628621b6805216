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
containers >"$tmp/containers" &
seen=$!
docker_ info --format 'engine {{json .DockerRootDir}}' >"$tmp/engine" 2>/dev/null &
engine_=$!
if render "$tmp/t" "$tmp/s" "$tmp/final" "$p/override.json"; then
	docker_ compose -p "$project" --project-directory "$release/$folder" --env-file /dev/null -f - config --hash '*' \
		<"$tmp/final" 2>/dev/null | sed 's/^/hash /'
	printf 'final %s\n' "$(cat "$p/salt" "$tmp/final" | sum)"
else
	say 'failed final'
fi
wait "$seen" && cat "$tmp/containers" || say 'failed containers'
wait "$engine_" && cat "$tmp/engine" || say 'failed containers'
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
while IFS= read -r each; do
	docker_ volume inspect --format 'volume {"name":{{json .Name}},"driver":{{json .Driver}},"options":{{json .Options}}}' -- "$each" 2>/dev/null
done <"$p/volumes"
while IFS= read -r each; do
	docker_ network inspect --format 'network {{json .Name}}' -- "$each" 2>/dev/null
done <"$p/networks"
cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | while read -r _ here _ state _; do [ "$state" != 0A ] || printf 'listen %s\n' "$here"; done
if wait "$shown"; then
	printf 'model\n'
	cat "$tmp/shown"
else
	say 'failed shown'
fi
