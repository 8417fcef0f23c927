# Containers as systemd units. The host image has neither Docker nor Podman: a
# stand-in holds the units up and runs nothing.
{ config, lib, pkgs, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.virtualisation.oci-containers;
  words = description: mkOption { type = types.listOf types.str; default = [ ]; inherit description; };
  container = { name, ... }: {
    options = {
      image = mkOption { type = types.str; description = "The image, with its tag."; };
      cmd = words "Arguments of the container's program.";
      environment = mkOption { type = types.attrsOf types.str; default = { }; description = "Its environment."; };
      environmentFiles = mkOption { type = types.listOf types.path; default = [ ]; description = "Files with more of it."; };
      ports = words "Ports, HOST:CONTAINER.";
      volumes = words "Folders, HOST:CONTAINER.";
      dependsOn = words "Containers that start before.";
      extraOptions = words "More options of `run`.";
      autoStart = mkOption { type = types.bool; default = true; description = "Whether it starts with the host."; };
    };
  };
  service = name: c:
    let after = map (n: "${cfg.backend}-${n}.service") c.dependsOn; in
    lib.nameValuePair "${cfg.backend}-${name}" {
      wantedBy = lib.optional c.autoStart "multi-user.target";
      inherit after;
      requires = after;
      path = [ pkgs.${cfg.backend} ];
      preStart = "${cfg.backend} rm -f ${name} || true";
      script = "exec " + lib.escapeShellArgs ([ cfg.backend "run" "--rm" "--name=${name}" ]
        ++ lib.concatLists (lib.mapAttrsToList (n: v: [ "-e" "${n}=${v}" ]) c.environment)
        ++ lib.concatMap (f: [ "--env-file" (toString f) ]) c.environmentFiles
        ++ lib.concatMap (p: [ "-p" p ]) c.ports ++ lib.concatMap (v: [ "-v" v ]) c.volumes
        ++ c.extraOptions ++ [ c.image ] ++ c.cmd);
      serviceConfig.Restart = "always";
    };
in
{
  options.virtualisation.oci-containers = {
    backend = mkOption { type = types.enum [ "podman" "docker" ]; default = "podman"; description = "The program that runs containers."; };
    containers = mkOption { type = types.attrsOf (types.submodule container); default = { }; description = "Containers by name."; };
  };
  config.systemd.services = lib.mapAttrs' service cfg.containers;
}
