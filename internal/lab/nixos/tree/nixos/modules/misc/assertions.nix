{ lib, ... }:
{
  options = {
    assertions = lib.mkOption {
      type = lib.types.listOf lib.types.unspecified;
      internal = true;
      default = [ ];
      example = [{ assertion = false; message = "you can't enable this for that reason"; }];
      description = "Conditions that must hold; the system does not evaluate when one is false.";
    };
    warnings = lib.mkOption {
      type = lib.types.listOf lib.types.str;
      internal = true;
      default = [ ];
      description = "Messages shown while the system is evaluated.";
    };
    meta = lib.mkOption {
      type = lib.types.lazyAttrsOf lib.types.raw;
      internal = true;
      default = { };
      description = "Information about modules.";
    };
  };
}
