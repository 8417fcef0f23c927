{ config, lib, pkgs, ... }:
let
  inherit (lib) mkOption types;
  entries = lib.filter (e: e.enable) (lib.attrValues config.environment.etc);
  list = lib.concatMapStrings
    (e: lib.concatStringsSep "\t" [ "${e.source}" e.target e.mode e.user e.group ] + "\n")
    entries;
in
{
  options.environment.etc = mkOption {
    default = { };
    description = "Files in /etc.";
    type = types.attrsOf (types.submodule ({ name, config, options, ... }: {
      options = {
        enable = mkOption { type = types.bool; default = true; description = "Whether the file is made."; };
        target = mkOption { type = types.str; default = name; description = "Its name below /etc."; };
        text = mkOption { type = types.nullOr types.lines; default = null; description = "Its text."; };
        source = mkOption { type = types.path; description = "Where it comes from."; };
        mode = mkOption { type = types.str; default = "symlink"; example = "0600"; description = "`symlink`, `direct-symlink`, or the mode of a copy."; };
        uid = mkOption { type = types.int; default = 0; description = "The owner of a copy."; };
        gid = mkOption { type = types.int; default = 0; description = "The group of a copy."; };
        user = mkOption { type = types.str; default = "+${toString config.uid}"; description = "The owner of a copy, by name."; };
        group = mkOption { type = types.str; default = "+${toString config.gid}"; description = "The group of a copy, by name."; };
      };
      config.source = lib.mkIf (config.text != null) (lib.mkDerivedConfig options.text
        (pkgs.writeText "etc-${lib.strings.sanitizeDerivationName (baseNameOf name)}"));
    }));
  };

  config = {
    # etc/<target> links to the source; .mode, .uid, .gid beside it ask for a copy
    system.build.etc = pkgs.runCommand "etc" { inherit list; passAsFile = [ "list" ]; } ''
      mkdir -p $out/etc
      while IFS="$(printf '\t')" read -r source target mode user group; do
        case $target in */*) mkdir -p "$out/etc/''${target%/*}" ;; esac
        if [ -e "$out/etc/$target" ] || [ -L "$out/etc/$target" ]; then
          echo "duplicate entry $target -> $source" >&2
          exit 1
        fi
        ln -s "$source" "$out/etc/$target"
        if [ "$mode" != symlink ]; then
          echo "$mode" > "$out/etc/$target.mode"
          echo "$user" > "$out/etc/$target.uid"
          echo "$group" > "$out/etc/$target.gid"
        fi
      done < "$listPath"
    '';
    system.build.etcActivationCommands = ''
      echo "setting up /etc..."
      ${pkgs.perl}/bin/perl ${./setup-etc.pl} ${config.system.build.etc}/etc
    '';
    system.activationScripts.etc = {
      deps = [ "users" "groups" ];
      text = config.system.build.etcActivationCommands;
    };
  };
}
