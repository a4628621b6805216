# probe KIND TARGET [STATUS]: asks one question once, on the host. "pass", or "fail WHY" in our own words.
set -u
no() { printf 'fail %s\n' "$1"; exit 0; }
probe() ( # in a shell of its own: it may leave at once
	kind=$1 target=$2 status=${3:-200}
	case $kind in
	tcp)
		if command -v bash >/dev/null 2>&1; then
			# shellcheck disable=SC2016 # bash expands it
			timeout 5 bash -c 'exec 3<>"/dev/tcp/${1%:*}/${1##*:}"' probe "$target" 2>/dev/null || no refused
		elif command -v nc >/dev/null 2>&1; then
			nc -z -w 5 "${target%:*}" "${target##*:}" >/dev/null 2>&1 || no refused
		else
			no tool
		fi
		;;
	http)
		if command -v curl >/dev/null 2>&1; then
			got=$(curl -q -s -o /dev/null -m 5 --noproxy '*' -w '%{http_code}' -- "$target") || no refused
		elif command -v python3 >/dev/null 2>&1; then
			got=$(python3 -I -c 'import sys,urllib.request as u,urllib.error as e
o=u.build_opener(u.ProxyHandler({}))
try: print(o.open(sys.argv[1],timeout=5).status)
except e.HTTPError as x: print(x.code)' "$target" 2>/dev/null) || no refused
		else
			no tool
		fi
		[ "$got" = "$status" ] || no status
		;;
	*) no kind ;;
	esac
	printf 'pass\n'
)
