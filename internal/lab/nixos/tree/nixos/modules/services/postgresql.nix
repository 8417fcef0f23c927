# PostgreSQL as far as a review and a switch see it: the host image has no
# server, a stand-in holds the unit up.
{ config, lib, pkgs, ... }:
let
  inherit (lib) mkOption mkEnableOption types;
  cfg = config.services.postgresql;
  values = lib.concatStrings (lib.mapAttrsToList (n: v: "${n} = ${if v == true then "on" else if v == false then "off" else if builtins.isInt v then toString v else "'${toString v}'"}\n") cfg.settings);
in
{
  options.services.postgresql = {
    enable = mkEnableOption "PostgreSQL";
    package = mkOption { type = types.package; default = pkgs.postgresql; description = "The PostgreSQL package."; };
    dataDir = mkOption { type = types.path; default = "/var/lib/postgresql/${cfg.package.psqlSchema}"; description = "The folder of the data."; };
    enableTCPIP = mkOption { type = types.bool; default = false; description = "Whether it listens beyond the host."; };
    ensureDatabases = mkOption { type = types.listOf types.str; default = [ ]; description = "No effect."; };
    settings = mkOption { type = types.attrsOf (types.oneOf [ types.bool types.int types.str ]); default = { }; description = "The contents of postgresql.conf."; };
  };
  config = lib.mkIf cfg.enable {
    environment.systemPackages = [ cfg.package ];
    users.users.postgres = { isSystemUser = true; uid = 71; group = "postgres"; home = cfg.dataDir; };
    users.groups.postgres.gid = 71;
    systemd.services.postgresql = {
      description = "PostgreSQL Server";
      wantedBy = [ "multi-user.target" ];
      after = [ "network.target" ];
      environment.PGDATA = cfg.dataDir;
      serviceConfig = {
        User = "postgres";
        Group = "postgres";
        StateDirectory = "postgresql postgresql/${cfg.package.psqlSchema}";
        ExecReload = "${pkgs.procps}/bin/kill -HUP $MAINPID";
        ExecStart = "${cfg.package}/bin/postgres -c config_file=${pkgs.writeText "postgresql.conf" values}";
      };
    };
  };
}
