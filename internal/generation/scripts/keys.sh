# Keys: files with secrets, beside the store. Each comes under a name of its own
# in the folder where it belongs, and takes its place by a rename. What it
# replaces stays beside it until the commit: the way back puts that back.
#
# $dir/keys has all keys of the new system, one "WHEN MODE USER GROUP PATH" per
# line: early (before the activation), late (after it) or same (nothing to do).
# $dir/keys-put has what was done: "had PATH" or "none PATH", as it was before.

# beside PATH: where the new one comes, and where the old one stays.
beside() {
  fresh=${1%/*}/.${1##*/}.flotilla-new
  kept=${1%/*}/.${1##*/}.flotilla-old
}

# keys_look PATH...: what is there, for the caller to compare.
keys_look() {
  tools /run/current-system
  for path; do
    [ -f "$path" ] && [ ! -L "$path" ] || continue
    sum=$(sha256sum <"$path") && echo "key ${sum%% *} $(stat -c '%a %U %u %G %g' "$path") $path"
  done
  echo end
}

# key_place WHEN MODE USER GROUP PATH: the rename, with the right owner before
# it. Early, the owner may be one whom the activation makes: it is root's then,
# until the system's own activation script gives it away.
key_place() {
  beside "$5"
  [ -f "$fresh" ] && [ ! -L "$fresh" ] || die 66 "key $5 did not come"
  chown "$3:$4" "$fresh" 2>/dev/null || [ "$1" = early ] || die 70 "key $5 cannot be given to $3:$4: there is no such user or group"
  chmod "$2" "$fresh" && mv -fT "$fresh" "$5" || die 73 "cannot write $5"
}

# keys_mutex: placing and putting back exclude each other. The decision is
# older than both: who comes second sees it.
keys_mutex() { mkdir -p "$run" && exec 8>"$run/keys" && flock -w 30 8; }

keys_free() { exec 8>&-; }

# keys_put ID WHEN: may be repeated.
keys_put() {
  load "$1"
  [ -f "$dir/keys" ] || return 0
  keys_mutex || die 75 "the keys of this host are being put back"
  [ -z "$(decision)" ] || die 69 "the guard's time is over"
  touch "$dir/keys-put"
  while read -r when mode user group path; do
    [ "$when" = "$2" ] || continue
    beside "$path"
    if grep -qxF -e "had $path" -e "none $path" "$dir/keys-put"; then
      [ -e "$fresh" ] || continue
    else
      had=none
      if [ -e "$path" ] || [ -L "$path" ]; then
        had=had
        rm -f "$kept"
        ln -PT "$path" "$kept" 2>/dev/null || cp -aT "$path" "$kept" || die 73 "cannot keep the old $path"
      fi
      echo "$had $path" >>"$dir/keys-put" && sync "$dir/keys-put" || die 73 "cannot write $dir"
    fi
    key_place "$when" "$mode" "$user" "$group" "$path"
  done <"$dir/keys"
}

# keys_back: all keys are as they were before the deployment.
keys_back() {
  [ -f "$dir/keys" ] || return 0
  keys_mutex
  lost=0
  if [ -f "$dir/keys-put" ]; then
    while read -r had path; do
      beside "$path"
      if [ "$had" = none ]; then
        rm -f "$path" || lost=1
      elif [ -e "$kept" ] || [ -L "$kept" ]; then
        # One file under both names was kept and never replaced.
        if [ "$(stat -c %d:%i "$kept")" = "$(stat -c %d:%i "$path" 2>/dev/null)" ]; then
          rm -f "$kept" || lost=1
        else
          mv -fT "$kept" "$path" || lost=1
        fi
      fi
    done <"$dir/keys-put"
    [ "$lost" = 1 ] || rm -f "$dir/keys-put"
  fi
  while read -r _ _ _ _ path; do
    beside "$path"
    rm -f "$fresh"
  done <"$dir/keys"
  keys_free
  return "$lost"
}

# keys_keep: the new ones stay.
keys_keep() {
  [ -f "$dir/keys" ] || return 0
  [ ! -f "$dir/keys-put" ] || while read -r _ path; do
    beside "$path"
    rm -f "$kept"
  done <"$dir/keys-put"
  rm -f "$dir/keys-put"
  put "$lib/keys" "$(while read -r _ _ _ _ path; do echo "$path"; done <"$dir/keys")"
}

# keys_now WHEN MODE USER GROUP PATH ...: puts what came in its place while the
# system stays as it is.
keys_now() {
  tools /run/current-system
  mutex
  list=
  while [ $# -ge 5 ]; do
    [ "$1" = same ] || key_place late "$2" "$3" "$4" "$5"
    list="$list$5
"
    shift 5
  done
  mkdir -p "$lib" && chmod 700 "$lib" && put "$lib/keys" "${list%?}" || die 73 "cannot write $lib"
}

# look_keys: what was put here and is gone: mostly a reboot took what lay in /run.
look_keys() {
  [ -s "$lib/keys" ] || return 0
  while read -r path; do
    [ -z "$path" ] || [ -e "$path" ] || echo "key-missing $path"
  done <"$lib/keys"
}
