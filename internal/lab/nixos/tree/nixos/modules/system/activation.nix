{ config, lib, pkgs, ... }:
let
  inherit (lib) mkOption types;

  entryType = withDry: types.submodule {
    options = {
      deps = mkOption { type = types.listOf types.str; default = [ ]; description = "Snippets that run before this one."; };
      text = mkOption { type = types.lines; description = "Shell commands."; };
      supportsDryActivation = mkOption { type = types.bool; default = false; description = "Whether it may run in a dry activation, where NIXOS_ACTION is dry-activate."; };
    };
  };
  scriptType = types.coercedTo types.str (text: { inherit text; deps = [ ]; }) (entryType true);

  # a snippet that notes its own failure and lets the next ones run
  guarded = name: s: s // {
    text = ''
      #### Activation script snippet ${name}:
      _localstatus=0
      ${s.text}

      if (( _localstatus > 0 )); then
        printf "Activation script snippet '%s' failed (%s)\n" ${lib.escapeShellArg name} "$_localstatus"
      fi
    '';
  };
  bodyOf = set:
    let all = lib.mapAttrs guarded set; in
    lib.concatStringsSep "\n" (lib.textClosureList all (builtins.attrNames all));

  path = [ pkgs.coreutils pkgs.gnugrep pkgs.findutils pkgs.gnused pkgs.util-linux pkgs.perl pkgs.iproute2 ];
  scriptOf = set: onlyDry: ''
    #!${pkgs.runtimeShell}

    systemConfig=@out@

    export PATH=${lib.makeBinPath path}

    _status=0
    trap "_status=1 _localstatus=\$?" ERR

    umask 0022

    ${bodyOf (
      if onlyDry
      then lib.mapAttrs (_: s: if s.supportsDryActivation then s else s // { text = "#### (no dry run)"; }) set
      else set)}
  '' + lib.optionalString (!onlyDry) ''

    # Last of all, so that it names a system only once all of it was tried.
    ln -sfn "$(readlink -f "$systemConfig")" /run/current-system.new && mv -Tf /run/current-system.new /run/current-system

    mkdir -p /nix/var/nix/gcroots
    ln -sfn /run/current-system /nix/var/nix/gcroots/current-system
    ln -sfn /run/booted-system /nix/var/nix/gcroots/booted-system
  '' + ''

    exit $_status
  '';
  own = set: removeAttrs set [ "script" ];
in
{
  options.system = {
    activationScripts = mkOption {
      default = { };
      type = types.attrsOf scriptType;
      apply = set: set // { script = scriptOf set false; };
      description = "Shell snippets that run at each activation and at boot.";
    };
    dryActivationScript = mkOption {
      type = types.str;
      readOnly = true;
      internal = true;
      default = scriptOf (own config.system.activationScripts) true;
      description = "The script of a dry activation.";
    };
    userActivationScripts = mkOption { type = types.attrsOf types.raw; default = { }; description = "Not supported: the lab's hosts have no user managers."; };
    preSwitchChecks = mkOption {
      type = types.attrsOf types.str;
      default = { };
      description = "Shell snippets that may refuse a switch; called with the new system and the action.";
    };
    preSwitchChecksScript = mkOption {
      type = types.package;
      internal = true;
      default = pkgs.writeShellScript "pre-switch-checks" (lib.concatStringsSep "\n" (lib.mapAttrsToList
        (name: text: ''
          if ! ( ${text}
          ); then
            echo "Pre-switch check '${name}' failed" >&2
            failed=1
          fi
        '')
        config.system.preSwitchChecks) + "\n[ -z \"\${failed-}\" ]");
      description = "The script of the pre-switch checks.";
    };
  };
  config.system.activationScripts = {
    stdio = "";
    specialfs = "";
    var = ''
      mkdir -p /var/tmp /var/log /var/lib/nixos
      chmod 1777 /var/tmp
    '';
    binsh = { deps = [ "stdio" ]; text = ""; };
    usrbinenv = { deps = [ "stdio" ]; text = ""; };
    # what waits on accounts and files alike
    default = { deps = [ "etc" "users" "groups" "var" ]; text = ""; };
  };
}
