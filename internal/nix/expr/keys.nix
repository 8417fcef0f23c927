# What a host with deployment.keys has in its system: for each key a unit
# NAME-key.service that is up while the file is there, for others to wait for,
# and an activation script that gives the files to their owners, who may be
# users of this very system. Contents of keys are no part of it.
name: { config, lib, options, ... }:
let
  inherit (config.deployment) keys;
  inherit (builtins) attrNames concatStringsSep filter length map;
  quote = text: "'${builtins.replaceStrings [ "'" ] [ "'\\''" ] text}'";
  early = filter (key: keys.${key}.uploadAt == "pre-activation") (attrNames keys);
  unit = value: builtins.listToAttrs (map (key: { name = "${key}-key"; value = value keys.${key}; }) (attrNames keys));

  own = key: ''
    if [ -e ${quote key.path} ]; then
      chown ${quote "${key.user}:${key.group}"} ${quote key.path} || keys_failed=1
    else
      echo "key ${key.name} is not there" >&2
    fi
  '';

  # Only what the tree knows: its age must not be in the way of those without keys.
  declared = condition: definitions: if condition then definitions else { };

  # A key that is replaced by a rename was there all the time: nothing restarts.
  parts = [
    (declared (options ? systemd.paths) {
      systemd.paths = unit (key: {
        wantedBy = [ "paths.target" ];
        pathConfig.PathExists = key.path;
      });
    })
    (declared (options ? systemd.services) {
      systemd.services = unit (key: {
        description = "Presence of ${key.path}";
        serviceConfig = { TimeoutStartSec = "infinity"; Restart = "always"; RestartSec = "100ms"; };
        preStart = "while [ ! -e ${quote key.path} ]; do sleep 1; done";
        script = "while [ -e ${quote key.path} ]; do sleep 2; done";
      });
    })
    (declared (options ? system.activationScripts) {
      system.activationScripts = lib.mkIf (early != [ ]) {
        flotilla-keys = {
          deps = [ (if config.system.activationScripts ? groups then "groups" else "users") ];
          text = ''
            keys_failed=
            ${concatStringsSep "" (map (key: own keys.${key}) early)}
            if [ -n "$keys_failed" ]; then
              echo "some keys could not be given to their owners" >&2
              false
            fi
          '';
        };
      };
    })
    (declared (options ? assertions) {
      assertions = map
        (key: {
          assertion = length keys.${key}.sources == 1;
          message = "deployment.keys.${key} of host ${name} must have exactly one of text, keyFile and keyCommand.";
        })
        (attrNames keys);
    })
  ];
in
{
  _file = "deployment keys";
  config = lib.mkMerge parts;
}
