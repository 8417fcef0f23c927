{ lib }:
rec {
  mkValueStringDefault = { }: v:
    if builtins.isInt v || builtins.isFloat v then toString v
    else if lib.isDerivation v then toString v
    else if builtins.isString v then v
    else if v == true then "true"
    else if v == false then "false"
    else if v == null then "null"
    else if builtins.isPath v then toString v
    else if v ? __toString then toString v
    else throw "generators.mkValueStringDefault: ${builtins.typeOf v} cannot be a value here";
  mkKeyValueDefault = { mkValueString ? mkValueStringDefault { } }: sep: k: v:
    "${lib.escape [ sep ] k}${sep}${mkValueString v}";
  toKeyValue = { mkKeyValue ? mkKeyValueDefault { } "=", listsAsDuplicateKeys ? false, indent ? "" }: set:
    let
      line = k: v: indent + mkKeyValue k v + "\n";
      lines = k: v:
        if listsAsDuplicateKeys && builtins.isList v then lib.concatMapStrings (line k) v else line k v;
    in
    lib.concatStrings (lib.mapAttrsToList lines set);
  toINI = { mkSectionName ? lib.escape [ "[" "]" ], mkKeyValue ? mkKeyValueDefault { } "=", listsAsDuplicateKeys ? false }: sections:
    lib.concatStringsSep "\n" (lib.mapAttrsToList
      (name: body: "[${mkSectionName name}]\n" + toKeyValue { inherit mkKeyValue listsAsDuplicateKeys; } body)
      sections);
  toINIWithGlobalSection = args: { globalSection, sections ? { } }:
    toKeyValue (removeAttrs args [ "mkSectionName" ]) globalSection
    + lib.optionalString (globalSection != { } && sections != { }) "\n"
    + toINI args sections;
  toJSON = { }: builtins.toJSON;
  toYAML = toJSON;

  # A value as Nix text. Beyond depthLimit levels it says "…", so that a broken
  # definition deep inside cannot hide the message that it is shown in.
  toPretty = { depthLimit ? 10, multiline ? true, indent ? "", ... }: value:
    let
      go = depth: pad: v:
        let
          inner = pad + "  ";
          wrap = open: close: items:
            if items == [ ] then "${open} ${close}"
            else if multiline then "${open}\n${inner}${lib.concatStringsSep "\n${inner}" items}\n${pad}${close}"
            else "${open} ${lib.concatStringsSep " " items} ${close}";
          sub = go (depth - 1) inner;
        in
        if builtins.isString v then lib.escapeNixString v
        else if builtins.isInt v || builtins.isFloat v || builtins.isPath v then toString v
        else if v == null then "null"
        else if builtins.isBool v then lib.boolToString v
        else if lib.isFunction v then "<function>"
        else if builtins.isList v then (if depth == 0 then "[ … ]" else wrap "[" "]" (map sub v))
        else if lib.isDerivation v then "<derivation ${v.name or "?"}>"
        else if v ? _type then "<${v._type}>"
        else if depth == 0 then "{ … }"
        else wrap "{" "}" (lib.mapAttrsToList (n: x: "${lib.escapeNixIdentifier n} = ${sub x};") v);
    in
    go depthLimit indent value;
}
