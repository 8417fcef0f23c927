# Packages that wrap the programs of the Debian image a lab host runs on: each
# is a folder of links such as bin/nginx → /usr/sbin/nginx. They carry the
# versions of Debian 13, so that a plan has something to say about them.
{ lib, pkgs }:
let
  wrap = { pname, version, links, mainProgram ? pname, passthru ? { }, ... }:
    pkgs.stdenv.mkDerivation {
      inherit pname version passthru;
      meta = {
        inherit mainProgram;
        description = "${pname} of the host image (links to Debian's programs, nothing is built)";
        priority = 5;
      };
      buildCommand = ''
        ${lib.concatStrings (lib.mapAttrsToList
          (dir: entries:
            let
              # links that are called like their targets are made all at once
              plain = lib.filter (e: baseNameOf e.name == baseNameOf e.target) entries;
              named = lib.filter (e: baseNameOf e.name != baseNameOf e.target) entries;
            in
            ''
              mkdir -p $out/${dir}
              ${lib.optionalString (plain != [ ]) "ln -s ${lib.escapeShellArgs (map (e: e.target) plain)} $out/${dir}/"}
              ${lib.concatMapStrings (e: "ln -s ${lib.escapeShellArg e.target} $out/${lib.escapeShellArg e.name}\n") named}
            '')
          (lib.groupBy (e: dirOf e.name) (lib.mapAttrsToList (name: target: { inherit name target; }) links)))}
        mkdir -p $out/share/doc/lab
        echo "${pname} ${version}: links to the programs of the lab's host image" > $out/share/doc/lab/${pname}
      '';
    };
  bins = dir: names: lib.listToAttrs (map (n: lib.nameValuePair "bin/${n}" "${dir}/${n}") names);
  usrBin = bins "/usr/bin";
  usrSbin = bins "/usr/sbin";
  standIn = pname: version: passthru: program: script:
    pkgs.runCommand "${pname}-${version}" { inherit pname version passthru; meta.mainProgram = program; } ''
      mkdir -p $out/bin
      cat > $out/bin/${program} <<'SH'
      #!/bin/sh
      ${script}
      SH
      chmod 755 $out/bin/${program}
    '';
