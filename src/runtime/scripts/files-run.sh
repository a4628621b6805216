# files-run ROOT MODULE SCOPE RUN NONCE FENCE RELEASE EXPECTED WITNESS GENESIS [COMMAND…]: switches the live link, once.
# EXPECTED is the release that the plan saw live, or "none". Each COMMAND is one quoted command line.
# The change itself runs in a session of its own and writes to files: it never dies with the link.
set -eu
export LC_ALL=C
umask 022
root=$1 run=$4
dir=$root/runs/$run
if ! mkdir -m 0700 "$dir" 2>/dev/null; then
	# This run was begun before: it is never begun twice. What became of it is in its folder.
	[ -s "$dir/result.json" ] && cat "$dir/result.json" && exit 0
	printf 'again\n'
	exit 5
fi
guard >"$dir/guard.sh"
printf '%s\n' "$9" >"$dir/witness"
cat >"$dir/step.sh" <<'STEP'
set -u
root=$1 module=$2 scope=$3 run=$4 nonce=$5 fence=$6 release=$7 expected=$8
shift 9
genesis=$1
shift
dir=$root/runs/$run
result() { # RC STEP
	printf '{"run":"%s","nonce":"%s","rc":%d,"step":"%s","release":"%s"}\n' "$run" "$nonce" "$1" "$2" "$release" >"$dir/result.tmp" || exit 1
	sync -f "$dir/result.tmp" 2>/dev/null || sync
	mv -T "$dir/result.tmp" "$dir/result.json"
	exit 0
}
. "$dir/guard.sh"
enter
now=none
if [ -L "$root/live/$module" ]; then now=$(readlink "$root/live/$module"); now=${now##*/}; elif [ -e "$root/live/$module" ]; then now=foreign; fi
[ "$now" = "$expected" ] || result 1 expected
leave "$dir/witness"
rm -f "$root/live/.$module.next"
ln -s "../releases/$module/$release" "$root/live/.$module.next" || result 1 link
mv -T "$root/live/.$module.next" "$root/live/$module" || result 1 switch
sync -f "$root/live" 2>/dev/null || sync
for command in "$@"; do
	sh -c "$command" </dev/null 9>&- || result 1 activate
done
result 0 done
STEP
setsid sh "$dir/step.sh" "$@" </dev/null >"$dir/log" 2>&1 &
wait $! || :
[ -s "$dir/result.json" ] || { printf 'unfinished\n'; exit 6; }
cat "$dir/result.json"
