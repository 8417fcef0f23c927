# The module system: modules in, one checked configuration out.
#
# evalModules goes four ways in order: collect (functions applied, imports
# followed), lay declarations and definitions over each other level by level,
# settle each option (priorities, order, type), and look for definitions that
# nothing declares.
{ lib }:
let
  inherit (builtins)
    isAttrs isPath isString concatMap filter map mapAttrs attrNames elem
    addErrorContext removeAttrs;
  inherit (lib) showOption showDefs showFiles isOption mkOption types;

  defaultPriority = 100;
  defaultOrder = 1000;

  # ---- collect -------------------------------------------------------------

  longFormKeys = [ "_class" "_file" "key" "disabledModules" "imports" "options" "config" "meta" "freeformType" ];
  shortFormOwn = [ "_class" "_file" "key" "disabledModules" "require" "imports" "freeformType" ];

  isProperty = v: isAttrs v && elem (v._type or null) [ "if" "merge" "override" "order" ];

  # one module in whatever shape it was written → { file, key, imports, disabled, options, config }
  load = call: parent: index: written:
    let
      byPath = isPath written || isString written || (isAttrs written && written ? outPath && !(written ? config || written ? options || written ? imports));
      place = toString written;
      file0 = if byPath then place else parent.file;
      key0 = if byPath then place else "${parent.key}:anon-${toString index}";
      loaded = if byPath then import written else written;
      value = if lib.isFunction loaded then call file0 loaded else loaded;
      file = toString (value._file or file0);
      key = toString (value.key or key0);
      foreign = removeAttrs value longFormKeys;
      isLong = value ? config || value ? options;
      extra =
        lib.optional (value ? freeformType) { _module.freeformType = value.freeformType; }
        ++ lib.optional (isLong && value ? meta) { inherit (value) meta; };
      body =
        if isProperty value then value
        else if !isLong then removeAttrs value shortFormOwn
        else value.config or { };
    in
    if !isAttrs value then
      throw "Expected a module, but found a value of type ${builtins.typeOf value} while loading `${file0}'."
    else if isProperty value then { inherit file key; imports = [ ]; disabled = [ ]; options = { }; config = [ body ]; }
    else if isLong && foreign != { } then
      throw ''
        Module `${key}' has an unsupported attribute `${lib.head (attrNames foreign)}'. This is caused by introducing a top-level `config' or `options' attribute. Add configuration attributes immediately on the top level instead, or move all of them (namely: ${lib.concatStringsSep " " (attrNames foreign)}) into the explicit `config' attribute.''
    else {
      inherit file key;
      imports = (value.imports or [ ]) ++ (value.require or [ ]);
      disabled = value.disabledModules or [ ];
      options = value.options or { };
      config = [ body ] ++ extra;
    };

  collect = call: modulesPath: roots:
    let
      item = m: { inherit (m) key; module = m; };
      loadAll = parent: written: lib.imap1 (i: w: item (load call parent i w)) written;
      closure = builtins.genericClosure {
        startSet = loadAll { file = "<unknown-file>"; key = "<unknown>"; } roots;
        operator = i: loadAll i.module i.module.imports;
      };
      disabledKey = d:
        if isAttrs d && d ? key then toString d.key
        else if isString d && !lib.hasPrefix "/" d then "${toString modulesPath}/${d}"
        else toString d;
      disabled = concatMap (i: map disabledKey i.module.disabled) closure;
      # a disabled module takes along what only it imports
      kept =
        if disabled == [ ] then closure
        else builtins.genericClosure {
          startSet = filter (i: !elem i.key disabled) (loadAll { file = "<unknown-file>"; key = "<unknown>"; } roots);
          operator = i: filter (c: !elem c.key disabled) (loadAll i.module i.module.imports);
        };
    in
    map (i: i.module) kept;

  # ---- definitions ---------------------------------------------------------

  # conditions and priorities of a whole set, moved down to its attributes
  pushDown = value:
    if !isProperty value then [ value ]
    else if value._type == "merge" then concatMap pushDown value.contents
    else if value._type == "if" then
      map (mapAttrs (_: v: mkIf value.condition v)) (pushDown value.content)
    else if value._type == "override" then
      map (mapAttrs (_: v: mkOverride value.priority v)) (pushDown value.content)
    else map (mapAttrs (_: v: mkOrder value.priority v)) (pushDown value.content);

  # one written value → the plain values in it, each with priority and order
  settle = prio: order: value:
    if !isProperty value then [{ inherit prio order value; }]
    else if value._type == "merge" then concatMap (settle prio order) value.contents
    else if value._type == "if" then
      (if !builtins.isBool value.condition
      then throw "`mkIf' called with a non-Boolean condition"
      else if value.condition then settle prio order value.content else [ ])
    else if value._type == "override" then
      settle (if prio == null then value.priority else prio) order value.content
    else settle prio (if order == null then value.priority else order) value.content;

  mergeDefinitions = loc: type: defs:
    let
      all = concatMap
        (d: map
          (s: s // { inherit (d) file; })
          (addErrorContext "while evaluating definitions from `${d.file}':" (settle null null d.value)))
        defs;
      prioOf = d: if d.prio == null then defaultPriority else d.prio;
      highestPrio = lib.foldl' (low: d: lib.min low (prioOf d)) 9999 all;
      winning = filter (d: prioOf d == highestPrio) all;
      orderOf = d: if d.order == null then defaultOrder else d.order;
      ordered =
        if lib.any (d: d.order != null) winning
        then builtins.sort (a: b: orderOf a < orderOf b) winning
        else winning;
      defsFinal = map (d: { inherit (d) file value; }) ordered;
      wrong = filter (d: !type.check d.value) defsFinal;
      isDefined = defsFinal != [ ];
      mergedValue =
        if !isDefined
        then throw "The option `${showOption loc}' was accessed but has no value defined. Try setting the option."
        else if wrong != [ ]
        then throw "A definition for option `${showOption loc}' is not of type `${type.description}'. Definition values:${showDefs wrong}"
        else type.merge loc defsFinal;
    in
    {
      inherit isDefined mergedValue defsFinal highestPrio;
      optionalValue = if isDefined then { value = mergedValue; } else { };
    };

  # ---- options -------------------------------------------------------------

  # several declarations of one option → one
  mergeDeclarations = loc: decls:
    lib.foldl'
      (acc: d:
        let
          new = d.options;
          joined =
            if acc.opt ? type && new ? type
            then acc.opt.type.typeMerge new.type
            else acc.opt.type or new.type or null;
          clash = filter (n: n != "_type" && n != "type" && acc.opt ? ${n}) [ "default" "example" "apply" ];
          both = filter (n: new ? ${n}) clash;
        in
        if acc.files != [ ] && (both != [ ] || (acc.opt ? type && new ? type && joined == null)) then
          throw "The option `${showOption loc}' in `${d.file}' is already declared in ${showFiles acc.files}."
        else {
          opt = acc.opt // new // lib.optionalAttrs (joined != null) { type = joined; };
          files = acc.files ++ [ d.file ];
        })
      { opt = { }; files = [ ]; }
      decls;

  evalOption = loc: decls: defs:
    let
      declared = mergeDeclarations loc decls;
      inherit (declared) opt;
      type = opt.type or types.unspecified;
      withDefault = lib.optional (opt ? default) { file = lib.head declared.files; value = mkOptionDefault opt.default; } ++ defs;
      merged = mergeDefinitions loc type withDefault;
      checked =
        if (opt.readOnly or false) && lib.length defs > 1
        then throw "The option `${showOption loc}' is read-only, but it's set multiple times. Definition values:${showDefs defs}"
        else merged;
      value = (opt.apply or lib.id) checked.mergedValue;
    in
    opt // {
      inherit loc type;
      value = addErrorContext "while evaluating the option `${showOption loc}':" value;
      inherit (checked) isDefined highestPrio;
      declarations = declared.files;
      definitions = map (d: d.value) checked.defsFinal;
      definitionsWithLocations = checked.defsFinal;
      files = map (d: d.file) checked.defsFinal;
      options = type.getSubOptions loc;
      __toString = _: showOption loc;
    };

  # One level of the option tree. decls: [{ file, options }], defs: [{ file, value }].
  mergeLevel = loc: decls: defs:
    let
      declsByName = lib.zipAttrs (map (d: mapAttrs (_: options: { inherit (d) file; inherit options; }) d.options) decls);
      plain = concatMap
        (d: map
          (set:
            if isAttrs set then mapAttrs (_: value: { inherit (d) file; inherit value; }) set
            else throw "The option path `${showOption loc}' is an attribute set of options, but it is defined to not be an attribute set. Definition values:${showDefs [ { inherit (d) file; value = set; } ]}")
          (pushDown d.value))
        defs;
      defsByName = lib.zipAttrs plain;
      entries = mapAttrs
        (name: ds:
          let
            here = loc ++ [ name ];
            mine = defsByName.${name} or [ ];
            opts = filter (d: isOption d.options) ds;
            sets = filter (d: !isOption d.options) ds;
            bad = filter (d: !isAttrs d.options) sets;
            first = lib.head opts;
            # options declared inside an option whose type has options of its own
            below = first // {
              options = first.options // {
                type = first.options.type.extendWith (map (d: { _file = d.file; inherit (d) options; }) sets);
              };
            };
            sub = mergeLevel here ds mine;
          in
          if bad != [ ] then
            throw "The option tree at `${showOption here}' in `${(lib.head bad).file}' holds a value of type ${builtins.typeOf (lib.head bad).options} where an option or a set of options is expected."
          else if sets == [ ] then { option = evalOption here ds mine; unmatched = [ ]; }
          else if opts == [ ] then { option = sub.options; inherit (sub) unmatched; }
          else if lib.length opts == 1 && first.options ? type && first.options.type ? extendWith
          then { option = evalOption here [ below ] mine; unmatched = [ ]; }
          else
            throw "The option `${showOption here}' in ${showFiles (map (d: d.file) opts)} would be a parent of the following options, but its type does not support nested options: ${showFiles (map (d: d.file) sets)}.")
        declsByName;
      strays = removeAttrs defsByName (attrNames declsByName);
    in
    {
      options = mapAttrs (_: e: e.option) entries;
      unmatched =
        concatMap (n: entries.${n}.unmatched) (attrNames (builtins.intersectAttrs entries defsByName))
        ++ concatMap (n: map (d: d // { loc = loc ++ [ n ]; }) strays.${n}) (attrNames strays);
    };

  valuesOf = mapAttrs (_: o: if isOption o then o.value else valuesOf o);

  # ---- the whole -----------------------------------------------------------

  evalModules = { modules, specialArgs ? { }, prefix ? [ ], args ? { }, check ? true, class ? null }:
    let
      internal = {
        _file = "<lib/modules.nix>";
        key = "lib-modules-internal";
        options._module = {
          args = mkOption {
            type = types.lazyAttrsOf types.raw;
            internal = true;
            description = "Arguments that modules get.";
          };
          check = mkOption {
            type = types.bool;
            default = check;
            internal = true;
            description = "Whether definitions of undeclared options are errors.";
          };
          freeformType = mkOption {
            type = types.nullOr types.optionType;
            default = null;
            internal = true;
            description = "The type of definitions that no option declares.";
          };
        };
        config._module.args = { inherit extendModules; moduleType = type; } // args;
      };

      passed = { inherit lib config options specialArgs; _class = class; _prefix = prefix; } // specialArgs;
      call = file: f:
        f (passed // mapAttrs
          (name: _:
            addErrorContext "while evaluating the module argument `${name}' in \"${file}\":"
              (passed.${name} or config._module.args.${name}))
          (lib.functionArgs f));

      loaded = collect call (specialArgs.modulesPath or "") ([ internal ] ++ modules);
      tree = mergeLevel prefix
        (map (m: { inherit (m) file options; }) loaded)
        (concatMap (m: map (value: { inherit (m) file; inherit value; }) m.config) loaded);

      inherit (tree) options unmatched;
      freeform = options._module.freeformType.value;
      declared = valuesOf options;
      config =
        if freeform == null then declared
        else if unmatched == [ ] then (freeform.emptyValue.value or { }) // declared
        else lib.recursiveUpdate
          (mergeDefinitions prefix freeform (map
            (d: { inherit (d) file; value = lib.setAttrByPath (lib.drop (lib.length prefix) d.loc) d.value; })
            unmatched)).mergedValue
          declared;

      undeclared =
        let
          d = lib.head unmatched;
          around = lib.attrByPath (lib.drop (lib.length prefix) (lib.init d.loc)) { } options;
          hint =
            if isAttrs d.value && d.value._type or null == "option" then
              "\n\nIt seems as if you're trying to declare an option by placing it into `config' rather than `options'!"
            else if isAttrs around && removeAttrs around [ "_module" ] == { } && lib.length d.loc > lib.length prefix + 1 then
              "\n\nHowever there are no options defined in `${showOption (lib.init d.loc)}'. Are you sure you've declared your options properly?"
            else "";
        in
        throw "The option `${showOption d.loc}' does not exist. Definition values:${showDefs [ d ]}${hint}";
      checked =
        if freeform == null && unmatched != [ ] && options._module.check.value then undeclared else lib.id;

      extendModules = { modules ? [ ], specialArgs ? { }, prefix ? prefix0 }:
        evalModules ((removeAttrs self0 [ "modules" "specialArgs" "prefix" ]) // {
          modules = modules0 ++ modules;
          specialArgs = specialArgs0 // specialArgs;
          inherit prefix;
        });
      self0 = { inherit args check class; };
      modules0 = modules;
      specialArgs0 = specialArgs;
      prefix0 = prefix;
      type = types.submoduleWith { inherit modules specialArgs; };
    in
    {
      _type = "configuration";
      inherit extendModules type class;
      options = checked options;
      config = checked (removeAttrs config [ "_module" ]);
      # the arguments' own place is not part of the configuration proper
      _module = checked config._module;
    };

  # ---- properties ----------------------------------------------------------

  mkIf = condition: content: { _type = "if"; inherit condition content; };
  mkMerge = contents: { _type = "merge"; inherit contents; };
  mkOverride = priority: content: { _type = "override"; inherit priority content; };
  mkOrder = priority: content: { _type = "order"; inherit priority content; };
  mkOptionDefault = mkOverride 1500;
  mkDefault = mkOverride 1000;
in
{
  inherit evalModules mergeDefinitions mkIf mkMerge mkOverride mkOrder
    mkOptionDefault mkDefault defaultPriority;
  defaultOverridePriority = defaultPriority;
  defaultOrderPriority = defaultOrder;
  mkImageMediaOverride = mkOverride 60;
  mkForce = mkOverride 50;
  mkVMOverride = mkOverride 10;
  mkBefore = mkOrder 500;
  mkAfter = mkOrder 1500;
  mkAssert = cond: message: content: mkIf (if cond then true else throw "\nFailed assertion: ${message}") content;
  # the definition that f makes of another option's value, with that option's priority
  mkDerivedConfig = option: f: mkOverride (option.highestPrio or defaultPriority) (f option.value);
  mkDefinition = { file, value }: { _type = "definition"; inherit file value; };
  mkAliasDefinitions = option: mkIf (option.isDefined or true) (mkMerge (option.definitions or [ ]));
  isType = name: v: v._type or null == name;
  setDefaultModuleLocation = file: m: { _file = file; imports = [ m ]; };
  importApply = file: arg: { _file = toString file; imports = [ (import file arg) ]; };

  # An old name that warns and hands its definitions on.
  mkRenamedOptionModule = from: to: { options, config, ... }:
    let old = lib.getAttrFromPath from options; in
    {
      options = lib.setAttrByPath from (mkOption {
        visible = false;
        type = types.unspecified;
        description = "Alias of `${showOption to}'.";
        apply = _: lib.getAttrFromPath to config;
        default = null;
      });
      config = mkMerge [
        (lib.optionalAttrs (options ? warnings) {
          warnings = lib.optional (old.highestPrio < 1500)
            "The option `${showOption from}' defined in ${showFiles old.files} has been renamed to `${showOption to}'.";
        })
        (lib.setAttrByPath to (mkIf (old.highestPrio < 1500) (mkMerge old.definitions)))
      ];
    };
  mkRemovedOptionModule = path: hint: { options, ... }:
    let old = lib.getAttrFromPath path options; in
    {
      options = lib.setAttrByPath path (mkOption {
        visible = false;
        type = types.unspecified;
        default = null;
        description = "Removed.";
        apply = _: throw "The option `${showOption path}' can no longer be used since it's been removed. ${hint}";
      });
      config.assertions = [{
        assertion = old.highestPrio >= 1500;
        message = "The option definition `${showOption path}' in ${showFiles old.files} no longer has any effect; please remove it.\n${hint}";
      }];
    };
}
