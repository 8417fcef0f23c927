{ lib }:
rec {
  # "x86_64-linux", or a set that was elaborated already
  elaborate = platform:
    let
      system = if builtins.isString platform then platform else platform.system;
      parts = lib.splitString "-" system;
    in
    {
      inherit system;
      config = "${builtins.head parts}-unknown-linux-gnu";
      parsed = { cpu.name = builtins.head parts; kernel.name = lib.last parts; };
      isLinux = lib.hasSuffix "-linux" system;
      isDarwin = false;
      isx86_64 = lib.hasPrefix "x86_64-" system;
      isAarch64 = lib.hasPrefix "aarch64-" system;
      linuxArch = if lib.hasPrefix "aarch64-" system then "arm64" else "x86_64";
      __toString = _: system;
    };
  equals = a: b: (elaborate a).system == (elaborate b).system;
  flakeExposed = [ "x86_64-linux" "aarch64-linux" ];
  doubles = { linux = flakeExposed; all = flakeExposed; };
}
