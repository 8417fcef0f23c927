{ lib }:
let
  inherit (lib) concatMapStrings concatMapStringsSep concatStringsSep;
in
rec {
  isOption = v: v._type or null == "option";
  mkOption = attrs: attrs // { _type = "option"; };

  mkEnableOption = name: mkOption {
    type = lib.types.bool;
    default = false;
    example = true;
    description = "Whether to enable ${name}.";
  };
  mkPackageOption = pkgs: name: { default ? name, nullable ? false, example ? null, extraDescription ? "", pkgsText ? "pkgs" }:
    let path = lib.toList default; in
    mkOption {
      type = if nullable then lib.types.nullOr lib.types.package else lib.types.package;
      default =
        if default == null then null
        else lib.attrByPath path
          (throw "${concatStringsSep "." path} cannot be found in ${pkgsText}")
          pkgs;
      defaultText = literalExpression "${pkgsText}.${concatStringsSep "." path}";
      description = "The ${lib.last (lib.toList name)} package to use. ${extraDescription}";
    };
  mkSinkUndeclaredOptions = attrs: mkOption ({
    internal = true;
    visible = false;
    default = false;
    type = lib.mkOptionType {
      name = "sink";
      description = "anything";
      check = _: true;
      merge = _: _: false;
    };
  } // attrs);

  literalExpression = text: { _type = "literalExpression"; inherit text; };
  literalMD = text: { _type = "literalMD"; inherit text; };
  mdDoc = text: text;

  getValues = map (def: def.value);
  getFiles = map (def: def.file);

  showOption = parts: concatMapStringsSep "." (part:
    if part == "*" || part == "<name>" || lib.hasPrefix "<" part then part
    else lib.escapeNixIdentifier part) parts;
  showFiles = files: concatStringsSep " and " (map (f: "`${f}'") files);
  showDefs = concatMapStrings (def:
    let
      shown = builtins.tryEval (lib.generators.toPretty { depthLimit = 4; } def.value);
      lines = lib.splitString "\n" shown.value;
      kept = lib.take 5 lines ++ lib.optional (lib.length lines > 5) "...";
    in
    "\n- In `${def.file}'"
    + lib.optionalString shown.success
      (if lib.length lines > 1 then ":\n    ${concatStringsSep "\n    " kept}" else ": ${shown.value}"));

  mergeDefaultOption = loc: defs:
    let values = getValues defs; in
    if lib.length values == 1 then lib.head values
    else if lib.all lib.isFunction values then x: mergeDefaultOption loc (map (d: d // { value = d.value x; }) defs)
    else if lib.all lib.isList values then lib.concatLists values
    else if lib.all lib.isAttrs values then lib.foldl' lib.mergeAttrs { } values
    else if lib.all lib.isBool values then lib.any lib.id values
    else if lib.all lib.isString values then lib.concatStrings values
    else if lib.all lib.isInt values && lib.all (x: x == lib.head values) values then lib.head values
    else throw "Cannot merge definitions of `${showOption loc}'. Definition values:${showDefs defs}";
  mergeOneOption = mergeUniqueOption { message = ""; };
  mergeUniqueOption = { message, merge ? null }: loc: defs:
    if lib.length defs == 1
    then (if merge != null then merge loc defs else (lib.head defs).value)
    else throw ''
      The option `${showOption loc}' is defined multiple times while it's expected to be unique.
      ${message}${lib.optionalString (message != "") "\n"}Definition values:${showDefs defs}
      ${prioritySuggestion}'';
  mergeEqualOption = loc: defs:
    if defs == [ ] then throw "mergeEqualOption: no definition of `${showOption loc}'"
    else
      (lib.foldl'
        (first: def:
          if def.value == first.value then first
          else throw ''
            The option `${showOption loc}' has conflicting definition values:${showDefs [ first def ]}
            ${prioritySuggestion}'')
        (lib.head defs)
        (lib.tail defs)).value;
  prioritySuggestion = "Use `lib.mkForce value` or `lib.mkDefault value` to change the priority on any of these definitions.";

  # Every option of a tree, for lists of options.
  optionAttrSetToDocList = options:
    lib.concatMap
      (name:
        let o = options.${name}; in
        if isOption o then [{
          name = showOption o.loc;
          inherit (o) loc;
          declarations = o.declarations or [ ];
          description = o.description or "";
          type = o.type.description or "unspecified";
          internal = o.internal or false;
          visible = o.visible or true;
          readOnly = o.readOnly or false;
        }]
        ++ lib.optionals (o ? type) (optionAttrSetToDocList (removeAttrs (o.type.getSubOptions o.loc) [ "_module" ]))
        else if builtins.isAttrs o then optionAttrSetToDocList o
        else [ ])
      (builtins.attrNames options);
}
