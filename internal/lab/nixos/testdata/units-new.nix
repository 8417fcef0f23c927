# What units-old.nix becomes.
{ pkgs, lib, ... }:
let
  daemon = { script = "exec sleep infinity"; wantedBy = [ "multi-user.target" ]; };
in
{
  networking.hostName = "switched";
  services.openssh.enable = true;
  services.openssh.ports = [ 22 2222 ];
  services.nginx.enable = true;
  services.nginx.virtualHosts."_" = { default = true; locations."/".return = "200 new"; };
  services.nginx.virtualHosts.closed = { listen = [{ addr = "0.0.0.0"; port = 8080; }]; locations."/".return = "200 closed"; };
  networking.firewall.allowedTCPPorts = [ 80 8080 ];

  systemd.services = {
    stopstart = daemon // { environment.V = "2"; };
    inplace = daemon // { stopIfChanged = false; environment.V = "2"; };
    reloaded = daemon // { reloadIfChanged = true; reload = "echo 1 >> /run/reloaded"; environment.V = "2"; };
    kept = daemon // { restartIfChanged = false; environment.V = "2"; };
    triggered = daemon // { reload = "echo 1 >> /run/triggered"; reloadTriggers = [ "2" ]; };
    described = daemon // { description = "two"; };
    masked = daemon // { enable = false; };
    unchanged = daemon;
    added = daemon;
    "instance@" = { script = "exec sleep infinity"; environment.V = "2"; };
    socketed = { script = "exec sleep infinity"; environment.V = "2"; };
    ticking = { script = "true"; serviceConfig.Type = "oneshot"; };
    idle = { script = "exec sleep infinity"; environment.V = "2"; };
  };
  systemd.targets.multi-user.wants = [ "instance@x.service" ];
  systemd.sockets.socketed = { wantedBy = [ "sockets.target" ]; listenStreams = [ "/run/socketed.sock" ]; };
  systemd.timers.ticking = { wantedBy = [ "timers.target" ]; timerConfig.OnCalendar = "2037-02-01"; };

  fileSystems."/mnt/kept" = { device = "none"; fsType = "tmpfs"; options = [ "size=2m" ]; };
  fileSystems."/mnt/added" = { device = "none"; fsType = "tmpfs"; };

  environment.etc = {
    "lab/same".text = "same";
    "lab/changed".text = "new";
    "lab/added".text = "new";
    "lab/copied" = { text = "new"; mode = "0640"; };
  };
  users.users.late = { isNormalUser = true; extraGroups = [ "wheel" ]; };
  systemd.tmpfiles.rules = [ "d /var/lib/from-tmpfiles 0750 root root -" "d /var/lib/from-new 0700 root root -" ];
}
