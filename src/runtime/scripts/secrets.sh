# secrets: what is wrong with secret files, without a value of any. Needs $root.
secret_files() { # <a file a line, as declared
	while IFS= read -r each; do
		[ -n "$each" ] || continue
		file=$root/secrets/$each
		if [ ! -e "$file" ]; then
			printf 'secret missing %s\n' "$each"
		elif [ ! -r "$file" ]; then
			printf 'secret unreadable %s\n' "$each"
		else
			case $(stat -L -c '%a' "$file") in *00 | 0) ;; *) printf 'secret open %s\n' "$each" ;; esac
		fi
	done
}
secret_values() { # <a file a line that Compose reads as environment
	while IFS= read -r each; do
		[ -n "$each" ] && [ -r "$root/secrets/$each" ] || continue
		# Compose would replace what looks like a variable, without a word: only in a line KEY='value' a value stays as it is.
		grep '[$]' "$root/secrets/$each" | grep -v '^[[:space:]]*#' |
			grep -qvE "^[[:space:]]*(export[[:space:]]+)?[A-Za-z_][A-Za-z0-9_.-]*[[:space:]]*=[[:space:]]*'[^'\\\\]*'[[:space:]]*\$" &&
			printf 'secret dollar %s\n' "$each"
	done
}
secret_keys() { # <"KEY FILE" a line
	while IFS=' ' read -r key each; do
		[ -n "$each" ] && [ -r "$root/secrets/$each" ] || continue
		# A dot is a dot.
		grep -qE "^(export )?$(printf '%s' "$key" | sed 's/[.]/[.]/g')=" "$root/secrets/$each" || printf 'secret key %s %s\n' "$key" "$each"
	done
}
