# files-look ROOT MODULE: what is live, without changing anything. Lines of "key value"; hashes of the live release.
module=$2
live=$root/live/$module
if [ -L "$live" ]; then
	target=$(readlink "$live")
	case $target in
	"../releases/$module/"*)
		release=${target##*/}
		printf 'live %s\n' "$release"
		if cd "$root/releases/$module/$release" 2>/dev/null; then
			find . -type f -exec stat -c 'mode %a %n' -- {} + | sort
			find . -type f -exec sha256sum -- {} + | sort -k 2
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
