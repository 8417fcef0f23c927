{ lib }:
rec {
  inherit (builtins)
    concatStringsSep stringLength substring replaceStrings isString match split
    toJSON hashString compareVersions splitVersion baseNameOf;

  concatStrings = concatStringsSep "";
  concatMapStrings = f: xs: concatStrings (map f xs);
  concatMapStringsSep = sep: f: xs: concatStringsSep sep (map f xs);
  concatImapStrings = f: xs: concatStrings (lib.imap1 f xs);
  concatImapStringsSep = sep: f: xs: concatStringsSep sep (lib.imap1 f xs);
  concatMapAttrsStringSep = sep: f: set: concatStringsSep sep (lib.mapAttrsToList f set);
  concatLines = concatMapStrings (line: line + "\n");
  join = concatStringsSep;
  intersperse = sep: xs:
    lib.drop 1 (builtins.concatMap (x: [ sep x ]) xs);
  optionalString = cond: s: if cond then s else "";
  replicate = n: s: concatStrings (lib.lists.replicate n s);

  hasPrefix = prefix: s: substring 0 (stringLength prefix) s == prefix;
  hasSuffix = suffix: s:
    let
      n = stringLength s;
      m = stringLength suffix;
    in
    n >= m && substring (n - m) m s == suffix;
  hasInfix = infix: s:
    match ".*${escapeRegex infix}.*" (replaceStrings [ "\n" ] [ " " ] "${s}") != null;
  removePrefix = prefix: s:
    if hasPrefix prefix s then substring (stringLength prefix) (-1) s else s;
  removeSuffix = suffix: s:
    if hasSuffix suffix s then substring 0 (stringLength s - stringLength suffix) s else s;
  splitString = sep: s:
    builtins.filter isString (split (escapeRegex sep) (toString s));
  stringToCharacters = s: lib.genList (i: substring i 1 s) (stringLength s);
  stringAsChars = f: s: concatStrings (map f (stringToCharacters s));
  trim = s:
    let m = match "[ \t\r\n]*(.*[^ \t\r\n])[ \t\r\n]*" s; in
    if m == null then "" else lib.head m;
  escape = chars: replaceStrings chars (map (c: "\\${c}") chars);
  escapeRegex = escape (stringToCharacters "\\[{()^$?*+|.");
  escapeShellArg = arg:
    let s = toString arg; in
    if match "[[:alnum:],._+:@%/-]+" s == null
    then "'${replaceStrings [ "'" ] [ "'\\''" ] s}'"
    else s;
  escapeShellArgs = concatMapStringsSep " " escapeShellArg;
  escapeNixString = s: escape [ "$" ] (toJSON s);
  escapeNixIdentifier = s:
    if match "[a-zA-Z_][a-zA-Z0-9_'-]*" s != null then s else escapeNixString s;
  escapeXML = replaceStrings [ "\"" "'" "<" ">" "&" ] [ "&quot;" "&apos;" "&lt;" "&gt;" "&amp;" ];
  escapeSystemdExecArg = arg:
    let s = toString arg; in
    replaceStrings [ "%" "$" ] [ "%%" "$$" ] (toJSON s);
  escapeSystemdExecArgs = concatMapStringsSep " " escapeSystemdExecArg;
  toShellVar = name: value: "${name}=${escapeShellArg value}";
  toShellVars = set: concatStringsSep "\n" (lib.mapAttrsToList toShellVar set);
  isValidPosixName = name: match "[a-zA-Z_][a-zA-Z0-9_]*" name != null;
  quote = s: "\"${s}\"";

  lowerChars = stringToCharacters "abcdefghijklmnopqrstuvwxyz";
  upperChars = stringToCharacters "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  toLower = replaceStrings upperChars lowerChars;
  toUpper = replaceStrings lowerChars upperChars;
  fixedWidthString = width: filler: s:
    if stringLength s >= width then s else fixedWidthString width filler (filler + s);
  fixedWidthNumber = width: n: fixedWidthString width "0" (toString n);
  toInt = s:
    let v = builtins.fromJSON s; in
    if builtins.isInt v then v else throw "Could not convert ${s} to int.";
  boolToString = b: if b then "true" else "false";
  boolToYesNo = b: if b then "yes" else "no";
  floatToString = toString;

  versionOlder = a: b: compareVersions b a == 1;
  versionAtLeast = a: b: !versionOlder a b;
  getName = x: if isString x then (builtins.parseDrvName x).name else x.pname or (builtins.parseDrvName x.name).name;
  getVersion = x: if isString x then (builtins.parseDrvName x).version else x.version or (builtins.parseDrvName x.name).version;
  nameFromURL = url: sep: lib.head (splitString sep (lib.last (splitString "/" url)));

  isConvertibleWithToString = x:
    builtins.elem (builtins.typeOf x) [ "path" "string" "null" "int" "float" "bool" ]
    || (builtins.isList x && builtins.all isConvertibleWithToString x)
    || x ? outPath || x ? __toString;
  isStringLike = x: isString x || builtins.isPath x || x ? outPath || x ? __toString;
  isStorePath = x:
    isStringLike x && dirOf (toString x) == builtins.storeDir;
  sanitizeDerivationName = s:
    let
      safe = concatStrings (map (x: if builtins.isList x then "-" else x)
        (split "[^[:alnum:]+._?=-]+" (builtins.unsafeDiscardStringContext (toString s))));
      bare = lib.removePrefix "." safe;
    in
    if bare == "" then "unknown" else substring 0 200 bare;
  makeSearchPathOutput = output: dir: pkgs:
    concatStringsSep ":" (map (p: "${lib.getOutput output p}/${dir}") (builtins.filter (p: p != null) pkgs));
  makeSearchPath = makeSearchPathOutput "out";
  makeBinPath = makeSearchPathOutput "bin" "bin";
  makeLibraryPath = makeSearchPathOutput "lib" "lib";
  fileContents = file: removeSuffix "\n" (builtins.readFile file);
  commonPrefixLength = a: b:
    let
      n = lib.min (stringLength a) (stringLength b);
      go = i: if i >= n || substring i 1 a != substring i 1 b then i else go (i + 1);
    in
    go 0;

  # Activation snippets with the snippets that must run before them.
  textClosureList = predefined: wanted:
    let
      step = state: x:
        if builtins.isAttrs x then
          let s = builtins.foldl' step state (x.deps or [ ]); in
          s // { out = s.out ++ [ x.text ]; }
        else if state.done ? ${x} then state
        else
          let
            entry = predefined.${x};
            s = builtins.foldl' step (state // { done = state.done // { ${x} = true; }; }) (entry.deps or [ ]);
          in
          s // { out = s.out ++ [ entry.text ]; };
    in
    (builtins.foldl' step { done = { }; out = [ ]; } wanted).out;
  textClosureMap = f: predefined: names:
    concatStringsSep "\n" (map f (textClosureList predefined names));
  fullDepEntry = text: deps: { inherit text deps; };
  noDepEntry = text: { inherit text; deps = [ ]; };
  packEntry = deps: { inherit deps; text = ""; };
  stringAfter = deps: text: { inherit text deps; };
}
