# commit_start ID: lets systemd commit, or go on with it. One unit, so that a
# lost session leaves nothing half done.
commit_start() {
  load "$1"
  mutex
  if is_busy flotilla-commit.service || ended "$(fact state)"; then return 0; fi
  start_unit flotilla-commit commit
}

# commit ID: run by flotilla-commit.service. May be run again after it was
# killed.
commit() {
  load "$1"
  decide commit || [ "$(decision)" = commit ] || exit 0
  ended "$(fact state)" && exit 0
  note state committing || commit_failed "cannot write $dir"
  stop_timers
  note touched yes || commit_failed "cannot write $dir"
  to_log nix-env --profile "$profile" --set "$new" </dev/null || commit_failed "the system profile could not be set"
  [ "$keep" -eq 0 ] || to_log prune
  to_log switch "$new" boot 0 || commit_failed "the boot loader could not be set"
  sync
  if [ -f "$dir/hold" ]; then put "$lib/hold" "$(cat "$dir/hold"),\"at\":\"$(now)\"}"; fi
  blame no
  keys_keep
  add_history deployed "$(generation_of)" "$(cat "$dir/reason" 2>/dev/null || echo '""')"
  rm -f "$roots/candidate"
  note state 'done'
}

# commit_failed WHY: this very unit goes back; the guard is out of the game.
commit_failed() {
  note why "\"$1\""
  note how commit
  note blame no
  put_back
  exit 0
}

# prune: deletes the oldest generations beyond $keep. The current, the previous
# and the booted one stay, and all newer than the current.
prune() {
  booted=$(readlink -f /run/booted-system)
  current=$(generation_of)
  list=
  for link in "$profile"-*-link; do
    number=${link##*/system-}
    number=${number%-link}
    case $number in '' | *[!0-9]*) continue ;; esac
    [ "$number" -lt "$current" ] && list="$list$number
"
  done
  left=$((keep - 1))
  printf '%s' "$list" | sort -rn | while read -r number; do
    left=$((left - 1))
    [ "$left" -lt 0 ] || continue
    case $(readlink -f "$profile-$number-link") in "$old" | "$was" | "$booted") continue ;; esac
    nix-env --profile "$profile" --delete-generations "$number" </dev/null
  done
}
