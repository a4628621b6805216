# compose-pull ROOT ENGINE IMAGE…: brings images that are not there, with the account's own credentials. What runs is not touched.
# Where that fails, Docker's words follow.
engine=$2
shift 2
export LC_ALL=C
for image in "$@"; do
	words=$(env -i PATH="$PATH" HOME="${HOME:-/}" DOCKER_HOST="$engine" timeout -k 5 900 docker pull --quiet -- "$image" 2>&1 >/dev/null)
	case $? in
	0) printf 'pulled %s\n' "$image" && continue ;;
	124 | 137) words='it took longer than 15 minutes' ;;
	esac
	printf 'missing %s\n' "$image"
	printf '%s\n' "$words" | head -c 4096 | sed 's/^/why /'
	printf '\n'
done
