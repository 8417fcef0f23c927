# look: what the host is and runs, one "key value" per line; the last line is
# "end".
look() {
  tools /run/current-system
  nixos=no
  if [ -e /etc/NIXOS ] || grep -q '^ID="\{0,1\}nixos"\{0,1\}$' /etc/os-release 2>/dev/null; then nixos=yes; fi
  echo "nixos $nixos"
  current=$(readlink -f /run/current-system) && [ -e "$current" ] && {
    echo "running $current"
    nix-store --check-validity "$current" 2>/dev/null && echo "valid yes"
    [ -x "$current/bin/switch-to-configuration" ] && echo "switchable yes"
  }
  [ -e /run/booted-system ] && echo "booted $(readlink -f /run/booted-system)"
  look_profile
  echo "boot-id $(boot_id)"
  read -r up _ </proc/uptime
  echo "uptime $up"
  echo "free-nix $(free_kib /nix)"
  echo "free-boot $(free_kib /boot)"
  echo "systemd $(systemctl is-system-running 2>/dev/null)"
  failed_units | sed 's/^/failed /'
  active_units | sed 's/^/active /'
  [ -f "$lib/hold" ] && echo "hold $(cat "$lib/hold")"
  [ -s "$lib/history" ] && echo "last $(tail -n 1 "$lib/history")"
  [ -s "$lib/bad" ] && sed 's/^/bad /' "$lib/bad"
  look_lock
  look_keys
  look_deployment
  echo end
}

look_profile() {
  [ -e "$profile" ] || return 0
  echo "profile $(readlink -f "$profile")"
  echo "generation $(generation_of)"
  boots=$(boot_default)
  [ -z "$boots" ] || echo "boot-default $boots"
}

look_lock() {
  [ -f "$run/lock" ] || return 0
  { read -r token && read -r until && read -r holder; } <"$run/lock"
  [ "$(uptime_seconds)" -lt "$until" ] && echo "lock $token $holder"
}

look_deployment() {
  [ -e "$lib/current" ] || return 0
  id=$(readlink "$lib/current") && id=${id##*/}
  load "$id"
  tools /run/current-system
  state=$(fact state)
  ended "$state" && return 0
  echo "unfinished $id $state"
  echo "unfinished-old $old"
  echo "unfinished-new $new"
  echo "unfinished-boot $boot"
  systemctl -q is-active flotilla-guard.timer && echo "unfinished-armed yes"
}

free_kib() {
  df -Pk "$1" 2>/dev/null | {
    read -r _
    read -r _ _ _ available _ && echo "$available"
  }
}

# boot_default: the system that the boot loader will start, nothing when that
# cannot be told from its files.
boot_default() {
  for esp in /boot /efi /boot/efi; do
    if [ -f "$esp/loader/loader.conf" ]; then
      systemd_boot_default "$esp/loader"
      return
    fi
  done
  if [ -f /boot/grub/grub.cfg ]; then
    # Entry 0 is the default system; a saved or another default is not followed.
    grep -Eq '^ *set default="?0"?$' /boot/grub/grub.cfg && init_of /boot/grub/grub.cfg
  elif [ -f /boot/extlinux/extlinux.conf ]; then
    grep -q '^DEFAULT nixos-default$' /boot/extlinux/extlinux.conf &&
      sed -n '/^LABEL nixos-default$/,/^LABEL/p' /boot/extlinux/extlinux.conf | init_of -
  elif [ -f /sbin/init ] && grep -q 'init-script-builder' /sbin/init 2>/dev/null; then
    sed -n 's,^exec \(/nix/store/[^/ ]*\)/init.*,\1,p' /sbin/init | head -n 1
  fi
}

# init_of FILE: the first system that it starts.
init_of() { sed -n 's,.*[ =]init=\(/nix/store/[^/ ]*\)/init.*,\1,p' "$1" | head -n 1; }

systemd_boot_default() {
  variable=/sys/firmware/efi/efivars/LoaderEntryDefault-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f
  entry=
  # The variable beats the file; it holds four bytes of flags, then UTF-16.
  [ -r "$variable" ] && entry=$(tail -c +5 "$variable" | tr -d '\000')
  for word in preferred default; do
    [ -n "$entry" ] || entry=$(sed -n "s/^${word}[[:space:]]\{1,\}//p" "$1/loader.conf" | head -n 1)
  done
  case $entry in '' | *['*?[/']*) return 0 ;; esac
  # With boot counting the file's name has the tries left in it.
  for file in "$1/entries/${entry%.conf}.conf" "$1/entries/${entry%.conf}"+*.conf; do
    if [ -f "$file" ]; then
      init_of "$file"
      return
    fi
  done
}
