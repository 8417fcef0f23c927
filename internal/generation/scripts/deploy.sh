# A deployment, step by step. Its states: armed, activating, then committing
# and done, or returning and returned; disarmed when nothing was activated.

# root SYSTEM: keeps the garbage collector from the candidate.
root() {
  tools /run/current-system
  mkdir -p "$roots" && ln -sfn "$1" "$roots/candidate" || die 73 "cannot make a root in $roots"
}

# arm ID OLD NEW SECONDS ACTIVATION KEEP TOKEN CONFIRM: records the deployment
# and starts its guard. Exit code 69 refuses; nothing has changed then.
arm() {
  tools "$2"
  answers
  mutex
  arm_check "$@"
  id=$1 dir=$lib/deployments/$1 here=$run/$1
  mkdir -p "$dir" "$here" "$roots" && chmod 700 "$lib" || die 73 "cannot write $lib"
  printf '%s\n' "old $2" "new $3" "was $(readlink -f "$profile")" "generation $(generation_of)" "keep $6" \
    "boot $(boot_id)" "activation $5" "confirm $8" >"$dir/plan.new" &&
    active_units >"$dir/active" && failed_units >"$dir/failed" && : >"$dir/log" &&
    sync "$dir/plan.new" && mv -f "$dir/plan.new" "$dir/plan" || die 73 "cannot write $dir"
  ln -sfn "$3" "$roots/candidate" && ln -sfn "$2" "$roots/previous" || die 73 "cannot make roots in $roots"
  note state armed || die 73 "cannot write $dir"
  ln -sfn "deployments/$id" "$lib/current.new" && mv -fT "$lib/current.new" "$lib/current" && sync "$lib" ||
    die 73 "cannot write $lib"
  load "$id"
  echo "$(($(uptime_seconds) + $4))" >"$here/deadline"
  systemctl reset-failed flotilla-guard.timer flotilla-guard.service flotilla-deadline.timer flotilla-deadline.service 2>/dev/null
  if ! { systemd-run --quiet --collect --unit=flotilla-guard --on-active="${4}s" --timer-property=AccuracySec=1s \
    --service-type=oneshot "$(shell_of "$old")" "$dir/host.sh" guard "$id" && systemctl -q is-active flotilla-guard.timer; }; then
    note state disarmed
    die 70 "the guard could not be started"
  fi
  differs "$3"
  tidy
}

# answers: waits for a systemd that can be asked. Right after a boot it cannot.
answers() {
  rounds=30
  until systemctl show -p Version >/dev/null 2>&1; do
    rounds=$((rounds - 1))
    [ "$rounds" -gt 0 ] || die 69 "systemd does not answer"
    sleep 0.5
  done
}

