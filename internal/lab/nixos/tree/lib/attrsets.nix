{ lib }:
rec {
  inherit (builtins)
    attrNames attrValues hasAttr getAttr isAttrs removeAttrs listToAttrs
    intersectAttrs mapAttrs catAttrs zipAttrsWith;

  nameValuePair = name: value: { inherit name value; };
  mapAttrs' = f: set:
    listToAttrs (map (name: f name set.${name}) (attrNames set));
  mapAttrsToList = f: set: map (name: f name set.${name}) (attrNames set);
  attrsToList = mapAttrsToList nameValuePair;
  concatMapAttrs = f: set:
    builtins.foldl' (a: b: a // b) { } (mapAttrsToList f set);
  filterAttrs = pred: set:
    removeAttrs set (builtins.filter (name: !(pred name set.${name})) (attrNames set));
  genAttrs = names: f: listToAttrs (map (n: nameValuePair n (f n)) names);
  genAttrs' = xs: f: listToAttrs (map f xs);
  optionalAttrs = cond: set: if cond then set else { };
  getAttrs = names: set: genAttrs names (name: set.${name});
  attrVals = names: set: map (name: set.${name}) names;
  foldlAttrs = f: zero: set:
    builtins.foldl' (acc: name: f acc name set.${name}) zero (attrNames set);
  foldAttrs = op: zero: sets:
    mapAttrs (_: values: lib.foldr op zero values) (zipAttrs sets);
  zipAttrs = zipAttrsWith (_: values: values);
  zipAttrsWithNames = names: f: sets:
    genAttrs names (name: f name (catAttrs name sets));
  mergeAttrsList = builtins.foldl' (a: b: a // b) { };
  mergeAttrs = a: b: a // b;
  collect = pred: v:
    if pred v then [ v ]
    else if isAttrs v then builtins.concatMap (collect pred) (attrValues v)
    else [ ];
  cartesianProduct = sets:
    builtins.foldl'
      (acc: name: builtins.concatMap (one: map (v: one // { ${name} = v; }) sets.${name}) acc)
      [ { } ]
      (attrNames sets);

  hasAttrByPath = path: set:
    path == [ ] || (isAttrs set && set ? ${lib.head path}
      && hasAttrByPath (lib.tail path) set.${lib.head path});
  attrByPath = path: fallback: set:
    if path == [ ] then set
    else if isAttrs set && set ? ${lib.head path}
    then attrByPath (lib.tail path) fallback set.${lib.head path}
    else fallback;
  getAttrFromPath = path:
    attrByPath path (throw "cannot find attribute `${lib.concatStringsSep "." path}'");
  setAttrByPath = path: value:
    if path == [ ] then value
    else { ${lib.head path} = setAttrByPath (lib.tail path) value; };
  updateManyAttrsByPath = updates: set:
    builtins.foldl'
      (acc: u: recursiveUpdate acc (setAttrByPath u.path (u.update (attrByPath u.path { } acc))))
      set
      updates;

  mapAttrsRecursive = mapAttrsRecursiveCond (_: true);
  mapAttrsRecursiveCond = cond: f: set:
    let
      go = path: mapAttrs (name: v:
        if isAttrs v && cond v then go (path ++ [ name ]) v else f (path ++ [ name ]) v);
    in
    go [ ] set;
  mapAttrsToListRecursive = f: set:
    let
      go = path: s: builtins.concatMap
        (n: let v = s.${n}; p = path ++ [ n ]; in
          if isAttrs v && !isDerivation v then go p v else [ (f p v) ])
        (attrNames s);
    in
    go [ ] set;
  recursiveUpdate = recursiveUpdateUntil (_: a: b: !(isAttrs a && isAttrs b));
  recursiveUpdateUntil = stop: left: right:
    let
      go = path: a: b: a // mapAttrs
        (name: new:
          let p = path ++ [ name ]; in
          if !(a ? ${name}) || stop p a.${name} new then new else go p a.${name} new)
        b;
    in
    go [ ] left right;
  matchAttrs = pattern: set: builtins.all
    (n: set ? ${n} && (if isAttrs pattern.${n} then isAttrs set.${n} && matchAttrs pattern.${n} set.${n} else pattern.${n} == set.${n}))
    (attrNames pattern);

  isDerivation = v: v.type or null == "derivation";
  toDerivation = path:
    let p = builtins.storePath path; in
    {
      type = "derivation";
      name = builtins.unsafeDiscardStringContext (builtins.substring 33 (-1) (baseNameOf p));
      outPath = p;
      outputs = [ "out" ];
      out = toDerivation path;
      outputName = "out";
    };
  recurseIntoAttrs = set: set // { recurseForDerivations = true; };
  dontRecurseIntoAttrs = set: set // { recurseForDerivations = false; };
  getOutput = output: pkg:
    if pkg.outputSpecified or false then pkg else pkg.${output} or pkg.out or pkg;
  getBin = getOutput "bin";
  getLib = getOutput "lib";
  getDev = getOutput "dev";
  getMan = getOutput "man";
  unionOfDisjoint = a: b: a // b;
  showAttrPath = path: if path == [ ] then "<root attribute path>" else lib.showOption path;
}
