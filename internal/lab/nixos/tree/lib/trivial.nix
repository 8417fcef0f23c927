{ lib }:
rec {
  id = x: x;
  const = x: _: x;
  pipe = builtins.foldl' (value: f: f value);
  flip = f: a: b: f b a;
  or' = a: b: a || b;
  and' = a: b: a && b;
  mapNullable = f: x: if x == null then null else f x;
  defaultTo = fallback: x: if x == null then fallback else x;
  min = a: b: if a < b then a else b;
  max = a: b: if a > b then a else b;
  mod = a: b: a - b * (a / b);

  fix = f: let self = f self; in self;
  extends = overlay: base: final:
    let prev = base final; in prev // overlay final prev;
  composeExtensions = f: g: final: prev:
    let
      one = f final prev;
    in
    one // g final (prev // one);
  composeManyExtensions = lib.foldr composeExtensions (_: _: { });

  isFunction = f:
    builtins.isFunction f || (f ? __functor && isFunction (f.__functor f));
  functionArgs = f:
    if f ? __functor
    then f.__functionArgs or (functionArgs (f.__functor f))
    else builtins.functionArgs f;
  setFunctionArgs = f: args: { __functor = _: f; __functionArgs = args; };
  toFunction = v: if isFunction v then v else _: v;

  importJSON = path: builtins.fromJSON (builtins.readFile path);
  importTOML = path: builtins.fromTOML (builtins.readFile path);

  warn = message: value: builtins.trace "evaluation warning: ${message}" value;
  warnIf = cond: message: if cond then warn message else id;
  warnIfNot = cond: warnIf (!cond);
  throwIf = cond: message: if cond then throw message else id;
  throwIfNot = cond: throwIf (!cond);
  info = message: value: builtins.trace "INFO: ${message}" value;
  inPureEvalMode = !(builtins ? currentSystem);

  # true, or an error with this message
  assertMsg = cond: message: if cond then true else throw message;
  assertOneOf = name: value: valid:
    assertMsg (builtins.elem value valid)
      "${name} must be one of ${builtins.toJSON valid}, but is: ${builtins.toJSON value}";

  # The release whose option names and meanings the tree follows.
  release = "25.11";
  version = "${release}.lab";
  trivialVersion = version;
  codeName = "Lab";

  inherit (builtins)
    add sub lessThan seq deepSeq trace tryEval isString isInt isBool isFloat
    isList isAttrs isPath typeOf toString toJSON fromJSON readFile pathExists
    readDir genericClosure addErrorContext ceil floor bitAnd bitOr bitXor
    unsafeGetAttrPos;
}