arm_check() {
  if holder=$(locked_by_other "$7"); then die 69 "locked by $holder"; fi
  # What an id decided before would count again.
  [ ! -e "$lib/deployments/$1/plan" ] && [ ! -e "$run/$1" ] || die 69 "deployment $1 was there before"
  if [ -e "$lib/current" ]; then
    id=$(readlink "$lib/current") && id=${id##*/} && load "$id"
    ended "$(fact state)" || die 69 "deployment $id has not ended"
  fi
  tools "$2"
  for unit in flotilla-guard.timer flotilla-deadline.timer flotilla-guard.service flotilla-activate.service flotilla-commit.service; do
    ! is_busy "$unit" || die 69 "$unit is active"
  done
  [ "$(running)" = "$2" ] || die 69 "another system runs than a moment ago: $(running)"
  for system in "$2" "$3"; do
    nix-store --check-validity "$system" || die 69 "$system is not valid in this host's store"
    [ -f "$system/nixos-version" ] && [ -x "$system/bin/switch-to-configuration" ] ||
      die 69 "$system is not a NixOS system that can be switched to"
  done
}

# differs NEW: what of it only a reboot brings into use.
differs() {
  [ -e /run/booted-system ] || return 0
  for part in kernel initrd kernel-modules; do
    [ ! -e "$1/$part" ] || [ "$(readlink -f "/run/booted-system/$part")" = "$(readlink -f "$1/$part")" ] || echo "reboot $part"
  done
  [ "$(cat /run/booted-system/kernel-params 2>/dev/null)" = "$(cat "$1/kernel-params" 2>/dev/null)" ] || echo "reboot kernel-params"
}

# tidy: forgets all but the newest ten deployments' folders.
tidy() {
  count=0
  # shellcheck disable=SC2012 # the names are our own words
  ls -1t "$lib/deployments" | while read -r name; do
    count=$((count + 1))
    [ "$count" -le 10 ] || [ "$name" = "$id" ] || rm -rf "${lib:?}/deployments/$name"
  done
}

# start_unit NAME VERB [PROPERTY...]: lets systemd run a verb of this script.
start_unit() {
  name=$1 verb=$2
  shift 2
  systemctl reset-failed "$name.service" 2>/dev/null
  systemd-run --quiet --collect --unit="$name" --service-type=exec "$@" \
    "$(shell_of "$old")" "$dir/host.sh" "$verb" "$id"
}

# start ID: begins the activation. The state comes first: from here on, the
# guard goes back. The guard decides first and reads the state then, so that
# one of the two always sees the other.
start() {
  load "$1"
  mutex
  [ "$(fact state)" = armed ] || die 69 "the deployment is $(fact state)"
  systemctl -q is-active flotilla-guard.timer || die 69 "the guard is gone"
  note state activating || die 73 "cannot write $dir"
  [ -z "$(decision)" ] || die 69 "the guard's time is over"
  start_unit flotilla-activate activate --property=RuntimeMaxSec="$activation" --property=TimeoutStopSec=15 \
    --property=StandardInput=null --property="StandardOutput=append:$dir/log" --property="StandardError=append:$dir/log"
}

# switch SYSTEM ACTION NO_CHECK: its switch-to-configuration with a clean
# environment and a limit. The way back skips (1) the checks that compare with
# the booted system: they could forbid it.
switch() {
  timeout -k 15 "$activation" env -i PATH="$PATH" HOME=/root LC_ALL=C.UTF-8 NIXOS_NO_CHECK="$3" \
    "$1/bin/switch-to-configuration" "$2"
}

# activate ID: run by flotilla-activate.service, which has the limit.
activate() {
  load "$1"
  env -i PATH="$PATH" HOME=/root LC_ALL=C.UTF-8 "$new/bin/switch-to-configuration" test
  code=$?
  # Before the code is there for others to act on: this unit ends right after.
  case $code in 0 | 4) shorten ;; esac
  note rc "$code"
}

# shorten: the activation is over, so the guard need not wait for it any more.
# By a second timer: there must be no moment without one.
shorten() {
  [ "$(($(uptime_seconds) + confirm))" -lt "$(cat "$here/deadline")" ] || return 0
  systemd-run --quiet --collect --unit=flotilla-deadline --on-active="${confirm}s" --timer-property=AccuracySec=1s \
    "$(shell_of "$old")" "$dir/host.sh" deadline "$id" &&
    echo "$(($(uptime_seconds) + confirm))" >"$here/deadline"
}

# deadline ID: run by flotilla-deadline.service: nobody confirmed in time.
deadline() {
  load "$1"
  ended "$(fact state)" || guard_now
}

# to_log COMMAND...: its output goes to tmpfs first: a full disk must not
# break what writes it.
to_log() {
  "$@" >"$here/output" 2>&1 </dev/null
  code=$?
  cat "$here/output" >>"$dir/log"
  return "$code"
}

# disarm ID REASON: ends a deployment that changed nothing: one that was not
# started, or whose system refused to be activated. The caller has read in the
# log that it did.
disarm() {
  load "$1"
  mutex
  state=$(fact state)
  ended "$state" && return 0
  if [ "$state" != armed ]; then
    # The unit ends right after it has noted its code.
    rounds=20
    while [ "$rounds" -gt 0 ] && [ -n "$(fact rc)" ] && is_busy flotilla-activate.service; do
      rounds=$((rounds - 1))
      sleep 0.3
    done
    [ "$state" = activating ] && [ -n "$(fact rc)" ] && ! is_busy flotilla-activate.service && [ "$(running)" = "$old" ] ||
      die 69 "the activation has begun"
  fi
  decide disarm || [ "$(decision)" = disarm ] || die 69 "the $(decision) has begun"
  finish_disarm "$2"
}

