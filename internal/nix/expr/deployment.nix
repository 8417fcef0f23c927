# The options deployment.*: Colmena's names, types and defaults. Only the
# address of a host that has a server is that of the server.
server: name: { lib, ... }:
let
  inherit (lib) mkOption types;
  option = type: default: description: mkOption { inherit type default description; };
  # by their names of many years; the youngest has a fallback
  count = (types.ints or { unsigned = types.int; }).unsigned;
  words = types.listOf types.str;
  own = server name;

  key = { name, config, ... }: {
    options = {
      name = option types.str name "Name of the file.";
      text = option (types.nullOr types.str) null "The content.";
      keyFile = option (types.nullOr types.path) null "A file with the content, on the machine that deploys."
        // { apply = value: if value == null then null else toString value; };
      keyCommand = option (types.nullOr (types.addCheck words (command: command != [ ]))) null "A command that prints the content.";
      destDir = option types.path "/run/keys" "Folder on the host.";
      path = option types.path "${config.destDir}/${config.name}" "Path on the host." // { internal = true; };
      user = option types.str "root" "Owner.";
      group = option types.str "root" "Group.";
      permissions = option types.str "0600" "Mode, octal.";
      uploadAt = option (types.enum [ "pre-activation" "post-activation" ]) "pre-activation" "When it is put there.";
      sources = mkOption {
        internal = true;
        type = words;
        description = "Which of text, keyFile and keyCommand are set.";
        default = builtins.filter (source: config.${source} != null) [ "text" "keyFile" "keyCommand" ];
      };
    };
  };
in
{
  _file = "deployment options";
  options.deployment = {
    targetHost = option (types.nullOr types.str)
      (if own == null then name else if own.ipv4 or "" != "" then own.ipv4 else own.ipv6 or null)
      "Address for SSH: by default that of the server with the host's name, else the host's name.";
    targetPort = option (types.nullOr count) null "Port for SSH; null: as flotilla.yaml says.";
    targetUser = option (types.nullOr types.str) "root" "User for SSH; where it is not set, flotilla.yaml says who.";
    tags = option words [ ] "Words to select the host by, with @word.";
    buildOnTarget = option types.bool false "Whether the host builds its own system.";
    allowLocalDeployment = option types.bool false "Whether the host may be deployed from itself.";
    replaceUnknownProfiles = option types.bool true "Whether a system that nobody here knows may be replaced.";
    privilegeEscalationCommand = option words [ "sudo" "-H" "--" ] "How a user that is not root becomes root.";
    sshOptions = option words [ ] "Options for ssh.";
    keys = option (types.attrsOf (types.submodule key)) { } "Files that are put on the host outside the store.";
  };
}
