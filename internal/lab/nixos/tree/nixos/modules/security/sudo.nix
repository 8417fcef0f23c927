{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.security.sudo;
in
{
  options.security = {
    sudo = {
      enable = mkOption { type = types.bool; default = true; description = "Whether to configure sudo (the host image has no sudo program; the file is written)."; };
      wheelNeedsPassword = mkOption { type = types.bool; default = true; description = "Whether users of wheel must give a password."; };
      extraConfig = mkOption { type = types.lines; default = ""; description = "Text added to sudoers."; };
    };
    acme = {
      acceptTerms = mkOption { type = types.bool; default = false; description = "No effect: the tree has no ACME client."; };
      defaults.email = mkOption { type = types.nullOr types.str; default = null; description = "No effect."; };
      certs = mkOption {
        type = types.attrsOf (types.submodule ({ name, ... }: {
          options = {
            domain = mkOption { type = types.str; default = name; description = "The name that the certificate is for."; };
            extraDomainNames = mkOption { type = types.listOf types.str; default = [ ]; description = "Other names."; };
            dnsProvider = mkOption { type = types.nullOr types.str; default = null; description = "No effect."; };
            group = mkOption { type = types.str; default = "acme"; description = "No effect."; };
          };
        }));
        default = { };
        description = "No effect: the tree has no ACME client.";
      };
    };
  };
  config = lib.mkIf cfg.enable {
    environment.etc.sudoers = {
      mode = "0440";
      text = ''
        root ALL=(ALL:ALL) SETENV: ALL
        %wheel ALL=(ALL:ALL) ${lib.optionalString (!cfg.wheelNeedsPassword) "NOPASSWD:"} SETENV: ALL
        ${cfg.extraConfig}
      '';
    };
  };
}