finish_disarm() {
  keys_back
  stop_timers
  rm -f "$roots/candidate"
  add_history failed 0 "$1"
  note state disarmed
}

# busy_units: which of activate, guard and commit are at work. What cannot be
# read, since systemd is being executed anew, counts as busy.
busy_units() {
  systemctl is-active flotilla-activate.service flotilla-guard.service flotilla-commit.service 2>/dev/null | {
    for word in activate guard commit; do
      answer=
      read -r answer
      case $answer in inactive | failed | unknown) ;; *) echo "$word" ;; esac
    done
  }
}

# status ID OFFSET SECONDS: the deployment as it is, and its log from OFFSET.
# Waits up to SECONDS for something new.
status() {
  load "$1"
  rounds=$(($3 * 2))
  while :; do
    busy=$(busy_units)
    rc=$(fact rc) state=$(fact state) size=$(wc -c <"$dir/log")
    if [ "$rounds" -le 0 ] || [ "$size" -gt "$2" ] || ended "$state" || [ -z "$busy" ]; then break; fi
    if [ "$state" = activating ] && [ -n "$rc" ]; then break; fi
    rounds=$((rounds - 1))
    sleep 0.5
  done
  echo "state $state"
  [ -z "$rc" ] || echo "rc $rc"
  for word in $busy; do echo "busy $word"; done
  echo "decision $(decision)"
  for name in how why unbootable; do
    [ -z "$(fact "$name")" ] || echo "$name $(fact "$name")"
  done
  [ ! -s "$here/down" ] || sed 's/^/down /' "$here/down"
  [ ! -f "$here/deadline" ] || echo "left $(($(cat "$here/deadline") - $(uptime_seconds)))"
  [ "$boot" = "$(boot_id)" ] && echo "same-boot yes"
  echo "running $(running)"
  look_profile
  systemctl -q is-active flotilla-guard.timer && echo "armed yes"
  echo "log $size"
  tail -c "+$(($2 + 1))" "$dir/log" | head -c 65536
}

# units ID UNIT...: the units as they are, one line each, and those that failed
# or went down since the deployment began.
units() {
  load "$1"
  shift
  failed_units | while read -r unit; do
    grep -qxF -e "$unit" "$dir/failed" || echo "failed $(changed "$unit") $unit"
  done
  no_longer_active | sed 's/^/down /'
  for unit; do
    echo "unit $unit"
    systemctl show -p LoadState -p ActiveState -p SubState -p Type -p NRestarts -p Result "$unit"
  done
  echo end
}

# changed UNIT: whether the new system brings it or changes its files.
changed() {
  for name in "$1" "${1%%@*}@.${1##*.}"; do
    if [ -e "$new/etc/systemd/system/$name" ] && ! cmp -s "$old/etc/systemd/system/$name" "$new/etc/systemd/system/$name"; then
      echo yes
      return
    fi
  done
  echo no
}

# no_longer_active: the watched units that were active when the deployment
# began and are not now.
no_longer_active() {
  active_units >"$here/active.now"
  grep -vxF -f "$here/active.now" "$dir/active" | while read -r unit; do
    if watched "$unit"; then echo "$unit"; fi
  done
}

# watched UNIT: whether a unit that was active has to be so again. Sessions,
# jobs of timers and what somebody ran by hand are not.
watched() {
  case $1 in
    user@* | user-runtime-dir@* | session-* | sshd@* | ssh@* | flotilla-* | run-*) return 1 ;;
    *.service | *.socket | *.timer | *.path) ;;
    *) return 1 ;;
  esac
  traits=$(systemctl show -p LoadState -p Transient -p TriggeredBy "$1")
  case $traits in *LoadState=loaded*) ;; *) return 1 ;; esac
  case $traits in *Transient=yes* | *TriggeredBy=*.timer*) return 1 ;; esac
}

# told ID: the end of this deployment was reported to somebody.
told() {
  load "$1"
  note told yes
}
