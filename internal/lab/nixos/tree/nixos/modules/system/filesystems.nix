{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  line = fs: "${fs.device} ${fs.mountPoint} ${fs.fsType} ${lib.concatStringsSep "," fs.options} 0 0";
in
{
  options = {
    fileSystems = mkOption {
      type = types.attrsOf (types.submodule ({ name, config, ... }: {
        options = {
          mountPoint = mkOption { type = types.str; default = name; description = "Where it is mounted."; };
          device = mkOption { type = types.nullOr types.str; default = if config.label != null then "/dev/disk/by-label/${config.label}" else null; description = "What is mounted."; };
          label = mkOption { type = types.nullOr types.str; default = null; description = "The label of the device."; };
          fsType = mkOption { type = types.str; default = "auto"; description = "The type of the file system."; };
          options = mkOption { type = types.nonEmptyListOf types.str; default = [ "defaults" ]; description = "Mount options."; };
          neededForBoot = mkOption { type = types.bool; default = false; description = "No effect in a container."; };
          autoFormat = mkOption { type = types.bool; default = false; description = "No effect in a container."; };
        };
      }));
      default = { };
      description = "File systems. `/` and what is below /boot and /nix belong to the container and are not written to fstab.";
    };
    zramSwap.enable = mkOption { type = types.bool; default = false; description = "No effect in a container."; };
    services.udev.extraRules = mkOption { type = types.lines; default = ""; description = "No effect in a container."; };
    swapDevices = mkOption { type = types.listOf types.attrs; default = [ ]; description = "No effect in a container."; };
  };
  config.environment.etc.fstab.text = lib.concatMapStrings (fs: line fs + "\n") (lib.filter
    (fs: !(lib.elem fs.mountPoint [ "/" "/boot" "/boot/efi" "/nix" "/nix/store" ]))
    (lib.attrValues config.fileSystems));
}
