# The least that passes for nixpkgs: enough for the tests of package nix.
{ overlays ? [ ], config ? { }, system ? builtins.currentSystem }: {
  inherit overlays config system;
  path = ./.;
  lib = import ./lib.nix;
  hello = derivation { inherit system; name = "hello-2.12"; builder = "/bin/sh"; args = [ "-c" "echo hello > $out" ]; } // { pname = "hello"; version = "2.12"; };
}
