{ config, lib, pkgs, ... }:
let inherit (lib) mkOption types; in
{
  options = {
    time.timeZone = mkOption { type = types.nullOr types.str; default = null; example = "Europe/Berlin"; description = "The time zone; null leaves it alone."; };
    i18n.defaultLocale = mkOption { type = types.str; default = "C.UTF-8"; description = "The system's locale. Debian's C.UTF-8 is all there is."; };
    console.keyMap = mkOption { type = types.either types.str types.path; default = "us"; description = "Has no effect in a container."; };
    documentation.enable = mkOption { type = types.bool; default = true; description = "Has no effect: the tree has no documentation to install."; };
  };
  config.environment.etc = lib.mkIf (config.time.timeZone != null) {
    localtime.source = "/usr/share/zoneinfo/${config.time.timeZone}";
    timezone.text = "${config.time.timeZone}\n";
  };
}
