# Derivations that build with the shell and the core utilities of whatever
# Debian machine runs the build: /bin/sh, PATH=/usr/bin:/bin, nothing else.
{ lib, system, pkgs }:
let
  # attributes that describe a derivation and do not belong into its environment
  notEnv = [ "meta" "passthru" "pname" "version" "buildCommand" "passAsFile" "nativeBuildInputs" "buildInputs" "propagatedBuildInputs" "strictDeps" "enableParallelBuilding" "dontUnpack" "dontBuild" "dontConfigure" "dontFixup" "preferLocalBuild" "allowSubstitutes" ];
  phases = [ "unpackPhase" "patchPhase" "configurePhase" "buildPhase" "checkPhase" "installPhase" ];

  mkDerivation = given:
    let
      attrs = if lib.isFunction given then lib.fix given else given;
      name = attrs.name or "${attrs.pname}-${attrs.version}";
      version = attrs.version or "";
      # with a source: unpack, build, install, as far as the phases are given
      phased = ''
        ${lib.optionalString (attrs ? src && !(attrs.dontUnpack or false)) (attrs.unpackPhase or ''
          if [ -d "$src" ]; then cp -r "$src" source && chmod -R u+w source && cd source; else cp "$src" ./"$(basename "$src" | cut -c34-)"; fi
        '')}
        ${lib.concatMapStringsSep "\n" (p: attrs.${p} or "") (lib.tail phases)}
      '';
      env = removeAttrs attrs (notEnv ++ phases);
      drv = derivation (env // {
        inherit name system;
        builder = "/bin/sh";
        args = [ "-e" "-c" ''PATH=/usr/bin:/bin:${lib.makeBinPath (attrs.nativeBuildInputs or [ ])}; export PATH; umask 022; . "$buildCommandPath"'' ];
        buildCommand = attrs.buildCommand or phased;
        passAsFile = lib.unique ([ "buildCommand" ] ++ attrs.passAsFile or [ ]);
        preferLocalBuild = attrs.preferLocalBuild or true;
        allowSubstitutes = attrs.allowSubstitutes or false;
      } // lib.optionalAttrs (attrs ? pname) { inherit (attrs) pname; }
        // lib.optionalAttrs (version != "") { inherit version; });
    in
    drv // (attrs.passthru or { }) // {
      meta = { inherit name; } // (attrs.meta or { });
      inherit name;
      overrideAttrs = change: mkDerivation (
        let
          old = attrs;
          new =
            if !lib.isFunction change then change
            else let once = change old; in if lib.isFunction once then change (old // { finalPackage = drv; }) old else once;
        in
        removeAttrs old (lib.optional (new ? version && !(new ? name) && old ? pname) "name") // new
      );
    } // lib.optionalAttrs (attrs ? pname) { inherit (attrs) pname; }
      // lib.optionalAttrs (version != "") { inherit version; };

  hostPlatform = lib.systems.elaborate system;
in
{
  inherit mkDerivation hostPlatform;
  buildPlatform = hostPlatform;
  targetPlatform = hostPlatform;
  inherit system;
  isLinux = true;
  isDarwin = false;
  shell = "/bin/sh";
}
