{
  description = "The lab's small stand-in for nixpkgs";
  outputs = { self }:
    let lib = import ./lib; in
    {
      inherit lib;
      legacyPackages = lib.genAttrs [ "x86_64-linux" "aarch64-linux" ] (system: import ./. { inherit system; });
      nixosModules = { };
    };
}
