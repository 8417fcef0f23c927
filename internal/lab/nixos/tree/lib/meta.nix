{ lib }:
rec {
  getExe = pkg: getExe' pkg (pkg.meta.mainProgram or (lib.getName pkg));
  getExe' = pkg: program:
    if lib.hasInfix "/" program
    then throw "getExe': the program's name must not hold a slash: ${program}"
    else "${lib.getBin pkg}/bin/${program}";
  setPrio = priority: pkg: pkg // { meta = (pkg.meta or { }) // { inherit priority; }; };
  lowPrio = setPrio 10;
  hiPrio = setPrio (-10);
  setName = name: pkg: pkg // { inherit name; };
  addMetaAttrs = new: pkg: pkg // { meta = (pkg.meta or { }) // new; };
  availableOn = _: _: true;
  makeOverridable = f: args:
    let result = f args; in
    if builtins.isAttrs result
    then result // {
      override = new: makeOverridable f (args // (if lib.isFunction new then new args else new));
    }
    else result;
  callPackageWith = auto: file: args:
    let f = if lib.isFunction file then file else import file; in
    makeOverridable f (builtins.intersectAttrs (lib.functionArgs f) auto // args);
  maintainers = { };
  licenses = { asl20 = { spdxId = "Apache-2.0"; }; mit = { spdxId = "MIT"; }; };
  platforms = { linux = [ "x86_64-linux" "aarch64-linux" ]; all = [ "x86_64-linux" "aarch64-linux" ]; unix = [ "x86_64-linux" "aarch64-linux" ]; };
  teams = { };
}
