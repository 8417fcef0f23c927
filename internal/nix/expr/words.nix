# Small words that the other files share, and errors in words of our own.
{ mark # a word nobody can guess; starts what is meant for the caller
, file # of the hive, as a string: where an error is that has no better place
}:
let
  inherit (builtins) filter functionArgs intersectAttrs isFunction listToAttrs map toJSON typeOf unsafeGetAttrPos;
in
rec {
  # What is wrong, with the place of an attribute if there is one.
  wrong = { message, hint ? "", set ? { }, attribute ? "", input ? "" }:
    let at = unsafeGetAttrPos attribute set; in
    {
      inherit message hint input;
      file = if at == null then file else toString at.file;
      line = if at == null then 0 else at.line;
      column = if at == null then 0 else at.column;
    };
  fail = problem: throw "${mark}${toJSON (wrong problem)}";

  # Tells the caller what was read beside files, once it is.
  note = what: value: builtins.trace "${mark}/${what}" value;

  kind = value: { lambda = "function"; int = "number"; float = "number"; bool = "truth value"; }.${typeOf value} or (typeOf value);
  list = words: builtins.concatStringsSep ", " words;
  byName = names: f: listToAttrs (map (name: { inherit name; value = f name; }) names);
  keep = f: set: byName (filter (name: f name set.${name}) (builtins.attrNames set)) (name: set.${name});
  callable = value: isFunction value || builtins.isAttrs value && value ? __functor;

  # Hands a function those of the arguments that it names, or all if it names none.
  callWith = arguments: f:
    let named = if isFunction f then functionArgs f else { }; in
    f (if named == { } then arguments else intersectAttrs named arguments);
}
