# settle TOKEN: looks at the newest deployment and does the next thing that
# ends it. Called again until its state is an end.
settle() {
  tools /run/current-system
  mutex
  [ -e "$lib/current" ] || {
    echo "state none"
    return
  }
  id=$(readlink "$lib/current") && load "${id##*/}"
  state=$(fact state)
  action=none
  if ! ended "$state"; then
    if holder=$(locked_by_other "$1"); then
      echo "locked $holder"
      return
    fi
    settle_step
  fi
  echo "action $action"
  echo "id $id"
  echo "state $(fact state)"
  echo "old $old"
  echo "new $new"
  for name in how why told unbootable; do
    [ -z "$(fact "$name")" ] || echo "$name $(fact "$name")"
  done
  [ ! -s "$here/down" ] || sed 's/^/down /' "$here/down"
  [ "$boot" = "$(boot_id)" ] && echo "same-boot yes"
  echo "running $(running)"
  echo "was $was"
  look_profile
}

settle_step() {
  if is_busy flotilla-guard.service || is_busy flotilla-commit.service; then
    action=waiting
    return
  fi
  # Who was at work may have come to the end since the state was read.
  state=$(fact state)
  ! ended "$state" || return 0
  case $state in
    armed)
      if [ "$boot" = "$(boot_id)" ] && ! decide disarm && [ "$(decision)" != disarm ]; then
        action=waiting
        return
      fi
      action=disarmed
      finish_disarm '"it was left before anything was activated"'
      ;;
    committing) settle_commit ;;
    activating)
      if [ "$boot" != "$(boot_id)" ] && [ "$(running)" = "$old" ]; then
        action=rebooted
        note how reboot
        keys_back
        rm -f "$roots/candidate"
        blame yes
        add_history rolled-back "$generation" '"the host was rebooted before the deployment was confirmed"'
        note state returned
      else
        settle_return
      fi
      ;;
    *) settle_return ;;
  esac
}

# settle_commit: the decision was made. It is finished, unless a reboot brought
# the old system.
settle_commit() {
  if [ "$(running)" = "$new" ]; then
    action=finishing
    start_unit flotilla-commit commit
    return
  fi
  if [ -z "$(fact why)" ]; then
    note why '"the host was rebooted in the middle of the commit"'
    note blame no
  fi
  # The decision to commit ended with the boot in which it was made.
  settle_return
}

settle_return() {
  action=returning
  if [ -z "$(fact why)" ]; then
    note why '"it was left unconfirmed"'
    note blame no
  fi
  case $(decision) in
    commit) start_unit flotilla-commit go_back ;;
    *) guard_now ;;
  esac
}

# go_back ID: run by flotilla-commit.service when a commit that failed was
# killed on its way back.
go_back() {
  load "$1"
  ended "$(fact state)" || put_back
}
