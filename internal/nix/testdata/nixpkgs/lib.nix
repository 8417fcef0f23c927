# A module system of a few lines: declared and typed options, priorities,
# mkIf and mkMerge, imports, undeclared options as errors.
let
  inherit (builtins) all attrNames concatLists concatMap concatStringsSep elem filter foldl' functionArgs
    head intersectAttrs isAttrs isFunction isList isPath isString length map mapAttrs removeAttrs toString;
  show = concatStringsSep ".";
  property = v: isAttrs v && elem (v._type or "") [ "if" "merge" "override" ];
  isOption = o: o._type or "" == "option";
  type = description: check: { inherit description check; merge = _: defs: (head defs).value; };

  # [{ file, value }] → the same without properties around sets
  pushDown = d:
    let under = f: map (value: d // { inherit value; }) f; again = v: pushDown (d // { value = v; }); in
    if !property d.value then [ d ]
    else if d.value._type == "merge" then concatMap again d.value.contents
    else if d.value._type == "if" then map (x: x // { value = mapAttrs (_: lib.mkIf d.value.condition) x.value; }) (again d.value.content)
    else under [ (mapAttrs (_: lib.mkOverride d.value.priority) d.value.content) ];

  settle = prio: d:
    if !property d.value then [ (d // { inherit prio; }) ]
    else if d.value._type == "merge" then concatMap (v: settle prio (d // { value = v; })) d.value.contents
    else if d.value._type == "if" then (if d.value.condition then settle prio (d // { value = d.value.content; }) else [ ])
    else [ (d // { prio = d.value.priority; value = d.value.content; }) ];

  evalOption = loc: o: defs:
    let
      settled = concatMap (settle 100) (defs ++ (if o ? default then [{ file = "default"; value = lib.mkOverride 1500 o.default; }] else [ ]));
      highestPrio = foldl' (a: d: if d.prio < a then d.prio else a) 9999 settled;
      final = filter (d: d.prio == highestPrio) settled;
      wrong = filter (d: !o.type.check d.value) final;
    in
    o // {
      inherit highestPrio;
      value =
        if final == [ ] then throw "The option `${show loc}' is used but not defined."
        else if wrong != [ ] then throw "A definition for option `${show loc}' is not of type `${o.type.description}'. Definition values:\n- In `${(head wrong).file}'"
        else (o.apply or (v: v)) (o.type.merge loc final);
    };

  level = loc: options: defs:
    let sets = concatMap pushDown defs; at = n: concatMap (d: if d.value ? ${n} then [ (d // { value = d.value.${n}; }) ] else [ ]) sets; in
    {
      options = mapAttrs (n: o: if isOption o then evalOption (loc ++ [ n ]) o (at n) else (level (loc ++ [ n ]) o (at n)).options) options;
      stray = concatMap
        (d: concatMap
          (n:
            if !(options ? ${n}) then [ "The option `${show (loc ++ [ n ])}' does not exist. Definition values:\n- In `${d.file}'" ]
            else if isOption options.${n} then [ ] else (level (loc ++ [ n ]) options.${n} [ (d // { value = d.value.${n}; }) ]).stray)
          (attrNames d.value))
        sets;
    };
  values = mapAttrs (_: o: if isOption o then o.value else values o);
  join = a: b: a // mapAttrs (n: v: if a ? ${n} && !isOption v then join a.${n} v else v) b;

  lib = {
    inherit (builtins) attrNames;
    version = "25.11";
    setFunctionArgs = f: __functionArgs: { __functor = _: f; inherit __functionArgs; };
    versionAtLeast = a: b: builtins.compareVersions a b >= 0;
    mkOption = o: { type = lib.types.unspecified; } // o // { _type = "option"; };
    mkIf = condition: content: { _type = "if"; inherit condition content; };
    mkMerge = contents: { _type = "merge"; inherit contents; };
    mkOverride = priority: content: { _type = "override"; inherit priority content; };
    mkOptionDefault = lib.mkOverride 1500;
    mkDefault = lib.mkOverride 1000;
    mkForce = lib.mkOverride 50;
    mkBefore = v: v;
    types = {
      addCheck = t: also: t // { check = v: t.check v && also v; };
      unspecified = type "anything" (_: true);
      str = type "string" isString;
      int = type "integer" builtins.isInt;
      bool = type "boolean" builtins.isBool;
      path = type "path" (v: isPath v || isString v);
      enum = of: type "one of ${toString of}" (v: elem v of);
      nullOr = t: t // { description = "null or ${t.description}"; check = v: v == null || t.check v; merge = loc: defs: if (head defs).value == null then null else t.merge loc defs; };
      listOf = t: type "list of ${t.description}" (v: isList v && all t.check v) // { merge = _: defs: concatLists (map (d: d.value) defs); };
      attrsOf = t: type "set of ${t.description}" isAttrs // {
        merge = loc: defs: mapAttrs (n: ds: (evalOption (loc ++ [ n ]) { type = t; } ds).value)
          (builtins.zipAttrsWith (_: concatLists) (map (d: mapAttrs (_: value: [{ inherit (d) file; inherit value; }]) d.value) (concatMap pushDown defs)));
      };
      submodule = m: type "submodule" (v: isAttrs v || isFunction v) // {
        merge = loc: defs: (lib.evalModules { inherit loc; modules = [ m ] ++ map (d: { _file = d.file; imports = [ d.value ]; }) defs; specialArgs.name = builtins.elemAt loc (length loc - 1); }).config;
      };
    };
    evalModules = { modules, specialArgs ? { }, loc ? [ ] }:
      let
        passed = { inherit lib; inherit (result) config options; } // specialArgs;
        load = file: m:
          let
            place = if isPath m || isString m then toString m else file;
            v = if isPath m || isString m then import m else m;
            wants = v.__functionArgs or (functionArgs v);
            set = if isFunction v || v ? __functor then v (if wants == { } then passed else intersectAttrs wants passed) else v;
            here = set._file or place;
          in
          concatMap (load here) (set.imports or [ ]) ++ [{
            file = here;
            options = set.options or { };
            value = if set ? config || set ? options then set.config or { } else removeAttrs set [ "imports" "_file" ];
          }];
        loaded = concatMap (load "<unknown-file>") modules;
        declared = foldl' join { _module.check = lib.mkOption { default = true; }; } (map (m: m.options) loaded);
        tree = level loc declared (map (m: { inherit (m) file value; }) loaded);
        result = {
          inherit (tree) options;
          config = if tree.stray != [ ] && tree.options._module.check.value then throw (head tree.stray) else removeAttrs (values tree.options) [ "_module" ];
        };
      in
      result;
  };
in
lib
