# The hosts, as Colmena knows them. `fleet` holds what is known of the servers
# (fleet.servers.<name>.ipv4, .private.<network>, ...); its default lets the
# file be evaluated without Flotilla too.
{ fleet ? { servers = { }; } }:
{
  meta = {
    nixpkgs = <nixpkgs>;
    description = "Two servers";
  };

  defaults = ./modules/base.nix;

  app = ./hosts/app.nix;
  web = ./hosts/web.nix;
}
