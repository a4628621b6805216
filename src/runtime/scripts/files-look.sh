# files-look ROOT MODULE: what is live, without changing anything. Lines of "key value"; hashes of the live release.
set -u
export LC_ALL=C
root=$1 module=$2
[ -r /etc/machine-id ] && read -r machine </etc/machine-id || machine=
printf 'machine %s\n' "$machine"
for tool in tar sha256sum stat find mv flock setsid readlink df cmp sort; do
	command -v "$tool" >/dev/null 2>&1 || printf 'missing %s\n' "$tool"
done
if [ -d "$root" ]; then printf 'root ok\n'; space=$root; else printf 'root absent\n'; space=$(dirname "$root"); fi
while [ ! -d "$space" ]; do space=$(dirname "$space"); done
df -Pk "$space" | { read -r _; read -r _ _ _ free _; printf 'free_kb %s\n' "$free"; }
[ -w "$space" ] && printf 'writable yes\n' || printf 'writable no\n'
if [ -f "$root/witness.json" ]; then printf 'witness %s\n' "$(head -c 400 "$root/witness.json")"; fi
live=$root/live/$module
if [ -L "$live" ]; then
	target=$(readlink "$live")
	case $target in
	"../releases/$module/"*)
		release=${target##*/}
		printf 'live %s\n' "$release"
		if cd "$root/releases/$module/$release" 2>/dev/null; then
			find . -type f -exec stat -c 'mode %a %n' {} + | sort
			find . -type f -exec sha256sum {} + | sort -k 2
			find . ! -type f ! -type d -exec printf 'odd %s\n' {} \;
		else
			printf 'live_broken yes\n'
		fi
		;;
	*) printf 'live_foreign link\n' ;;
	esac
elif [ -e "$live" ]; then
	printf 'live_foreign other\n'
else
	printf 'live none\n'
fi
exit 0
