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

    # Called with the system that shall boot. Writes what NixOS writes for GRUB:
    # entry 0 is that system, a submenu lists the profile's generations. By
    # rename: whatever happens in between, one of the two systems boots.
    system.build.installBootLoader = pkgs.writeScript "install-lab-loader" ''
      #!${pkgs.runtimeShell}
      set -eu
      PATH=${lib.makeBinPath [ pkgs.coreutils ]}
      default=''${1:?usage: install-lab-loader SYSTEM}
      ${lib.optionalString cfg.loader.external.enable ''${cfg.loader.external.installHook} "$default"''}
      mkdir -p /boot/grub
      entry() { printf 'menuentry "%s" {\n  linux /kernel init=%s/init\n}\n' "$1" "$2"; }
      {
        printf 'set default=0\n'
        entry "NixOS - Default" "$default"
        printf 'submenu "NixOS - All configurations" {\n'
        for link in $(ls -1v -r -d /nix/var/nix/profiles/system-*-link 2>/dev/null); do
          n=''${link##*/system-}
          system=$(readlink -f "$link") || continue
          [ -e "$system/init" ] || continue
          entry "NixOS - Configuration ''${n%-link} ($(cat "$system/nixos-version"))" "$system"
        done
        printf '}\n'
      } > /boot/grub/.grub.cfg.new
      sync -d /boot/grub/.grub.cfg.new
      mv -f /boot/grub/.grub.cfg.new /boot/grub/grub.cfg
      sync /boot/grub
    '';
  };
}
