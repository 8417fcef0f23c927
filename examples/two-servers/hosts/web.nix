{ fleet, pkgs, ... }:
let
  page = pkgs.writeTextDir "index.html" ''
    Hello from the fleet. The app server is at ${fleet.servers.app.private.private or "an address yet unknown"}.
  '';
in
{
  deployment.tags = [ "web" ];

  services.nginx = {
    enable = true;
    virtualHosts."www.example.com" = {
      default = true;
      root = page;
    };
  };

  networking.firewall.allowedTCPPorts = [ 80 ];
}
