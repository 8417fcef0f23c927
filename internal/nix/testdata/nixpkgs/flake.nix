{
  outputs = { self }: {
    lib = import ./lib.nix // { nixosSystem = import ./nixos/lib/eval-config.nix; };
  };
}
