# The host's lock: a file in /run, so that it ends with the boot, with its end
# in seconds of uptime.

# lock TOKEN SECONDS HOLDER: takes or renews it.
lock() {
  tools /run/current-system
  mutex
  if [ -f "$run/lock" ]; then
    { read -r token && read -r until && read -r holder; } <"$run/lock"
    left=$((until - $(uptime_seconds)))
    if [ "$token" != "$1" ]; then
      if [ "$left" -gt 0 ]; then
        echo "held $left $holder"
        return
      fi
      echo "broke $holder"
    fi
  fi
  printf '%s\n%s\n%s\n' "$1" "$(($(uptime_seconds) + $2))" "$3" >"$run/lock.new" &&
    mv -f "$run/lock.new" "$run/lock" || die 73 "cannot write the lock"
  echo taken
}

# unlock TOKEN: frees it, if it is still this one.
unlock() {
  tools /run/current-system
  mutex
  [ -f "$run/lock" ] || return 0
  read -r token <"$run/lock"
  [ "$token" != "$1" ] || rm -f "$run/lock"
}

# locked_by_other TOKEN: says by whom.
locked_by_other() {
  [ -f "$run/lock" ] || return 1
  { read -r token && read -r until && read -r holder; } <"$run/lock"
  [ "$token" != "$1" ] && [ "$(uptime_seconds)" -lt "$until" ] || return 1
  echo "$holder"
}
