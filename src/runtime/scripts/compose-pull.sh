# compose-pull ROOT ENGINE IMAGE…: brings images that are not there, with the account's own credentials. What runs is not touched.
engine=$2
shift 2
export LC_ALL=C
for image in "$@"; do
	if env -i PATH="$PATH" HOME="${HOME:-/}" DOCKER_HOST="$engine" timeout -k 5 900 docker pull --quiet -- "$image" >/dev/null 2>&1; then
		printf 'pulled %s\n' "$image"
	else
		printf 'missing %s\n' "$image"
	fi
done
