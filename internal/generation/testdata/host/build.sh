#!/bin/sh
# Makes the stand-in's systems: one store path for each scenario.
set -eu
cd /tmp/host
mkdir -p /etc/systemd/system /systems
touch /etc/NIXOS
system() {
  rm -rf build && mkdir -p build/bin build/etc/systemd/system build/sw
  cp switch-to-configuration init build/
  mv build/switch-to-configuration build/bin/
  chmod +x build/init build/bin/switch-to-configuration
  ln -s /usr/bin build/sw/bin
  echo "$1" >build/scenario
  echo "25.11.$1" >build/nixos-version
  echo "systemd 257" >build/init-interface-version
  {
    printf '[Unit]\nDescription=Demo of %s\n[Service]\n' "$1"
    case $1 in
      unit-fails) echo 'ExecStart=/bin/sh -c "sleep 0.1; exit 3"' ;;
      flaps) printf 'ExecStart=/bin/sh -c "sleep 1.2; exit 3"\nRestart=always\nRestartSec=100ms\nStartLimitIntervalSec=0\n' ;;
      *) echo 'ExecStart=/bin/sleep infinity' ;;
    esac
    printf '[Install]\nWantedBy=multi-user.target\n'
  } >build/etc/systemd/system/demo.service
  mv build "nixos-system-$1"
  path=$(nix-store --add "nixos-system-$1")
  echo "$path" >"/systems/$1"
  rm -rf "nixos-system-$1"
}
for name in "$@"; do system "$name"; done
for name in keeper helper; do
  printf '[Service]\nExecStart=/bin/sleep infinity\n' >"/etc/systemd/system/$name.service"
done
printf '[Service]\nExecStartPre=/usr/bin/test ! -e /run/helper-broken\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n' >/etc/systemd/system/helper.service
ln -s "$(cat /systems/old)/etc/systemd/system/demo.service" /etc/systemd/system/demo.service
mkdir -p /etc/systemd/system/multi-user.target.wants
ln -s ../demo.service /etc/systemd/system/multi-user.target.wants/demo.service
ln -s ../helper.service /etc/systemd/system/multi-user.target.wants/helper.service
nix-env --profile /nix/var/nix/profiles/system --set "$(cat /systems/old)"
"$(cat /systems/old)/bin/switch-to-configuration" boot
