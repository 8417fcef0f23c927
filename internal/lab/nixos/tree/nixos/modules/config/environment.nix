{ config, lib, pkgs, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.environment;
  required = with pkgs; [
    bashInteractive coreutils curl diffutils findutils gawk gnugrep gnused gnutar gzip
    iproute2 nix openssh procps shadow systemd util-linux zstd
  ];
  variables = lib.filterAttrs (_: v: v != null) (cfg.variables // cfg.sessionVariables);
in
{
  options = {
    environment = {
      systemPackages = mkOption { type = types.listOf types.package; default = [ ]; description = "Packages in everybody's PATH (/run/current-system/sw)."; };
      defaultPackages = mkOption { type = types.listOf types.package; default = [ ]; description = "Packages added by default that can be left out."; };
      corePackages = mkOption { type = types.listOf types.package; default = required; internal = true; description = "Packages that every system has."; };
      pathsToLink = mkOption { type = types.listOf types.str; default = [ "/bin" "/sbin" "/lib" "/share/man" ]; description = "Folders of the packages that are linked into the system path."; };
      extraSetup = mkOption { type = types.lines; default = ""; description = "Shell commands at the end of the system path's build."; };
      variables = mkOption { type = types.attrsOf (types.nullOr (types.oneOf [ types.str types.int types.path (types.listOf types.str) ])); default = { }; apply = lib.mapAttrs (_: v: if builtins.isList v then lib.concatStringsSep ":" v else if v == null then null else toString v); description = "Environment variables of logins."; };
      sessionVariables = mkOption { type = types.attrsOf (types.nullOr types.str); default = { }; description = "As environment.variables."; };
      shellAliases = mkOption { type = types.attrsOf (types.nullOr types.str); default = { }; description = "Aliases of interactive shells."; };
      extraInit = mkOption { type = types.lines; default = ""; description = "Shell commands of login shells."; };
    };
    programs = {
      bash.interactiveShellInit = mkOption { type = types.lines; default = ""; description = "Shell commands of interactive bash."; };
    };
    system.path = mkOption { type = types.package; internal = true; description = "The merged packages."; };
  };

  config = {
    system.path = pkgs.buildEnv {
      name = "system-path";
      paths = lib.unique (cfg.systemPackages ++ cfg.defaultPackages ++ cfg.corePackages);
      inherit (cfg) pathsToLink;
      postBuild = "mkdir -p $out/bin\n${cfg.extraSetup}";
    };
    environment.etc = {
      "set-environment".text = ''
        export PATH=/run/current-system/sw/bin:/nix/var/nix/profiles/default/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
        ${lib.concatStrings (lib.mapAttrsToList (n: v: "export ${n}=${lib.escapeShellArg v}\n") variables)}${cfg.extraInit}
      '';
      # sshd's PAM reads it, so that `ssh host command` has a PATH as well
      "environment".text = ''
        PATH="/run/current-system/sw/bin:/nix/var/nix/profiles/default/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
      '';
      "profile.d/nixos.sh".text = ''
        . /etc/set-environment
        ${lib.concatStrings (lib.mapAttrsToList (n: v: lib.optionalString (v != null) "alias -- ${lib.escapeShellArg n}=${lib.escapeShellArg v}\n") cfg.shellAliases)}${config.programs.bash.interactiveShellInit}
      '';
    };
  };
}