in
rec {
  bash = wrap { pname = "bash"; version = "5.2.37"; links = usrBin [ "bash" "sh" ]; passthru.shellPath = "/bin/bash"; };
  bashInteractive = wrap { pname = "bash-interactive"; version = "5.2.37"; mainProgram = "bash"; links = usrBin [ "bash" "sh" ]; passthru.shellPath = "/bin/bash"; };
  runtimeShellPackage = bash;
  runtimeShell = "${bash}/bin/bash";
  coreutils = wrap {
    pname = "coreutils";
    version = "9.7";
    mainProgram = "cat";
    links = usrBin [
      "[" "arch" "b2sum" "base32" "base64" "basename" "cat" "chgrp" "chmod" "chown" "cksum" "comm" "cp" "csplit" "cut"
      "date" "dd" "df" "dir" "dirname" "du" "echo" "env" "expand" "expr" "factor" "false" "fmt" "fold" "groups" "head"
      "hostid" "id" "install" "join" "link" "ln" "logname" "ls" "md5sum" "mkdir" "mkfifo" "mknod" "mktemp" "mv" "nice"
      "nl" "nohup" "nproc" "numfmt" "od" "paste" "pathchk" "pr" "printenv" "printf" "pwd" "readlink" "realpath" "rm"
      "rmdir" "seq" "sha1sum" "sha224sum" "sha256sum" "sha384sum" "sha512sum" "shred" "shuf" "sleep" "sort" "split"
      "stat" "stdbuf" "stty" "sum" "sync" "tac" "tail" "tee" "test" "timeout" "touch" "tr" "true" "truncate" "tsort"
      "tty" "uname" "unexpand" "uniq" "unlink" "users" "vdir" "wc" "who" "whoami" "yes"
    ] // usrSbin [ "chroot" ];
  };
  findutils = wrap { pname = "findutils"; version = "4.10.0"; mainProgram = "find"; links = usrBin [ "find" "xargs" ]; };
  diffutils = wrap { pname = "diffutils"; version = "3.10"; mainProgram = "diff"; links = usrBin [ "diff" "cmp" ]; };
  gnugrep = wrap { pname = "gnugrep"; version = "3.11"; mainProgram = "grep"; links = usrBin [ "grep" "egrep" "fgrep" ]; };
  gnused = wrap { pname = "gnused"; version = "4.9"; mainProgram = "sed"; links = usrBin [ "sed" ]; };
  gawk = wrap { pname = "gawk"; version = "1.3.4-mawk"; mainProgram = "awk"; links = { "bin/awk" = "/usr/bin/awk"; "bin/gawk" = "/usr/bin/awk"; }; };
  gnutar = wrap { pname = "gnutar"; version = "1.35"; mainProgram = "tar"; links = usrBin [ "tar" ]; };
  gzip = wrap { pname = "gzip"; version = "1.13"; links = usrBin [ "gzip" "gunzip" "zcat" ]; };
  zstd = wrap { pname = "zstd"; version = "1.5.7"; links = usrBin [ "zstd" "unzstd" "zstdcat" ]; };
  util-linux = wrap {
    pname = "util-linux";
    version = "2.41";
    mainProgram = "mount";
    links = usrBin [ "dmesg" "findmnt" "flock" "getopt" "ipcs" "logger" "lsblk" "lscpu" "mount" "mountpoint" "more" "nsenter" "setpriv" "setsid" "taskset" "umount" "unshare" ]
      // usrSbin [ "agetty" "blkid" "fstrim" "losetup" "nologin" "runuser" "sulogin" "swapoff" "swapon" ];
  };
  shadow = wrap { pname = "shadow"; version = "4.17.4"; mainProgram = "nologin"; links = usrSbin [ "nologin" "useradd" "usermod" ] // usrBin [ "passwd" "su" ]; passthru.shellPath = "/bin/nologin"; };
  procps = wrap { pname = "procps"; version = "4.0.4"; mainProgram = "ps"; links = usrBin [ "free" "kill" "pgrep" "pidof" "pkill" "ps" "top" "uptime" "vmstat" "watch" ] // usrSbin [ "sysctl" ]; };
  systemd = wrap {
    pname = "systemd";
    version = "257.9";
    mainProgram = "systemctl";
    links = usrBin [ "busctl" "hostnamectl" "journalctl" "loginctl" "networkctl" "systemctl" "systemd-analyze" "systemd-cat" "systemd-cgls" "systemd-delta" "systemd-detect-virt" "systemd-escape" "systemd-machine-id-setup" "systemd-notify" "systemd-path" "systemd-run" "systemd-tmpfiles" "timedatectl" ]
      // usrSbin [ "halt" "poweroff" "reboot" "shutdown" ]
      // { "lib/systemd/systemd" = "/usr/lib/systemd/systemd"; };
    passthru.interfaceVersion = 2;
  };
  systemdMinimal = systemd;
  perl = wrap { pname = "perl"; version = "5.40.1"; links = usrBin [ "perl" ]; };
  iproute2 = wrap { pname = "iproute2"; version = "6.15.0"; mainProgram = "ip"; links = { "bin/ip" = "/usr/sbin/ip"; "bin/ss" = "/usr/bin/ss"; "bin/bridge" = "/usr/sbin/bridge"; "bin/tc" = "/usr/sbin/tc"; }; };
  iptables = wrap { pname = "iptables"; version = "1.8.11"; links = usrSbin [ "iptables" "iptables-restore" "iptables-save" "ip6tables" "ip6tables-restore" "ip6tables-save" "nft" ]; };
  openssh = wrap { pname = "openssh"; version = "10.0p2"; mainProgram = "ssh"; links = usrBin [ "ssh" "ssh-keygen" "ssh-keyscan" "scp" "sftp" "ssh-add" "ssh-agent" ] // usrSbin [ "sshd" ] // { "libexec/sftp-server" = "/usr/lib/openssh/sftp-server"; }; };
  nginx = wrap { pname = "nginx"; version = "1.26.3"; links = usrSbin [ "nginx" ]; };
  nginxStable = nginx;
  nginxMainline = nginx;
  curl = wrap { pname = "curl"; version = "8.14.1"; links = usrBin [ "curl" ]; };
  nix = wrap { pname = "nix"; version = "2.26.3"; links = usrBin [ "nix" "nix-build" "nix-channel" "nix-collect-garbage" "nix-copy-closure" "nix-daemon" "nix-env" "nix-hash" "nix-instantiate" "nix-prefetch-url" "nix-shell" "nix-store" ]; };
  sudo = wrap { pname = "sudo"; version = "1.9.16p2"; links = usrBin [ "sudo" ]; };
  dbus = wrap { pname = "dbus"; version = "1.16.2"; mainProgram = "dbus-send"; links = usrBin [ "dbus-send" "dbus-monitor" "busctl" ]; };
  cacert = wrap { pname = "nss-cacert"; version = "3.114"; links = { "etc/ssl/certs/ca-bundle.crt" = "/etc/ssl/certs/ca-certificates.crt"; }; };
  tzdata = wrap { pname = "tzdata"; version = "2025b"; links = { "share/zoneinfo" = "/usr/share/zoneinfo"; }; };

  # Not in the host image. Colmena's key watcher wants it to exist.
  inotify-tools = pkgs.runCommand "inotify-tools-4.23.9.0"
    { pname = "inotify-tools"; version = "4.23.9.0"; meta = { mainProgram = "inotifywait"; description = "A stand-in that polls: the host image has no inotify-tools"; }; }
    ''
      mkdir -p $out/bin
      cat > $out/bin/inotifywait <<'SH'
      #!/bin/sh
      # stand-in: waits until the last argument changes or goes away
      for path; do :; done
      before=$(stat -c %i:%Y "$path" 2>/dev/null)
      while [ "$(stat -c %i:%Y "$path" 2>/dev/null)" = "$before" ]; do sleep 1; done
      SH
      chmod 755 $out/bin/inotifywait
    '';

  # Stand-ins that hold a unit up: the host image has neither.
  podman = standIn "podman" "5.6.2" { } "podman" ''
    case $1 in run) exec sleep infinity ;; esac
  '';
  docker = standIn "docker" "28.5.1" { } "docker" ''
    case $1 in run) exec sleep infinity ;; esac
  '';
  postgresql = postgresql_17;
  postgresql_16 = standIn "postgresql" "16.10" { psqlSchema = "16"; } "postgres" "exec sleep infinity";
  postgresql_17 = standIn "postgresql" "17.6" { psqlSchema = "17"; } "postgres" "exec sleep infinity";

  # Kernels that only have a version: a container runs its machine's kernel, but
  # a changed one must be seen as a reason to reboot.
  linuxPackagesFor = version: {
    kernel = pkgs.runCommand "linux-${version}" { pname = "linux"; inherit version; passthru.modDirVersion = version; } ''
      mkdir -p $out/lib/modules/${version}
      echo "stand-in for Linux ${version}" > $out/bzImage
    '';
  };
  linuxPackages = linuxPackagesFor "6.12.57";
  linuxPackages_latest = linuxPackagesFor "6.17.7";

  # One real program of the tree's own, to have a version to raise.
  hello = pkgs.stdenv.mkDerivation {
    pname = "hello";
    version = "2.12.1";
    meta = { mainProgram = "hello"; description = "Prints a greeting (a shell script of the lab)"; };
    dontUnpack = true;
    installPhase = ''
      mkdir -p $out/bin
      printf '#!/bin/sh\necho "Hello, world!"\n' > $out/bin/hello
      chmod 755 $out/bin/hello
    '';
  };
}
