root=$1
