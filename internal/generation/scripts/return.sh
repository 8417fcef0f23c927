# return_start ID WHY BLAME: goes back now. WHY is a JSON string; BLAME (yes or
# no) tells whether the new system is to be remembered as bad.
return_start() {
  load "$1"
  mutex
  if ended "$(fact state)" || is_busy flotilla-guard.service; then return 0; fi
  [ "$(decision)" != commit ] || die 69 "the commit has begun"
  note why "$2"
  note blame "$3"
  note how asked
  guard_now
}

# guard_now: starts the guard's service, with its timer or without. Never
# waits: a switch may execute systemd anew and cut the waiter off.
guard_now() {
  if [ "$(systemctl show -p LoadState --value flotilla-guard.service)" = loaded ]; then
    systemctl start --no-block flotilla-guard.service && return 0
  fi
  start_unit flotilla-guard guard
}

# guard ID: run by flotilla-guard.service, by its timer or by hand.
guard() {
  load "$1"
  decide return || [ "$(decision)" = return ] || exit 0
  state=$(fact state)
  ended "$state" && exit 0
  if [ "$state" = armed ]; then
    # Nothing was activated, so there is nothing to go back from.
    finish_disarm '"nothing was activated before the guard'"'"'s time was over"'
    exit 0
  fi
  put_back
}

# put_back: the old system runs again and is the boot default, or the host
# reboots into it.
put_back() {
  note state returning
  # Ends a switch that hangs. Its unit has a limit of its own for that.
  timeout -k 5 60 systemctl stop flotilla-activate.service
  # A power loss from here on has to boot the old system: the loader first.
  [ -z "$(fact touched)" ] || loader_back
  keys_lost=
  keys_back || keys_lost=yes
  if [ "$boot" = "$(boot_id)" ] || [ "$(running)" != "$old" ]; then
    switch_back || reboot_back
  fi
  : >"$here/down"
  [ "$boot" != "$(boot_id)" ] || units_back
  case ${result:-0} in 2 | 3) echo "the activation script (exit code $result)" >>"$here/down" ;; esac
  [ -z "$keys_lost" ] || echo "the old deployment keys" >>"$here/down"
  why=$(fact why)
  outcome=rolled-back
  [ ! -s "$here/down" ] || outcome=degraded
  [ -z "$(fact unbootable)" ] || outcome=not-bootable
  add_history "$outcome" "$generation" "${why:-\"nobody confirmed it in time\"}"
  [ "$(fact blame)" = no ] || blame yes
  rm -f "$roots/candidate"
  stop_timers
  note state returned
}

loader_back() {
  if ! to_log nix-env --profile "$profile" --switch-generation "$generation" ||
    ! to_log switch "$was" boot 1; then
    note unbootable yes
  fi
  sync
}

# switch_back: activates the old system. Fails when it does not run then.
switch_back() {
  for list in start restart reload; do
    only_old "/run/nixos/$list-list"
  done
  for attempt in 1 2 3 4 5 6; do
    to_log switch "$old" test 1
    result=$?
    case $result in
      0 | 2 | 3 | 4) break ;;
      11) sleep 5 ;; # another switch holds the lock
      *)
        [ "$attempt" -lt 3 ] || break
        # Jobs that hang would block the next try too.
        systemctl list-jobs --no-legend --no-pager | while read -r job unit _; do
          case $unit in flotilla-*) ;; *) systemctl cancel "$job" ;; esac
        done
        ;;
    esac
  done
  echo "$result" >"$here/return-rc"
  case $result in 0 | 2 | 3 | 4) [ "$(running)" = "$old" ] ;; *) return 1 ;; esac
}

# only_old FILE: a switch that was killed left a list of units to start; those
# of the new system alone are not there any more.
only_old() {
  [ -s "$1" ] || return 0
  while read -r unit; do
    for name in "$unit" "${unit%%@*}@.${unit##*.}"; do
      if [ -e "$old/etc/systemd/system/$name" ]; then
        echo "$unit"
        break
      fi
    done
  done <"$1" >"$here/list" && cat "$here/list" >"$1"
}

# reboot_back: the last way. The old system is the boot default; who is not
# sure of that stays as it is, for a person to look.
reboot_back() {
  if [ -n "$(fact unbootable)" ]; then
    echo "the old system could not be activated" >"$here/down"
    return
  fi
  note how reboot
  sync
  systemctl --no-block reboot || reboot -f
  # Nothing below may run before the end.
  sleep 120
  reboot -f
  exit 1
}

# units_back: starts again what was active before and is not wanted by a
# target; what stays down goes to the list.
units_back() {
  no_longer_active | while read -r unit; do
    systemctl reset-failed "$unit" 2>/dev/null # it may have failed too often to be let start
    timeout -k 5 60 systemctl start "$unit"
  done
  no_longer_active | while read -r unit; do
    is_starting "$unit" || echo "$unit"
  done >"$here/down"
  failed_units | while read -r unit; do
    grep -qxF -e "$unit" "$dir/failed" "$here/down" || echo "$unit" >>"$here/down"
  done
}

is_starting() {
  case $(systemctl show -p ActiveState --value "$1") in activating | reloading) return 0 ;; *) return 1 ;; esac
}
