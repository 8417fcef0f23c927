# Flotilla's work on one host. The parts of this script are joined in order;
# its last line calls main, so that a transfer that was cut short does nothing.
# POSIX sh with what every NixOS host has: systemd, coreutils, grep, sed,
# util-linux, Nix. Arguments were checked by the caller.
#
# Files of a deployment: $dir survives a reboot, $here (tmpfs) does not and is
# still writable when the disk is full. What both hold is read from $here first.
#
# shellcheck disable=SC2015 # "a && b || die" dies when a or b fails, as meant
set -u
umask 077
export LC_ALL=C

lib=/var/lib/flotilla
run=/run/flotilla
profile=/nix/var/nix/profiles/system
roots=/nix/var/nix/gcroots/flotilla

# tools SYSTEM: work with the programs of one system, whatever is activated.
tools() {
  PATH=$1/sw/bin:/run/current-system/sw/bin:/run/wrappers/bin:/usr/bin:/bin
  export PATH
}

die() {
  echo "flotilla: $2" >&2
  exit "$1"
}

# put FILE TEXT: all of it or nothing, also when the power goes.
put() {
  printf '%s\n' "$2" >"$1.new" && sync "$1.new" && mv -f "$1.new" "$1" && sync "${1%/*}"
}

uptime_seconds() {
  read -r up _ </proc/uptime
  echo "${up%.*}"
}

boot_id() { cat /proc/sys/kernel/random/boot_id; }

now() { date -u +%Y-%m-%dT%H:%M:%SZ; }

# mutex: one at a time decides about locks, deployments and units.
mutex() {
  mkdir -p "$run" && exec 9>"$run/mutex" && flock -w 20 9 || die 75 "another command of flotilla is busy on this host"
}

# load ID: the variables of a deployment.
load() {
  id=$1 dir=$lib/deployments/$1 here=$run/$1
  old='' new='' was='' generation='' keep=0 boot='' activation=600 confirm=150
  [ -f "$dir/plan" ] || die 66 "no deployment $id on this host"
  while read -r key value; do
    case $key in
      old) old=$value ;;
      new) new=$value ;;
      was) was=$value ;;
      generation) generation=$value ;;
      keep) keep=$value ;;
      boot) boot=$value ;;
      activation) activation=$value ;;
      confirm) confirm=$value ;;
    esac
  done <"$dir/plan"
  tools "$old"
  mkdir -p "$here"
}

# note NAME TEXT: keeps a fact about the deployment. Fails when it would not
# survive a reboot.
note() {
  printf '%s\n' "$2" >"$here/$1.new" && mv -f "$here/$1.new" "$here/$1"
  put "$dir/$1" "$2"
}

# fact NAME: what was noted, or nothing.
fact() {
  if [ -f "$here/$1" ]; then cat "$here/$1"; elif [ -f "$dir/$1" ]; then cat "$dir/$1"; fi
}

# decide WHO: the one decision between commit, return and disarm. A symlink is
# made or not, and says by whom, in one step.
decide() { ln -s "$1" "$here/decision" 2>/dev/null; }

decision() { readlink "$here/decision"; }

ended() {
  case $1 in done | returned | disarmed) return 0 ;; *) return 1 ;; esac
}

# generation_of: the number of the profile's current generation.
generation_of() {
  link=$(readlink "$profile") && link=${link##*/} && link=${link#system-} && echo "${link%-link}"
}

running() { readlink -f /run/current-system; }

# is_busy UNIT: whether it runs or is about to. An unreadable answer (systemd
# is being executed anew) counts as busy.
is_busy() {
  case $(systemctl show -p ActiveState --value "$1" 2>/dev/null) in
    inactive | failed) return 1 ;;
    *) return 0 ;;
  esac
}

active_units() {
  systemctl list-units --state=active --plain --no-legend --no-pager --full | while read -r unit _; do echo "$unit"; done
}

failed_units() {
  systemctl list-units --state=failed --plain --no-legend --no-pager --full | while read -r unit _; do echo "$unit"; done
}

# add_history OUTCOME GENERATION REASON: one line of JSON; REASON is quoted
# already. Once for each deployment.
add_history() {
  [ -z "$(fact recorded)" ] || return 0
  line="$(cat "$dir/record"),\"outcome\":\"$1\",\"generation\":${2:-0},\"at\":\"$(now)\",\"reason\":$3}"
  {
    tail -n 499 "$lib/history" 2>/dev/null
    printf '%s\n' "$line"
  } >"$lib/history.new" && sync "$lib/history.new" && mv -f "$lib/history.new" "$lib/history" && note recorded yes
}

# blame yes|no: remember the new system as one that was put back, or forget it.
blame() {
  {
    grep -vxF -e "$new" "$lib/bad" 2>/dev/null | tail -n 49
    [ "$1" = no ] || echo "$new"
  } >"$lib/bad.new" && sync "$lib/bad.new" && mv -f "$lib/bad.new" "$lib/bad"
}

# stop_timers: the guard's time does not count any more.
stop_timers() {
  systemctl stop flotilla-guard.timer
  systemctl stop flotilla-deadline.timer 2>/dev/null # not there before the activation's end
}

shell_of() { if [ -x "$1/sw/bin/sh" ]; then echo "$1/sw/bin/sh"; else echo /bin/sh; fi; }
