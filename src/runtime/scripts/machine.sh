# machine: facts about a host, whatever the driver: its clock, id, tools and free space, and the last record it was shown. Prints lines of
# "key value". Needs $root.
set -u
export LC_ALL=C
# The time comes first: what follows may take a while.
printf 'time %s\n' "$(date +%s)"
[ -r /etc/machine-id ] && read -r machine </etc/machine-id || machine=
printf 'machine %s\n' "$machine"
for tool in tar sha256sum stat find xargs mv flock setsid readlink realpath timeout df cmp sort sed; do
	command -v "$tool" >/dev/null 2>&1 || printf 'missing %s\n' "$tool"
done
if [ -d "$root" ]; then printf 'root ok\n'; space=$root; else printf 'root absent\n'; space=$(dirname "$root"); fi
while [ ! -d "$space" ]; do space=$(dirname "$space"); done
df -Pk "$space" | { read -r _; read -r _ _ _ free _; printf 'free_kb %s\n' "${free:-0}"; }
[ -w "$space" ] && printf 'writable yes\n' || printf 'writable no\n'
# On one line, whatever is in it; what cannot be read is said too.
if [ -e "$root/witness.json" ] || [ -L "$root/witness.json" ]; then
	printf 'witness %s\n' "$(head -c 400 "$root/witness.json" 2>/dev/null | tr '\n' ' ' | tr -c '[:print:]' '?')"
fi
