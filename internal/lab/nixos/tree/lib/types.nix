# Option types. A type has a check for one definition and a merge for all of
# them; types with options inside also say which (getSubOptions).
{ lib }:
let
  inherit (builtins) isAttrs isString isInt isList isBool isFloat isPath all any elem filter map mapAttrs attrNames head length;
  inherit (lib)
    mergeOneOption mergeEqualOption mergeDefinitions showOption showDefs showFiles
    getFiles getValues isFunction concatStringsSep isStringLike;

  mkOptionType = { name, description ? name, check ? (_: true), merge ? lib.mergeDefaultOption
                 , emptyValue ? { }, getSubOptions ? (_: { }), typeMerge ? null, nestedTypes ? { }, ... }@attrs:
    let
      self = attrs // {
        _type = "option-type";
        inherit name description check merge emptyValue getSubOptions nestedTypes;
        getSubModules = attrs.getSubModules or null;
        # the type of an option that is declared with this and the other type; null: they do not fit
        typeMerge =
          if typeMerge != null then typeMerge
          else other: if other.name == name && other.description == description then self else null;
      };
    in
    self;

  wrapWords = d: if lib.hasInfix " " d then "(${d})" else d;
  scalar = name: description: check: mkOptionType { inherit name description check; merge = mergeEqualOption; };

  # a container's type with an element type that may grow on a second declaration
  container = name: elem: rebuild: attrs: mkOptionType ({
    inherit name;
    nestedTypes.elemType = elem;
    getSubModules = elem.getSubModules;
    typeMerge = other:
      let joined = elem.typeMerge (other.nestedTypes.elemType or elem); in
      if other.name != name || joined == null then null else rebuild joined;
  } // (if elem ? extendWith then { extendWith = mods: rebuild (elem.extendWith mods); } else { }) // attrs);

  between = low: high:
    addCheckNamed types.int "intBetween"
      "integer between ${toString low} and ${toString high} (both inclusive)"
      (x: x >= low && x <= high);

  sized = name: bits: low: high:
    addCheckNamed types.int name
      "${bits}; between ${toString low} and ${toString high} (both inclusive)"
      (x: x >= low && x <= high);

  types = rec {
    inherit mkOptionType;

    unspecified = mkOptionType { name = "unspecified"; description = "unspecified value"; };
    raw = mkOptionType { name = "raw"; description = "raw value"; merge = mergeOneOption; };
    bool = scalar "bool" "boolean" isBool;
    boolByOr = mkOptionType { name = "boolByOr"; description = "boolean (merged using or)"; check = isBool; merge = _: defs: any (d: d.value) defs; };
    int = scalar "int" "signed integer" isInt;
    float = scalar "float" "floating point number" isFloat;
    number = either int float;
    numbers = {
      between = low: high: addCheckNamed number "numberBetween" "integer or floating point number between ${toString low} and ${toString high} (both inclusive)" (x: x >= low && x <= high);
      nonnegative = addCheckNamed number "numberNonnegative" "nonnegative integer or floating point number, meaning >=0" (x: x >= 0);
      positive = addCheckNamed number "numberPositive" "positive integer or floating point number, meaning >0" (x: x > 0);
    };
    ints = {
      inherit between;
      unsigned = addCheckNamed int "unsignedInt" "unsigned integer, meaning >=0" (x: x >= 0);
      positive = addCheckNamed int "positiveInt" "positive integer, meaning >0" (x: x > 0);
      u8 = sized "unsignedInt8" "8 bit unsigned integer" 0 255;
      u16 = sized "unsignedInt16" "16 bit unsigned integer" 0 65535;
      u32 = sized "unsignedInt32" "32 bit unsigned integer" 0 4294967295;
      s8 = sized "signedInt8" "8 bit signed integer" (-128) 127;
      s16 = sized "signedInt16" "16 bit signed integer" (-32768) 32767;
      s32 = sized "signedInt32" "32 bit signed integer" (-2147483648) 2147483647;
    };
    port = ints.u16;

    str = scalar "str" "string" isString;
    nonEmptyStr = scalar "nonEmptyStr" "non-empty string" (x: isString x && builtins.match "[ \t\n]*" x == null);
    singleLineStr = mkOptionType {
      name = "singleLineStr";
      description = "(optionally newline-terminated) single-line string";
      check = x: isString x && !lib.hasInfix "\n" (lib.removeSuffix "\n" x);
      merge = loc: defs: lib.removeSuffix "\n" (mergeEqualOption loc defs);
    };
    strMatching = pattern: scalar "strMatching ${builtins.toJSON pattern}" "string matching the pattern ${pattern}" (x: isString x && builtins.match pattern x != null);
    passwdEntry = entry: addCheckNamed entry "passwdEntry ${entry.name}" "${entry.description}, not containing newlines or colons" (x: builtins.match ".*[:\n].*" x == null);
    separatedString = sep: mkOptionType {
      name = "separatedString";
      description = if sep == "" then "Concatenated string" else "strings concatenated with ${builtins.toJSON sep}";
      check = isString;
      merge = _: defs: concatStringsSep sep (getValues defs);
    };
    lines = separatedString "\n";
    commas = separatedString ",";
    envVar = separatedString ":";
    string = separatedString "";

    attrs = mkOptionType {
      name = "attrs";
      description = "attribute set";
      check = isAttrs;
      merge = _: defs: lib.foldl' (a: d: a // d.value) { } defs;
      emptyValue.value = { };
    };
    package = mkOptionType {
      name = "package";
      check = x: lib.isDerivation x || lib.isStorePath x;
      merge = loc: defs:
        let v = mergeOneOption loc defs; in if lib.isDerivation v then v else lib.toDerivation v;
    };
    shellPackage = package // { check = x: lib.isDerivation x && x ? shellPath; };
    pkgs = scalar "pkgs" "Nixpkgs package set" (x: x._type or null == "pkgs");
    path = mkOptionType {
      name = "path";
      description = "absolute path";
      check = x: isStringLike x && lib.hasPrefix "/" (toString x);
      merge = mergeEqualOption;
    };
    pathInStore = mkOptionType {
      name = "pathInStore";
      description = "path in the Nix store";
      check = x: isStringLike x && lib.hasPrefix "${builtins.storeDir}/" (toString x);
      merge = mergeEqualOption;
    };
    externalPath = path;
    optionType = mkOptionType {
      name = "optionType";
      description = "optionType";
      check = v: v._type or null == "option-type";
      merge = _: defs: lib.foldl' (a: d: let t = a.typeMerge d.value; in if t == null then d.value else t) (head defs).value (lib.tail defs);
    };

    enum = values: mkOptionType {
      name = "enum";
      description =
        if values == [ ] then "impossible (empty enum)"
        else if length values == 1 then "value ${lib.generators.toPretty { } (head values)} (singular enum)"
        else "one of ${lib.concatMapStringsSep ", " (lib.generators.toPretty { }) values}";
      check = v: elem v values;
      merge = mergeEqualOption;
      payload = values;
      typeMerge = other: if other.name == "enum" then enum (lib.unique (values ++ other.payload)) else null;
    };

    nullOr = t: container "nullOr" t nullOr {
      description = "null or ${wrapWords t.description}";
      check = x: x == null || t.check x;
      merge = loc: defs:
        let nulls = lib.count (d: d.value == null) defs; in
        if nulls == length defs then null
        else if nulls != 0 then throw "The option `${showOption loc}' is defined both null and not null, in ${showFiles (getFiles defs)}."
        else t.merge loc defs;
      emptyValue.value = null;
      inherit (t) getSubOptions;
    };

    listOf = t: container "listOf" t listOf {
      description = "list of ${wrapWords t.description}";
      check = isList;
      merge = loc: defs: lib.concatLists (lib.imap1
        (n: def: lib.concatLists (lib.imap1
          (m: value:
            let r = mergeDefinitions (loc ++ [ "[definition ${toString n}-entry ${toString m}]" ]) t [{ inherit (def) file; inherit value; }]; in
            lib.optional r.isDefined r.mergedValue)
          def.value))
        defs);
      emptyValue.value = [ ];
      getSubOptions = prefix: t.getSubOptions (prefix ++ [ "*" ]);
    };
    nonEmptyListOf = t: (addCheckNamed (listOf t) "nonEmptyListOf" "non-empty ${(listOf t).description}" (xs: xs != [ ])) // { emptyValue = { }; };

    attrsOf = elemType: attrsWith { inherit elemType; };
    lazyAttrsOf = elemType: attrsWith { inherit elemType; lazy = true; };
    attrsWith = { elemType, lazy ? false, placeholder ? "name" }:
      container (if lazy then "lazyAttrsOf" else "attrsOf") elemType (t: attrsWith { elemType = t; inherit lazy placeholder; }) {
        description = "${if lazy then "lazy " else ""}attribute set of ${wrapWords elemType.description}";
        check = isAttrs;
        merge = loc: defs:
          let
            byName = lib.zipAttrs (lib.concatMap
              (d: map (mapAttrs (_: value: { inherit (d) file; inherit value; })) [ d.value ])
              defs);
            merged = mapAttrs (name: ds: mergeDefinitions (loc ++ [ name ]) elemType ds) byName;
          in
          if lazy
          then mapAttrs (_: r: r.optionalValue.value or elemType.emptyValue.value or r.mergedValue) merged
          else mapAttrs (_: r: r.mergedValue) (lib.filterAttrs (_: r: r.isDefined) merged);
        emptyValue.value = { };
        getSubOptions = prefix: elemType.getSubOptions (prefix ++ [ "<${placeholder}>" ]);
      };

    uniq = t: unique { message = ""; } t;
    unique = { message }: t: t // {
      name = "unique";
      merge = lib.mergeUniqueOption { inherit message; inherit (t) merge; };
      typeMerge = _: null;
    };

    either = a: b: mkOptionType {
      name = "either";
      description = "${wrapWords a.description} or ${wrapWords b.description}";
      check = x: a.check x || b.check x;
      merge = loc: defs:
        let vs = getValues defs; in
        if all a.check vs then a.merge loc defs
        else if all b.check vs then b.merge loc defs
        else mergeOneOption loc defs;
      nestedTypes = { left = a; right = b; };
    };
    oneOf = ts:
      if ts == [ ] then throw "types.oneOf needs to get at least one type in its argument"
      else lib.foldl' either (head ts) (lib.tail ts);

    coercedTo = from: f: to: mkOptionType {
      name = "coercedTo";
      description = "${wrapWords to.description} or ${wrapWords from.description} convertible to it";
      check = x: (from.check x && to.check (f x)) || to.check x;
      merge = loc: defs: to.merge loc (map (d: d // { value = if from.check d.value then f d.value else d.value; }) defs);
      inherit (to) emptyValue getSubOptions;
      nestedTypes = { coercedType = from; finalType = to; };
    };
    functionTo = t: mkOptionType {
      name = "functionTo";
      description = "function that evaluates to a(n) ${wrapWords t.description}";
      check = isFunction;
      merge = loc: defs: arg:
        (mergeDefinitions (loc ++ [ "<function body>" ]) t (map (d: d // { value = d.value arg; }) defs)).mergedValue;
      getSubOptions = prefix: t.getSubOptions (prefix ++ [ "<function body>" ]);
    };
    anything = mkOptionType {
      name = "anything";
      check = _: true;
      merge = loc: defs:
        let
          kind = v: if isStringLike v && !isAttrs v then "stringLike" else if lib.isDerivation v then "derivation" else builtins.typeOf v;
          kinds = lib.unique (map (d: kind d.value) defs);
        in
        if length kinds > 1 then
          throw "The option `${showOption loc}' has conflicting option types in ${showFiles (getFiles defs)}"
        else if head kinds == "set" then (lazyAttrsOf anything).merge loc defs
        else if head kinds == "list" && length defs > 1 then mergeEqualOption loc defs
        else if head kinds == "list" then (listOf anything).merge loc defs
        else if head kinds == "lambda" && length defs > 1 then arg: anything.merge loc (map (d: d // { value = d.value arg; }) defs)
        else if length defs == 1 then (head defs).value
        else mergeEqualOption loc defs;
    };

    submodule = modules: submoduleWith { shorthandOnlyDefinesConfig = true; modules = lib.toList modules; };
    submoduleWith = { modules, specialArgs ? { }, shorthandOnlyDefinesConfig ? false, description ? null, class ? null }:
      let
        evaluate = loc: defs: lib.evalModules {
          inherit specialArgs class;
          prefix = loc;
          modules =
            [{
              _file = "<name of the submodule>";
              key = "submodule-name";
              _module.args.name = lib.mkOptionDefault (if loc == [ ] then "" else lib.last loc);
            }]
            ++ modules
            ++ map
              (d:
                if isAttrs d.value && !(d.value ? outPath) && shorthandOnlyDefinesConfig
                then { _file = d.file; config = d.value; }
                else { _file = d.file; imports = [ d.value ]; })
              defs;
        };
        again = more: submoduleWith { modules = modules ++ more; inherit specialArgs shorthandOnlyDefinesConfig description class; };
      in
      mkOptionType {
        name = "submodule";
        description = if description != null then description else "submodule";
        check = x: isAttrs x || isFunction x || path.check x;
        merge = loc: defs: (evaluate loc defs).config;
        emptyValue.value = { };
        getSubOptions = prefix: (evaluate prefix [ ]).options;
        getSubModules = modules;
        inherit shorthandOnlyDefinesConfig;
        ownSpecialArgs = specialArgs;
        extendWith = again;
        typeMerge = other:
          if other.name != "submodule" then null
          else submoduleWith {
            modules = modules ++ other.getSubModules;
            specialArgs = specialArgs // (other.ownSpecialArgs or { });
            shorthandOnlyDefinesConfig = shorthandOnlyDefinesConfig || other.shorthandOnlyDefinesConfig or false;
            inherit description class;
          };
      };
    deferredModule = deferredModuleWith { };
    deferredModuleWith = { staticModules ? [ ] }: mkOptionType {
      name = "deferredModule";
      description = "module";
      check = x: isAttrs x || isFunction x || path.check x;
      merge = loc: defs: {
        imports = staticModules ++ map (d: { _file = "${d.file}, via option ${showOption loc}"; imports = [ d.value ]; }) defs;
      };
    };

    addCheck = t: check: t // { check = x: t.check x && check x; };
  };

  # a type that admits less than t, under a name of its own
  addCheckNamed = t: name: description: check:
    let
      self = (types.addCheck t check) // {
        inherit name description;
        typeMerge = other: if other.name == name && other.description == description then self else null;
      };
    in
    self;
in
types
