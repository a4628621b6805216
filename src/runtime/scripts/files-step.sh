# files-step RELEASE EXPECTED [COMMAND…]: switches the live link from EXPECTED (a release, "none" or "foreign") to RELEASE, then
# activates it. Each COMMAND is one quoted command line.
check() {
	expected=$2
	now=none
	if [ -L "$root/live/$module" ]; then now=$(readlink "$root/live/$module"); now=${now##*/}; elif [ -e "$root/live/$module" ]; then now=foreign; fi
	[ "$now" = "$expected" ] || result 1 expected
}
change() {
	release=$1
	shift 2
	rm -f "$root/live/.$module.next"
	ln -s "../releases/$module/$release" "$root/live/.$module.next" || result 1 link
	mv -T "$root/live/.$module.next" "$root/live/$module" || result 1 switch
	durable "$root/live"
	# What a command writes is for others to read, and what it leaves running does not hold the lock.
	umask 022
	for command in "$@"; do
		sh -c "$command" </dev/null 9>&- || result 1 activate
	done
	umask 077
}
