probe "$@"
