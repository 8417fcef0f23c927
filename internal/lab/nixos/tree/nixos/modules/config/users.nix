{ config, lib, pkgs, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.users;
  ids = { root = 0; nginx = 60; };

  keyOptions = {
    keys = mkOption { type = types.listOf types.singleLineStr; default = [ ]; description = "Public keys that may log in."; };
    keyFiles = mkOption { type = types.listOf types.path; default = [ ]; description = "Files with such keys."; };
  };

  userModule = { name, config, ... }: {
    options = {
      name = mkOption { type = types.passwdEntry types.str; default = name; description = "The user's name."; };
      enable = mkOption { type = types.bool; default = true; description = "Whether the user is made."; };
      description = mkOption { type = types.passwdEntry types.str; default = ""; description = "The full name."; };
      uid = mkOption { type = types.nullOr types.int; default = ids.${name} or null; description = "The user id; null: the next free one, kept for good."; };
      isNormalUser = mkOption { type = types.bool; default = false; description = "Whether it is a person's account."; };
      isSystemUser = mkOption { type = types.bool; default = false; description = "Whether it is a service's account."; };
      group = mkOption { type = types.str; default = ""; description = "The primary group."; };
      extraGroups = mkOption { type = types.listOf types.str; default = [ ]; description = "Other groups."; };
      home = mkOption { type = types.passwdEntry types.path; default = "/var/empty"; description = "The home folder."; };
      homeMode = mkOption { type = types.strMatching "[0-7]{1,5}"; default = "700"; description = "The home folder's mode."; };
      createHome = mkOption { type = types.bool; default = false; description = "Whether the home folder is made."; };
      shell = mkOption { type = types.nullOr (types.either types.shellPackage (types.passwdEntry types.path)); default = pkgs.shadow; description = "The login shell."; };
      useDefaultShell = mkOption { type = types.bool; default = false; description = "Whether the shell is users.defaultUserShell."; };
      linger = mkOption { type = types.nullOr types.bool; default = null; description = "No effect."; };
      packages = mkOption { type = types.listOf types.package; default = [ ]; description = "Packages of the user. Not installed."; };
      hashedPassword = mkOption { type = types.nullOr (types.passwdEntry types.str); default = null; description = "The password's hash."; };
      hashedPasswordFile = mkOption { type = types.nullOr types.str; default = null; description = "A file with the hash."; };
      initialHashedPassword = mkOption { type = types.nullOr (types.passwdEntry types.str); default = null; description = "The hash of the first password."; };
      password = mkOption { type = types.nullOr types.str; default = null; description = "Refused: it would lie in the store."; };
      initialPassword = mkOption { type = types.nullOr types.str; default = null; description = "Refused: it would lie in the store."; };
      openssh.authorizedKeys = keyOptions;
    };
    config = lib.mkMerge [
      (lib.mkIf config.isNormalUser {
        group = lib.mkDefault "users";
        createHome = lib.mkDefault true;
        home = lib.mkDefault "/home/${config.name}";
        useDefaultShell = lib.mkDefault true;
      })
      (lib.mkIf config.useDefaultShell { shell = lib.mkDefault cfg.defaultUserShell; })
    ];
  };
  groupModule = { name, ... }: {
    options = {
      name = mkOption { type = types.passwdEntry types.str; default = name; description = "The group's name."; };
      gid = mkOption { type = types.nullOr types.int; default = ids.${name} or null; description = "The group id; null: the next free one."; };
      members = mkOption { type = types.listOf types.str; default = [ ]; description = "Its members."; };
    };
  };

  enabled = lib.filterAttrs (_: u: u.enable) cfg.users;
  shellPath = s: if s ? shellPath then "/run/current-system/sw${s.shellPath}" else toString s;
  flag = b: if b then "1" else "0";
  text = v: if v == null then "" else toString v;

  # one line per account, read by update-users.pl; an empty field is "not given"
  table =
    lib.concatMapStrings (g: "group\t${g.name}\t${text g.gid}\t${lib.concatStringsSep "," (g.members ++ lib.attrNames (lib.filterAttrs (_: u: lib.elem g.name u.extraGroups) enabled))}\n") (lib.attrValues cfg.groups)
    + lib.concatMapStrings
      (u: "user\t" + lib.concatStringsSep "\t" [
        u.name (text u.uid) u.group u.description (toString u.home) (text (if u.shell == null then null else shellPath u.shell))
        (flag u.isSystemUser) (flag u.createHome) u.homeMode (text u.hashedPassword) (text u.hashedPasswordFile) (text u.initialHashedPassword)
      ] + "\n")
      (lib.attrValues enabled);
in
{
  options.users = {
    mutableUsers = mkOption { type = types.bool; default = true; description = "Whether people's accounts that are not declared stay. System accounts that no configuration ever declared always stay."; };
    defaultUserShell = mkOption { type = types.either types.path types.shellPackage; default = pkgs.bashInteractive; description = "The default shell."; };
    users = mkOption { type = types.attrsOf (types.submodule userModule); default = { }; description = "User accounts."; };
    groups = mkOption { type = types.attrsOf (types.submodule groupModule); default = { }; description = "Groups."; };
    allowNoPasswordLogin = mkOption { type = types.bool; default = false; description = "No effect."; };
  };

  config = {
    users.users.root = {
      uid = 0;
      description = "System administrator";
      home = "/root";
      group = "root";
      shell = lib.mkDefault cfg.defaultUserShell;
    };
    users.groups = { root.gid = 0; users.gid = 100; wheel = { }; };

    assertions =
      lib.concatLists (lib.mapAttrsToList
        (n: u: [
          {
            assertion = n == "root" || lib.length (lib.filter lib.id [ u.isNormalUser u.isSystemUser (u.uid != null && u.uid < 1000 && !u.isNormalUser && !u.isSystemUser) ]) == 1;
            message = "Exactly one of users.users.${n}.isSystemUser and users.users.${n}.isNormalUser must be set.";
          }
          {
            assertion = u.group != "";
            message = "users.users.${n}.group is unset. This used to default to nogroup, but this is unsafe. For example you can create a group for this user with:\nusers.users.${n}.group = \"${n}\";\nusers.groups.${n} = {};";
          }
          {
            assertion = u.password == null && u.initialPassword == null;
            message = "users.users.${n}.password and initialPassword are not supported by the lab's tree: use hashedPassword.";
          }
        ])
        enabled)
      ++ [{
        assertion = lib.allUnique (lib.filter (x: x != null) (lib.mapAttrsToList (_: u: u.uid) enabled));
        message = "UIDs and GIDs must be unique!";
      }];

    environment.etc = lib.mapAttrs'
      (n: u: lib.nameValuePair "ssh/authorized_keys.d/${u.name}" {
        text = lib.concatLines (u.openssh.authorizedKeys.keys ++ map (f: lib.fileContents f) u.openssh.authorizedKeys.keyFiles);
      })
      (lib.filterAttrs (_: u: u.openssh.authorizedKeys.keys != [ ] || u.openssh.authorizedKeys.keyFiles != [ ]) enabled);

    system.activationScripts.users = {
      supportsDryActivation = true;
      text = ''
        ${pkgs.perl}/bin/perl ${./update-users.pl} ${pkgs.writeText "users-groups" table} ${flag cfg.mutableUsers}
      '';
    };
    system.activationScripts.groups = { deps = [ "users" ]; text = ""; };
  };
}
