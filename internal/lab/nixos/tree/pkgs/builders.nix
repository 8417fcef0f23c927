# The trivial builders, with nixpkgs's names and arguments.
{ lib, pkgs }:
let
  inherit (pkgs.stdenv) mkDerivation;
  inherit (lib) escapeShellArg optionalString;
in
rec {
  runCommandWith = { name, derivationArgs ? { }, ... }: buildCommand:
    mkDerivation ({ inherit name buildCommand; } // derivationArgs);
  runCommand = name: env: buildCommand: mkDerivation ({ inherit name buildCommand; } // env);
  runCommandLocal = runCommand;
  runCommandNoCC = runCommand;
  runCommandCC = runCommand;

  # `text` stays an attribute of the derivation: tools that compare systems
  # before they are built read it there.
  writeTextFile = { name, text, executable ? false, destination ? "", checkPhase ? "", meta ? { }, derivationArgs ? { }, ... }:
    mkDerivation ({
      inherit name text meta;
      passAsFile = [ "text" ];
      buildCommand = ''
        target=$out${escapeShellArg destination}
        ${optionalString (destination != "") ''mkdir -p "$(dirname "$target")"''}
        if [ -n "''${textPath-}" ]; then cp "$textPath" "$target"; else printf %s "$text" > "$target"; fi
        chmod ${if executable then "755" else "644"} "$target"
        ${checkPhase}
      '';
    } // derivationArgs);
  writeText = name: text: writeTextFile { inherit name text; };
  writeTextDir = path: text: writeTextFile { name = baseNameOf path; inherit text; destination = "/${path}"; };
  writeScript = name: text: writeTextFile { inherit name text; executable = true; };
  writeScriptBin = name: text: writeTextFile { inherit name text; executable = true; destination = "/bin/${name}"; meta.mainProgram = name; };
  writeShellScript = name: text: writeTextFile {
    inherit name;
    executable = true;
    text = "#!${pkgs.runtimeShell}\n${text}\n";
    checkPhase = "sh -n \"$target\" 2>/dev/null || bash -n \"$target\"";
  };
  writeShellScriptBin = name: text: writeTextFile {
    inherit name;
    executable = true;
    destination = "/bin/${name}";
    text = "#!${pkgs.runtimeShell}\n${text}\n";
    meta.mainProgram = name;
  };
  writeShellApplication = { name, text, runtimeInputs ? [ ], runtimeEnv ? null, meta ? { }, checkPhase ? null, bashOptions ? [ "errexit" "nounset" "pipefail" ], ... }:
    writeTextFile {
      inherit name;
      executable = true;
      destination = "/bin/${name}";
      meta = { mainProgram = name; } // meta;
      text = ''
        #!${pkgs.runtimeShell}
        ${lib.concatMapStringsSep "\n" (o: "set -o ${o}") bashOptions}
        ${optionalString (runtimeEnv != null) (lib.concatStrings (lib.mapAttrsToList (n: v: "export ${n}=${escapeShellArg v}\n") runtimeEnv))}
        ${optionalString (runtimeInputs != [ ]) ''export PATH="${lib.makeBinPath runtimeInputs}:$PATH"''}
        ${text}
      '';
    };
  writeStringReferencesToFile = string: writeText "references" (lib.concatLines (builtins.attrNames (builtins.getContext string)));
  concatTextFile = { name, files, executable ? false, destination ? "", ... }:
    runCommand name { inherit files; } ''
      target=$out${escapeShellArg destination}
      mkdir -p "$(dirname "$target")"
      cat $files > "$target"
      chmod ${if executable then "755" else "644"} "$target"
    '';
  concatText = name: files: concatTextFile { inherit name files; };

  # A tree of links. The first path that has a file wins, and says so.
  buildEnv = { name, paths, pathsToLink ? [ "/" ], postBuild ? "", meta ? { }, passthru ? { }, ignoreCollisions ? true, extraPrefix ? "", pname ? null, version ? null, ... }:
    mkDerivation ({
      inherit name meta passthru;
      paths = map toString (lib.concatMap (p: [ (lib.getBin p) ]) (lib.sort (a: b: (a.meta.priority or 5) < (b.meta.priority or 5)) paths));
      inherit pathsToLink;
      buildCommand = ''
        dest=$out${extraPrefix}
        mkdir -p "$dest"
        for from in $paths; do
          for top in $pathsToLink; do
            [ -d "$from$top" ] || continue
            (cd "$from" && find ".$top" -type d) | while IFS= read -r dir; do
              dir=''${dir#./}; dir=''${dir#/}
              set --
              for file in "$from/$dir"/* "$from/$dir"/.[!.]*; do
                [ -L "$file" ] || [ -f "$file" ] || continue
                if [ -e "$dest/$dir/''${file##*/}" ] || [ -L "$dest/$dir/''${file##*/}" ]; then
                  ${if ignoreCollisions then ":" else ''echo "collision between $file and another path" >&2; exit 1''}
                else
                  set -- "$@" "$file"
                fi
              done
              [ $# -gt 0 ] || continue
              mkdir -p "$dest/$dir"
              ln -s "$@" "$dest/$dir/"
            done
          done
        done
        ${postBuild}
      '';
    });
  symlinkJoin = { name ? "${pname}-${version}", pname ? "env", version ? "0", paths, postBuild ? "", meta ? { }, passthru ? { }, ... }:
    buildEnv { inherit name paths postBuild meta passthru; };
  linkFarm = name: entries:
    let
      list = if builtins.isAttrs entries then lib.mapAttrsToList (name: path: { inherit name path; }) entries else entries;
    in
    runCommand name { } ''
      mkdir -p $out
      ${lib.concatMapStrings (e: ''
        mkdir -p "$out/$(dirname ${escapeShellArg e.name})"
        ln -s ${escapeShellArg "${e.path}"} "$out/"${escapeShellArg e.name}
      '') list}
    '';
  linkFarmFromDrvs = name: drvs: linkFarm name (map (d: { inherit (d) name; path = d; }) drvs);
  emptyFile = writeText "empty-file" "";
  emptyDirectory = runCommand "empty-directory" { } "mkdir $out";

  formats =
    let
      atom = lib.types.nullOr (lib.types.oneOf [ lib.types.bool lib.types.int lib.types.float lib.types.str lib.types.path ]);
      json = lib.types.nullOr (lib.types.oneOf [ lib.types.bool lib.types.int lib.types.float lib.types.str lib.types.path (lib.types.lazyAttrsOf json) (lib.types.listOf json) ]) // { description = "JSON value"; };
    in
    {
      json = { }: {
        type = json;
        generate = name: value: writeText name (builtins.toJSON value);
      };
      yaml = { }: {
        type = json // { description = "YAML value"; };
        generate = name: value: writeText name (builtins.toJSON value);
      };
      ini = { listsAsDuplicateKeys ? false, ... }: {
        type = lib.types.attrsOf (lib.types.attrsOf (if listsAsDuplicateKeys then lib.types.either atom (lib.types.listOf atom) else atom));
        generate = name: value: writeText name (lib.generators.toINI { inherit listsAsDuplicateKeys; } value);
      };
      keyValue = { listsAsDuplicateKeys ? false, ... }: {
        type = lib.types.attrsOf (if listsAsDuplicateKeys then lib.types.either atom (lib.types.listOf atom) else atom);
        generate = name: value: writeText name (lib.generators.toKeyValue { inherit listsAsDuplicateKeys; } value);
      };
    };

  replaceVars = file: vars:
    writeText (baseNameOf file) (builtins.replaceStrings
      (map (n: "@${n}@") (builtins.attrNames vars))
      (map toString (builtins.attrValues vars))
      (builtins.readFile file));
}
