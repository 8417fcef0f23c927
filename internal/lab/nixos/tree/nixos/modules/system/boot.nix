# Booting, as far as a container does it: the loader is a file that names the
# system which the next start of the container runs.
{ config, lib, pkgs, ... }:
let
  inherit (lib) mkOption mkEnableOption types;
  cfg = config.boot;
in
{
  options.boot = {
    isContainer = mkOption { type = types.bool; default = true; description = "Always so in the lab."; };
    loader = {
      external = {
        enable = mkEnableOption "a boot loader hook that runs before the lab's own record is written";
        installHook = mkOption { type = types.path; description = "The program that is called with the default system's path. When it fails, the old default stays."; };
      };
      grub = {
        enable = mkOption { type = types.bool; default = false; description = "No effect in a container."; };
        device = mkOption { type = types.str; default = ""; description = "No effect in a container."; };
        devices = mkOption { type = types.listOf types.str; default = [ ]; description = "No effect in a container."; };
        efiSupport = mkOption { type = types.bool; default = false; description = "No effect in a container."; };
        efiInstallAsRemovable = mkOption { type = types.bool; default = false; description = "No effect in a container."; };
        configurationLimit = mkOption { type = types.int; default = 100; description = "No effect in a container."; };
      };
      systemd-boot = {
        enable = mkOption { type = types.bool; default = false; description = "No effect in a container."; };
        configurationLimit = mkOption { type = types.nullOr types.int; default = null; description = "No effect in a container."; };
      };
      efi.canTouchEfiVariables = mkOption { type = types.bool; default = false; description = "No effect in a container."; };
      timeout = mkOption { type = types.nullOr types.int; default = 5; description = "No effect in a container."; };
    };
    kernelPackages = mkOption {
      type = types.nullOr types.raw;
      default = null;
      description = "A set with a `kernel`; it becomes part of the system, so that tools see a changed one. The container runs its machine's kernel.";
    };
    kernelParams = mkOption { type = types.listOf types.str; default = [ ]; description = "Kernel parameters; recorded, not used."; };
    kernelModules = mkOption { type = types.listOf types.str; default = [ ]; description = "No effect in a container."; };
    extraModulePackages = mkOption { type = types.listOf types.package; default = [ ]; description = "No effect in a container."; };
    initrd = {
      availableKernelModules = mkOption { type = types.listOf types.str; default = [ ]; description = "No effect in a container."; };
      kernelModules = mkOption { type = types.listOf types.str; default = [ ]; description = "No effect in a container."; };
      systemd.enable = mkOption { type = types.bool; default = false; description = "No effect in a container."; };
    };
    kernel = {
      enable = mkOption { type = types.bool; default = cfg.kernelPackages != null; description = "Whether the system has a kernel."; };
      sysctl = mkOption { type = types.attrsOf (types.nullOr (types.oneOf [ types.bool types.int types.str ])); default = { }; description = "Written to /etc/sysctl.d; a container may not set them."; };
    };
    tmp = {
      useTmpfs = mkOption { type = types.bool; default = true; description = "Always so in the lab."; };
      cleanOnBoot = mkOption { type = types.bool; default = false; description = "Always so in the lab."; };
    };
  };

  config = {
    environment.etc = lib.mkIf (cfg.kernel.sysctl != { }) {
      "sysctl.d/60-nixos.conf".text = lib.concatStrings (lib.mapAttrsToList
        (n: v: lib.optionalString (v != null) "${n}=${if v == false then "0" else toString v}\n")
        cfg.kernel.sysctl);
    };

    # Called with the system that shall boot. Entries of the generations first,
    # then the default, by rename: whatever happens in between, one of the two
    # systems boots.
    system.build.installBootLoader = pkgs.writeScript "install-lab-loader" ''
      #!${pkgs.runtimeShell}
      set -eu
      PATH=${lib.makeBinPath [ pkgs.coreutils ]}
      default=''${1:?usage: install-lab-loader SYSTEM}
      ${lib.optionalString cfg.loader.external.enable ''${cfg.loader.external.installHook} "$default"''}
      entries=/boot/loader/entries
      mkdir -p "$entries" /boot/loader
      keep=
      for link in /nix/var/nix/profiles/system-*-link; do
        [ -L "$link" ] || continue
        n=''${link##*/system-}
        n=''${n%-link}
        system=$(readlink -f "$link") || continue
        [ -e "$system/init" ] || continue
        keep="$keep nixos-generation-$n.conf "
        printf 'title NixOS\nversion Generation %s %s\noptions init=%s/init\n' \
          "$n" "$(cat "$system/nixos-version")" "$system" > "$entries/.new"
        mv -f "$entries/.new" "$entries/nixos-generation-$n.conf"
      done
      for old in "$entries"/nixos-generation-*.conf; do
        [ -e "$old" ] || continue
        case $keep in *" ''${old##*/} "*) ;; *) rm -f "$old" ;; esac
      done
      printf '%s\n' "$default" > /boot/loader/.default.new
      sync -d /boot/loader/.default.new
      mv -f /boot/loader/.default.new /boot/loader/default
      sync /boot/loader
    '';
  };
}
